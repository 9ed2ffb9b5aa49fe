/* The Python side of pyshim (docs/internals.md section 6): package "wsgid" in
 * each interpreter, loaded from the memory that the supervisor handed over. */
#ifndef WSGID_PYTHON_MODULES_H
#define WSGID_PYTHON_MODULES_H

#include <stddef.h>

#include "interpreter.h"

/* Maps the archive; it stays mapped. Returns 0, or -1 with a sentence. */
int wsgid_modules_open(int fd, char *error, size_t error_size);

/* Executes package "wsgid" in the interpreter just made, whose GIL is held,
 * with what it needs to know of this process, and sets interpreter->modules.
 * Returns 0, or -1 with a Python exception. */
int wsgid_modules_install(struct wsgid_interpreter *interpreter,
                          const struct wsgid_python_options *options);

/* What the interpreter's options want besides, when the streams in sys are
 * there (wsgid/interpreter.py). Same results. */
int wsgid_modules_settle(const struct wsgid_interpreter *interpreter);

#endif
