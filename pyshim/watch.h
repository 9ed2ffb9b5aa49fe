/* The option watch: notices that files which match patterns have changed, as
 * the process's own user and with nothing of Python. inotify makes it
 * immediate; a look every two seconds covers what inotify does not see
 * (network file systems, symbolic links that were switched, too few watches).
 *
 * In a pattern, which is absolute, each segment between slashes is one of
 * fnmatch(3), and ** is any number of directories. ** does not follow symbolic
 * links and leaves out hidden directories, __pycache__, node_modules and
 * virtual environments. */
#ifndef WSGID_WATCH_H
#define WSGID_WATCH_H

#include <stdbool.h>

struct wsgid_watch;

/* Remembers the files as they are now. patterns is NULL-terminated and lives
 * as long as the process, as does the result. NULL without memory. */
struct wsgid_watch *wsgid_watch_new(const char *const *patterns);

/* Called on the watching thread with one of the files that have changed; false
 * ends the watching. */
typedef bool (*wsgid_watch_hook)(void *context, const char *path);

/* Starts the thread. What has changed since wsgid_watch_new counts. 0, or an errno. */
int wsgid_watch_start(struct wsgid_watch *watch, wsgid_watch_hook hook, void *context);

/* In a child that the application forked: closes the descriptor. */
void wsgid_watch_forked(void);

#endif
