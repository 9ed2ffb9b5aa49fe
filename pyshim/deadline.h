/* How long requests run.
 *
 * request_timeout and interrupt_timeout of a group
 * (mod_wsgi behaviour 2.3, 2.4). A request is overdue when it has run longer
 * than request_timeout × (1 + ln threads). With interrupt_timeout the exception
 * RequestTimeout is raised in its thread, once a second; what does not end
 * within that time, and without the option everything overdue, is written off:
 * the process wants to be replaced.
 *
 * An administrator may have it raised in any request (wsgid interrupt).
 *
 * deadlock_timeout (deadlock.h) looks after the GIL while requests run.
 *
 * The main thread looks, without any GIL: it does so in time whatever Python
 * does. A thread of its own (deadline_interrupt.c), made at the first overdue
 * request, enters interpreters. A timer runs only while requests do; the last
 * of them leaves one wake-up behind. */
#ifndef WSGID_DEADLINE_H
#define WSGID_DEADLINE_H

#include "request.h"

struct wsgid_deadlines;

/* Sets server->deadlines; lives as long as the process. 0, or -1 without memory or
 * descriptors. */
int wsgid_deadlines_open(struct wsgid_server *server, const struct wsgid_boot *boot);

/* Readable when wsgid_deadlines_look is to be called, by the main thread; -1:
 * never. */
int wsgid_deadlines_fd(const struct wsgid_server *server);
void wsgid_deadlines_look(struct wsgid_server *server);

/* Has RequestTimeout raised in the request with this id, whatever the time-outs say;
 * what became of it is told on the status channel. False: it does not run. By the
 * main thread. */
bool wsgid_deadlines_interrupt(struct wsgid_server *server, const char *id);

/* Returns when nobody will enter an interpreter any more. All requests have
 * ended. No GIL. */
void wsgid_deadlines_stop(struct wsgid_server *server);

/* In a child that the application forked. Async-signal-safe. */
void wsgid_deadlines_forked(const struct wsgid_server *server);

/* What the thread of a request says about it; nothing when embedded. In this
 * order: */
void wsgid_deadline_begin(struct wsgid_request *r);
void wsgid_deadline_entered(struct wsgid_request *r); /* its interpreter; GIL held */
/* Between these two the exception may come out of any bytecode, and at no
 * other time: GIL held. */
void wsgid_deadline_open(struct wsgid_request *r);
void wsgid_deadline_close(struct wsgid_request *r);
void wsgid_deadline_end(struct wsgid_request *r); /* no GIL */

/* The exception is to be raised: for loops that run no bytecode. No GIL needed. */
bool wsgid_deadline_overdue(const struct wsgid_connection *c);
/* Raises it; GIL held. */
void wsgid_deadline_raise(const struct wsgid_request *r);

#endif
