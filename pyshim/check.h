/* wsgid check --apps: a throw-away worker that imports the scripts it is given, tells
 * the supervisor what became of each script, and ends (docs/internals.md
 * section 8). It serves nothing. */
#ifndef WSGID_CHECK_H
#define WSGID_CHECK_H

#include "worker.h"

/* Python is started; no GIL held. Returns the exit status: 0 when every report
 * was sent, whatever it says. */
int wsgid_check_run(struct wsgid_server *server, const struct wsgid_boot *boot);

#endif
