/* Thin wrappers, and their table. */
#include "native.h"

#include "metrics.h"
#include "request_data.h"

static PyObject *request_data(PyObject *self, PyObject *unused)
{
	(void)self;
	(void)unused;
	return wsgid_request_data();
}

static PyObject *active_requests(PyObject *self, PyObject *unused)
{
	(void)self;
	(void)unused;
	return wsgid_active_requests();
}

static PyObject *process_metrics(PyObject *self, PyObject *unused)
{
	(void)self;
	(void)unused;
	return wsgid_metrics_process();
}

static PyObject *interval_metrics(PyObject *self, PyObject *unused)
{
	(void)self;
	(void)unused;
	return wsgid_metrics_interval();
}

static PyObject *start_recording_metrics(PyObject *self, PyObject *unused)
{
	(void)self;
	(void)unused;
	if (wsgid_metrics_record() < 0)
		return NULL;
	Py_INCREF(py.None);
	return py.None;
}

static PyMethodDef functions[] = {
    {"request_data", request_data, METH_NOARGS,
     "request_data() -> dict\n\nThe data of the request that this thread serves; RuntimeError when there is none."},
    {"start_recording_metrics", start_recording_metrics, METH_NOARGS,
     "start_recording_metrics() -> None\n\nBegins to keep what request_metrics() tells; again: nothing."},
    {"_active_requests", active_requests, METH_NOARGS, "[(request id, data)] of this interpreter"},
    {"_process_metrics", process_metrics, METH_NOARGS, "raw numbers for wsgid.metrics"},
    {"_interval_metrics", interval_metrics, METH_NOARGS, "raw numbers for wsgid.metrics"},
};

/* {name: function}: new reference, or NULL with an exception. */
static PyObject *table(void)
{
	PyObject *dict = py.PyDict_New(), *module = py.PyUnicode_FromString("mod_wsgi");
	for (size_t i = 0; dict && module && i < sizeof functions / sizeof functions[0]; i++) {
		PyObject *function = py.PyCFunction_NewEx(&functions[i], NULL, module);
		if (!function || py.PyDict_SetItemString(dict, functions[i].ml_name, function) < 0)
			wsgid_py_clear(&dict);
		Py_XDECREF(function);
	}
	if (!module)
		wsgid_py_clear(&dict);
	Py_XDECREF(module);
	return dict;
}

int wsgid_native_connect(const struct wsgid_interpreter *interpreter, struct wsgid_side *side)
{
	const struct {
		PyObject **to;
		const char *name;
	} lists[] = {
	    {&side->event_callbacks, "event_callbacks"},
	    {&side->shutdown_callbacks, "shutdown_callbacks"},
	    {&side->signal_callbacks, "signal_callbacks"},
	};
	PyObject *compat = py.PyImport_ImportModule("wsgid.compat");
	PyObject *native = compat ? table() : NULL;
	PyObject *done = native ? py.PyObject_CallMethod(compat, "connect", "O", native) : NULL;
	Py_XDECREF(native);
	Py_XDECREF(compat);
	if (!done)
		return -1;
	Py_DECREF(done);
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		PyObject *list = py.PyDict_GetItemString(interpreter->modules, lists[i].name); /* borrowed */
		if (!list) {
			py.PyErr_Format(py.PyExc_ImportError, "package wsgid has no %s", lists[i].name);
			return -1;
		}
		Py_INCREF(list);
		*lists[i].to = list;
	}
	return 0;
}
