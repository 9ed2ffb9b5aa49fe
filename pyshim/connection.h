/* One connection of the router: its buffers, its records, and the FastCGI side
 * of the request that runs on it. Knows no Python but the GIL, which is never
 * held over a system call on the socket. One OS thread at a time owns a connection. */
#ifndef WSGID_CONNECTION_H
#define WSGID_CONNECTION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "worker.h"

struct wsgid_connection {
	struct wsgid_server *server;
	int thread;     /* number of the OS thread that serves it now */
	int fd;         /* -1 in a forked child of the application */
	bool broken;    /* peer gone, or out of step: no further request on it */
	int epoll_fd;   /* whose events a body in the middle does not need; -1: none */
	bool muted;     /* events are off until the turn is over */

	/* Received and not consumed: in[in_start, in_end). */
	uint8_t *in;
	size_t in_capacity, in_start, in_end;

	/* STDIN of the running request. */
	uint16_t id;
	bool stdin_ended; /* empty STDIN seen */
	bool aborted;     /* ABORT_REQUEST, or the connection is gone */
	bool timed_out;   /* the router sent nothing for socket_timeout */
	size_t content_left;
	size_t padding_left;

	/* To be sent: out[0, out_length). open: offset of the STDOUT record that
	 * still grows, or NO_RECORD. */
	uint8_t *out;
	size_t out_length;
	size_t out_open;
	atomic_bool out_busy; /* a thread sends or collects; the others wait */
	bool on_wire; /* something of the running response has left */
};

/* True on a serving thread while it is outside Python. Threads that the
 * application made come in with the GIL held. */
extern _Thread_local bool wsgid_outside_python;

/* Opens a connection on fd, watched by epoll_fd (-1: by nobody). 0, or -1
 * without memory. */
int wsgid_connection_open(struct wsgid_connection *c, struct wsgid_server *server, int fd, int epoll_fd);

/* Serves what has arrived, request after request. 0 when it has to wait for
 * the router, -1 when the connection is over. */
int wsgid_connection_turn(struct wsgid_connection *c);

/* Closes its descriptor and frees its buffers. */
void wsgid_connection_close(struct wsgid_connection *c);

#define WSGID_NO_RECORD ((size_t)-1)
#define WSGID_EVENT_OF_NONE 0xfffffffdu /* a negative slot number of the loop */

/* Makes at least need bytes available at in_start. Returns 1, 0 at the end of
 * the stream, -1 on an error (both mark the connection broken), -2 when need
 * is beyond what may be buffered. */
int wsgid_connection_fill(struct wsgid_connection *c, size_t need);

/* STDIN: makes content available. Returns the number of bytes that lie at
 * in_start (take them with wsgid_connection_take), 0 at the end of STDIN, -1 when the
 * request was aborted or the connection broke. */
ssize_t wsgid_connection_body(struct wsgid_connection *c);
void wsgid_connection_take(struct wsgid_connection *c, size_t size);

/* STDIN: receives content straight into to, at least one byte and at most
 * size. Only when wsgid_connection_body left nothing buffered. Same results. */
ssize_t wsgid_connection_body_into(struct wsgid_connection *c, uint8_t *to, size_t size);

/* Wakes a thread of the application that still receives on the connection; no
 * further request on it. */
void wsgid_connection_abandon(struct wsgid_connection *c);

/* Output. Small data is collected, large data goes out at once together with
 * what was collected. Each returns 0, or -1 when the peer is gone. Any thread
 * may call them: write() is the application's to give away. */
int wsgid_output_stdout(struct wsgid_connection *c, const void *data, size_t size);
int wsgid_output_flush(struct wsgid_connection *c);

/* Around a send of the application's thread: leaves Python, marks the slot as
 * writing, and after it the reverse. The time, and that until the GIL was back,
 * is counted. GIL held before the first and after the second. */
uint64_t wsgid_output_leave_python(struct wsgid_connection *c);
void wsgid_output_enter_python(struct wsgid_connection *c, uint64_t began);

/* For who writes to the socket himself: sends what was collected, then keeps
 * other threads out. 0 until wsgid_output_resume, -1 when the peer is gone. */
int wsgid_output_suspend(struct wsgid_connection *c);
void wsgid_output_resume(struct wsgid_connection *c);

/* Appends the end of STDOUT (when with_stdout) and END_REQUEST, and flushes. */
int wsgid_output_end(struct wsgid_connection *c, bool with_stdout, uint32_t app_status,
                     int protocol_status);

/* Sends one small record now. */
int wsgid_output_record(struct wsgid_connection *c, int type, int id, const void *content,
                        size_t size);

/* Drops what was collected and not sent. */
void wsgid_output_discard(struct wsgid_connection *c);

/* Runs the request whose PARAMS stream is given (valid until the connection is
 * read from). Sends everything up to END_REQUEST. request.c */
void wsgid_request_run(struct wsgid_connection *c, const uint8_t *params, size_t size);

#endif
