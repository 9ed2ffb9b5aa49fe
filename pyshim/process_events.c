/* Telling every interpreter, one after another. */
#include "process_events.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

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

/* Of process_signal, or of process_stopping when number is 0: a new dict, or NULL
 * with an exception. */
static PyObject *payload_of(int number, const char *reason)
{
	if (!number)
		return py.Py_BuildValue("{ss}", "shutdown_reason", reason);
	return py.Py_BuildValue("{sssi}", "signame", number == SIGHUP ? "SIGHUP" : "SIGUSR2", "signum", number);
}

/* The subscribers of events, then those of this one alone. Inside interpreter. */
static void publish_in(const struct wsgid_interpreter *interpreter, int number, const char *reason)
{
	const struct wsgid_side *side = interpreter->keys;
	const struct wsgid_log_context context = {.application = interpreter->name};
	const char *name = number ? "process_signal" : "process_stopping";
	PyObject *lists[] = {side->event_callbacks, number ? side->signal_callbacks : side->shutdown_callbacks};
	PyObject *payload = payload_of(number, reason);
	wsgid_log_set_request(&context);
	if (!payload)
		wsgid_log_exception(&context, NULL, name);
	for (size_t i = 0; payload && i < 2; i++)
		wsgid_events_publish(lists[i], name, payload, &context);
	Py_XDECREF(payload);
	wsgid_streams_flush_thread();
	wsgid_log_set_request(NULL);
}

static void publish(int number, const char *reason)
{
	struct wsgid_interpreter *interpreter = NULL;
	while ((interpreter = wsgid_interpreter_next(interpreter)) != NULL) {
		if (!interpreter->keys || !wsgid_interpreter_enter(interpreter->name, interpreter->name_length))
			continue;
		publish_in(interpreter, number, reason);
		if (wsgid_forked)
			_exit(0); /* a child of a subscriber that came back here is no second worker */
		wsgid_interpreter_leave(interpreter);
	}
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
		publish(number, NULL);
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
	publish(0, reason);
}
