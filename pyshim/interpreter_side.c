/* What an interpreter needs to serve requests: types, interned keys, the
 * streams in sys. Made at its first request (or preload). */
#include <stdlib.h>

#include "errors_stream.h"
#include "native.h"
#include "request.h"

static PyObject *imported(const char *name, const char *attribute)
{
	PyObject *module = py.PyImport_ImportModule(name);
	PyObject *object = module ? py.PyObject_GetAttrString(module, attribute) : NULL;
	Py_XDECREF(module);
	return object;
}

struct wsgid_side *wsgid_side_of(struct wsgid_interpreter *interpreter)
{
	if (interpreter->keys)
		return interpreter->keys;
	struct wsgid_side *side = calloc(1, sizeof *side);
	if (!side) {
		py.PyErr_NoMemory();
		return NULL;
	}
	const struct {
		PyObject **to;
		const char *text;
	} texts[] = {
	    {&side->close, "close"},
	    {&side->empty, ""},
	    {&side->http, "http"},
	    {&side->https, "https"},
	    {&side->key_input, "wsgi.input"},
	    {&side->key_errors, "wsgi.errors"},
	    {&side->key_scheme, "wsgi.url_scheme"},
	    {&side->key_callable, "mod_wsgi.callable_object"},
	    {&side->key_script_name, "mod_wsgi.script_name"},
	    {&side->key_path_info, "mod_wsgi.path_info"},
	    {&side->key_request_id, "mod_wsgi.request_id"},
	    {&side->key_server_pid, "mod_wsgi.server_pid"},
	    {&side->key_request_start, "mod_wsgi.request_start"},
	    {&side->key_queue_start, "mod_wsgi.queue_start"},
	    {&side->key_daemon_start, "mod_wsgi.daemon_start"},
	    {&side->key_application_start, "mod_wsgi.application_start"},
	    {&side->key_listener_host, "mod_wsgi.listener_host"},
	    {&side->key_listener_port, "mod_wsgi.listener_port"},
	    {&side->key_mount_point, "mod_wsgi.mount_point"},
	    {&side->key_queue_time, "wsgid.queue_time"},
	};
	const struct {
		PyObject **to;
		const char *module, *name;
	} objects[] = {
	    {&side->text_type, "io", "TextIOWrapper"},
	    {&side->file_wrapper, "wsgid.file_wrapper", "FileWrapper"},
	};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		*texts[i].to = py.PyUnicode_InternFromString(texts[i].text);
		if (!*texts[i].to)
			goto failed;
	}
	for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++) {
		*objects[i].to = imported(objects[i].module, objects[i].name);
		if (!*objects[i].to)
			goto failed;
	}
	side->input_type = wsgid_input_type_new();
	side->log_type = side->input_type ? wsgid_log_type_new() : NULL;
	if (!side->log_type || wsgid_streams_install(side) < 0 || wsgid_native_connect(interpreter, side) < 0)
		goto failed;
	interpreter->keys = side;
	return side;
failed:
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		Py_XDECREF(*texts[i].to);
	for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++)
		Py_XDECREF(*objects[i].to);
	Py_XDECREF(side->input_type);
	Py_XDECREF(side->log_type);
	Py_XDECREF(side->event_callbacks);
	Py_XDECREF(side->shutdown_callbacks);
	Py_XDECREF(side->signal_callbacks);
	free(side);
	return NULL;
}

int wsgid_side_prepare(struct wsgid_interpreter *interpreter)
{
	return wsgid_side_of(interpreter) ? 0 : -1;
}
