/* Describing what went wrong in a dispatch script. */
#ifndef WSGID_DISPATCH_ERROR_H
#define WSGID_DISPATCH_ERROR_H

#include "dispatch_call.h"
#include "python_api.h"

/* Describes the current exception and clears it: message, traceback, and the
 * line of the innermost frame (or of the syntax error) inside script. GIL held. */
void wsgid_dispatch_describe(struct wsgid_dispatch_result *result, const char *script);

/* A wrong value: message and repr; no exception is set afterwards. GIL held. */
void wsgid_dispatch_wrong_value(struct wsgid_dispatch_result *result, PyObject *value, const char *message);

#endif
