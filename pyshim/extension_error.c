/* Asks the Python side about an exception (wsgid/extensions.py). */
#include "extension_error.h"

#include "python_api.h"

bool wsgid_unfit_extension(const struct wsgid_log_context *context)
{
	PyObject *type, *value, *traceback, *module, *answer = NULL;
	bool unfit;

	if (context->application == NULL || *context->application == 0) /* the main interpreter fits all */
		return false;
	py.PyErr_Fetch(&type, &value, &traceback);
	py.PyErr_NormalizeException(&type, &value, &traceback);
	module = py.PyImport_ImportModule("wsgid.extensions");
	if (module != NULL && value != NULL)
		answer = py.PyObject_CallMethod(module, "diagnose", "O", value);
	unfit = answer == py.True;
	Py_XDECREF(answer);
	Py_XDECREF(module);
	py.PyErr_Clear();
	py.PyErr_Restore(type, value, traceback);
	return unfit;
}
