/* An extension that works in the main interpreter only, and says so in PyO3's
 * words, as cryptography, bcrypt and pydantic do on Python up to 3.11. */
#include "module.h"

void *PyInterpreterState_Main(void);
void *PyInterpreterState_Get(void) __attribute__((weak));  /* 3.9 */
void *_PyInterpreterState_Get(void) __attribute__((weak)); /* 3.8 */
void PyErr_SetString(PyObject *type, const char *text);
extern PyObject *PyExc_ImportError;

static int run(PyObject *module)
{
	void *here = PyInterpreterState_Get != NULL ? PyInterpreterState_Get() : _PyInterpreterState_Get();

	(void)module;
	if (here == PyInterpreterState_Main())
		return 0;
	PyErr_SetString(PyExc_ImportError, "PyO3 modules do not yet support subinterpreters, "
	                "see https://github.com/PyO3/pyo3/issues/576");
	return -1;
}

PyObject *PyInit_refuser(void)
{
	static PyModuleDef_Slot slots[] = { { Py_mod_exec, (void *)run }, { 0, NULL } };
	static PyModuleDef definition = { .references = 1, .name = "refuser", .slots = slots };

	return PyModuleDef_Init(&definition);
}
