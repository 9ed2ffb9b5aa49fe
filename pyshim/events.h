/* Events for subscribers (mod_wsgi behaviour 9.1). The lists of subscribers
 * belong to an interpreter and are the application's to change: an empty one is
 * all that a request looks at. Every function here is called with the GIL, in
 * the interpreter; what a subscriber raises is logged and harms nobody. */
#ifndef WSGID_EVENTS_H
#define WSGID_EVENTS_H

#include "fork.h"
#include "request.h"

/* Somebody wants the events of r. A child that the application forked tells
 * nobody. */
static inline bool wsgid_events_wanted(const struct wsgid_request *r)
{
	return py.PyList_Size(r->side->event_callbacks) > 0 && !wsgid_forked;
}

/* request_started. Returns what is to be called instead of the application: a
 * new reference, NULL: the application itself. */
PyObject *wsgid_event_started(struct wsgid_request *r, PyObject *application, PyObject *environ);

/* response_started; exc_info may be None. */
void wsgid_event_response(struct wsgid_request *r, PyObject *status, PyObject *headers, PyObject *exc_info);

/* request_exception, of the exception that is set, and stays so. */
void wsgid_event_exception(struct wsgid_request *r);

/* request_finished. */
void wsgid_event_finished(struct wsgid_request *r, PyObject *environ);

/* Calls each of a list as callback(name, **payload), in order, on a snapshot.
 * A dict that one returns is merged into payload for the next. context is for
 * the log. No exception may be set. */
void wsgid_events_publish(PyObject *callbacks, const char *name, PyObject *payload,
                          const struct wsgid_log_context *context);

#endif
