/* Text streams that end in the log: wsgi.errors of a request, and sys.stdout
 * and sys.stderr of an interpreter (mod_wsgi behaviour 6.4). Each is an
 * io.TextIOWrapper of Python over an object of ours, which cuts into lines. */
#ifndef WSGID_ERRORS_STREAM_H
#define WSGID_ERRORS_STREAM_H

#include "request.h"

/* The type of the binary layer, a new reference. GIL held. */
PyObject *wsgid_log_type_new(void);

/* Makes r->errors ready for r: 0, -1 with an exception. GIL held. */
int wsgid_errors_open(struct wsgid_request *r);
/* Logs what is held; from now on writing raises RuntimeError. environ is gone.
 * GIL held. */
void wsgid_errors_expire(struct wsgid_request *r);

/* Replaces sys.stdout and sys.stderr of the current interpreter. 0, -1 with an
 * exception. GIL held. */
int wsgid_streams_install(const struct wsgid_side *side);

/* wsgi.errors of the scripts of the router in the current interpreter, for all
 * their calls: it logs what a thread writes for the call that it runs, and does
 * not expire. A new reference; NULL with an exception. GIL held. */
PyObject *wsgid_script_errors_new(const struct wsgid_side *side);

/* Logs what this OS thread wrote to the streams of the process without a line end. */
void wsgid_streams_flush_thread(void);

#endif
