/* What python_start.c and the interpreter*.c files say to each other. */
#ifndef WSGID_INTERPRETER_INTERNAL_H
#define WSGID_INTERPRETER_INTERNAL_H

#include "interpreter.h"

/* Makes the initialised Python's main interpreter known, prepares it, and
 * leaves it. GIL held before, not held after. What options point to must live
 * as long as the process. Returns 0, or -1 with a sentence. interpreter_new.c */
int wsgid_interpreter_adopt_main(const struct wsgid_python_options *options, char *error,
                                 size_t error_size);

/* Makes the interpreter called name, or finds it when another thread was
 * faster. No GIL held before and after. NULL when it cannot be made: a line was
 * logged and wsgid_interpreter_failure says why. interpreter_new.c */
struct wsgid_interpreter *wsgid_interpreter_new(const char *name, size_t length);

/* Logs why an interpreter cannot be had and remembers it for
 * wsgid_interpreter_failure. interpreter_new.c */
void wsgid_interpreter_failed(const char *name, const char *why);

/* Lets wsgid_interpreter_find find it. interpreter.c */
void wsgid_interpreter_publish(struct wsgid_interpreter *interpreter);

/* Keeps state as this OS thread's one in interpreter: 0, -1 without memory.
 * interpreter.c */
int wsgid_interpreter_remember(struct wsgid_interpreter *interpreter, PyThreadState *state);

#endif
