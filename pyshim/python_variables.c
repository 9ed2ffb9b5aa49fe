/* Setting and restoring variables around the initialisation of Python. */
#define _GNU_SOURCE
#include "python_variables.h"

#include <stdlib.h>
#include <string.h>

struct variable {
	char *name;
	char *before; /* NULL: it was not set */
	struct variable *next;
};

/* Written before the first thread state exists, read afterwards. */
static struct variable *variables;
static char *state; /* os.environ of the main interpreter at its start: NAME=value NUL … */
static size_t state_size;

int wsgid_python_variable_set(const char *name, const char *value)
{
	struct variable *variable = calloc(1, sizeof(*variable));
	const char *before = getenv(name);

	if (variable == NULL)
		return -1;
	variable->name = strdup(name);
	variable->before = before == NULL ? NULL : strdup(before);
	if (variable->name == NULL || (before != NULL && variable->before == NULL) ||
	    setenv(name, value, 1) != 0) {
		free(variable->name);
		free(variable->before);
		free(variable);
		return -1;
	}
	variable->next = variables;
	variables = variable;
	return 0;
}

int wsgid_python_variables_set(const char *const *list)
{
	for (; list != NULL && *list != NULL; list++) {
		const char *equals = strchr(*list, '=');
		char *name = equals == NULL ? NULL : strndup(*list, (size_t)(equals - *list));
		int result = name == NULL ? -1 : wsgid_python_variable_set(name, equals + 1);

		free(name);
		if (result != 0)
			return -1;
	}
	return 0;
}

void wsgid_python_variables_restore(void)
{
	for (struct variable *v = variables; v != NULL; v = v->next)
		if (v->before == NULL)
			unsetenv(v->name);
		else
			setenv(v->name, v->before, 1);
}

/* {name: what was there before or None}, bytes: a new reference, or NULL with
 * an exception. */
static PyObject *all_before(void)
{
	PyObject *dict = py.PyDict_New();

	for (struct variable *v = variables; dict != NULL && v != NULL; v = v->next) {
		PyObject *name = py.PyBytes_FromString(v->name), *value = py.None;

		if (v->before != NULL)
			value = py.PyBytes_FromString(v->before);
		else
			Py_INCREF(value);
		if (name == NULL || value == NULL || py.PyDict_SetItem(dict, name, value) != 0)
			wsgid_py_clear(&dict);
		Py_XDECREF(name);
		Py_XDECREF(value);
	}
	return dict;
}

/* Keeps what environment.take returned. */
static int keep(PyObject *bytes)
{
	char *text;
	Py_ssize_t size;

	if (py.PyBytes_AsStringAndSize(bytes, &text, &size) != 0)
		return -1;
	state = malloc((size_t)size + 1);
	if (state == NULL) {
		py.PyErr_NoMemory();
		return -1;
	}
	memcpy(state, text, (size_t)size);
	state_size = (size_t)size;
	return 0;
}

int wsgid_python_environment(bool main)
{
	PyObject *module = py.PyImport_ImportModule("wsgid.environment");
	PyObject *argument = NULL, *done = NULL;
	int result = -1;

	if (module != NULL)
		argument = main ? all_before() : py.PyBytes_FromStringAndSize(state, (Py_ssize_t)state_size);
	if (argument != NULL)
		done = py.PyObject_CallMethod(module, main ? "take" : "begin", "O", argument);
	if (done != NULL)
		result = main ? keep(done) : 0;
	Py_XDECREF(done);
	Py_XDECREF(argument);
	Py_XDECREF(module);
	return result;
}
