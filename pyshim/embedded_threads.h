/* Threads of the router that run embedded applications. */
#ifndef WSGID_EMBEDDED_THREADS_H
#define WSGID_EMBEDDED_THREADS_H

#include <stdbool.h>
#include <stddef.h>

struct wsgid_server;

/* A server record for embedded applications; kept for ever. NULL without memory. */
struct wsgid_server *wsgid_embedded_new(int threads, bool multiprocess, size_t rules);

/* Sets rule number index; path is copied. 0, -1 without memory. */
int wsgid_embedded_rule(struct wsgid_server *server, size_t index, const char *path, size_t length,
                        bool directory);

/* Starts a thread, which serves fd (and closes it) and ends with the connection.
 * It has a number of its own as long as it runs. stack is the size of its
 * stack. 0 or an errno. */
int wsgid_embedded_start(struct wsgid_server *server, int fd, size_t stack);

/* Imports a script before any request wants it. Failures are logged. The
 * calling thread holds no GIL. */
void wsgid_embedded_import(const char *application, const char *path);

#endif
