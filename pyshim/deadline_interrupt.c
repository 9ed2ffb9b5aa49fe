/* The thread that raises RequestTimeout in others. It waits for GILs; nobody
 * waits for it but the end of the process. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "deadline_internal.h"
#include "status.h"

/* The stack of a thread of this interpreter, malloc'ed, NULL when it runs no
 * Python or something fails. frame: where it is, NULL: ask Python. GIL held. */
static char *stack_of(unsigned long thread, PyObject *frame, size_t *length)
{
	PyObject *module = py.PyImport_ImportModule("wsgid.stacks"), *text = NULL, *bytes = NULL;
	char *result = NULL;
	if (module)
		text = py.PyObject_CallMethod(module, "of", "kO", thread, frame ? frame : py.None);
	if (text)
		bytes = py.PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
	*length = bytes ? (size_t)py.PyBytes_Size(bytes) : 0;
	if (*length && (result = malloc(*length)) != NULL)
		memcpy(result, py.PyBytes_AsString(bytes), *length);
	py.PyErr_Clear();
	Py_XDECREF(bytes);
	Py_XDECREF(text);
	Py_XDECREF(module);
	return result;
}

/* Where the request is: its stack, as above. The frame is asked for without
 * looking into other interpreters, where Python can do that. GIL held. */
static char *stack(const struct wsgid_deadlines *d, struct wsgid_deadline *t, uint64_t serial, size_t *length)
{
	PyObject *frame = NULL;
	bool direct = py.PyThreadState_GetFrame && !d->free_threading;
	if (!wsgid_deadline_lock(t, serial))
		return NULL;
	unsigned long thread = t->thread;
	if (direct)
		frame = py.PyThreadState_GetFrame(t->python);
	wsgid_deadline_unlock(t);
	if (direct && !frame)
		return NULL;
	char *text = stack_of(thread, frame, length);
	Py_XDECREF(frame);
	return text;
}

/* Sets the exception, if the request is still in its application. GIL held. */
static bool inject(const struct wsgid_interpreter *interpreter, struct wsgid_deadline *t, uint64_t serial)
{
	PyObject *type = py.PyDict_GetItemString(interpreter->modules, "RequestTimeout"); /* borrowed */
	if (!type || !wsgid_deadline_lock(t, serial))
		return false;
	bool open = (atomic_load(&t->word) & WSGID_DEADLINE_STATE) == WSGID_DEADLINE_OPEN;
	if (open) {
		t->injected = true;
		py.PyThreadState_SetAsyncExc(t->thread, type);
	}
	wsgid_deadline_unlock(t);
	return open;
}

/* The title of what is logged. */
static const char *title_of(const struct wsgid_deadlines *d, bool forced, bool injected)
{
	if (forced)
		return injected ? "request is interrupted by an administrator, RequestTimeout is raised in it"
		                : "request cannot be interrupted there, as an administrator wants";
	if (!d->interrupt)
		return "where the request is:";
	return injected ? "request has run for longer than request_timeout, RequestTimeout is raised in it"
	                : "request has run for longer than request_timeout and cannot be interrupted there";
}

static void tell(const struct wsgid_log_context *context, const char *title, const char *text, size_t length)
{
	struct wsgid_log_context coded = *context;
	struct wsgid_buffer message = {0};
	coded.code = wsgid_error(WSGID_E_REQUEST_TIMEOUT)->text;
	if (wsgid_buffer_add(&message, title, strlen(title)) == 0 && text && wsgid_buffer_add(&message, "\n", 1) == 0)
		wsgid_buffer_add(&message, text, length);
	wsgid_log("warn", &coded, message.data ? message.data : title, message.data ? message.length : strlen(title));
	free(message.data);
}

/* told: its stack was logged before. True: the exception will come out. */
static bool interrupt(const struct wsgid_deadlines *d, struct wsgid_deadline *t, uint64_t serial, bool told, bool forced)
{
	struct wsgid_deadline_subject subject;
	size_t length = 0;
	char *text = NULL;
	bool injected = false;
	if (!wsgid_deadline_lock(t, serial))
		return false;
	wsgid_deadline_describe(t, &subject);
	uint64_t state = atomic_load(&t->word) & WSGID_DEADLINE_STATE;
	wsgid_deadline_unlock(t);
	struct wsgid_interpreter *interpreter = NULL;
	if (state != WSGID_DEADLINE_OUTSIDE)
		interpreter = wsgid_interpreter_enter(subject.application, strlen(subject.application));
	if (interpreter) {
		if (!told)
			text = stack(d, t, serial, &length);
		injected = (d->interrupt || forced) && inject(interpreter, t, serial);
		wsgid_interpreter_leave(interpreter);
	}
	if (!told)
		tell(&subject.context, title_of(d, forced, injected), text, length);
	free(text);
	return injected;
}

/* The thread with something to do; NULL: none. d->lock is held. */
static struct wsgid_deadline *next(const struct wsgid_deadlines *d)
{
	for (int i = 0; i < d->server->threads; i++)
		if (d->threads[i].wanted)
			return &d->threads[i];
	return NULL;
}

static void *interrupter(void *argument)
{
	struct wsgid_deadlines *d = argument;
	struct wsgid_deadline *t;
	pthread_mutex_lock(&d->lock);
	for (;;) {
		d->busy = false;
		pthread_cond_broadcast(&d->changed);
		while (d->closed || (t = next(d)) == NULL)
			pthread_cond_wait(&d->changed, &d->lock);
		uint64_t serial = t->wanted;
		bool forced = t->forced == serial, told = !forced && t->told == serial;
		t->wanted = t->forced = 0;
		if (!forced)
			t->told = serial;
		d->busy = true;
		pthread_mutex_unlock(&d->lock);
		bool injected = interrupt(d, t, serial, told, forced);
		if (forced)
			wsgid_status_event(d->server, "event", "interrupted", "raised", injected ? "1" : "0", NULL);
		pthread_mutex_lock(&d->lock);
	}
	return NULL;
}

static void want(struct wsgid_deadlines *d, struct wsgid_deadline *t, uint64_t serial, bool forced)
{
	pthread_t thread;
	pthread_mutex_lock(&d->lock);
	t->wanted = serial;
	if (forced)
		t->forced = serial;
	if (!d->started) {
		d->started = pthread_create(&thread, NULL, interrupter, d) == 0;
		if (d->started)
			pthread_detach(thread);
		else
			wsgid_logf("error", NULL, "no thread to interrupt requests");
	}
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

void wsgid_deadline_interrupt(struct wsgid_deadlines *d, struct wsgid_deadline *t, uint64_t serial)
{
	want(d, t, serial, false);
}

void wsgid_deadline_force(struct wsgid_deadlines *d, struct wsgid_deadline *t, uint64_t serial)
{
	want(d, t, serial, true);
}

void wsgid_deadlines_stop(struct wsgid_server *server)
{
	struct wsgid_deadlines *d = server->deadlines;
	if (!d)
		return;
	pthread_mutex_lock(&d->lock);
	d->closed = true;
	while (d->busy)
		pthread_cond_wait(&d->changed, &d->lock);
	pthread_mutex_unlock(&d->lock);
	if (d->deadlock)
		wsgid_deadlock_stop(d->deadlock);
}
