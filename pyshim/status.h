/* Events of a worker for the supervisor: docs/internals.md section 2. */
#ifndef WSGID_STATUS_H
#define WSGID_STATUS_H

#include "log.h"
#include "worker.h"

/* Sends one event: name, value, name, value, …, NULL. Values are cut at 4 KiB.
 * Does nothing when embedded. An event that cannot be sent means that the
 * supervisor is gone. */
void wsgid_status_event(const struct wsgid_server *server, ...) __attribute__((sentinel));

/* This process takes no further request from now on and wants to be replaced,
 * for a reason of internal/exitreason, name and number; script may be NULL. Told
 * once: false when it was before. */
bool wsgid_status_leave(struct wsgid_server *server, const char *reason, uint32_t number, const char *script);

/* This process serves on and wants to be replaced by another one that has been
 * started before, for such a reason. Told once. */
void wsgid_status_relieve(struct wsgid_server *server, const char *reason);

/* A file has changed and this process wants to be replaced: it takes no further
 * request from now on. Told once. */
void wsgid_status_retire(struct wsgid_server *server, const struct wsgid_log_context *context, const char *what,
                         const char *path);

/* Of a long traceback the end, which begins with a whole line; points into it. */
const char *wsgid_traceback_tail(const char *traceback);

/* Sends load_failed: the script cannot be imported into that interpreter. Of a
 * long traceback the tail is sent. */
void wsgid_status_load_failed(const struct wsgid_server *server, const char *application, const char *script,
                              const char *traceback);

#endif
