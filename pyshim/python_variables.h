/* Environment variables that exist only while Python is initialised: what it
 * reads then and what programs that the application starts shall not inherit. */
#ifndef WSGID_PYTHON_VARIABLES_H
#define WSGID_PYTHON_VARIABLES_H

#include <stdbool.h>

#include "python_api.h"

/* Sets each NAME=value of a NULL-terminated list (NULL: none) and remembers
 * what was there. The list must live as long as the process. Called once,
 * before Python is initialised, while no other thread changes the environment.
 * Returns 0, or -1 without memory. */
int wsgid_python_variables_set(const char *const *variables);

/* Adds one more, as above; name and value are copied. */
int wsgid_python_variable_set(const char *name, const char *value);

/* Puts back what was there. */
void wsgid_python_variables_restore(void);

/* Makes os.environ of the interpreter just made what the process was started
 * with: main takes the variables out and keeps the rest, the others begin with
 * that. GIL held. Returns 0, or -1 with a Python exception. */
int wsgid_python_environment(bool main);

#endif
