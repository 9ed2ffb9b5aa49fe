/* What deadline.c and deadline_interrupt.c share. */
#ifndef WSGID_DEADLINE_INTERNAL_H
#define WSGID_DEADLINE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "deadline.h"
#include "deadlock.h"

enum {
	WSGID_DEADLINE_NONE,    /* no request */
	WSGID_DEADLINE_OUTSIDE, /* not in Python yet */
	WSGID_DEADLINE_INSIDE,  /* in its interpreter */
	WSGID_DEADLINE_OPEN,    /* in the application: the exception may be raised */
	WSGID_DEADLINE_STATE = 3,
	WSGID_DEADLINE_LOCKED = 4, /* somebody else looks: the thread waits before it changes the state */
	WSGID_DEADLINE_SERIAL = 8, /* the number of the request counts in these */
};

/* One request thread. */
struct wsgid_deadline {
	_Alignas(64) _Atomic uint64_t word; /* state, lock and serial */
	_Atomic uint64_t started;           /* microseconds, CLOCK_MONOTONIC */
	atomic_bool overdue;                /* of this request, set by the main thread */
	struct wsgid_request *request;      /* read while locked */
	PyThreadState *python;              /* set when INSIDE; read while locked */
	unsigned long thread;               /* the same, as Python calls it */
	bool injected;                      /* written while locked, read after OPEN */

	/* Of the main thread alone. */
	uint64_t seen;   /* serial of the request that is overdue */
	uint64_t since;  /* since when that is known */
	bool written_off;

	/* Below the interrupter's lock. */
	uint64_t wanted; /* serial of the request to be interrupted, 0: none */
	uint64_t told;   /* serial of the request whose stack was logged */
	uint64_t forced; /* serial of the request that an administrator interrupts */
};

struct wsgid_deadlines {
	struct wsgid_server *server;
	uint64_t timeout, limit, interrupt; /* microseconds; limit is that of a request; 0: none */
	struct wsgid_deadlock *deadlock;    /* NULL: not looked after */
	uint64_t first; /* how long after the first request has begun to look */
	bool free_threading;
	int timer_fd;
	atomic_bool armed;  /* the timer runs, or the main thread is about to see to it */
	atomic_bool poked;  /* a request has ended that the main thread may wait for */
	bool drained;       /* told that nobody need wait for what runs */
	struct wsgid_deadline *threads;

	/* The interrupter. */
	pthread_mutex_t lock; /* guards the next three; held for a few instructions */
	pthread_cond_t changed;
	bool started, busy, closed;
};

/* Of a request, copied. */
struct wsgid_deadline_subject {
	char id[256], application[1024], script[4096], error_log[WSGID_ERROR_LOG_KEY], trace[WSGID_TRACE_ID];
	struct wsgid_log_context context; /* points into it */
};

/* Locks the request with that serial, if it is still the one of the thread; false:
 * it is not, or somebody else has it. */
bool wsgid_deadline_lock(struct wsgid_deadline *t, uint64_t serial);
void wsgid_deadline_unlock(struct wsgid_deadline *t);
/* Copies who it is about; locked. */
void wsgid_deadline_describe(const struct wsgid_deadline *t, struct wsgid_deadline_subject *to);

/* Has the exception raised in a request, or without interrupt_timeout its stack
 * logged. Called by the main thread; does not wait for Python. */
void wsgid_deadline_interrupt(struct wsgid_deadlines *d, struct wsgid_deadline *t, uint64_t serial);

/* Has it raised in a request that an administrator has chosen. */
void wsgid_deadline_force(struct wsgid_deadlines *d, struct wsgid_deadline *t, uint64_t serial);

#endif
