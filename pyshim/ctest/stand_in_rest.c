/* What stand_in.c does not have: each function ends the process with its name. */
#include <stdio.h>
#include <stdlib.h>

#include "python_api.h"

static _Noreturn void unexpected(const char *name)
{
	printf("unexpected call of %s\n", name);
	exit(3);
}

#define FUNCTION(result, name, parameters)                      \
	__attribute__((weak)) result name parameters            \
	{                                                       \
		unexpected(#name);                              \
	}
WSGID_PY_REQUIRED(FUNCTION)
#undef FUNCTION

#define POINTER(name) PyObject *name;
WSGID_PY_OBJECTS(POINTER)
#undef POINTER

#define OBJECT(field, symbol) char symbol[64];
WSGID_PY_STATICS(OBJECT)
#undef OBJECT
