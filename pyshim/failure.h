/* What an exception of an application means for the log and the client. */
#ifndef WSGID_FAILURE_H
#define WSGID_FAILURE_H

#include "request.h"

/* Logs the exception that is set, with its traceback unless it is
 * mod_wsgi.RequestTimeout, and clears it. Returns the code of the answer. GIL held. */
enum wsgid_errcode wsgid_failure_log(struct wsgid_request *r);

#endif
