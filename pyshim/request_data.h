/* request_data() and active_requests of module mod_wsgi: a dict for each
 * request, made when somebody asks for it. */
#ifndef WSGID_REQUEST_DATA_H
#define WSGID_REQUEST_DATA_H

#include "request.h"

/* From here on the calling thread has r as its active request, and others can
 * see it. GIL held, interpreter entered. */
void wsgid_request_data_begin(struct wsgid_request *r);
/* Nobody looks at r any more; its dict is given up. GIL held. */
void wsgid_request_data_end(struct wsgid_request *r);

/* The dict of r: borrowed, or NULL with an exception. GIL held. */
PyObject *wsgid_request_data_of(struct wsgid_request *r);

/* The dict of this thread's request: new reference, or NULL with RuntimeError. */
PyObject *wsgid_request_data(void);

/* [(request id, dict)] of the requests in the current interpreter: new
 * reference, or NULL with an exception. GIL held. */
PyObject *wsgid_active_requests(void);

#endif
