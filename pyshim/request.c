/* One request from its parameters to END_REQUEST: may it run here, is its
 * script loaded, call the application, send what it gives. */
#define _GNU_SOURCE
#include "request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "activity.h"
#include "deadline.h"
#include "errors_stream.h"
#include "events.h"
#include "extension_error.h"
#include "failure.h"
#include "fork.h"
#include "metrics.h"
#include "request_data.h"
#include "script_owner.h"
#include "script_table.h"
#include "status.h"

static _Thread_local struct wsgid_thread thread;

enum verdict {
	SERVED,  /* a response is collected or on the wire */
	REFUSED, /* nothing ran: another process shall take it */
	CUT,     /* the response failed half-way */
	LOST,    /* the client is gone */
};

void wsgid_log_traceback(const struct wsgid_log_context *context, const char *code, const char *title,
                         const char *text, size_t length)
{
	struct wsgid_log_context coded = *context;
	struct wsgid_buffer message = {0};
	coded.code = code;
	if (text && wsgid_buffer_add(&message, title, strlen(title)) == 0 &&
	    wsgid_buffer_add(&message, "\n", 1) == 0 && wsgid_buffer_add(&message, text, length) == 0)
		wsgid_log("error", &coded, message.data, message.length);
	free(message.data);
}

void wsgid_log_exception(const struct wsgid_log_context *context, const char *code, const char *title)
{
	size_t length = 0;
	char *text = wsgid_py_format_exception(&length);
	wsgid_gil_release();
	wsgid_log_traceback(context, code, title, text, length);
	wsgid_gil_acquire();
	free(text);
}

static bool named(const struct fcgi_pair *p, const char *name, size_t length)
{
	return p->name_length == length && memcmp(p->name, name, length) == 0;
}
#define NAMED(p, name) named(p, name, sizeof name - 1)

static uint64_t number(const struct fcgi_pair *p)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < p->value_length && i < 18; i++) {
		if (p->value[i] < '0' || p->value[i] > '9')
			return 0;
		n = n * 10 + (uint64_t)(p->value[i] - '0');
	}
	return n;
}

/* Copies a value that must be there as a C string. */
static bool text(char *to, size_t size, const struct fcgi_pair *p)
{
	if (p->value_length >= size || memchr(p->value, 0, p->value_length))
		return false;
	memcpy(to, p->value, p->value_length);
	to[p->value_length] = 0;
	return true;
}

/* A file of the machine as it is called below the root directory of this
 * process. False: it lies outside. */
static bool strip_root(const struct wsgid_server *server, struct fcgi_pair *p)
{
	size_t length = server->root_length;
	if (!length)
		return true;
	if (p->value_length < length || memcmp(p->value, server->root, length) != 0 ||
	    (p->value_length > length && p->value[length] != '/'))
		return false;
	p->value += length;
	p->value_length -= (uint32_t)length;
	return true;
}

/* The script, or with a root directory of one's own one that no table allows. */
static bool take_script(struct wsgid_request *r, const struct fcgi_pair *p)
{
	struct fcgi_pair inside = *p;
	if (strip_root(r->connection->server, &inside))
		return text(r->script, sizeof r->script, &inside);
	strcpy(r->script, "/");
	return true;
}

/* One of the names of docs/internals.md section 5. False: it cannot be used. */
static bool own_parameter(struct wsgid_request *r, const struct fcgi_pair *p)
{
	if (NAMED(p, "WSGID_SCRIPT"))
		return take_script(r, p);
	if (NAMED(p, "WSGID_APPLICATION_GROUP"))
		return text(r->application, sizeof r->application, p);
	if (NAMED(p, "WSGID_CALLABLE"))
		return text(r->callable, sizeof r->callable, p);
	if (NAMED(p, "WSGID_REQUEST_ID"))
		return text(r->id, sizeof r->id, p);
	if (NAMED(p, "WSGID_ERROR_LOG"))
		return text(r->error_log, sizeof r->error_log, p);
	if (NAMED(p, "WSGID_TRACE"))
		return text(r->trace, sizeof r->trace, p);
	if (NAMED(p, "WSGID_REQUEST_START"))
		r->request_start = number(p);
	else if (NAMED(p, "WSGID_QUEUE_START"))
		r->queue_start = number(p);
	else if (NAMED(p, "WSGID_ROUTER_PID"))
		r->server_pid = (struct wsgid_text){p->value, p->value_length};
	else if (NAMED(p, "WSGID_RELOADING"))
		r->check = !(p->value_length == 1 && p->value[0] == '0');
	else if (NAMED(p, "WSGID_WANT_ACCEPT"))
		r->want_accept = p->value_length == 1 && p->value[0] == '1';
	else if (NAMED(p, "WSGID_HEAD"))
		r->head_request = true;
	else if (NAMED(p, "WSGID_SCHEME_DECIDED"))
		r->scheme_decided = true;
	else if (NAMED(p, "WSGID_IGNORE_ACTIVITY"))
		r->ignore_activity = p->value_length == 1 && p->value[0] == '1';
	else if (NAMED(p, "WSGID_LISTENER_PORT"))
		r->listener_port = (struct wsgid_text){p->value, p->value_length};
	else if (NAMED(p, "WSGID_MOUNT_POINT"))
		r->mount_point = (struct wsgid_text){p->value, p->value_length};
	else if (NAMED(p, "WSGID_MAPPED_NAME"))
		r->mapped_name = (struct wsgid_text){p->value, p->value_length};
	else if (NAMED(p, "WSGID_HANDLER"))
		r->handler = (struct wsgid_text){p->value, p->value_length};
	else if (NAMED(p, "WSGID_ERROR_OVERRIDE"))
		r->error_override = true;
	else if (NAMED(p, "WSGID_NO_PAGE"))
		r->no_page = true;
	return true;
}

static bool equal(const struct fcgi_pair *p, const char *value)
{
	return p->value_length == strlen(value) && strncasecmp(p->value, value, p->value_length) == 0;
}

/* What the server itself must know of the application's variables. */
static void look_at(struct wsgid_request *r, const struct fcgi_pair *p)
{
	switch (p->name_length) {
	case 5:
		if (NAMED(p, "HTTPS"))
			r->want_https = equal(p, "on") || equal(p, "1");
		return;
	case 11:
		if (NAMED(p, "REQUEST_URI"))
			r->uri = (struct wsgid_text){p->value, p->value_length};
		else if (NAMED(p, "REMOTE_ADDR"))
			r->client = (struct wsgid_text){p->value, p->value_length};
		else if (NAMED(p, "SERVER_ADDR"))
			r->listener_host = (struct wsgid_text){p->value, p->value_length};
		else if (NAMED(p, "SERVER_PORT"))
			r->listener_port = (struct wsgid_text){p->value, p->value_length};
		return;
	case 14:
		if (NAMED(p, "REQUEST_METHOD")) {
			r->method = (struct wsgid_text){p->value, p->value_length};
			r->head_request = p->value_length == 4 && memcmp(p->value, "HEAD", 4) == 0; /* or WSGID_HEAD, later */
		} else if (NAMED(p, "CONTENT_LENGTH")) {
			int64_t n = 0;
			r->content_length = -1; /* the last one counts, as in environ */
			if (!p->value_length || p->value_length > 18)
				return;
			for (uint32_t i = 0; i < p->value_length; i++) {
				if (p->value[i] < '0' || p->value[i] > '9')
					return;
				n = n * 10 + (p->value[i] - '0');
			}
			r->content_length = n;
		} else if (NAMED(p, "REQUEST_SCHEME")) {
			r->scheme_https = equal(p, "https");
		}
		return;
	}
}

/* With a root directory of its own an application sees paths below it, and of
 * a DOCUMENT_ROOT outside nothing. False: the variable is left out. */
static bool show_inside(const struct wsgid_server *server, struct fcgi_pair *p)
{
	if (NAMED(p, "SCRIPT_FILENAME"))
		strip_root(server, p);
	else if (NAMED(p, "DOCUMENT_ROOT") && !strip_root(server, p))
		return false;
	if (p->value_length == 0 && NAMED(p, "DOCUMENT_ROOT")) {
		p->value = "/";
		p->value_length = 1;
	}
	return true;
}

/* Takes the PARAMS stream apart. False: it is malformed. */
static bool parse(struct wsgid_request *r, const uint8_t *params, size_t size)
{
	struct wsgid_thread *local = r->local;
	const struct wsgid_server *server = r->connection->server;
	const bool shut_in = server->root_length != 0;
	size_t position = 0;
	bool good = true;
	for (;;) {
		if (r->pair_count == local->pair_capacity) {
			size_t capacity = local->pair_capacity ? local->pair_capacity * 2 : 128;
			struct fcgi_pair *bigger = realloc(local->pairs, capacity * sizeof *bigger);
			if (!bigger)
				return false;
			local->pairs = bigger;
			local->pair_capacity = capacity;
		}
		struct fcgi_pair *p = &local->pairs[r->pair_count];
		int next = fcgi_next_pair(params, size, &position, p);
		if (next < 0)
			return false;
		if (next == 0)
			break;
		if (p->name_length > 6 && memcmp(p->name, "WSGID_", 6) == 0) {
			good = own_parameter(r, p) && good;
			continue;
		}
		look_at(r, p);
		if (shut_in && !show_inside(server, p))
			continue;
		r->pair_count++;
	}
	return good && r->script[0] && r->callable[0];
}

/* The application, or what it returned, raised. */
static enum verdict failed(struct wsgid_request *r)
{
	if (wsgid_events_wanted(r))
		wsgid_event_exception(r);
	enum wsgid_errcode code = wsgid_failure_log(r);
	r->failure = (int)code;
	if (r->committed && r->connection->on_wire)
		return CUT;
	wsgid_error_page(r, code);
	return SERVED;
}

/* Calls close() of the iterable if it has one; exceptions are only logged. */
static void close_result(struct wsgid_request *r, PyObject *result)
{
	PyObject *method = NULL, *type = py.PyObject_Type(result);
	Py_DECREF(type);
	if (type == py.PyList_Type || type == py.PyTuple_Type)
		return;
	if (wsgid_py_optional_attr(result, r->side->close, &method) > 0) {
		PyObject *closed = py.PyObject_CallObject(method, NULL);
		Py_XDECREF(closed);
		Py_DECREF(method);
	}
	if (!py.PyErr_Occurred())
		return;
	if (wsgid_events_wanted(r))
		wsgid_event_exception(r);
	wsgid_log_exception(&r->context, wsgid_error(WSGID_E_APPLICATION_RAISED)->text,
	                    "close() of the application's iterable raised an exception");
}

static PyObject *call(PyObject *application, PyObject *environ, PyObject *start_response)
{
	if (py.PyObject_Vectorcall) {
		PyObject *arguments[3] = {NULL, environ, start_response};
		return py.PyObject_Vectorcall(application, arguments + 1, 2 | (size_t)1 << (8 * sizeof(size_t) - 1), NULL);
	}
	return py.PyObject_CallFunctionObjArgs(application, environ, start_response, NULL);
}

/* Environ, call, iteration, close, and the events in between. */
static enum verdict run_application(struct wsgid_request *r, PyObject *application)
{
	PyObject *environ = NULL, *start_response = NULL, *instead = NULL, *result = NULL;
	enum verdict verdict = SERVED;
	wsgid_request_data_begin(r);
	r->input = wsgid_input_new(r);
	if (r->input && wsgid_errors_open(r) == 0)
		start_response = wsgid_start_response_new(r);
	environ = start_response ? wsgid_environ_new(r) : NULL;
	if (environ && wsgid_events_wanted(r))
		instead = wsgid_event_started(r, application, environ);
	wsgid_activity_touch(r);
	wsgid_deadline_open(r);
	if (environ)
		result = call(instead ? instead : application, environ, start_response);
	int done = result ? wsgid_response_iterate(r, result) : 0;
	if (result && done == 0 && !r->committed)
		done = wsgid_response_commit(r);
	wsgid_deadline_close(r);
	if (result) {
		if (done == -1)
			verdict = failed(r);
		close_result(r, result);
		if (done == -2 || r->connection->broken)
			verdict = LOST;
		Py_DECREF(result);
		if (verdict == SERVED && !r->failure && r->announced >= 0 && r->written < r->announced && !r->no_body)
			verdict = CUT;
	} else {
		verdict = failed(r);
		if (r->connection->broken)
			verdict = LOST;
	}
	if (verdict == CUT && !r->failure) {
		wsgid_gil_release();
		wsgid_logf("warn", &r->context, "response is shorter than its Content-Length: %lld of %lld bytes",
		           (long long)r->written, (long long)r->announced);
		wsgid_gil_acquire();
	}
	if (environ && wsgid_events_wanted(r))
		wsgid_event_finished(r, environ);
	Py_XDECREF(instead);
	Py_XDECREF(environ);
	if (r->input)
		wsgid_input_expire(r->input);
	if (r->errors)
		wsgid_errors_expire(r);
	Py_XDECREF(start_response);
	Py_XDECREF(r->input);
	wsgid_request_data_end(r);
	return verdict;
}

/* Inside the interpreter. */
static enum verdict run_in_python(struct wsgid_request *r)
{
	enum verdict verdict = SERVED;
	r->side = wsgid_side_of(r->interpreter);
	if (!r->side) {
		wsgid_log_exception(&r->context, wsgid_error(WSGID_E_INTERPRETER_FAILED)->text,
		                    wsgid_error(WSGID_E_INTERPRETER_FAILED)->title);
		wsgid_error_page(r, WSGID_E_INTERPRETER_FAILED);
		return SERVED;
	}
	bool refused;
	PyObject *application = wsgid_application_find(r, &refused);
	if (!application)
		return refused ? REFUSED : SERVED;
	/* From here on the request is ours: the router may send the rest of a body. */
	if (r->want_accept && wsgid_output_record(r->connection, FCGI_STDERR, r->connection->id, NULL, 0) < 0)
		verdict = LOST;
	r->connection->on_wire = false;
	if (verdict != LOST)
		verdict = run_application(r, application);
	Py_DECREF(application);
	return verdict;
}

/* maximum_requests is reached. Where each request wants a process of its own
 * there is no other one. */
static void served_enough(struct wsgid_server *server)
{
	if (server->threads == 1 && server->maximum_requests == 1)
		wsgid_status_leave(server, "maximum_requests", 12, NULL); /* exitreason.MaximumRequests */
	else
		wsgid_status_relieve(server, "maximum_requests");
}

/* Everything between the parameters and the end. */
static enum verdict run(struct wsgid_request *r, const uint8_t *params, size_t size)
{
	struct wsgid_connection *c = r->connection;
	if (!parse(r, params, size)) {
		wsgid_logf("error", &(struct wsgid_log_context){.code = wsgid_error(WSGID_E_WORKER_PARAMS)->text},
		           "worker received bad parameters");
		wsgid_error_page(r, WSGID_E_WORKER_PARAMS);
		return SERVED;
	}
	if (atomic_load_explicit(&c->server->retiring, memory_order_relaxed))
		return REFUSED;
	r->context = (struct wsgid_log_context){
	    .application = r->application,
	    .script = r->script,
	    .request = r->id,
	    .trace = r->trace,
	    .error_log = r->error_log,
	};
	if (!wsgid_application_checked(r, strlen(r->script)) && !wsgid_script_allowed(c->server, r->script)) {
		struct wsgid_log_context coded = r->context;
		coded.code = wsgid_error(WSGID_E_SCRIPT_FORBIDDEN)->text;
		wsgid_logf("error", &coded, "script not permitted for this process group: %s", r->script);
		wsgid_error_page(r, WSGID_E_SCRIPT_FORBIDDEN);
		return SERVED;
	}
	if (c->server->owner && !wsgid_script_owned(c->server->owner, &r->context, r->script)) {
		wsgid_error_page(r, WSGID_E_SCRIPT_OWNER);
		return SERVED;
	}
	size_t application_length = strlen(r->application);
	struct wsgid_slot_request shown = {
	    .start = r->request_start ? r->request_start : r->daemon_start,
	    .id = {r->id, strlen(r->id)},
	    .method = r->method,
	    .uri = r->uri,
	    .client = r->client,
	    .application = {r->application, application_length},
	    .trace = {r->trace, strlen(r->trace)},
	};
	wsgid_scoreboard_begin(c->server, c->thread, &shown);
	wsgid_deadline_begin(r);
	wsgid_log_set_request(&r->context);
	if (atomic_load_explicit(&wsgid_observed, memory_order_relaxed))
		wsgid_effort_begin(&r->effort);
	uint64_t began = wsgid_effort_clock();
	r->interpreter = wsgid_interpreter_enter(r->application, application_length);
	wsgid_effort_gil(began);
	enum verdict verdict = SERVED;
	if (r->interpreter) {
		wsgid_outside_python = false;
		wsgid_deadline_entered(r);
		verdict = run_in_python(r);
		wsgid_outside_python = true;
		wsgid_interpreter_leave(r->interpreter);
	} else {
		wsgid_error_page(r, (enum wsgid_errcode)wsgid_interpreter_failure());
	}
	wsgid_deadline_end(r);
	wsgid_streams_flush_thread();
	wsgid_log_set_request(NULL);
	if (verdict != REFUSED)
		wsgid_meter_finish(r);
	wsgid_effort = NULL;
	uint64_t now = wsgid_now(), took = now > r->daemon_start ? now - r->daemon_start : 0;
	uint64_t finished = wsgid_scoreboard_end(c->server, c->thread, r->failure || r->status >= 500, took);
	if (c->server->maximum_requests && finished >= (uint64_t)c->server->maximum_requests)
		served_enough(c->server);
	wsgid_scoreboard_dropped(c->server, wsgid_log_dropped());
	return verdict;
}

void wsgid_request_run(struct wsgid_connection *c, const uint8_t *params, size_t size)
{
	struct wsgid_request r;
	memset(&r, 0, offsetof(struct wsgid_request, script));
	r.script[0] = r.application[0] = r.callable[0] = r.id[0] = r.error_log[0] = r.trace[0] = 0;
	r.connection = c;
	r.local = &thread;
	r.check = true;
	r.content_length = r.announced = -1;
	r.server_pid = r.listener_host = r.listener_port = (struct wsgid_text){"", 0};
	r.daemon_start = wsgid_now();
	c->on_wire = false;
	switch (run(&r, params, size)) {
	case SERVED:
		wsgid_output_end(c, !r.page_left, r.page_left ? (uint32_t)r.failure : 0, FCGI_REQUEST_COMPLETE);
		break;
	case REFUSED:
		wsgid_scoreboard_refused(c->server);
		wsgid_status_retire(c->server, &r.context, "script", r.script);
		wsgid_output_discard(c);
		wsgid_output_end(c, false, 0, FCGI_OVERLOADED);
		break;
	case CUT:
		/* Without the end of STDOUT: Apache would take it for the end of a
		 * whole response. */
		wsgid_output_end(c, false, WSGID_TRUNCATED, FCGI_REQUEST_COMPLETE);
		break;
	case LOST:
		wsgid_output_discard(c);
		c->broken = true;
		break;
	}
	/* A child that the application forked and that came back here through its
	 * own application call is nobody's worker. */
	if (wsgid_forked)
		_exit(0);
}
