/* One request in the worker: what the router said about it, and how far its
 * response is. Lives on the stack of the thread that serves it. */
#ifndef WSGID_REQUEST_H
#define WSGID_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "connection.h"
#include "effort.h"
#include "errcode.h"
#include "interpreter.h"
#include "log.h"
#include "record.h"
#include "scoreboard.h"

/* Growing bytes; malloc'ed. */
struct wsgid_buffer {
	char *data;
	size_t length, capacity;
};

/* What an interpreter needs to serve requests; made at its first request,
 * never freed. Objects are owned. */
struct wsgid_side {
	PyObject *input_type;
	PyObject *log_type;        /* the binary layer of the log streams */
	PyObject *text_type;       /* io.TextIOWrapper */
	PyObject *file_wrapper;
	PyObject *close; /* "close" */
	PyObject *empty; /* "" */
	/* Interned keys of environ that change with every request. */
	PyObject *key_input, *key_errors, *key_scheme, *key_callable, *key_script_name, *key_path_info,
	    *key_request_id, *key_server_pid, *key_request_start, *key_queue_start, *key_daemon_start,
	    *key_application_start, *key_listener_host, *key_listener_port, *key_mount_point, *key_queue_time;
	PyObject *http, *https;
	/* Lists of subscribers, also mod_wsgi.event_callbacks and so on. */
	PyObject *event_callbacks, *shutdown_callbacks, *signal_callbacks;
};

struct wsgid_environ_cache;

/* wsgi.errors of one thread and interpreter: a text stream and the log object
 * below it, used again as long as no application keeps them. NULL: none. */
struct wsgid_errors {
	PyObject *text, *log;
	Py_ssize_t text_count, log_count; /* references when nobody else has one; -1: not known */
};

/* A script that this thread has run: it was checked against the script table
 * and its module is loaded, so that what its path now leads to cannot matter. */
struct wsgid_checked {
	const struct wsgid_interpreter *interpreter;
	size_t length;
	char *path;
};

enum { WSGID_CHECKED = 8 };

/* What one OS thread keeps between requests. */
struct wsgid_thread {
	struct wsgid_checked checked[WSGID_CHECKED];
	unsigned next_checked;
	struct fcgi_pair *pairs;
	size_t pair_capacity;
	struct wsgid_buffer head;
	struct wsgid_environ_cache *caches;
};

struct wsgid_request {
	struct wsgid_connection *connection;
	struct wsgid_interpreter *interpreter;
	struct wsgid_side *side;
	struct wsgid_thread *local;
	struct wsgid_log_context context;

	/* Parameters. Texts point into PARAMS: dead once the body is read. */
	size_t pair_count;
	struct wsgid_text method, uri, client, server_pid, listener_host, listener_port, mount_point, mapped_name, handler;
	uint64_t request_start, queue_start, daemon_start; /* microseconds */
	bool ignore_activity; /* it does not keep the process from idling out */
	bool check, want_accept, head_request, want_https, scheme_https, scheme_decided, error_override, no_page;
	int64_t content_length; /* -1: not given */
	int64_t body_read;

	/* Response. */
	PyObject *input;    /* also what start_response and write are bound to */
	struct wsgid_errors *errors;
	bool started;       /* start_response was called */
	bool committed;     /* the headers are on their way */
	bool no_body;       /* HEAD, 204, 304, or a page is sent instead */
	bool overridden;    /* error_override: that page */
	bool invalid;       /* start_response or write refused what it got */
	int status;
	const char *bad_length; /* the application's Content-Length cannot be used */
	int64_t announced;  /* its Content-Length, -1 */
	int64_t written;    /* bytes of body given by the application */
	int failure;        /* enum wsgid_errcode, 0 none */
	bool page_left;     /* no_page: the router makes the page of failure */

	/* For events and metrics. Times in microseconds since the epoch. */
	_Atomic(PyObject *) data; /* request_data(); NULL: nobody has asked. Owned */
	uint64_t application_start, application_finish; /* 0: not yet */
	uint64_t input_reads, output_writes;
	uint64_t produced;  /* bytes of body, those beyond Content-Length included */
	struct wsgid_effort effort;

	/* Copies that live as long as the request. */
	char script[4096];
	char application[1024];
	char callable[256];
	char id[256];
	char error_log[WSGID_ERROR_LOG_KEY];
	char trace[WSGID_TRACE_ID];
};

/* The script, of this length, was allowed and loaded before, by this thread in
 * the interpreter of this name. Not when embedded: there a changed script is
 * imported in place. application.c */
bool wsgid_application_checked(const struct wsgid_request *r, size_t length);
/* The application object, a new reference. NULL: the answer is collected, or
 * *refused is set and another process shall take the request. GIL held. */
PyObject *wsgid_application_find(struct wsgid_request *r, bool *refused);

/* Fills a side; GIL held. NULL with a Python exception. interpreter_side.c */
struct wsgid_side *wsgid_side_of(struct wsgid_interpreter *interpreter);

/* The same for wsgid_interpreter_on_new: sys.stdout and the rest are there
 * before anything of the application runs. 0, -1 with a Python exception. */
int wsgid_side_prepare(struct wsgid_interpreter *interpreter);

/* environ of a request, a new reference, or NULL with an exception. GIL held. environ.c */
PyObject *wsgid_environ_new(struct wsgid_request *r);
/* The place for wsgi.errors of this thread and interpreter; NULL with an
 * exception. GIL held. environ.c */
struct wsgid_errors *wsgid_environ_errors(struct wsgid_request *r);
double wsgid_seconds(uint64_t microseconds);

/* The same of a time that mod_wsgi has in its daemon mode only: 0 when embedded. */
double wsgid_daemon_seconds(const struct wsgid_request *r, uint64_t microseconds);
uint64_t wsgid_now(void);

/* wsgi.input. input.c */
PyObject *wsgid_input_type_new(void);
PyObject *wsgid_input_new(struct wsgid_request *r);
/* From now on its methods raise RuntimeError. */
void wsgid_input_expire(PyObject *input);
/* The request of an input object, which lives until wsgid_input_done; NULL with
 * an exception when it is over. */
struct wsgid_request *wsgid_input_use(PyObject *input);
void wsgid_input_done(PyObject *input);

/* start_response, write, headers. response.c */
PyObject *wsgid_start_response_new(struct wsgid_request *r);
/* Body bytes of the application: 0, -1 with an exception, -2 client gone. */
int wsgid_response_body(struct wsgid_request *r, const char *data, size_t size);
/* Sends the headers if they were not yet: same results. */
int wsgid_response_commit(struct wsgid_request *r);
/* Sets a Content-Length when the application gave none. */
void wsgid_response_set_length(struct wsgid_request *r, int64_t length);

/* Runs over what the application returned. Results as above. iterate.c */
int wsgid_response_iterate(struct wsgid_request *r, PyObject *result);

/* Sends a regular file when result is a wsgi.file_wrapper over one and nothing
 * has left yet: 1 done, 0 it is to be iterated over, else as above. GIL held.
 * file_send.c */
int wsgid_response_file(struct wsgid_request *r, PyObject *result);

/* An answer of the worker itself instead of the application's: collected, not
 * sent. error_page.c */
void wsgid_error_page(struct wsgid_request *r, enum wsgid_errcode code);

/* The page in place of what the application says in an error response, for
 * the status line of the response. Returns its size. error_page.c */
size_t wsgid_override_page(const char *status, size_t length, char *page, size_t size);

/* Logs title and the traceback in text (NULL: nothing) as one record. */
void wsgid_log_traceback(const struct wsgid_log_context *context, const char *code, const char *title,
                         const char *text, size_t length);

/* Logs the current exception as one record and clears it; GIL held. */
void wsgid_log_exception(const struct wsgid_log_context *context, const char *code, const char *title);

/* Bytes at the end of a buffer: 0, -1 without memory. */
int wsgid_buffer_add(struct wsgid_buffer *buffer, const void *data, size_t size);

#endif
