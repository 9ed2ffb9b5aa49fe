/* The functions of module mod_wsgi (and wsgid) that need the C side. */
#ifndef WSGID_NATIVE_H
#define WSGID_NATIVE_H

#include "request.h"

/* Hands them to the Python side of the interpreter just made (wsgid/compat.py),
 * and remembers its lists of subscribers in side. 0, -1 with an exception. GIL
 * held. */
int wsgid_native_connect(const struct wsgid_interpreter *interpreter, struct wsgid_side *side);

#endif
