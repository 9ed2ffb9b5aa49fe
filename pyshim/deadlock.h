/* deadlock_timeout of a group (mod_wsgi behaviour 2.3): a thread of its own, made
 * with the first look, takes the GIL of each interpreter and gives it back, from
 * time to time. Who asks for it does not wait. */
#ifndef WSGID_DEADLOCK_H
#define WSGID_DEADLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct wsgid_deadlock;

/* timeout in microseconds. NULL without memory; lives as long as the process. */
struct wsgid_deadlock *wsgid_deadlock_new(uint64_t timeout);

/* How long after the beginning of a request to look, microseconds. */
uint64_t wsgid_deadlock_period(const struct wsgid_deadlock *d);

/* Called by one thread, while requests run; now is of CLOCK_MONOTONIC. Returns
 * when to look again, 0: a GIL has been waited for for the whole timeout. No GIL. */
uint64_t wsgid_deadlock_look(struct wsgid_deadlock *d, uint64_t now);

/* Returns when no GIL is asked for any more, and none will be. No GIL. */
void wsgid_deadlock_stop(struct wsgid_deadlock *d);

#endif
