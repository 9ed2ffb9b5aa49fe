#define _GNU_SOURCE
#include "service.h"

#include "import.h"
#include "request.h"

int wsgid_service_prepare(void)
{
	PyObject *module, *prepare = NULL, *result = NULL;
	struct wsgid_interpreter *interpreter = wsgid_interpreter_enter("", 0);
	if (!interpreter)
		return -1;
	module = py.PyImport_ImportModule("wsgid.service");
	if (module)
		prepare = py.PyObject_GetAttrString(module, "prepare");
	if (prepare)
		result = py.PyObject_CallObject(prepare, NULL);
	if (!result)
		wsgid_log_exception(&(struct wsgid_log_context){0}, NULL, "SIGTERM cannot be handled");
	Py_XDECREF(module);
	Py_XDECREF(prepare);
	int failure = result ? 0 : -1;
	Py_XDECREF(result);
	wsgid_interpreter_leave(interpreter);
	return failure;
}

int wsgid_service_run(const struct wsgid_server *server, const struct wsgid_boot *boot)
{
	size_t position = 0;
	int status = 0;
	for (const char *entry; (entry = wsgid_boot_next(boot, "preload", &position)) != NULL;) {
		struct wsgid_import import;
		if (wsgid_import_parse(entry, &import) && wsgid_import_run(server, &import, &status))
			break;
	}
	return status;
}
