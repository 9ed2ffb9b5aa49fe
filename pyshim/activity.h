/* inactivity_timeout of a group (mod_wsgi behaviour 2.3): a process that has
 * served something and then nothing for so long wants to be replaced by a fresh
 * one, which holds no memory of what it did. */
#ifndef WSGID_ACTIVITY_H
#define WSGID_ACTIVITY_H

#include "request.h"

struct wsgid_activity;

/* Sets server->activity, NULL without inactivity_timeout; lives as long as the
 * process. 0, or -1 without memory or descriptors. */
int wsgid_activity_open(struct wsgid_server *server, const struct wsgid_boot *boot);

/* Readable when wsgid_activity_look is to be called, by the main thread; -1:
 * never. */
int wsgid_activity_fd(const struct wsgid_server *server);
void wsgid_activity_look(struct wsgid_server *server);

/* In a child that the application forked. Async-signal-safe. */
void wsgid_activity_forked(const struct wsgid_server *server);

void wsgid_activity_note(struct wsgid_activity *activity);

/* The application is called, reads or writes. */
static inline void wsgid_activity_touch(const struct wsgid_request *r)
{
	struct wsgid_activity *activity = r->connection->server->activity;
	if (activity && !r->ignore_activity)
		wsgid_activity_note(activity);
}

#endif
