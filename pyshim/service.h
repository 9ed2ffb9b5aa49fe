/* A group with threads = 0: its processes run import scripts and serve nothing
 * (mod_wsgi behaviour 3.4, 8.2). */
#ifndef WSGID_SERVICE_H
#define WSGID_SERVICE_H

#include "worker.h"

/* Makes SIGTERM raise SystemExit in the main thread. Python runs, no GIL held.
 * Returns 0, or -1 with a logged traceback. */
int wsgid_service_prepare(void);

/* Runs the scripts of the boot block one after the other, on the main thread;
 * returns the exit status of the process when the last has ended or one of
 * them has raised SystemExit. Python still has to be finished. */
int wsgid_service_run(const struct wsgid_server *server, const struct wsgid_boot *boot);

#endif
