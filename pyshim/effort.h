/* What a request costs its thread: measured only while somebody observes
 * (events.h, metrics.h). Knows neither requests nor Python. */
#ifndef WSGID_EFFORT_H
#define WSGID_EFFORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* All times in microseconds. */
struct wsgid_effort {
	bool measured;
	uint64_t user, system; /* processor time of the thread: at the beginning, then the difference */
	uint64_t input, output; /* spent in receiving and sending while the application runs */
	uint64_t gil_wait;     /* until the GIL was given back */
	uint64_t gil_waits;
};

/* Somebody has subscribed or records in this process; never false again. */
extern atomic_bool wsgid_observed;

/* Of the request that this OS thread serves; NULL: nothing is measured. */
extern _Thread_local struct wsgid_effort *wsgid_effort;

/* Begins to measure on this thread, unless it does already. */
void wsgid_effort_begin(struct wsgid_effort *effort);

/* Turns the processor times into what was used since the beginning. May be
 * called once; receiving, sending and waiting go on being counted until
 * wsgid_effort is NULL. */
void wsgid_effort_end(struct wsgid_effort *effort);

/* Monotonic, microseconds. */
uint64_t wsgid_effort_now(void);

/* The time, or 0 when nothing is measured. */
static inline uint64_t wsgid_effort_clock(void)
{
	return wsgid_effort ? wsgid_effort_now() : 0;
}

/* After the GIL was taken: it was asked for at asked. */
static inline void wsgid_effort_gil(uint64_t asked)
{
	if (!wsgid_effort)
		return;
	wsgid_effort->gil_wait += wsgid_effort_now() - asked;
	wsgid_effort->gil_waits++;
}

#endif
