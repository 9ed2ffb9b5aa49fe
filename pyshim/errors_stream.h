/* Text streams that end in the log: wsgi.errors of a request, and sys.stdout
 * and sys.stderr of an interpreter (mod_wsgi behaviour 6.4). */
#ifndef WSGID_ERRORS_STREAM_H
#define WSGID_ERRORS_STREAM_H

#include "request.h"

/* The type, a new reference. GIL held. */
PyObject *wsgid_stream_type_new(void);

/* wsgi.errors of r. New reference. GIL held. */
PyObject *wsgid_errors_new(struct wsgid_request *r);
/* Logs what is held; from now on its methods raise RuntimeError. GIL held. */
void wsgid_errors_expire(PyObject *stream);

/* Replaces sys.stdout and sys.stderr of the current interpreter. 0, -1 with an
 * exception. GIL held. */
int wsgid_streams_install(PyObject *type);

/* Logs what this OS thread wrote to sys.stdout and sys.stderr without a line end. */
void wsgid_streams_flush_thread(void);

#endif
