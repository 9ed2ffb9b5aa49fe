/* The log for the Python side. */
#ifndef WSGID_LOG_FUNCTION_H
#define WSGID_LOG_FUNCTION_H

#include "python_api.h"

/* A function of (level, bytes, code) that writes one record with the context
 * of the request that the calling thread serves: a new reference, or NULL with
 * an exception. GIL held. */
PyObject *wsgid_log_function_new(void);

#endif
