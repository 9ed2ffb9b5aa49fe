/* Interpreters by name, and one thread state for each OS thread in each. */
#define _GNU_SOURCE
#include "interpreter.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "interpreter_internal.h"

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

/* Guards the list only and is never held over a call into Python. */
static pthread_mutex_t names = PTHREAD_MUTEX_INITIALIZER;
static struct wsgid_interpreter *interpreters;

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

void wsgid_interpreter_publish(struct wsgid_interpreter *interpreter)
{
	pthread_mutex_lock(&names);
	interpreter->next = interpreters;
	interpreters = interpreter;
	pthread_mutex_unlock(&names);
}

int wsgid_interpreter_remember(struct wsgid_interpreter *interpreter, PyThreadState *state)
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

struct wsgid_interpreter *wsgid_interpreter_enter(const char *name, size_t length)
{
	struct wsgid_interpreter *interpreter;
	PyThreadState *state;

	if (states != NULL && states->interpreter->name_length == length &&
	    memcmp(states->interpreter->name, name, length) == 0) {
		py.PyEval_RestoreThread(states->state);
		return states->interpreter;
	}
	interpreter = wsgid_interpreter_find(name, length);
	if (interpreter == NULL)
		interpreter = wsgid_interpreter_new(name, length);
	if (interpreter == NULL)
		return NULL;
	state = recall(interpreter);
	if (state == NULL) {
		state = py.PyThreadState_New(interpreter->state);
		if (state == NULL || wsgid_interpreter_remember(interpreter, state) != 0) {
			wsgid_interpreter_failed(interpreter->name, "no memory for a thread state");
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

const struct wsgid_interpreter *wsgid_interpreter_last(void)
{
	return states != NULL ? states->interpreter : NULL;
}

void *wsgid_interpreter_last_state(void)
{
	return states != NULL ? states->state : NULL;
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
