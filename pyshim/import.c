#define _GNU_SOURCE
#include "import.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "errors_stream.h"
#include "extension_error.h"
#include "fork.h"
#include "load_errors.h"
#include "request.h"
#include "script_owner.h"
#include "script_table.h"
#include "status.h"

enum wsgid_errcode wsgid_import_failed(const struct wsgid_server *server, struct wsgid_interpreter *interpreter,
                                       const struct wsgid_log_context *context)
{
	enum wsgid_errcode code = wsgid_unfit_extension(context) ? WSGID_E_EXTENSION_UNFIT : WSGID_E_SCRIPT_IMPORT;
	const struct wsgid_error *failure = wsgid_error(WSGID_E_SCRIPT_IMPORT);
	size_t length = 0;
	char *text = wsgid_py_format_exception(&length);
	wsgid_script_blame(interpreter, context->script, (int)code);
	wsgid_gil_release();
	wsgid_log_traceback(context, failure->text, failure->title, text, length);
	if (server->embedded)
		wsgid_load_errors_add(context->application, context->script, text ? text : "no memory");
	else
		wsgid_status_load_failed(server, context->application, context->script, text ? text : "no memory");
	wsgid_gil_acquire();
	free(text);
	return code;
}

bool wsgid_import_parse(const char *entry, struct wsgid_import *import)
{
	const char *tab = strchr(entry, '\t');
	size_t length = tab ? (size_t)(tab - entry) : sizeof import->application;
	if (length >= sizeof import->application)
		return false;
	memcpy(import->application, entry, length);
	import->application[length] = 0;
	import->path = tab + 1;
	return true;
}

/* The exception is SystemExit: clears it and gives the status as plain Python does. */
static int exit_status(void)
{
	PyObject *type, *value, *traceback, *code = NULL;
	long number = 0;
	py.PyErr_Fetch(&type, &value, &traceback);
	py.PyErr_NormalizeException(&type, &value, &traceback);
	if (value)
		code = py.PyObject_GetAttrString(value, "code");
	if (code && wsgid_py_is_int(code)) {
		number = py.PyLong_AsLong(code);
	} else if (code && code != py.None) {
		PyObject *text = py.PyObject_Str(code);
		const char *message = text ? py.PyUnicode_AsUTF8(text) : NULL;
		if (message)
			wsgid_logf("error", wsgid_log_request(), "%s", message);
		Py_XDECREF(text);
		number = 1;
	}
	py.PyErr_Clear();
	Py_XDECREF(code);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(traceback);
	return (int)(number & 0xff);
}

bool wsgid_import_run(const struct wsgid_server *server, const struct wsgid_import *import, int *status)
{
	struct wsgid_log_context context = {.application = import->application, .script = import->path};
	enum wsgid_script_outcome outcome = WSGID_SCRIPT_FAILED;
	PyObject *module = NULL;
	bool ends = false;
	if (server->owner && !wsgid_script_owned(server->owner, &context, import->path))
		return false;
	wsgid_log_set_request(&context);
	struct wsgid_interpreter *interpreter = wsgid_interpreter_enter(import->application, strlen(import->application));
	if (!interpreter) {
		wsgid_log_set_request(NULL);
		return false;
	}
	if (wsgid_side_of(interpreter))
		outcome = wsgid_script_load(interpreter, import->path, NULL, WSGID_SCRIPT_ONCE, &module);
	if (wsgid_forked)
		_exit(0); /* a child of the script that came back here is no second worker */
	if (outcome == WSGID_SCRIPT_OK) {
		wsgid_load_errors_drop(import->application, import->path);
	} else if (outcome == WSGID_SCRIPT_MISSING) {
		wsgid_logf("error", &context, "script not found: %s", import->path);
	} else if (outcome == WSGID_SCRIPT_FAILED && py.PyErr_Occurred()) {
		ends = status && py.PyErr_ExceptionMatches(py.PyExc_SystemExit);
		if (ends)
			*status = exit_status();
		else
			wsgid_import_failed(server, interpreter, &context);
	}
	Py_XDECREF(module);
	wsgid_streams_flush_thread();
	wsgid_interpreter_leave(interpreter);
	wsgid_log_set_request(NULL);
	return ends;
}

void wsgid_import_all(const struct wsgid_server *server, const struct wsgid_boot *boot, const char *name,
                      bool checked)
{
	size_t position = 0;
	for (const char *entry; (entry = wsgid_boot_next(boot, name, &position)) != NULL;) {
		struct wsgid_import import;
		if (wsgid_fork_terminated())
			return;
		if (!wsgid_import_parse(entry, &import))
			wsgid_logf("error", NULL, "malformed %s entry", name);
		else if (!checked || wsgid_script_allowed(server, import.path))
			wsgid_import_run(server, &import, NULL);
	}
}
