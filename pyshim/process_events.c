/* Telling every interpreter, one after another. */
#include "process_events.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "errors_stream.h"
#include "events.h"

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned long long pending; /* signals to be told */
	bool thread;                /* there is one that tells them; it stays, as its thread states do */
	bool telling;
	bool closed;                /* no further ones: the process stops */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* Which list of a side are the event's own subscribers, told after the others. */
static PyObject *stopping_list(const struct wsgid_side *side)
{
	return side->shutdown_callbacks;
}

static PyObject *signal_list(const struct wsgid_side *side)
{
	return side->signal_callbacks;
}

/* In each interpreter: subscribers of events, then those of list. payload makes
 * the payload of an interpreter: new reference, or NULL with an exception. */
static void publish(const char *name, PyObject *(*list)(const struct wsgid_side *), PyObject *(*payload)(const void *),
                    const void *closure)
{
	struct wsgid_interpreter *interpreter = NULL;
	while ((interpreter = wsgid_interpreter_next(interpreter)) != NULL) {
		const struct wsgid_side *side = interpreter->keys;
		struct wsgid_log_context context = {.application = interpreter->name};
		if (!side || !wsgid_interpreter_enter(interpreter->name, interpreter->name_length))
			continue;
		PyObject *lists[] = {side->event_callbacks, list(side)};
		PyObject *with = NULL;
		wsgid_log_set_request(&context);
		for (size_t i = 0; i < 2; i++) {
			if (py.PyList_Size(lists[i]) <= 0)
				continue;
			if (!with && !(with = payload(closure)))
				wsgid_log_exception(&context, NULL, name);
			else
				wsgid_events_publish(lists[i], name, with, &context);
		}
		Py_XDECREF(with);
		wsgid_streams_flush_thread();
		wsgid_log_set_request(NULL);
		wsgid_interpreter_leave(interpreter);
	}
}

static PyObject *stopping_payload(const void *closure)
{
	const char *reason = closure;
	return py.Py_BuildValue("{ss}", "shutdown_reason", reason);
}

static PyObject *signal_payload(const void *closure)
{
	int number = *(const int *)closure;
	return py.Py_BuildValue("{sssi}", "signame", number == SIGHUP ? "SIGHUP" : "SIGUSR2", "signum", number);
}

static void *tell(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&state.lock);
	for (;;) {
		state.telling = false;
		pthread_cond_broadcast(&state.changed);
		while (!state.pending)
			pthread_cond_wait(&state.changed, &state.lock);
		int number = __builtin_ctzll(state.pending);
		state.pending &= ~(1ULL << number);
		state.telling = true;
		pthread_mutex_unlock(&state.lock);
		publish("process_signal", signal_list, signal_payload, &number);
		pthread_mutex_lock(&state.lock);
	}
	return NULL;
}

void wsgid_process_signals(unsigned long long signals)
{
	pthread_t thread;
	pthread_mutex_lock(&state.lock);
	if (!state.closed)
		state.pending |= signals;
	if (state.pending && !state.thread) {
		state.thread = pthread_create(&thread, NULL, tell, NULL) == 0;
		if (state.thread)
			pthread_detach(thread);
		else
			wsgid_logf("error", NULL, "no thread to tell subscribers of a signal");
	}
	pthread_cond_broadcast(&state.changed);
	pthread_mutex_unlock(&state.lock);
}

void wsgid_process_stopping(const char *reason)
{
	pthread_mutex_lock(&state.lock);
	state.closed = true;
	state.pending = 0;
	while (state.telling)
		pthread_cond_wait(&state.changed, &state.lock);
	pthread_mutex_unlock(&state.lock);
	publish("process_stopping", stopping_list, stopping_payload, reason);
}
