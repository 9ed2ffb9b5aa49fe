/* Telling the kinds of exceptions apart. */
#include "failure.h"

#include "extension_error.h"

/* The exception that is set is mod_wsgi.RequestTimeout: no fault of the
 * application's, whoever raised it. */
static bool timed_out(const struct wsgid_request *r)
{
	PyObject *type = py.PyDict_GetItemString(r->interpreter->modules, "RequestTimeout"); /* borrowed */
	return type && py.PyErr_ExceptionMatches(type);
}

enum wsgid_errcode wsgid_failure_log(struct wsgid_request *r)
{
	bool timeout = timed_out(r);
	enum wsgid_errcode code = r->invalid ? WSGID_E_APPLICATION_INVALID : WSGID_E_APPLICATION_RAISED;
	if (timeout)
		code = WSGID_E_REQUEST_TIMEOUT;
	else if (py.PyErr_ExceptionMatches(py.PyExc_SystemExit))
		code = WSGID_E_APPLICATION_EXITED;
	const struct wsgid_error *e = wsgid_error(code);
	if (!timeout) {
		wsgid_unfit_extension(&r->context);
		wsgid_log_exception(&r->context, e->text, e->title);
		return code;
	}
	struct wsgid_log_context coded = r->context;
	coded.code = e->text;
	py.PyErr_Clear();
	wsgid_gil_release();
	wsgid_logf("info", &coded, "%s", e->title);
	wsgid_gil_acquire();
	return code;
}
