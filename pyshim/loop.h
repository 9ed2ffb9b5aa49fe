/* The worker's loop: N threads that serve the router's connections as these
 * become readable. A connection binds no thread.
 *
 * One thread at a time, the leader, waits for events. It puts what is ready
 * into a queue, gives the leadership up and serves the queue itself; the
 * others sleep, the one that slept last is woken first. Another thread is
 * woken only when that pays: at once when requests are long, else when the
 * running one has not ended two milliseconds later. Requests of a few
 * microseconds are thus served by one thread, without a change of thread or a
 * quarrel about the GIL for each. */
#ifndef WSGID_LOOP_H
#define WSGID_LOOP_H

#include <sys/types.h>

#include "worker.h"

struct wsgid_loop;

/* A loop over a listening socket (non-blocking), of which it takes as many
 * connections at once as the server has threads, all of router_uid. It is
 * never freed: threads may look at it until the process ends. NULL with errno. */
struct wsgid_loop *wsgid_loop_new(struct wsgid_server *server, int listen_fd, uid_t router_uid);

/* Serves until the loop was stopped and its last connection has closed.
 * number: of this OS thread, 0-based. The GIL is not held. */
void wsgid_loop_run(struct wsgid_loop *loop, int number);

/* Takes no further connection; ends those where nothing runs, the others with
 * their request. Requests that have arrived are refused. server->stopping and
 * retiring are set. */
void wsgid_loop_stop(struct wsgid_loop *loop);

/* Becomes readable when wsgid_loop_timer has to be called, by one thread that
 * serves nothing. */
int wsgid_loop_timer_fd(const struct wsgid_loop *loop);
void wsgid_loop_timer(struct wsgid_loop *loop);

/* In a child that the application forked: closes the loop's descriptors.
 * Async-signal-safe. */
void wsgid_loop_forked(struct wsgid_loop *loop);

#endif
