/* Framed log records to the supervisor (docs/internals.md section 3). */
#ifndef WSGID_LOG_H
#define WSGID_LOG_H

#include <stddef.h>

/* Room for the key of an error log, which the supervisor makes up. */
enum { WSGID_ERROR_LOG_KEY = 40 };

/* Room for a trace id in hexadecimal. */
enum { WSGID_TRACE_ID = 33 };

/* Who a record belongs to; any pointer may be NULL. */
struct wsgid_log_context {
	const char *application;
	const char *script;
	const char *request;
	const char *trace;     /* id of its trace */
	const char *error_log; /* key of the file of the request's virtual host */
	const char *source; /* "wsgid" when NULL */
	const char *code;
	const char *logger; /* of Python's logging */
	const char *place;  /* where in the source: path, colon, line */
};

/* Sets the descriptor of the channel; before that records go to descriptor 2 as lines. */
void wsgid_log_open(int fd);

/* Sends one record; never fails, drops after 2 s of a full channel. Does not
 * touch the GIL: call without it where that matters. */
void wsgid_log(const char *level, const struct wsgid_log_context *context, const char *message,
               size_t length);

/* The same with printf formatting, cut at 4 KiB. */
void wsgid_logf(const char *level, const struct wsgid_log_context *context, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Context of the request that this OS thread serves now; thread-local, set by
 * the serving loop, read by sys.stdout, sys.stderr and logging objects. */
void wsgid_log_set_request(const struct wsgid_log_context *context);
const struct wsgid_log_context *wsgid_log_request(void);

/* Number of records dropped so far. */
unsigned long wsgid_log_dropped(void);

#endif
