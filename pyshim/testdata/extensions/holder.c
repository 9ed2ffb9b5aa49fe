/* An extension for interpreters with a GIL of their own: wait(descriptor) reads
 * a byte without giving the GIL up. Python 3.12 and later. */
#include "module.h"

#include <unistd.h>

long PyLong_AsLong(PyObject *number);
PyObject *PyLong_FromLong(long number);

static PyObject *run(PyObject *module, PyObject *descriptor)
{
	char byte;

	(void)module;
	return PyLong_FromLong(read((int)PyLong_AsLong(descriptor), &byte, 1));
}

PyObject *PyInit_holder(void)
{
	static PyMethodDef methods[] = { { "wait", run, METH_O, NULL }, { NULL, NULL, 0, NULL } };
	static PyModuleDef_Slot slots[] = { { Py_mod_multiple_interpreters, (void *)2 }, { 0, NULL } };
	static PyModuleDef definition = { .references = 1, .name = "holder", .methods = methods, .slots = slots };

	return PyModuleDef_Init(&definition);
}
