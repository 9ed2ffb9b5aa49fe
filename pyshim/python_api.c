/* Filling the table of Python functions, and helpers that only combine them. */
#include "python_api.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct wsgid_python_api py;

struct symbol {
	const char *name;
	size_t offset;
	bool required;
};

/* ISO C has no conversion from an object to a function pointer; POSIX says
 * that copying the bits of what dlsym returns is right. */
static const struct symbol functions[] = {
#define REQUIRED(result, name, parameters) { #name, offsetof(struct wsgid_python_api, name), true },
	WSGID_PY_REQUIRED(REQUIRED)
#undef REQUIRED
#define OPTIONAL(result, name, parameters) { #name, offsetof(struct wsgid_python_api, name), false },
	WSGID_PY_OPTIONAL(OPTIONAL)
#undef OPTIONAL
#define STATIC(field, symbol) { #symbol, offsetof(struct wsgid_python_api, field), true },
	WSGID_PY_STATICS(STATIC)
#undef STATIC
};

static const struct symbol pointers[] = {
#define OBJECT(name) { #name, offsetof(struct wsgid_python_api, name), true },
	WSGID_PY_OBJECTS(OBJECT)
#undef OBJECT
};

int wsgid_python_api_load(void *library, char *error, size_t error_size)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *address = dlsym(library, functions[i].name);

		if (address == NULL && functions[i].required) {
			snprintf(error, error_size, "the Python library has no %s: wsgid needs Python 3.8 or later",
			         functions[i].name);
			return -1;
		}
		memcpy((char *)&py + functions[i].offset, &address, sizeof(address));
	}
	for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
		PyObject **address = dlsym(library, pointers[i].name);

		if (address == NULL) {
			snprintf(error, error_size, "the Python library has no %s", pointers[i].name);
			return -1;
		}
		memcpy((char *)&py + pointers[i].offset, address, sizeof(*address));
	}
	return 0;
}

int wsgid_python_api_measure(void)
{
	PyObject *size = py.PyObject_GetAttrString(py.PyBaseObject_Type, "__basicsize__");
	long bytes;

	if (size == NULL)
		return -1;
	bytes = py.PyLong_AsLong(size);
	Py_DECREF(size);
	if (bytes <= 0)
		return -1;
	py.object_header = ((size_t)bytes + 15) & ~(size_t)15;
	return 0;
}

int wsgid_py_optional_attr(PyObject *object, PyObject *name, PyObject **value)
{
	if (py.PyObject_GetOptionalAttr != NULL)
		return py.PyObject_GetOptionalAttr(object, name, value);
	if (py._PyObject_LookupAttr != NULL)
		return py._PyObject_LookupAttr(object, name, value);
	*value = py.PyObject_GetAttr(object, name);
	if (*value != NULL)
		return 1;
	if (!py.PyErr_ExceptionMatches(py.PyExc_AttributeError))
		return -1;
	py.PyErr_Clear();
	return 0;
}

PyInterpreterState *wsgid_py_current_interpreter(void)
{
	if (py.PyInterpreterState_Get != NULL)
		return py.PyInterpreterState_Get();
	return py._PyInterpreterState_Get();
}

static char *copy_text(const char *text, size_t *length)
{
	*length = strlen(text);
	return strdup(text);
}

/* "".join(traceback.format_exception(type, value, traceback)) as a str, or NULL
 * with an exception set. */
static PyObject *joined_traceback(PyObject *type, PyObject *value, PyObject *traceback)
{
	PyObject *module = py.PyImport_ImportModule("traceback");
	PyObject *lines = NULL, *empty = NULL, *text = NULL;

	if (module == NULL)
		return NULL;
	lines = py.PyObject_CallMethod(module, "format_exception", "OOO", type,
	                               value == NULL ? py.None : value,
	                               traceback == NULL ? py.None : traceback);
	empty = py.PyUnicode_FromString("");
	if (lines != NULL && empty != NULL)
		text = py.PyObject_CallMethod(empty, "join", "O", lines);
	Py_XDECREF(empty);
	Py_XDECREF(lines);
	Py_DECREF(module);
	return text;
}

char *wsgid_py_format_exception(size_t *length)
{
	PyObject *type = NULL, *value = NULL, *traceback = NULL;
	PyObject *text = NULL, *bytes = NULL;
	char *result = NULL;

	py.PyErr_Fetch(&type, &value, &traceback);
	if (type == NULL)
		return copy_text("no exception", length);
	py.PyErr_NormalizeException(&type, &value, &traceback);
	text = joined_traceback(type, value, traceback);
	if (text == NULL) { /* no traceback module, or no memory for it */
		py.PyErr_Clear();
		text = py.PyObject_Str(type);
	}
	if (text != NULL)
		bytes = py.PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
	if (bytes != NULL) {
		size_t size = (size_t)py.PyBytes_Size(bytes);

		while (size > 0 && py.PyBytes_AsString(bytes)[size - 1] == '\n')
			size--;
		result = malloc(size + 1);
		if (result != NULL) {
			memcpy(result, py.PyBytes_AsString(bytes), size);
			result[size] = 0;
			*length = size;
		}
	}
	py.PyErr_Clear();
	Py_XDECREF(bytes);
	Py_XDECREF(text);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(traceback);
	return result != NULL ? result : copy_text("exception without a message", length);
}

void wsgid_py_print_exception(void)
{
	size_t length = 0;
	char *text = wsgid_py_format_exception(&length);
	PyObject *stream = py.PySys_GetObject("stderr"); /* borrowed */
	PyObject *string = NULL, *done = NULL;

	if (text != NULL && stream != NULL) {
		Py_INCREF(stream);
		string = py.PyUnicode_DecodeUTF8(text, (Py_ssize_t)length, "replace");
		if (string != NULL)
			done = py.PyObject_CallMethod(stream, "write", "O", string);
		Py_XDECREF(done);
		done = done == NULL ? NULL : py.PyObject_CallMethod(stream, "write", "s", "\n");
		Py_XDECREF(done);
		Py_XDECREF(string);
		Py_DECREF(stream);
	}
	py.PyErr_Clear();
	free(text);
}
