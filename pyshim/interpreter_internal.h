/* What python_start.c and interpreter.c say to each other. */
#ifndef WSGID_INTERPRETER_INTERNAL_H
#define WSGID_INTERPRETER_INTERNAL_H

#include "interpreter.h"

/* Makes the initialised Python's main interpreter known, prepares it, and
 * leaves it. GIL held before, not held after. options and what they point to
 * must live as long as the process. Returns 0, or -1 with a sentence. */
int wsgid_interpreter_adopt_main(const struct wsgid_python_options *options, char *error,
                                 size_t error_size);

#endif
