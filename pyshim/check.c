/* Importing applications to see whether they can be, see check.h. */
#define _GNU_SOURCE
#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "errors_stream.h"
#include "fork.h"
#include "interpreter.h"
#include "log.h"
#include "request.h"
#include "script.h"
#include "script_owner.h"

#define PREFIX "event\0application\0report"

/* One packet with the report, bytes or NULL. The GIL is held, and kept: nobody
 * else is here. Returns 0, or -1. */
static int send_report(const struct wsgid_server *server, PyObject *report)
{
	struct wsgid_buffer packet = {0};
	int result = -1;
	if (report && wsgid_py_is_bytes(report) &&
	    wsgid_buffer_add(&packet, PREFIX, sizeof PREFIX) == 0 &&
	    wsgid_buffer_add(&packet, py.PyBytes_AsString(report), (size_t)py.PyBytes_Size(report)) == 0 &&
	    wsgid_buffer_add(&packet, "", 1) == 0) {
		ssize_t sent;
		do
			sent = send(server->status_fd, packet.data, packet.length, MSG_NOSIGNAL);
		while (sent < 0 && errno == EINTR);
		result = sent < 0 ? -1 : 0;
	}
	free(packet.data);
	return result;
}

/* python_path as a list of str; NULL with an exception. */
static PyObject *python_path(const struct wsgid_boot *boot)
{
	PyObject *list = py.PyList_New(0);
	size_t position = 0;
	for (const char *entry; list && (entry = wsgid_boot_next(boot, "python_path", &position)) != NULL;) {
		PyObject *text = py.PyUnicode_DecodeFSDefault(entry);
		if (!text || py.PyList_Append(list, text) < 0)
			wsgid_py_clear(&list);
		Py_XDECREF(text);
	}
	return list;
}

/* A new wsgid.check.Check; NULL with an exception. */
static PyObject *new_check(const struct wsgid_boot *boot)
{
	PyObject *module = py.PyImport_ImportModule("wsgid.check");
	PyObject *path = module ? python_path(boot) : NULL;
	PyObject *check = path ? py.PyObject_CallMethod(module, "Check", "O", path) : NULL;
	Py_XDECREF(path);
	Py_XDECREF(module);
	return check;
}

/* Loads the script if it is one that the group may run. GIL held. */
static enum wsgid_script_outcome load(const struct wsgid_server *server, struct wsgid_interpreter *interpreter,
                                      const char *path, PyObject **module)
{
	char why[1024];
	if (!server->owner || wsgid_script_owner_right(server->owner, path, why, sizeof why))
		return wsgid_script_load(interpreter, path, NULL, 0, module);
	py.PyErr_SetString(py.PyExc_OSError, why);
	return WSGID_SCRIPT_FAILED;
}

/* Loads the script and has check report on it. GIL held. 0, or -1. */
static int import_one(const struct wsgid_server *server, struct wsgid_interpreter *interpreter, PyObject *check,
                      const char *path, const char *callable)
{
	PyObject *module = NULL, *kind = NULL, *error = NULL, *trace = NULL;
	enum wsgid_script_outcome outcome = load(server, interpreter, path, &module);
	if (wsgid_forked)
		_exit(0); /* a child of the script that came back here is no second check */
	if (outcome == WSGID_SCRIPT_FAILED) {
		py.PyErr_Fetch(&kind, &error, &trace);
		py.PyErr_NormalizeException(&kind, &error, &trace);
	}
	PyObject *script = py.PyUnicode_DecodeFSDefault(path), *none = py.None, *report = NULL;
	if (script)
		report = py.PyObject_CallMethod(check, "report", "OsOOOO", script, callable, module ? module : none,
		                                kind ? kind : none, error ? error : none, trace ? trace : none);
	if (!report)
		wsgid_py_print_exception();
	int result = send_report(server, report);
	Py_XDECREF(report);
	Py_XDECREF(script);
	Py_XDECREF(module);
	Py_XDECREF(kind);
	Py_XDECREF(error);
	Py_XDECREF(trace);
	return result;
}

/* One entry of check: application group TAB callable TAB path. */
static int check_entry(struct wsgid_server *server, const struct wsgid_boot *boot, const char *entry)
{
	const char *tab = strchr(entry, '\t'), *second = tab ? strchr(tab + 1, '\t') : NULL;
	char *callable = second ? strndup(tab + 1, (size_t)(second - tab) - 1) : NULL;
	int result = -1;
	struct wsgid_interpreter *interpreter =
	    callable ? wsgid_interpreter_enter(entry, (size_t)(tab - entry)) : NULL;
	if (interpreter) {
		PyObject *check = wsgid_side_of(interpreter) ? new_check(boot) : NULL;
		if (check)
			result = import_one(server, interpreter, check, second + 1, callable);
		else
			wsgid_py_print_exception();
		Py_XDECREF(check);
		wsgid_streams_flush_thread();
		wsgid_interpreter_leave(interpreter);
	}
	free(callable);
	return result;
}

int wsgid_check_run(struct wsgid_server *server, const struct wsgid_boot *boot)
{
	size_t position = 0;
	int result = 0;
	for (const char *entry; (entry = wsgid_boot_next(boot, "check", &position)) != NULL;)
		if (check_entry(server, boot, entry) < 0)
			result = 1;
	return result;
}
