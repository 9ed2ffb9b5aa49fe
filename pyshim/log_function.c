/* wsgid.__log__: records of the Python side (docs/internals.md section 3). */
#include "log_function.h"

#include "interpreter.h"
#include "log.h"

static PyObject *write_record(PyObject *self, PyObject *arguments)
{
	struct wsgid_log_context context = *wsgid_log_request();
	const char *level, *code;
	PyObject *bytes;
	Py_ssize_t size;
	char *text;

	(void)self;
	if (!py.PyArg_ParseTuple(arguments, "sOs", &level, &bytes, &code) ||
	    py.PyBytes_AsStringAndSize(bytes, &text, &size) != 0)
		return NULL;
	while (size > 0 && text[size - 1] == '\n')
		size--;
	context.source = NULL;
	context.code = code;
	wsgid_gil_release();
	wsgid_log(level, &context, text, (size_t)size);
	wsgid_gil_acquire();
	Py_INCREF(py.None);
	return py.None;
}

PyObject *wsgid_log_function_new(void)
{
	static PyMethodDef method = { "__log__", write_record, METH_VARARGS, "writes one record to the log" };

	return py.PyCFunction_NewEx(&method, NULL, NULL);
}
