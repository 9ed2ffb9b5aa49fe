/* Calling the callables of scripts that authenticate, authorise and control
 * access (mod_wsgi behaviour 5.2). GIL held on every call here. */
#ifndef WSGID_AUTH_CALL_H
#define WSGID_AUTH_CALL_H

#include "dispatch_call.h"
#include "python_api.h"

/* The name of the callable that a question is put to. */
const char *wsgid_auth_function(enum wsgid_question_kind kind);

/* Puts the question to the script with these globals and fills verdict and
 * overrides[0] of result. After a failure either the result says why (wrong
 * value) or an exception is set. A value that a script returned is never
 * described by more than its type: it may hold a password. */
void wsgid_auth_ask(PyObject *globals, const struct wsgid_question *question, PyObject *environ,
                    struct wsgid_dispatch_result *result);

#endif
