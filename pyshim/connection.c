/* Receiving, and a thread's loop on one connection: FastCGI records in,
 * requests one after another (docs/internals.md section 5). */
#define _GNU_SOURCE
#include "connection.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "effort.h"
#include "fork.h"
#include "interpreter.h"
#include "log.h"
#include "metrics.h"
#include "output.h"
#include "record.h"
#include "scoreboard.h"

enum {
	IN_FIRST = 16 * 1024,              /* a request of ordinary size in one recv */
	IN_MAX = 1024 * 1024 + 64 * 1024,  /* PARAMS up to 1 MiB and a record */
	PARAMS_MAX = 1024 * 1024,
	/* Asked for how much a socket holds that the router has not taken yet: a
	 * response goes on while it is busy. The kernel gives twice that, at most
	 * twice net.core.wmem_max. */
	SEND_BUFFER = 512 * 1024,
};

_Thread_local bool wsgid_outside_python;

/* A thread that receives on its own needs no events: each piece of a body
 * would wake the one that waits for them. */
static void mute(struct wsgid_connection *c)
{
	/* A hang-up is told in any case: edge-triggered, so that it is told once. */
	struct epoll_event none = {.events = EPOLLET, .data.u64 = WSGID_EVENT_OF_NONE};
	if (c->epoll_fd < 0 || c->muted)
		return;
	c->muted = epoll_ctl(c->epoll_fd, EPOLL_CTL_MOD, c->fd, &none) == 0;
}

/* One receive without the GIL. Returns bytes, 0 at the end, -1. */
static ssize_t receive(struct wsgid_connection *c, struct iovec *vector, int count)
{
	bool python = !wsgid_outside_python;
	ssize_t got;
	if (c->broken || c->fd < 0 || wsgid_forked)
		return -1;
	uint64_t began = wsgid_effort_clock();
	if (python) {
		wsgid_scoreboard_state(c->server, c->thread, WSGID_SLOT_READING);
		wsgid_outside_python = true;
		wsgid_gil_release();
	}
	mute(c);
	do {
		got = count == 1 ? recv(c->fd, vector->iov_base, vector->iov_len, 0)
		                 : readv(c->fd, vector, count);
	} while (got < 0 && errno == EINTR);
	bool late = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
	if (python) {
		uint64_t ended = wsgid_effort_clock();
		wsgid_gil_acquire();
		wsgid_effort_gil(ended);
		if (wsgid_effort)
			wsgid_effort->input += ended - began;
		wsgid_outside_python = false;
		wsgid_scoreboard_state(c->server, c->thread, WSGID_SLOT_APPLICATION);
	}
	if (late)
		c->timed_out = true; /* an answer can still be sent */
	else if (got <= 0)
		c->broken = true;
	return got;
}

/* Makes room for need bytes from in_start on. */
static int make_room(struct wsgid_connection *c, size_t need)
{
	if (c->in_start == c->in_end)
		c->in_start = c->in_end = 0;
	if (c->in_start + need <= c->in_capacity)
		return 0;
	if (c->in_start) {
		memmove(c->in, c->in + c->in_start, c->in_end - c->in_start);
		c->in_end -= c->in_start;
		c->in_start = 0;
	}
	if (need <= c->in_capacity)
		return 0;
	if (need > IN_MAX)
		return -2;
	size_t capacity = c->in_capacity;
	while (capacity < need)
		capacity *= 2;
	uint8_t *bigger = realloc(c->in, capacity);
	if (!bigger)
		return -2;
	c->in = bigger;
	c->in_capacity = capacity;
	return 0;
}

int wsgid_connection_fill(struct wsgid_connection *c, size_t need)
{
	if (c->in_end - c->in_start >= need)
		return 1;
	int room = make_room(c, need);
	if (room < 0)
		return room;
	while (c->in_end - c->in_start < need) {
		struct iovec vector = {c->in + c->in_end, c->in_capacity - c->in_end};
		ssize_t got = receive(c, &vector, 1);
		if (got <= 0)
			return got < 0 ? -1 : 0;
		c->in_end += (size_t)got;
	}
	return 1;
}

void wsgid_connection_take(struct wsgid_connection *c, size_t size)
{
	c->in_start += size;
	c->content_left -= size;
}

/* Drops size bytes of the stream. */
static int skip(struct wsgid_connection *c, size_t size)
{
	while (size) {
		int filled = wsgid_connection_fill(c, 1);
		if (filled <= 0)
			return -1;
		size_t part = c->in_end - c->in_start;
		if (part > size)
			part = size;
		c->in_start += part;
		size -= part;
	}
	return 0;
}

/* Answers GET_VALUES with what this thread is. */
static int get_values(struct wsgid_connection *c, const struct fcgi_record *record)
{
	uint8_t answer[512];
	size_t at = 0, position = 0;
	struct fcgi_pair pair;
	char pid[24], thread[24];
	size_t need = FCGI_HEADER + (size_t)record->length + record->padding;
	if (wsgid_connection_fill(c, need) <= 0)
		return -1;
	snprintf(pid, sizeof pid, "%ld", (long)getpid());
	snprintf(thread, sizeof thread, "%d", c->thread + 1);
	const struct {
		const char *name, *value;
	} known[] = {
	    {"WSGID_PID", pid},         {"WSGID_THREAD", thread},  {"WSGID_GENERATION", "0"},
	    {"FCGI_MAX_CONNS", "1"},    {"FCGI_MAX_REQS", "1"},    {"FCGI_MPXS_CONNS", "0"},
	};
	unsigned given = 0;
	const uint8_t *content = c->in + c->in_start + FCGI_HEADER;
	while (fcgi_next_pair(content, record->length, &position, &pair) > 0) {
		for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
			if (given & 1u << i || pair.name_length != strlen(known[i].name) ||
			    memcmp(pair.name, known[i].name, pair.name_length) != 0)
				continue;
			given |= 1u << i;
			at += fcgi_put_pair(answer + at, known[i].name, known[i].value);
		}
	}
	c->in_start += need;
	return wsgid_output_record(c, FCGI_GET_VALUES_RESULT, 0, answer, at);
}

/* A record that is no part of the running request, its header at in_start. */
static int foreign_record(struct wsgid_connection *c, const struct fcgi_record *record)
{
	if (record->id == 0 && record->type == FCGI_GET_VALUES)
		return get_values(c, record);
	if (record->id == 0) {
		uint8_t content[8] = {record->type};
		if (wsgid_output_record(c, FCGI_UNKNOWN_TYPE, 0, content, sizeof content) < 0)
			return -1;
	}
	c->in_start += FCGI_HEADER;
	return skip(c, (size_t)record->length + record->padding);
}

/* A BEGIN_REQUEST with another id while one runs: refused for that id alone. */
static int second_request(struct wsgid_connection *c, const struct fcgi_record *record)
{
	uint8_t end[16];
	fcgi_put_end(end, record->id, 0, FCGI_CANT_MPX_CONN);
	c->in_start += FCGI_HEADER;
	if (skip(c, (size_t)record->length + record->padding) < 0)
		return -1;
	return wsgid_output_record(c, FCGI_END_REQUEST, record->id, end + FCGI_HEADER, 8);
}

ssize_t wsgid_connection_body(struct wsgid_connection *c)
{
	for (;;) {
		if (c->aborted)
			return -1;
		if (c->content_left) {
			if (wsgid_connection_fill(c, 1) <= 0)
				goto gone;
			size_t have = c->in_end - c->in_start;
			return (ssize_t)(have < c->content_left ? have : c->content_left);
		}
		if (c->padding_left) {
			if (skip(c, c->padding_left) < 0)
				goto gone;
			c->padding_left = 0;
		}
		if (c->stdin_ended)
			return 0;
		if (wsgid_connection_fill(c, FCGI_HEADER) <= 0)
			goto gone;
		struct fcgi_record record = fcgi_get(c->in + c->in_start);
		if (record.version != 1)
			goto gone;
		if (record.id == c->id && record.type == FCGI_STDIN) {
			c->in_start += FCGI_HEADER;
			c->content_left = record.length;
			c->padding_left = record.padding;
			c->stdin_ended = record.length == 0;
			continue;
		}
		if (record.id == c->id && record.type == FCGI_ABORT_REQUEST) {
			c->in_start += FCGI_HEADER;
			c->aborted = true;
			if (skip(c, (size_t)record.length + record.padding) < 0)
				goto gone;
			continue;
		}
		/* A new request or more parameters under the id that runs: the peer
		 * and we disagree about where we are. */
		if (record.id == c->id && (record.type == FCGI_BEGIN_REQUEST || record.type == FCGI_PARAMS))
			goto gone;
		int done = record.type == FCGI_BEGIN_REQUEST ? second_request(c, &record)
		                                             : foreign_record(c, &record);
		if (done < 0)
			goto gone;
	}
gone:
	c->broken = c->broken || !c->timed_out;
	c->aborted = true;
	return -1;
}

ssize_t wsgid_connection_body_into(struct wsgid_connection *c, uint8_t *to, size_t size)
{
	size_t part = size < c->content_left ? size : c->content_left;
	if (make_room(c, 1) < 0)
		return -1;
	/* What follows the content (padding, the next header, the end) comes along. */
	struct iovec vector[2] = {{to, part}, {c->in + c->in_end, c->in_capacity - c->in_end}};
	ssize_t got = receive(c, vector, part == c->content_left ? 2 : 1);
	if (got <= 0) {
		c->aborted = true;
		return -1;
	}
	if ((size_t)got > part) {
		c->in_end += (size_t)got - part;
		got = (ssize_t)part;
	}
	c->content_left -= (size_t)got;
	return got;
}

void wsgid_connection_abandon(struct wsgid_connection *c)
{
	c->broken = true;
	c->aborted = true;
	if (c->fd >= 0 && !wsgid_forked)
		shutdown(c->fd, SHUT_RDWR);
}

/* Reads PARAMS up to its end and runs the request. BEGIN_REQUEST was taken.
 * The stream is put together in place: in_start stays at its first byte. */
static int take_request(struct wsgid_connection *c)
{
	size_t length = 0; /* of the stream so far */
	size_t next = 0;   /* offset of the next header */
	for (;;) {
		int filled = wsgid_connection_fill(c, next + FCGI_HEADER);
		if (filled <= 0)
			return -1;
		struct fcgi_record record = fcgi_get(c->in + c->in_start + next);
		size_t total = FCGI_HEADER + (size_t)record.length + record.padding;
		if (record.version != 1 || length + record.length > PARAMS_MAX)
			return -1;
		if (wsgid_connection_fill(c, next + total) <= 0)
			return -1;
		if (record.id == c->id && record.type == FCGI_PARAMS) {
			if (!record.length) {
				/* next bytes of the buffer are ours until the request reads. */
				uint8_t *params = c->in + c->in_start;
				c->in_start += next + total;
				wsgid_request_run(c, params, length);
				return c->broken ? -1 : 0;
			}
			uint8_t *base = c->in + c->in_start;
			memmove(base + length, base + next + FCGI_HEADER, record.length);
			length += record.length;
			next += total;
			continue;
		}
		if (record.id == c->id && record.type == FCGI_ABORT_REQUEST) {
			c->in_start += next + total;
			return wsgid_output_end(c, true, 0, FCGI_REQUEST_COMPLETE);
		}
		/* STDIN before the end of PARAMS, a second BEGIN, a management record
		 * in the middle: the router sends none of these. */
		if (record.id == c->id || record.id == 0 || record.type == FCGI_BEGIN_REQUEST)
			return -1;
		next += total;
	}
}

/* BEGIN_REQUEST, its header at in_start. */
static int begin(struct wsgid_connection *c, const struct fcgi_record *record)
{
	if (record->id == 0 || record->length != 8)
		return -1;
	size_t total = FCGI_HEADER + 8u + record->padding;
	if (wsgid_connection_fill(c, total) <= 0)
		return -1;
	int role = c->in[c->in_start + 8] << 8 | c->in[c->in_start + 9];
	c->in_start += total;
	c->id = record->id;
	c->stdin_ended = c->aborted = c->timed_out = false;
	c->content_left = c->padding_left = 0;
	if (role != FCGI_RESPONDER)
		return wsgid_output_end(c, false, 0, FCGI_UNKNOWN_ROLE);
	int result = take_request(c);
	/* The rest of a record that the application did not read. */
	if (!result && c->content_left + c->padding_left)
		result = skip(c, c->content_left + c->padding_left);
	c->content_left = c->padding_left = 0;
	return result;
}

/* Makes a record header available. 1, 0 when nothing has come, -1 at the end. */
static int next_header(struct wsgid_connection *c)
{
	if (c->in_start == c->in_end) {
		ssize_t got;
		c->in_start = c->in_end = 0;
		do {
			got = recv(c->fd, c->in, c->in_capacity, MSG_DONTWAIT);
		} while (got < 0 && errno == EINTR);
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (got <= 0)
			return -1;
		c->in_end = (size_t)got;
	}
	return wsgid_connection_fill(c, FCGI_HEADER) <= 0 ? -1 : 1;
}

int wsgid_connection_turn(struct wsgid_connection *c)
{
	do {
		int ready = c->broken ? -1 : next_header(c);
		if (ready <= 0)
			return ready;
		struct fcgi_record record = fcgi_get(c->in + c->in_start);
		if (record.version != 1) {
			wsgid_logf("warn", NULL, "record with version %d on a connection of the router", record.version);
			return -1;
		}
		int result = record.type == FCGI_BEGIN_REQUEST ? begin(c, &record) : foreign_record(c, &record);
		if (result < 0)
			return -1;
	} while (c->in_start != c->in_end);
	return 0;
}

int wsgid_connection_open(struct wsgid_connection *c, struct wsgid_server *server, int fd, int epoll_fd)
{
	*c = (struct wsgid_connection){
	    .server = server,
	    .fd = fd,
	    .epoll_fd = epoll_fd,
	    .in_capacity = IN_FIRST,
	    .out_open = WSGID_NO_RECORD,
	};
	int size = SEND_BUFFER;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size); /* any size works */
	if (server->socket_timeout) {
		struct timeval limit = {server->socket_timeout / 1000, server->socket_timeout % 1000 * 1000};
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	}
	c->in = malloc(IN_FIRST);
	c->out = malloc(WSGID_OUT_CAPACITY);
	if (c->in && c->out)
		return 0;
	free(c->in);
	free(c->out);
	return -1;
}

void wsgid_connection_close(struct wsgid_connection *c)
{
	free(c->in);
	free(c->out);
	c->in = c->out = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* Waits until the peer has sent something or gone. A thread that sleeps in
 * recv would also be woken each time the router takes a part of the last
 * response from the socket. */
static void await_input(struct wsgid_connection *c)
{
	struct pollfd input = {.fd = c->fd, .events = POLLIN};
	while (poll(&input, 1, -1) < 0 && errno == EINTR)
		;
}

static int measured_turn(struct wsgid_connection *c)
{
	uint64_t start = wsgid_effort_now();
	int result = wsgid_connection_turn(c);
	wsgid_meter_busy(c, wsgid_effort_now() - start);
	return result;
}

void wsgid_serve_connection(struct wsgid_server *server, int thread, int fd)
{
	struct wsgid_connection c;
	wsgid_outside_python = true;
	if (wsgid_connection_open(&c, server, fd, -1) < 0) {
		wsgid_logf("error", NULL, "no memory for a connection");
		close(fd);
		return;
	}
	c.thread = thread;
	while (measured_turn(&c) == 0)
		await_input(&c);
	wsgid_connection_close(&c);
}
