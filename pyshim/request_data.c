/* Making a running request visible to its own thread and to others. */
#include "request_data.h"

#include <poll.h>
#include <string.h>

#include "fork.h"
#include "metrics.h"

static _Thread_local struct wsgid_request *current;

void wsgid_request_data_begin(struct wsgid_request *r)
{
	struct wsgid_meter *meter = wsgid_meter_of(r);
	current = r;
	atomic_store_explicit(&meter->started, r->daemon_start, memory_order_relaxed);
	atomic_store_explicit(&meter->request, r, memory_order_release);
}

void wsgid_request_data_end(struct wsgid_request *r)
{
	struct wsgid_meter *meter = wsgid_meter_of(r);
	PyObject *data;
	current = NULL;
	atomic_store_explicit(&meter->started, 0, memory_order_relaxed);
	/* Either whoever looks sees that the request is gone, or we see him: the
	 * GIL alone does not order the two (other interpreters, free threading). */
	atomic_store(&meter->request, NULL);
	while (atomic_load(&meter->watchers) && !wsgid_forked) {
		wsgid_gil_release();
		poll(NULL, 0, 1);
		wsgid_gil_acquire();
	}
	data = atomic_load_explicit(&r->data, memory_order_relaxed);
	if (data)
		Py_DECREF(data);
}

PyObject *wsgid_request_data_of(struct wsgid_request *r)
{
	PyObject *data = atomic_load(&r->data), *made;
	if (data)
		return data;
	made = py.PyDict_New();
	if (!made || atomic_compare_exchange_strong(&r->data, &data, made))
		return made;
	Py_DECREF(made); /* another thread was faster */
	return data;
}

PyObject *wsgid_request_data(void)
{
	PyObject *data;
	if (!current) {
		py.PyErr_SetString(py.PyExc_RuntimeError, "no active request for thread");
		return NULL;
	}
	data = wsgid_request_data_of(current);
	Py_XINCREF(data);
	return data;
}

/* Adds (id, dict) of what runs on one thread. 0, -1 with an exception. */
static int add(PyObject *list, struct wsgid_meter *meter, const PyInterpreterState *interpreter)
{
	PyObject *data = NULL, *pair = NULL;
	int result = 0;
	atomic_fetch_add(&meter->watchers, 1);
	struct wsgid_request *r = atomic_load(&meter->request);
	if (r && r->interpreter->state == interpreter) {
		data = wsgid_request_data_of(r);
		pair = data ? py.Py_BuildValue("(NO)", py.PyUnicode_DecodeLatin1(r->id, (Py_ssize_t)strlen(r->id), NULL), data)
		            : NULL;
		result = pair ? py.PyList_Append(list, pair) : -1;
		Py_XDECREF(pair);
	}
	atomic_fetch_sub(&meter->watchers, 1);
	return result;
}

PyObject *wsgid_active_requests(void)
{
	struct wsgid_server *server = wsgid_metrics_server();
	PyObject *list = py.PyList_New(0);
	const PyInterpreterState *interpreter = wsgid_py_current_interpreter();
	for (int i = 0; list && server && i < atomic_load(&server->metered); i++)
		if (add(list, server->meters[i], interpreter) < 0)
			wsgid_py_clear(&list);
	return list;
}
