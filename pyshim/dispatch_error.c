/* Exceptions and wrong values of dispatch scripts as texts for the log. Only
 * the failure path comes here: clarity before speed. */
#include "dispatch_error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* str(object) or repr(object) as malloc'ed UTF-8, never with an exception left. */
static char *text_of(PyObject *object, PyObject *(*convert)(PyObject *))
{
	PyObject *text = object == NULL ? NULL : convert(object), *bytes = NULL;
	char *result = NULL;

	if (text != NULL)
		bytes = py.PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
	if (bytes != NULL)
		result = strdup(py.PyBytes_AsString(bytes));
	py.PyErr_Clear();
	Py_XDECREF(bytes);
	Py_XDECREF(text);
	return result;
}

/* Whether object.name is the text; object may be NULL. */
static bool names_script(PyObject *object, const char *name, const char *script)
{
	PyObject *value = object == NULL ? NULL : py.PyObject_GetAttrString(object, name);
	PyObject *bytes = value != NULL && wsgid_py_is_str(value) ? py.PyUnicode_EncodeFSDefault(value) : NULL;
	bool same = bytes != NULL && strcmp(py.PyBytes_AsString(bytes), script) == 0;

	py.PyErr_Clear();
	Py_XDECREF(bytes);
	Py_XDECREF(value);
	return same;
}

/* object.name as a number, 0 when it is none. */
static int number(PyObject *object, const char *name)
{
	PyObject *value = py.PyObject_GetAttrString(object, name);
	long result = value != NULL && wsgid_py_is_int(value) ? py.PyLong_AsLong(value) : 0;

	py.PyErr_Clear();
	Py_XDECREF(value);
	return (int)result;
}

static int line_of(PyObject *value, PyObject *traceback, const char *script)
{
	PyObject *at = traceback, *next;
	int line = 0;

	if (py.PyErr_GivenExceptionMatches(value, py.PyExc_SyntaxError) &&
	    names_script(value, "filename", script))
		return number(value, "lineno");
	Py_XINCREF(at);
	while (at != NULL && at != py.None) {
		PyObject *frame = py.PyObject_GetAttrString(at, "tb_frame");
		PyObject *code = frame == NULL ? NULL : py.PyObject_GetAttrString(frame, "f_code");

		if (names_script(code, "co_filename", script))
			line = number(at, "tb_lineno");
		Py_XDECREF(code);
		Py_XDECREF(frame);
		next = py.PyObject_GetAttrString(at, "tb_next");
		Py_DECREF(at);
		at = next;
	}
	py.PyErr_Clear();
	Py_XDECREF(at);
	return line;
}

/* "ValueError: what" as the last line of a traceback has it. */
static char *message_of(PyObject *type, PyObject *value)
{
	PyObject *name = py.PyObject_GetAttrString(type, "__name__");
	char *kind = text_of(name, py.PyObject_Str), *text = text_of(value, py.PyObject_Str);
	char *message = NULL;
	size_t size;

	Py_XDECREF(name);
	py.PyErr_Clear();
	if (kind != NULL && text != NULL) {
		size = strlen(kind) + strlen(text) + 3;
		message = malloc(size);
		if (message != NULL)
			snprintf(message, size, "%s%s%s", kind, *text == 0 ? "" : ": ", text);
	}
	free(kind);
	free(text);
	return message;
}

void wsgid_dispatch_describe(struct wsgid_dispatch_result *result, const char *script)
{
	PyObject *type, *value, *traceback;
	size_t length;

	py.PyErr_Fetch(&type, &value, &traceback);
	if (type == NULL)
		return;
	py.PyErr_NormalizeException(&type, &value, &traceback);
	result->allocated = true;
	free(result->message);
	free(result->traceback);
	result->line = line_of(value, traceback, script);
	result->message = message_of(type, value);
	py.PyErr_Restore(type, value, traceback);
	result->traceback = wsgid_py_format_exception(&length);
}

void wsgid_dispatch_wrong_value(struct wsgid_dispatch_result *result, PyObject *value, const char *message)
{
	py.PyErr_Clear();
	result->kind = WSGID_DISPATCH_VALUE;
	result->allocated = true;
	result->message = strdup(message);
	result->value = text_of(value, py.PyObject_Repr);
}
