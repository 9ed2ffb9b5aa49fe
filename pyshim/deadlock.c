/* The thread that asks for GILs. */
#define _GNU_SOURCE
#include "deadlock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "effort.h"
#include "interpreter.h"
#include "log.h"

/* A deadlock is noticed a part of the timeout late; more often would only cost
 * wake-ups. */
enum { PARTS = 4, LONGEST = 60 * 1000000 };

struct wsgid_deadlock {
	uint64_t timeout, period;
	uint64_t next;           /* of the thread that looks: when to ask again */
	_Atomic uint64_t since;  /* a GIL is being waited for; 0: none */
	pthread_mutex_t lock;    /* guards the rest */
	pthread_cond_t changed;
	bool started, wanted, busy, closed;
};

static void probe(struct wsgid_deadlock *d)
{
	for (struct wsgid_interpreter *i = wsgid_interpreter_next(NULL); i; i = wsgid_interpreter_next(i)) {
		atomic_store(&d->since, wsgid_effort_now());
		struct wsgid_interpreter *entered = wsgid_interpreter_enter(i->name, i->name_length);
		atomic_store(&d->since, 0);
		if (entered)
			wsgid_interpreter_leave(entered);
	}
}

static void *prober(void *argument)
{
	struct wsgid_deadlock *d = argument;
	pthread_mutex_lock(&d->lock);
	for (;;) {
		d->busy = false;
		pthread_cond_broadcast(&d->changed);
		while (d->closed || !d->wanted)
			pthread_cond_wait(&d->changed, &d->lock);
		d->wanted = false;
		d->busy = true;
		pthread_mutex_unlock(&d->lock);
		probe(d);
		pthread_mutex_lock(&d->lock);
	}
	return NULL;
}

static void ask(struct wsgid_deadlock *d)
{
	pthread_t thread;
	pthread_mutex_lock(&d->lock);
	d->wanted = true;
	if (!d->started) {
		d->started = pthread_create(&thread, NULL, prober, d) == 0;
		if (d->started)
			pthread_detach(thread);
		else
			wsgid_logf("error", NULL, "no thread to notice deadlocks");
	}
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

uint64_t wsgid_deadlock_period(const struct wsgid_deadlock *d)
{
	return d->period;
}

uint64_t wsgid_deadlock_look(struct wsgid_deadlock *d, uint64_t now)
{
	uint64_t since = atomic_load(&d->since);
	if (since && now >= since + d->timeout)
		return 0;
	if (now >= d->next) {
		if (!since)
			ask(d);
		d->next = now + d->period;
	}
	return since && since + d->timeout < d->next ? since + d->timeout : d->next;
}

void wsgid_deadlock_stop(struct wsgid_deadlock *d)
{
	pthread_mutex_lock(&d->lock);
	d->closed = true;
	while (d->busy)
		pthread_cond_wait(&d->changed, &d->lock);
	pthread_mutex_unlock(&d->lock);
}

struct wsgid_deadlock *wsgid_deadlock_new(uint64_t timeout)
{
	struct wsgid_deadlock *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->timeout = timeout;
	d->period = timeout / PARTS < LONGEST ? timeout / PARTS : LONGEST;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->changed, NULL);
	return d;
}
