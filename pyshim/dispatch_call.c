/* Evaluating a script of the router, and calling the three callables of a
 * dispatch script. */
#define _GNU_SOURCE
#include "dispatch_call.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth_call.h"
#include "dispatch_environ.h"
#include "dispatch_error.h"
#include "errors_stream.h"
#include "fork.h"
#include "errcode.h"
#include "extension_error.h"
#include "interpreter.h"
#include "log.h"
#include "request.h"
#include "script.h"

static const char *const callable_names[3] = { "process_group", "application_group", "callable_object" };

struct wsgid_dispatch_slot {
	pthread_mutex_t mutex; /* held for a few instructions, with or without a GIL */
	bool interrupted;      /* asked for in this call */
	bool running;          /* inside Python: the next two are valid */
	bool injected;         /* an exception was set on the thread */
	unsigned long thread;
	struct wsgid_interpreter *interpreter;
	unsigned long serial;  /* of the call */
	char error_log[WSGID_ERROR_LOG_KEY];
	char trace[WSGID_TRACE_ID];
};

struct wsgid_dispatch_slot *wsgid_dispatch_slot_new(void)
{
	struct wsgid_dispatch_slot *slot = calloc(1, sizeof(*slot));

	if (slot != NULL)
		pthread_mutex_init(&slot->mutex, NULL);
	return slot;
}

void wsgid_dispatch_slot_free(struct wsgid_dispatch_slot *slot)
{
	pthread_mutex_destroy(&slot->mutex);
	free(slot);
}

static void keep(char *to, size_t size, const char *text, size_t length)
{
	if (length >= size)
		length = 0;
	memcpy(to, text, length);
	to[length] = 0;
}

void wsgid_dispatch_slot_reset(struct wsgid_dispatch_slot *slot, const char *error_log, size_t error_log_length,
                               const char *trace, size_t trace_length)
{
	keep(slot->error_log, sizeof(slot->error_log), error_log, error_log_length);
	keep(slot->trace, sizeof(slot->trace), trace, trace_length);
	pthread_mutex_lock(&slot->mutex);
	slot->interrupted = false;
	slot->injected = false;
	slot->serial++;
	pthread_mutex_unlock(&slot->mutex);
}

/* False when the call was interrupted before it began. GIL held. */
static bool slot_begin(struct wsgid_dispatch_slot *slot, struct wsgid_interpreter *interpreter)
{
	bool go;

	pthread_mutex_lock(&slot->mutex);
	go = !slot->interrupted;
	slot->running = go;
	slot->thread = py.PyThread_get_thread_ident();
	slot->interpreter = interpreter;
	pthread_mutex_unlock(&slot->mutex);
	return go;
}

/* Ends the part that can be interrupted. An exception that was set but did not
 * come out yet must not hit the next call on this thread. GIL held. */
static bool slot_end(struct wsgid_dispatch_slot *slot)
{
	bool interrupted;

	pthread_mutex_lock(&slot->mutex);
	slot->running = false;
	interrupted = slot->interrupted;
	if (slot->injected)
		py.PyThreadState_SetAsyncExc(slot->thread, NULL);
	slot->injected = false;
	pthread_mutex_unlock(&slot->mutex);
	return interrupted;
}

void wsgid_dispatch_interrupt(struct wsgid_dispatch_slot *slot)
{
	struct wsgid_interpreter *interpreter;
	unsigned long serial;
	PyObject *exception;

	pthread_mutex_lock(&slot->mutex);
	slot->interrupted = true;
	interpreter = slot->running ? slot->interpreter : NULL;
	serial = slot->serial;
	pthread_mutex_unlock(&slot->mutex);
	if (interpreter == NULL || wsgid_interpreter_enter(interpreter->name, interpreter->name_length) == NULL)
		return;
	exception = py.PyDict_GetItemString(interpreter->modules, "DispatchTimeout"); /* borrowed */
	pthread_mutex_lock(&slot->mutex);
	if (exception != NULL && slot->running && slot->serial == serial) {
		py.PyThreadState_SetAsyncExc(slot->thread, exception);
		slot->injected = true;
	}
	pthread_mutex_unlock(&slot->mutex);
	wsgid_interpreter_leave(interpreter);
}

static void no_memory(struct wsgid_dispatch_result *result)
{
	py.PyErr_Clear();
	result->kind = WSGID_DISPATCH_INTERPRETER;
	result->allocated = true;
	free(result->message);
	result->message = strdup("no memory");
}

/* Keeps what a callable returned. 0, or -1 with the result filled. */
static int take_answer(PyObject *answer, struct wsgid_override *override, struct wsgid_dispatch_result *result)
{
	PyObject *encoded = NULL;
	Py_ssize_t length = 0;
	char *bytes = NULL;

	if (answer == py.None)
		return 0;
	if (wsgid_py_is_str(answer)) {
		encoded = py.PyUnicode_AsLatin1String(answer);
		if (encoded == NULL) {
			wsgid_dispatch_wrong_value(result, answer, "the str cannot be encoded as latin-1");
			return -1;
		}
	} else if (wsgid_py_is_bytes(answer)) {
		encoded = answer;
		Py_INCREF(encoded);
	} else {
		wsgid_dispatch_wrong_value(result, answer, "must return None, a str or a bytes object");
		return -1;
	}
	if (py.PyBytes_AsStringAndSize(encoded, &bytes, &length) != 0) {
		/* without a length Python refuses NULs itself; with one it cannot fail for bytes */
		wsgid_dispatch_wrong_value(result, answer, "unusable bytes object");
		Py_DECREF(encoded);
		return -1;
	}
	if (memchr(bytes, 0, (size_t)length) != NULL) {
		wsgid_dispatch_wrong_value(result, answer, "contains a NUL");
		Py_DECREF(encoded);
		return -1;
	}
	override->set = true;
	override->length = (size_t)length;
	if (length <= WSGID_DISPATCH_INLINE) {
		memcpy(override->inlined, bytes, (size_t)length);
	} else {
		override->text = malloc((size_t)length);
		result->allocated = true;
		if (override->text != NULL)
			memcpy(override->text, bytes, (size_t)length);
		else
			no_memory(result);
	}
	Py_DECREF(encoded);
	return result->kind == WSGID_DISPATCH_OK ? 0 : -1;
}

static PyObject *call(PyObject *function, PyObject *environ)
{
	if (py.PyObject_CallOneArg != NULL)
		return py.PyObject_CallOneArg(function, environ);
	return py.PyObject_CallFunctionObjArgs(function, environ, NULL);
}

/* Calls one of the three. Returns the answer (new reference), NULL with
 * nothing set when there is no such callable, NULL with the result or an
 * exception set otherwise. */
static PyObject *evaluate(PyObject *globals, PyObject *name, PyObject *environ,
                          struct wsgid_dispatch_result *result)
{
	PyObject *function = py.PyDict_GetItemWithError(globals, name);
	PyObject *answer;

	if (function == NULL)
		return NULL;
	Py_INCREF(function);
	if (!py.PyCallable_Check(function)) {
		wsgid_dispatch_wrong_value(result, function, "is not callable");
		Py_DECREF(function);
		return NULL;
	}
	answer = call(function, environ);
	Py_DECREF(function);
	return answer;
}

/* What the three callables said, before anything is made of it: nothing
 * between slot_begin and slot_end but the script itself. */
struct answers {
	PyObject *values[3]; /* NULL: no such callable, or not reached */
	int reached;         /* index of the callable that failed, 3 for none */
};

static void call_all(PyObject *module, struct wsgid_dispatch_cache *cache, PyObject *environ,
                     struct answers *answers, struct wsgid_dispatch_result *result)
{
	PyObject *globals = py.PyModule_GetDict(module);

	for (answers->reached = 0; answers->reached < 3; answers->reached++) {
		int i = answers->reached;

		answers->values[i] = evaluate(globals, wsgid_dispatch_callable_name(cache, i), environ, result);
		if (answers->values[i] == NULL &&
		    (result->kind != WSGID_DISPATCH_OK || py.PyErr_Occurred() != NULL))
			return;
		if (answers->values[i] != NULL && take_answer(answers->values[i], &result->overrides[i], result) != 0)
			return;
	}
}

static void set_text(char **to, const char *text, struct wsgid_dispatch_result *result)
{
	free(*to);
	*to = strdup(text);
	result->allocated = true;
}

/* Loads the script: a new reference to its module, or NULL with kind set and
 * perhaps an exception. *broken: the last good version is used and an
 * exception says why, or it was said before. */
static PyObject *load(struct wsgid_interpreter *interpreter, const char *script, int flags, bool *broken,
                      struct wsgid_dispatch_result *result)
{
	int how = ((flags & WSGID_DISPATCH_CHECK) != 0 ? WSGID_SCRIPT_CHECK : 0) |
	          ((flags & WSGID_DISPATCH_KEEP_GOOD) != 0 ? WSGID_SCRIPT_KEEP : 0);
	PyObject *module = NULL;

	*broken = false;
	switch (wsgid_script_load(interpreter, script, NULL, how, &module)) {
	case WSGID_SCRIPT_OK:
		return module;
	case WSGID_SCRIPT_MISSING:
		result->kind = WSGID_DISPATCH_LOAD;
		set_text(&result->message, "no such file", result);
		return NULL;
	case WSGID_SCRIPT_CHANGED:
	case WSGID_SCRIPT_STALE: /* neither was asked for */
	case WSGID_SCRIPT_FAILED:
		break;
	}
	*broken = true;
	if (module == NULL)
		result->kind = WSGID_DISPATCH_LOAD;
	return module;
}

/* Turns the exception of a failed import into load_error (last good version)
 * or the description of the failure. GIL held, interrupts over. */
static void settle_load(struct wsgid_dispatch_cache *cache, const char *script,
                        struct wsgid_dispatch_result *result)
{
	const char *known;

	if (py.PyErr_Occurred() != NULL)
		wsgid_unfit_extension(wsgid_log_request());
	if (result->kind == WSGID_DISPATCH_LOAD) {
		wsgid_dispatch_describe(result, script);
		return;
	}
	if (py.PyErr_Occurred() != NULL) {
		size_t length;

		wsgid_dispatch_set_load_error(cache, script, wsgid_py_format_exception(&length));
	}
	known = wsgid_dispatch_load_error(cache, script);
	set_text(&result->load_error, known == NULL ? "the script cannot be loaded" : known, result);
}

/* An exception of a callable, or of Python on the way. */
static void settle_exception(const char *script, const char *function, bool interrupted,
                             struct wsgid_dispatch_result *result)
{
	if (py.PyErr_Occurred() != NULL)
		result->kind = interrupted ? WSGID_DISPATCH_INTERRUPTED : WSGID_DISPATCH_EXCEPTION;
	if (result->kind == WSGID_DISPATCH_OK)
		return;
	if (function != NULL && result->function == NULL)
		set_text(&result->function, function, result);
	wsgid_dispatch_describe(result, script);
}

/* One evaluation as its caller wants it; nothing is kept. */
struct evaluation {
	struct wsgid_dispatch_slot *slot;
	const char *script, *params, *request_id;
	size_t script_length, params_length, request_id_length;
	int flags; /* enum wsgid_dispatch_flags */
	struct wsgid_question question;
};

/* The name of the callable that failed. */
static const char *failed(const struct evaluation *wanted, const struct answers *answers)
{
	if (wanted->question.kind != WSGID_ASK_DISPATCH)
		return wsgid_auth_function(wanted->question.kind);
	return answers->reached < 3 ? callable_names[answers->reached] : NULL;
}

/* Inside the interpreter; script is the path with a NUL. */
static void run(struct wsgid_interpreter *interpreter, const struct evaluation *wanted, const char *script,
                struct wsgid_dispatch_cache *cache, PyObject *environ, struct wsgid_dispatch_result *result)
{
	struct answers answers = { { NULL, NULL, NULL }, 0 };
	PyObject *type = NULL, *value = NULL, *traceback = NULL, *module;
	bool broken = false, interrupted;

	if (!slot_begin(wanted->slot, interpreter)) {
		result->kind = WSGID_DISPATCH_INTERRUPTED;
		set_text(&result->message, "interrupted before it began", result);
		return;
	}
	module = load(interpreter, script, wanted->flags, &broken, result);
	py.PyErr_Fetch(&type, &value, &traceback); /* of the import: told after the calls */
	if (module != NULL && wanted->question.kind != WSGID_ASK_DISPATCH)
		wsgid_auth_ask(py.PyModule_GetDict(module), &wanted->question, environ, result);
	else if (module != NULL)
		call_all(module, cache, environ, &answers, result);
	interrupted = slot_end(wanted->slot);
	if (module == NULL && interrupted)
		result->kind = WSGID_DISPATCH_INTERRUPTED;
	else if (module != NULL)
		settle_exception(script, failed(wanted, &answers), interrupted, result);
	py.PyErr_Restore(type, value, traceback);
	if (result->kind == WSGID_DISPATCH_INTERRUPTED)
		wsgid_dispatch_describe(result, script);
	else if (broken && (result->kind == WSGID_DISPATCH_OK || result->kind == WSGID_DISPATCH_LOAD))
		settle_load(cache, script, result);
	py.PyErr_Clear();
	for (int i = 0; i < 3; i++)
		if (answers.values[i] != NULL)
			Py_DECREF(answers.values[i]);
	if (module != NULL)
		Py_DECREF(module);
}

/* Prepares the call and runs it; GIL held. */
static void enter(struct wsgid_interpreter *interpreter, const struct evaluation *wanted,
                  struct wsgid_dispatch_result *result)
{
	struct wsgid_dispatch_cache *cache = NULL;
	struct wsgid_log_context context;
	size_t request_id_length = wanted->request_id_length;
	char request[256];
	const char *path = NULL;
	PyObject *environ = NULL;

	if (wsgid_side_of(interpreter) != NULL)
		cache = wsgid_dispatch_cache_of(interpreter);
	if (cache != NULL)
		path = wsgid_dispatch_path(cache, wanted->script, wanted->script_length);
	if (path != NULL && wanted->question.kind == WSGID_ASK_DISPATCH)
		environ = wsgid_dispatch_environ(cache, wanted->params, wanted->params_length, wanted->request_id,
		                                 request_id_length);
	else if (path != NULL)
		environ = wsgid_auth_environ(cache, wanted->params, wanted->params_length);
	if (environ == NULL) {
		result->kind = WSGID_DISPATCH_INTERPRETER;
		wsgid_dispatch_describe(result, "");
		if (result->message == NULL)
			set_text(&result->message, "unusable script path or no memory", result);
		return;
	}
	if (request_id_length >= sizeof(request))
		request_id_length = sizeof(request) - 1;
	memcpy(request, wanted->request_id, request_id_length);
	request[request_id_length] = 0;
	memset(&context, 0, sizeof(context));
	context.application = interpreter->name;
	context.script = path;
	context.request = request;
	context.error_log = wanted->slot->error_log;
	context.trace = wanted->slot->trace;
	wsgid_log_set_request(&context);
	run(interpreter, wanted, path, cache, environ, result);
	wsgid_streams_flush_thread();
	wsgid_log_set_request(NULL);
	Py_DECREF(environ);
}

/* Evaluates in the interpreter of group. */
static void evaluate_in(const char *group, size_t group_length, const struct evaluation *wanted,
                        struct wsgid_dispatch_result *result)
{
	struct wsgid_interpreter *interpreter = wsgid_interpreter_enter(group, group_length);

	result->kind = WSGID_DISPATCH_OK;
	if (interpreter == NULL) {
		bool limit = wsgid_interpreter_failure() == WSGID_E_INTERPRETER_LIMIT;

		result->kind = limit ? WSGID_DISPATCH_LIMIT : WSGID_DISPATCH_INTERPRETER;
		set_text(&result->message, limit ? "max_interpreters of the router is reached"
		                                 : "the interpreter could not be created", result);
		return;
	}
	enter(interpreter, wanted, result);
	wsgid_interpreter_leave(interpreter);
	if (wsgid_forked)
		_exit(0); /* a child of the script that came back here is no second router */
}

void wsgid_dispatch(struct wsgid_dispatch_slot *slot, const char *script, size_t script_length,
                    const char *group, size_t group_length, const char *params, size_t params_length,
                    const char *request_id, size_t request_id_length, int flags,
                    struct wsgid_dispatch_result *result)
{
	const struct evaluation wanted = { slot, script, params, request_id, script_length, params_length,
		                           request_id_length, flags, { WSGID_ASK_DISPATCH, NULL, NULL, 0, 0 } };

	evaluate_in(group, group_length, &wanted, result);
}

void wsgid_ask(struct wsgid_dispatch_slot *slot, const char *script, size_t script_length, const char *group,
               size_t group_length, const char *params, size_t params_length, const char *request_id,
               size_t request_id_length, int flags, int kind, const char *first, size_t first_length,
               const char *second, size_t second_length, struct wsgid_dispatch_result *result)
{
	const struct evaluation wanted = {
		slot, script, params, request_id, script_length, params_length, request_id_length, flags,
		{ (enum wsgid_question_kind)kind, first, second, first_length, second_length }
	};

	evaluate_in(group, group_length, &wanted, result);
}

void wsgid_dispatch_free_result(struct wsgid_dispatch_result *result)
{
	for (int i = 0; i < 3; i++)
		free(result->overrides[i].text);
	free(result->load_error);
	free(result->function);
	free(result->message);
	free(result->traceback);
	free(result->value);
}
