/* Making interpreters. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errcode.h"
#include "interpreter.h"
#include "interpreter_internal.h"
#include "interpreter_settings.h"
#include "log.h"
#include "python_modules.h"
#include "python_variables.h"

/* PyInterpreterConfig, the same in 3.12 to 3.14. */
struct interpreter_config {
	int use_main_obmalloc;
	int allow_fork;
	int allow_exec;
	int allow_threads;
	int allow_daemon_threads;
	int check_multi_interp_extensions;
	int gil; /* 1 shared, 2 own */
};

/* Held while an interpreter is made and never waited for with a GIL. */
static pthread_mutex_t creation = PTHREAD_MUTEX_INITIALIZER;
static size_t count; /* of sub-interpreters; creation */
static struct wsgid_interpreter *main_interpreter;
static struct wsgid_python_options settings;
static bool folds_case; /* set before the first interpreter is used */
static wsgid_interpreter_hook on_new;
static __thread int failure;

bool wsgid_python_folds_case(void)
{
	return folds_case;
}

void wsgid_interpreter_on_new(wsgid_interpreter_hook hook)
{
	on_new = hook;
}

int wsgid_interpreter_failure(void)
{
	return failure;
}

static void fail(enum wsgid_errcode code, const char *name, const char *why)
{
	const struct wsgid_error *error = wsgid_error(code);
	struct wsgid_log_context context = { .application = name, .code = error->text };

	failure = (int)code;
	wsgid_logf("error", &context, "%s: %s", error->title, why);
}

void wsgid_interpreter_failed(const char *name, const char *why)
{
	fail(WSGID_E_INTERPRETER_FAILED, name, why);
}

static void forget(struct wsgid_interpreter *interpreter)
{
	if (interpreter != NULL)
		free(interpreter->name);
	free(interpreter);
}

static struct wsgid_interpreter *new_record(const char *name, size_t length)
{
	struct wsgid_interpreter *interpreter = calloc(1, sizeof(*interpreter));

	if (interpreter == NULL)
		return NULL;
	interpreter->name = strndup(name, length);
	if (interpreter->name == NULL) {
		free(interpreter);
		return NULL;
	}
	interpreter->name_length = length;
	return interpreter;
}

/* threading must be imported by a thread that Python knows as the main one of
 * the interpreter, or 3.8 complains at exit. */
static int prepare(struct wsgid_interpreter *interpreter)
{
	PyObject *threading = py.PyImport_ImportModule("threading");

	if (threading == NULL)
		return -1;
	Py_DECREF(threading);
	if (wsgid_modules_install(interpreter, &settings) != 0 ||
	    wsgid_python_environment(interpreter->name_length == 0) != 0 ||
	    (on_new != NULL && on_new(interpreter) != 0))
		return -1;
	return wsgid_modules_settle(interpreter);
}

int wsgid_interpreter_adopt_main(const struct wsgid_python_options *options, char *error,
                                 size_t error_size)
{
	struct wsgid_interpreter *interpreter = new_record("", 0);
	size_t length;
	char *text;

	settings = *options;
	folds_case = wsgid_interpreter_is_set(settings.interpreters, "", "fold_case");
	if (interpreter == NULL) {
		snprintf(error, error_size, "no memory for the main interpreter");
		return -1;
	}
	interpreter->state = wsgid_py_current_interpreter();
	if (prepare(interpreter) != 0) {
		text = wsgid_py_format_exception(&length);
		snprintf(error, error_size, "prepare Python: %s", text == NULL ? "no memory" : text);
		free(text);
		return -1;
	}
	main_interpreter = interpreter;
	wsgid_interpreter_publish(interpreter);
	if (wsgid_interpreter_remember(interpreter, py.PyThreadState_Get()) != 0) {
		snprintf(error, error_size, "no memory for a thread state");
		return -1;
	}
	py.PyEval_SaveThread();
	return 0;
}

/* A new Python interpreter, whose first thread state is current then and holds
 * its GIL; NULL with the state before current again. */
static PyThreadState *new_python(const char *name)
{
	/* What Python itself calls isolated: own memory, only extensions that say
	 * they can do it, no fork and no daemon threads. */
	static const struct interpreter_config own = { .allow_threads = 1, .check_multi_interp_extensions = 1, .gil = 2 };
	PyThreadState *base = py.PyThreadState_Get(), *state = NULL;
	PyStatus status;

	if (settings.free_threading || !wsgid_interpreter_is_set(settings.interpreters, name, "own_gil"))
		state = py.Py_NewInterpreter();
	else {
		status = py.Py_NewInterpreterFromConfig(&state, &own);
		if (py.PyStatus_Exception(status))
			state = NULL;
	}
	if (state == NULL)
		py.PyThreadState_Swap(base);
	return state;
}

/* Makes an interpreter with a state of the main one current. Returns the
 * record, not published, with its first thread state current; NULL with the
 * main state current again. */
static struct wsgid_interpreter *make(const char *name, size_t length)
{
	PyThreadState *base = py.PyThreadState_Get();
	struct wsgid_interpreter *interpreter = new_record(name, length);
	PyThreadState *first = interpreter == NULL ? NULL : new_python(interpreter->name);
	size_t size;
	char *text;

	if (first == NULL) {
		py.PyErr_Clear();
		wsgid_interpreter_failed(interpreter == NULL ? "" : interpreter->name,
		                         "Python refuses or no memory is left");
		forget(interpreter);
		return NULL;
	}
	interpreter->state = wsgid_py_current_interpreter();
	if (prepare(interpreter) == 0)
		return interpreter;
	text = wsgid_py_format_exception(&size);
	wsgid_interpreter_failed(interpreter->name, text == NULL ? "no memory" : text);
	free(text);
	py.Py_EndInterpreter(first);
	py.PyThreadState_Swap(base);
	forget(interpreter);
	return NULL;
}

/* Whether there may be one more, of this name (no NUL need follow it). */
static bool within_limit(const char *name, size_t length)
{
	char why[128], *text;

	if (settings.max_interpreters == 0 || count < settings.max_interpreters)
		return true;
	snprintf(why, sizeof(why), "max_interpreters is %zu, and this process has so many besides the main one",
	         settings.max_interpreters);
	text = strndup(name, length);
	fail(WSGID_E_INTERPRETER_LIMIT, text == NULL ? "" : text, why);
	free(text);
	return false;
}

/* The first state belongs to nobody afterwards: an OS thread whose only state
 * is one of the new interpreter gets PyGILState_Ensure right in extensions, and
 * that needs a state made while the thread has none other. */
struct wsgid_interpreter *wsgid_interpreter_new(const char *name, size_t length)
{
	struct wsgid_interpreter *interpreter;
	PyThreadState *base;

	if (memchr(name, 0, length) != NULL) {
		wsgid_interpreter_failed("", "its name contains a NUL");
		return NULL;
	}
	pthread_mutex_lock(&creation);
	interpreter = wsgid_interpreter_find(name, length);
	if (interpreter != NULL || !within_limit(name, length))
		goto done;
	base = py.PyThreadState_New(main_interpreter->state);
	if (base == NULL) {
		wsgid_interpreter_failed("", "no memory");
		goto done;
	}
	py.PyEval_RestoreThread(base);
	interpreter = make(name, length);
	if (interpreter != NULL) {
		py.PyThreadState_Swap(base);
		wsgid_interpreter_publish(interpreter);
		count++;
	}
	py.PyThreadState_Clear(base);
	py.PyThreadState_DeleteCurrent();
done:
	pthread_mutex_unlock(&creation);
	return interpreter;
}
