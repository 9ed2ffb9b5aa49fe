/* Counters of the threads of a worker (or of the router's embedded threads):
 * what process_metrics() and request_metrics() of module mod_wsgi tell.
 *
 * Each thread writes a meter of its own, with plain stores. What request_metrics()
 * is made of is kept only after somebody asked for it, under a lock that the
 * thread and the reader share. */
#ifndef WSGID_METRICS_H
#define WSGID_METRICS_H

#include <pthread.h>
#include <stdatomic.h>

#include "request.h"

struct wsgid_interval;

/* Of one thread. */
struct wsgid_meter {
	_Alignas(64) _Atomic(struct wsgid_request *) request; /* that runs; see request_data.c */
	atomic_uint watchers;        /* threads that look at request */
	_Atomic uint64_t started;    /* daemon_start of request, 0: none runs */
	_Atomic uint64_t requests;   /* finished; written by the thread alone, as busy is */
	_Atomic uint64_t busy;       /* microseconds */
	pthread_mutex_t lock;        /* guards *interval */
	struct wsgid_interval *interval; /* NULL: not recorded. Set before the thread can see it */
};

/* Makes a server the one that is measured in this process, with room for that
 * many meters. 0, -1 without memory. */
int wsgid_metrics_open(struct wsgid_server *server, int room);

/* Sees to it that the server has the meters below number, which is within its
 * room. Not called by two threads at once. 0, -1 without memory. No GIL. */
int wsgid_metrics_grow(struct wsgid_server *server, int number);

/* The server that is measured; NULL: there is none (yet). */
struct wsgid_server *wsgid_metrics_server(void);

static inline struct wsgid_meter *wsgid_meter_of(const struct wsgid_request *r)
{
	return r->connection->server->meters[r->connection->thread];
}

/* The thread was busy with a connection for some microseconds. */
static inline void wsgid_meter_busy(const struct wsgid_connection *c, uint64_t took)
{
	_Atomic uint64_t *busy = &c->server->meters[c->thread]->busy;
	atomic_store_explicit(busy, atomic_load_explicit(busy, memory_order_relaxed) + took, memory_order_relaxed);
}

/* A request is over that was not refused. No GIL needed. */
void wsgid_meter_finish(struct wsgid_request *r);

/* Begins to keep what wsgid_metrics_interval gives; again: nothing. 0, -1
 * without memory (MemoryError is set). GIL held. */
int wsgid_metrics_record(void);

/* What the threads did since the beginning, and since the last call: dicts for
 * wsgid/metrics.py, new references; None: nothing is recorded. NULL with an
 * exception. GIL held. */
PyObject *wsgid_metrics_process(void);
PyObject *wsgid_metrics_interval(void);

#endif
