/* Reading the archive of modules and executing its package. */
#define _GNU_SOURCE
#include "python_modules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "boot.h"
#include "interpreter_settings.h"
#include "log_function.h"

/* Written once, before the second thread. */
static const char *archive;
static size_t archive_size;

int wsgid_modules_open(int fd, char *error, size_t error_size)
{
	struct stat status;
	void *map;

	if (fstat(fd, &status) != 0 || status.st_size <= 0) {
		snprintf(error, error_size, "no archive of Python modules on descriptor %d", fd);
		return -1;
	}
	map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED) {
		snprintf(error, error_size, "map the archive of Python modules: %s", strerror(errno));
		return -1;
	}
	archive = map;
	archive_size = (size_t)status.st_size;
	return 0;
}

/* {module name: source} of the whole archive: new reference, or NULL with an exception. */
static PyObject *sources(void)
{
	const char *at = archive, *end = archive + archive_size;
	PyObject *result = py.PyDict_New();

	while (result != NULL && at < end) {
		const char *name = at, *digits;
		PyObject *text;
		size_t length;
		int outcome = -1;

		at += strnlen(at, (size_t)(end - at)) + 1;
		digits = at;
		if (at < end)
			at += strnlen(at, (size_t)(end - at)) + 1;
		if (at > end || (length = strtoul(digits, NULL, 10)) > (size_t)(end - at)) {
			py.PyErr_SetString(py.PyExc_ImportError, "malformed archive of Python modules");
			wsgid_py_clear(&result);
			break;
		}
		text = py.PyBytes_FromStringAndSize(at, (Py_ssize_t)length);
		if (text != NULL)
			outcome = py.PyDict_SetItemString(result, name, text);
		Py_XDECREF(text);
		if (outcome != 0)
			wsgid_py_clear(&result);
		at += length;
	}
	return result;
}

/* Sets dict[name] to value, taking the reference; value may be NULL after a failure. */
static int take(PyObject *dict, const char *name, PyObject *value)
{
	int result = value == NULL ? -1 : py.PyDict_SetItemString(dict, name, value);

	Py_XDECREF(value);
	return result;
}

static PyObject *path_or_none(const char *path)
{
	if (path == NULL || *path == 0) {
		Py_INCREF(py.None);
		return py.None;
	}
	return py.PyUnicode_DecodeFSDefault(path);
}

/* Appends a path to a list; clears *list after a failure. */
static void append_path(PyObject **list, const char *path)
{
	PyObject *text = py.PyUnicode_DecodeFSDefault(path);

	if (text == NULL || py.PyList_Append(*list, text) != 0)
		wsgid_py_clear(list);
	Py_XDECREF(text);
}

/* The directories for sys.path: those of the interpreter, else the process's. */
static PyObject *path_list(const struct wsgid_interpreter *interpreter,
                           const struct wsgid_python_options *options)
{
	PyObject *list = py.PyList_New(0);
	const char *const *paths = options->python_path;
	size_t position = 0;
	const char *path = wsgid_interpreter_setting(options->interpreters, interpreter->name, "python_path", &position);

	if (path == NULL)
		for (; list != NULL && paths != NULL && *paths != NULL; paths++)
			append_path(&list, *paths);
	for (; list != NULL && path != NULL;
	     path = wsgid_interpreter_setting(options->interpreters, interpreter->name, "python_path", &position))
		append_path(&list, path);
	return list;
}

/* Settings of the interpreter for the Python side (docs/internals.md section
 * 1): {option: value}, a new dict, or NULL with an exception. */
static PyObject *interpreter_settings(const struct wsgid_interpreter *interpreter,
                                      const struct wsgid_python_options *options)
{
	static const char *const names[] = { "switch_interval", "restrict_stdin", "restrict_stdout",
		                             "restrict_signal", "own_gil" };
	PyObject *dict = py.PyDict_New();

	for (size_t i = 0; dict != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
		size_t position = 0;
		const char *value =
			wsgid_interpreter_setting(options->interpreters, interpreter->name, names[i], &position);

		if (value != NULL && take(dict, names[i], py.PyUnicode_FromString(value)) != 0)
			wsgid_py_clear(&dict);
	}
	return dict;
}

/* What the Python side knows of its process: new dict, or NULL with an exception. */
static PyObject *settings(const struct wsgid_interpreter *interpreter,
                          const struct wsgid_python_options *options)
{
	static const struct wsgid_boot nothing;
	const struct wsgid_boot *boot = wsgid_boot_block();
	PyObject *dict = py.PyDict_New();
	const char *group;

	if (dict == NULL)
		return NULL;
	if (boot == NULL)
		boot = &nothing;
	group = options->router ? "" : wsgid_boot_get(boot, "name", "");
	if (take(dict, "version", py.PyUnicode_FromString(wsgid_boot_get(boot, "version", "unknown"))) != 0 ||
	    take(dict, "router", py.PyBool_FromLong(options->router)) != 0 ||
	    take(dict, "process_group", py.PyUnicode_DecodeUTF8(group, (Py_ssize_t)strlen(group),
	                                                        "surrogateescape")) != 0 ||
	    take(dict, "application_group",
	         py.PyUnicode_DecodeLatin1(interpreter->name, (Py_ssize_t)interpreter->name_length, NULL)) != 0 ||
	    take(dict, "threads", py.PyLong_FromLong(wsgid_boot_number(boot, "threads", options->threads))) != 0 ||
	    take(dict, "processes", py.PyLong_FromLong(wsgid_boot_number(boot, "processes", 1))) != 0 ||
	    take(dict, "python_path", path_list(interpreter, options)) != 0 ||
	    take(dict, "interpreter", interpreter_settings(interpreter, options)) != 0 ||
	    take(dict, "home", path_or_none(options->home)) != 0)
		wsgid_py_clear(&dict);
	return dict;
}

/* Executes the source of the package in its own dictionary. */
static int execute_package(PyObject *dict, PyObject *all)
{
	PyObject *source = py.PyDict_GetItemString(all, "wsgid"); /* borrowed */
	PyObject *code = NULL, *result = NULL;

	if (source == NULL) {
		py.PyErr_SetString(py.PyExc_ImportError, "the archive of Python modules has no wsgid");
		return -1;
	}
	code = py.Py_CompileString(py.PyBytes_AsString(source), "<wsgid>/__init__.py", Py_file_input);
	if (code != NULL)
		result = py.PyEval_EvalCode(code, dict, dict);
	Py_XDECREF(code);
	Py_XDECREF(result);
	return result == NULL ? -1 : 0;
}

int wsgid_modules_install(struct wsgid_interpreter *interpreter,
                          const struct wsgid_python_options *options)
{
	PyObject *module = py.PyImport_AddModule("wsgid"); /* borrowed from sys.modules */
	PyObject *dict, *all = NULL;
	int result = -1;

	if (module == NULL)
		return -1;
	Py_INCREF(module); /* for ever: an application may remove it from sys.modules */
	dict = py.PyModule_GetDict(module);
	all = sources();
	if (all == NULL)
		return -1;
	Py_INCREF(py.PyEval_GetBuiltins());
	if (take(dict, "__builtins__", py.PyEval_GetBuiltins()) == 0 &&
	    py.PyDict_SetItemString(dict, "__sources__", all) == 0 &&
	    take(dict, "__path__", py.PyList_New(0)) == 0 &&
	    take(dict, "__settings__", settings(interpreter, options)) == 0 &&
	    take(dict, "__log__", wsgid_log_function_new()) == 0 &&
	    execute_package(dict, all) == 0) {
		interpreter->modules = dict;
		result = 0;
	}
	Py_DECREF(all);
	return result;
}

int wsgid_modules_settle(const struct wsgid_interpreter *interpreter)
{
	PyObject *module = py.PyImport_ImportModule("wsgid.interpreter");
	PyObject *dict = py.PyDict_GetItemString(interpreter->modules, "__settings__"); /* borrowed */
	PyObject *done = module == NULL || dict == NULL ? NULL : py.PyObject_CallMethod(module, "settle", "O", dict);

	Py_XDECREF(done);
	Py_XDECREF(module);
	return done == NULL ? -1 : 0;
}
