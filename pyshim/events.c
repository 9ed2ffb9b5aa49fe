/* Putting payloads together and calling subscribers. */
#include "events.h"

#include <stdio.h>
#include <string.h>

#include "request_data.h"

static void log_failure(const struct wsgid_log_context *context, const char *name)
{
	char title[96];
	snprintf(title, sizeof title, "a subscriber of %s raised an exception", name);
	wsgid_log_exception(context, NULL, title);
}

/* One subscriber. 0, -1 with an exception. */
static int call(PyObject *callback, PyObject *arguments, PyObject *payload)
{
	PyObject *keywords = py.PyDict_Copy(payload); /* what it does to its own is its own */
	PyObject *answer = keywords ? py.PyObject_Call(callback, arguments, keywords) : NULL;
	int result = answer ? 0 : -1;
	if (answer && wsgid_py_is_dict(answer))
		result = py.PyDict_Update(payload, answer);
	Py_XDECREF(answer);
	Py_XDECREF(keywords);
	return result;
}

void wsgid_events_publish(PyObject *callbacks, const char *name, PyObject *payload,
                          const struct wsgid_log_context *context)
{
	PyObject *snapshot = py.PyList_AsTuple(callbacks);
	PyObject *arguments = snapshot ? py.Py_BuildValue("(s)", name) : NULL;
	Py_ssize_t count = arguments ? py.PyTuple_Size(snapshot) : 0;
	if (!arguments)
		log_failure(context, name);
	for (Py_ssize_t i = 0; i < count; i++)
		if (call(py.PyTuple_GetItem(snapshot, i), arguments, payload) < 0)
			log_failure(context, name);
	Py_XDECREF(arguments);
	Py_XDECREF(snapshot);
}

/* Sets payload[key] to a new reference, which is taken; NULL: an exception is
 * set. *payload is given up and NULL after a failure, and stays so. */
static void put(PyObject **payload, const char *key, PyObject *value)
{
	if (*payload && (!value || py.PyDict_SetItemString(*payload, key, value) < 0))
		wsgid_py_clear(payload);
	Py_XDECREF(value);
}

static PyObject *same(PyObject *object)
{
	Py_XINCREF(object);
	return object;
}

static PyObject *seconds(uint64_t microseconds)
{
	return py.PyFloat_FromDouble(wsgid_seconds(microseconds));
}

/* The router's pid as a number; PARAMS may be gone, environ has it. */
static PyObject *server_pid(PyObject *environ)
{
	PyObject *text = py.PyDict_GetItemString(environ, "mod_wsgi.server_pid"); /* borrowed */
	PyObject *number = text ? py.PyNumber_Long(text) : NULL;
	if (number)
		return number;
	py.PyErr_Clear();
	return py.PyLong_FromLong(0);
}

/* What every event of a request has. */
static PyObject *new_payload(struct wsgid_request *r)
{
	PyObject *payload = py.PyDict_New();
	if (r->id[0])
		put(&payload, "request_id", py.PyUnicode_DecodeLatin1(r->id, (Py_ssize_t)strlen(r->id), NULL));
	put(&payload, "request_data", same(wsgid_request_data_of(r)));
	return payload;
}

/* What the first and the last event have. */
static void put_times(struct wsgid_request *r, PyObject **payload, PyObject *environ)
{
	put(payload, "thread_id", py.PyLong_FromLong(r->connection->thread + 1));
	put(payload, "server_pid", server_pid(environ));
	put(payload, "request_start", seconds(r->request_start));
	put(payload, "queue_start", py.PyFloat_FromDouble(wsgid_daemon_seconds(r, r->queue_start)));
	put(payload, "daemon_start", py.PyFloat_FromDouble(wsgid_daemon_seconds(r, r->daemon_start)));
	put(payload, "application_start", seconds(r->application_start));
}

/* Tells the subscribers; a payload that could not be made is logged. */
static void publish(struct wsgid_request *r, const char *name, PyObject *payload)
{
	if (payload)
		wsgid_events_publish(r->side->event_callbacks, name, payload, &r->context);
	else
		log_failure(&r->context, name);
}

PyObject *wsgid_event_started(struct wsgid_request *r, PyObject *application, PyObject *environ)
{
	/* The first request that is observed: from now on they are measured from
	 * their beginning. */
	atomic_store_explicit(&wsgid_observed, true, memory_order_relaxed);
	wsgid_effort_begin(&r->effort);
	PyObject *payload = new_payload(r), *instead = NULL;
	put_times(r, &payload, environ);
	put(&payload, "daemon_connects", py.PyLong_FromLong(1));
	put(&payload, "daemon_restarts", py.PyLong_FromLong(0));
	put(&payload, "application_object", same(application));
	put(&payload, "callable_object", py.PyUnicode_DecodeLatin1(r->callable, (Py_ssize_t)strlen(r->callable), NULL));
	put(&payload, "request_environ", same(environ));
	publish(r, "request_started", payload);
	if (payload)
		instead = same(py.PyDict_GetItemString(payload, "application_object"));
	Py_XDECREF(payload);
	return instead;
}

void wsgid_event_response(struct wsgid_request *r, PyObject *status, PyObject *headers, PyObject *exc_info)
{
	PyObject *payload = new_payload(r);
	put(&payload, "response_status", same(status));
	put(&payload, "response_headers", same(headers));
	put(&payload, "exception_info", same(exc_info));
	publish(r, "response_started", payload);
	Py_XDECREF(payload);
}

void wsgid_event_exception(struct wsgid_request *r)
{
	PyObject *type, *value, *traceback, *payload;
	py.PyErr_Fetch(&type, &value, &traceback);
	py.PyErr_NormalizeException(&type, &value, &traceback);
	payload = new_payload(r);
	put(&payload, "exception_info",
	    py.PyTuple_Pack(3, type, value ? value : py.None, traceback ? traceback : py.None));
	publish(r, "request_exception", payload);
	Py_XDECREF(payload);
	py.PyErr_Restore(type, value, traceback);
}

void wsgid_event_finished(struct wsgid_request *r, PyObject *environ)
{
	const struct wsgid_effort *effort = &r->effort;
	PyObject *payload = new_payload(r);
	r->application_finish = wsgid_now();
	wsgid_effort_end(&r->effort);
	uint64_t took = r->application_finish > r->application_start ? r->application_finish - r->application_start : 0;
	put_times(r, &payload, environ);
	put(&payload, "application_finish", seconds(r->application_finish));
	put(&payload, "application_time", seconds(took));
	put(&payload, "input_reads", py.PyLong_FromUnsignedLongLong(r->input_reads));
	put(&payload, "input_length", py.PyLong_FromLongLong(r->body_read));
	put(&payload, "input_time", seconds(effort->input));
	put(&payload, "output_writes", py.PyLong_FromUnsignedLongLong(r->output_writes));
	put(&payload, "output_length", py.PyLong_FromUnsignedLongLong(r->produced));
	put(&payload, "output_time", seconds(effort->output));
	put(&payload, "status", py.PyLong_FromLong(r->status ? r->status : 500));
	put(&payload, "gil_wait_time", seconds(effort->gil_wait));
	put(&payload, "gil_wait_count", py.PyLong_FromUnsignedLongLong(effort->gil_waits));
	if (effort->measured) {
		put(&payload, "cpu_user_time", seconds(effort->user));
		put(&payload, "cpu_system_time", seconds(effort->system));
		put(&payload, "cpu_time", seconds(effort->user + effort->system));
	}
	publish(r, "request_finished", payload);
	Py_XDECREF(payload);
}
