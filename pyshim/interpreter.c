/* Interpreters by name, and one thread state for each OS thread in each. */
#define _GNU_SOURCE
#include "interpreter.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interpreter_internal.h"
#include "log.h"
#include "python_modules.h"

/* The thread state of this OS thread in one interpreter. */
struct thread_state {
	struct wsgid_interpreter *interpreter;
	PyThreadState *state;
	struct thread_state *next;
};

/* The list of this OS thread, last used first, and what it holds now. The
 * memory lives as long as the process: so do the threads that enter. */
static __thread struct thread_state *states;
static __thread PyThreadState *released; /* between wsgid_gil_release and _acquire */

/* names guards the list only and is never held over a call into Python;
 * creation is held while an interpreter is made and never waited for with a GIL. */
static pthread_mutex_t names = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t creation = PTHREAD_MUTEX_INITIALIZER;
static struct wsgid_interpreter *interpreters;
static struct wsgid_interpreter *main_interpreter;
static const struct wsgid_python_options *settings;
static wsgid_interpreter_hook on_new;

void wsgid_interpreter_on_new(wsgid_interpreter_hook hook)
{
	on_new = hook;
}

struct wsgid_interpreter *wsgid_interpreter_find(const char *name, size_t length)
{
	struct wsgid_interpreter *found;

	pthread_mutex_lock(&names);
	for (found = interpreters; found != NULL; found = found->next)
		if (found->name_length == length && memcmp(found->name, name, length) == 0)
			break;
	pthread_mutex_unlock(&names);
	return found;
}

struct wsgid_interpreter *wsgid_interpreter_next(const struct wsgid_interpreter *after)
{
	struct wsgid_interpreter *next;

	pthread_mutex_lock(&names);
	next = after == NULL ? interpreters : after->next;
	pthread_mutex_unlock(&names);
	return next;
}

static void publish(struct wsgid_interpreter *interpreter)
{
	pthread_mutex_lock(&names);
	interpreter->next = interpreters;
	interpreters = interpreter;
	pthread_mutex_unlock(&names);
}

static struct wsgid_interpreter *new_record(const char *name, size_t length)
{
	struct wsgid_interpreter *interpreter = calloc(1, sizeof(*interpreter));

	if (interpreter == NULL)
		return NULL;
	interpreter->name = malloc(length + 1);
	if (interpreter->name == NULL) {
		free(interpreter);
		return NULL;
	}
	memcpy(interpreter->name, name, length);
	interpreter->name[length] = 0;
	interpreter->name_length = length;
	return interpreter;
}

/* Remembers state for this OS thread. */
static int remember(struct wsgid_interpreter *interpreter, PyThreadState *state)
{
	struct thread_state *entry = malloc(sizeof(*entry));

	if (entry == NULL)
		return -1;
	entry->interpreter = interpreter;
	entry->state = state;
	entry->next = states;
	states = entry;
	return 0;
}

/* This OS thread's state in interpreter, or NULL; moves it to the front. */
static PyThreadState *recall(const struct wsgid_interpreter *interpreter)
{
	for (struct thread_state **at = &states; *at != NULL; at = &(*at)->next) {
		struct thread_state *entry = *at;

		if (entry->interpreter != interpreter)
			continue;
		*at = entry->next;
		entry->next = states;
		states = entry;
		return entry->state;
	}
	return NULL;
}

/* threading must be imported by a thread that Python knows as the main one of
 * the interpreter, or 3.8 complains at exit. */
static int prepare(struct wsgid_interpreter *interpreter)
{
	PyObject *threading = py.PyImport_ImportModule("threading");

	if (threading == NULL)
		return -1;
	Py_DECREF(threading);
	if (wsgid_modules_install(interpreter, settings) != 0)
		return -1;
	return on_new == NULL ? 0 : on_new(interpreter);
}

int wsgid_interpreter_adopt_main(const struct wsgid_python_options *options, char *error,
                                 size_t error_size)
{
	struct wsgid_interpreter *interpreter = new_record("", 0);
	size_t length;
	char *text;

	settings = options;
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
	publish(interpreter);
	if (remember(interpreter, py.PyThreadState_Get()) != 0) {
		snprintf(error, error_size, "no memory for a thread state");
		return -1;
	}
	py.PyEval_SaveThread();
	return 0;
}

static void log_failure(const char *name, const char *why)
{
	struct wsgid_log_context context = { .application = name, .code = "WSGID-1107" };

	wsgid_logf("error", &context, "interpreter could not be created: %s", why);
}

/* Makes an interpreter with a state of the main one current. Returns the
 * record, not published, with its first thread state in *first, which is
 * current then; NULL with the main state current again. */
static struct wsgid_interpreter *make(const char *name, size_t length, PyThreadState **first)
{
	PyThreadState *base = py.PyThreadState_Get();
	struct wsgid_interpreter *interpreter = new_record(name, length);
	size_t size;
	char *text;

	*first = interpreter == NULL ? NULL : py.Py_NewInterpreter();
	if (*first == NULL) {
		py.PyThreadState_Swap(base);
		py.PyErr_Clear();
		log_failure(interpreter == NULL ? "" : interpreter->name, "Python refuses or no memory is left");
		goto failed;
	}
	interpreter->state = wsgid_py_current_interpreter();
	if (prepare(interpreter) == 0)
		return interpreter;
	text = wsgid_py_format_exception(&size);
	log_failure(interpreter->name, text == NULL ? "no memory" : text);
	free(text);
	py.Py_EndInterpreter(*first);
	py.PyThreadState_Swap(base);
failed:
	if (interpreter != NULL)
		free(interpreter->name);
	free(interpreter);
	return NULL;
}

/* Creates the interpreter unless another thread was faster. No GIL held before
 * and after. The first state belongs to nobody afterwards: an OS thread whose
 * only state is one of the new interpreter gets PyGILState_Ensure right in
 * extensions, and that needs a state made while the thread has none other. */
static struct wsgid_interpreter *create(const char *name, size_t length)
{
	struct wsgid_interpreter *interpreter;
	PyThreadState *base, *first;

	pthread_mutex_lock(&creation);
	interpreter = wsgid_interpreter_find(name, length);
	if (interpreter != NULL)
		goto done;
	base = py.PyThreadState_New(main_interpreter->state);
	if (base == NULL) {
		log_failure("", "no memory");
		goto done;
	}
	py.PyEval_RestoreThread(base);
	interpreter = make(name, length, &first);
	if (interpreter != NULL)
		py.PyThreadState_Swap(base);
	py.PyThreadState_Clear(base);
	py.PyThreadState_DeleteCurrent();
	if (interpreter != NULL)
		publish(interpreter);
done:
	pthread_mutex_unlock(&creation);
	return interpreter;
}

struct wsgid_interpreter *wsgid_interpreter_enter(const char *name, size_t length)
{
	struct wsgid_interpreter *interpreter;
	PyThreadState *state;

	if (states != NULL && states->interpreter->name_length == length &&
	    memcmp(states->interpreter->name, name, length) == 0) {
		py.PyEval_RestoreThread(states->state);
		return states->interpreter;
	}
	if (memchr(name, 0, length) != NULL) {
		log_failure("", "its name contains a NUL");
		return NULL;
	}
	interpreter = wsgid_interpreter_find(name, length);
	if (interpreter == NULL)
		interpreter = create(name, length);
	if (interpreter == NULL)
		return NULL;
	state = recall(interpreter);
	if (state == NULL) {
		state = py.PyThreadState_New(interpreter->state);
		if (state == NULL || remember(interpreter, state) != 0) {
			log_failure(interpreter->name, "no memory for a thread state");
			return NULL;
		}
	}
	py.PyEval_RestoreThread(state);
	return interpreter;
}

void wsgid_interpreter_leave(struct wsgid_interpreter *interpreter)
{
	py.PyEval_SaveThread();
}

void wsgid_interpreter_probe(void)
{
	struct wsgid_interpreter *interpreter = wsgid_interpreter_enter("", 0);

	if (interpreter != NULL)
		wsgid_interpreter_leave(interpreter);
}

void wsgid_gil_release(void)
{
	released = py.PyEval_SaveThread();
}

void wsgid_gil_acquire(void)
{
	PyThreadState *state = released;

	released = NULL;
	py.PyEval_RestoreThread(state);
}

/* Runs what must run at the end of an interpreter that is not torn down. Not
 * threading._shutdown: in a sub-interpreter it waits for the end of the thread
 * that made the interpreter (3.9 to 3.12). */
static void run_exit_functions(void)
{
	static const char code[] =
	    "import atexit, sys, threading\n"
	    "for f in reversed(getattr(threading, '_threading_atexits', ())):\n"
	    "    f()\n"
	    "for t in threading.enumerate():\n"
	    "    if not (t.daemon or t is threading.main_thread() or t is threading.current_thread()):\n"
	    "        t.join()\n"
	    "atexit._run_exitfuncs()\n"
	    "for f in (sys.stdout, sys.stderr):\n"
	    "    if f is not None:\n"
	    "        f.flush()\n";
	PyObject *dict = py.PyDict_New();
	PyObject *compiled = py.Py_CompileString(code, "<wsgid>/exit", Py_file_input);
	PyObject *result = NULL;

	if (dict != NULL && compiled != NULL &&
	    py.PyDict_SetItemString(dict, "__builtins__", py.PyEval_GetBuiltins()) == 0)
		result = py.PyEval_EvalCode(compiled, dict, dict);
	if (result == NULL)
		wsgid_py_print_exception();
	Py_XDECREF(result);
	Py_XDECREF(compiled);
	Py_XDECREF(dict);
}

void wsgid_python_finish(void)
{
	bool alone = true;

	if (main_interpreter == NULL)
		return;
	for (struct wsgid_interpreter *i = interpreters; i != NULL; i = i->next) {
		if (i == main_interpreter)
			continue;
		alone = false;
		if (wsgid_interpreter_enter(i->name, i->name_length) == NULL)
			continue;
		run_exit_functions();
		wsgid_interpreter_leave(i);
	}
	if (wsgid_interpreter_enter("", 0) == NULL)
		return;
	/* Tearing a sub-interpreter down needs every thread state in it gone, and
	 * daemon threads of the application cannot be made to go: Python would
	 * abort. The exit functions have run; the process ends now anyway. */
	if (alone) {
		py.Py_FinalizeEx();
		return;
	}
	run_exit_functions();
	wsgid_interpreter_leave(main_interpreter);
}
