/* Sending: records are collected in one buffer and leave in one system call;
 * large data is not copied but sent with its record headers by sendmsg. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "connection.h"
#include "effort.h"
#include "fork.h"
#include "interpreter.h"
#include "output.h"
#include "record.h"
#include "scoreboard.h"

enum { BATCH = 64 }; /* records a sendmsg */

/* The buffer is used without the GIL while it is sent, and by whichever thread
 * of the application writes: one at a time. Waiting is the exception. */
static void enter(struct wsgid_connection *c)
{
	while (atomic_exchange_explicit(&c->out_busy, true, memory_order_acquire)) {
		bool python = !wsgid_outside_python;
		if (wsgid_forked)
			return; /* the thread that has it is not in this process */
		if (python)
			wsgid_gil_release();
		poll(NULL, 0, 1);
		if (python)
			wsgid_gil_acquire();
	}
}

static int leave(struct wsgid_connection *c, int result)
{
	atomic_store_explicit(&c->out_busy, false, memory_order_release);
	return result;
}

uint64_t wsgid_output_leave_python(struct wsgid_connection *c)
{
	uint64_t began = wsgid_effort_clock();
	wsgid_scoreboard_state(c->server, c->thread, WSGID_SLOT_WRITING);
	wsgid_outside_python = true;
	wsgid_gil_release();
	return began;
}

void wsgid_output_enter_python(struct wsgid_connection *c, uint64_t began)
{
	uint64_t ended = wsgid_effort_clock();
	wsgid_gil_acquire();
	wsgid_effort_gil(ended);
	if (wsgid_effort)
		wsgid_effort->output += ended - began;
	wsgid_outside_python = false;
	wsgid_scoreboard_state(c->server, c->thread, WSGID_SLOT_APPLICATION);
}

/* Sends all of the vector; modifies it. */
static int send_all(struct wsgid_connection *c, struct iovec *vector, size_t count)
{
	bool python = !wsgid_outside_python;
	int result = 0;
	if (c->broken || c->fd < 0 || wsgid_forked)
		return -1;
	uint64_t began = python ? wsgid_output_leave_python(c) : 0;
	c->on_wire = true;
	while (count) {
		struct msghdr message = {.msg_iov = vector, .msg_iovlen = count};
		ssize_t sent = count == 1 ? send(c->fd, vector->iov_base, vector->iov_len, MSG_NOSIGNAL)
		                          : sendmsg(c->fd, &message, MSG_NOSIGNAL);
		if (sent < 0) {
			if (errno == EINTR)
				continue;
			c->broken = true;
			result = -1;
			break;
		}
		while (count && (size_t)sent >= vector->iov_len) {
			sent -= (ssize_t)vector->iov_len;
			vector++;
			count--;
		}
		if (count) {
			vector->iov_base = (uint8_t *)vector->iov_base + sent;
			vector->iov_len -= (size_t)sent;
		}
	}
	if (python)
		wsgid_output_enter_python(c, began);
	return result;
}

/* Writes the length into the record that still grows. */
static void close_record(struct wsgid_connection *c)
{
	if (c->out_open == WSGID_NO_RECORD)
		return;
	fcgi_put(c->out + c->out_open, FCGI_STDOUT, c->id, c->out_length - c->out_open - FCGI_HEADER);
	c->out_open = WSGID_NO_RECORD;
}

static int flush(struct wsgid_connection *c)
{
	close_record(c);
	if (!c->out_length)
		return c->broken ? -1 : 0;
	struct iovec vector = {.iov_base = c->out, .iov_len = c->out_length};
	c->out_length = 0;
	return send_all(c, &vector, 1);
}

int wsgid_output_flush(struct wsgid_connection *c)
{
	enter(c);
	return leave(c, flush(c));
}

int wsgid_output_suspend(struct wsgid_connection *c)
{
	enter(c);
	return flush(c) < 0 ? leave(c, -1) : 0;
}

void wsgid_output_resume(struct wsgid_connection *c)
{
	leave(c, 0);
}

void wsgid_output_discard(struct wsgid_connection *c)
{
	enter(c);
	c->out_length = 0;
	c->out_open = WSGID_NO_RECORD;
	leave(c, 0);
}

/* Large data: the collected bytes, then the data cut into records. */
static int send_large(struct wsgid_connection *c, const uint8_t *data, size_t size)
{
	uint8_t headers[BATCH][FCGI_HEADER];
	struct iovec vector[1 + 2 * BATCH];
	size_t count = 0;
	if (c->out_length) {
		if (c->out_open != WSGID_NO_RECORD) {
			size_t has = c->out_length - c->out_open - FCGI_HEADER;
			size_t add = size < FCGI_CHUNK - has ? size : FCGI_CHUNK - has;
			fcgi_put(c->out + c->out_open, FCGI_STDOUT, c->id, has + add);
			c->out_open = WSGID_NO_RECORD;
			vector[count++] = (struct iovec){c->out, c->out_length};
			vector[count++] = (struct iovec){(void *)(uintptr_t)data, add};
			data += add;
			size -= add;
		} else {
			vector[count++] = (struct iovec){c->out, c->out_length};
		}
		c->out_length = 0;
	}
	do {
		for (size_t n = 0; size && n < BATCH - 1; n++) {
			size_t part = size < FCGI_CHUNK ? size : FCGI_CHUNK;
			fcgi_put(headers[n], FCGI_STDOUT, c->id, part);
			vector[count++] = (struct iovec){headers[n], FCGI_HEADER};
			vector[count++] = (struct iovec){(void *)(uintptr_t)data, part};
			data += part;
			size -= part;
		}
		if (send_all(c, vector, count) < 0)
			return -1;
		count = 0;
	} while (size);
	return 0;
}

static int add(struct wsgid_connection *c, const void *data, size_t size)
{
	if (c->broken)
		return -1;
	if (!size)
		return 0;
	if (size + FCGI_HEADER > WSGID_OUT_SMALL - c->out_length)
		return send_large(c, data, size);
	if (c->out_open == WSGID_NO_RECORD) {
		c->out_open = c->out_length;
		c->out_length += FCGI_HEADER;
	}
	memcpy(c->out + c->out_length, data, size);
	c->out_length += size;
	return 0;
}

int wsgid_output_stdout(struct wsgid_connection *c, const void *data, size_t size)
{
	enter(c);
	return leave(c, add(c, data, size));
}

int wsgid_output_end(struct wsgid_connection *c, bool with_stdout, uint32_t app_status,
                     int protocol_status)
{
	enter(c);
	close_record(c);
	if (with_stdout) {
		fcgi_put(c->out + c->out_length, FCGI_STDOUT, c->id, 0);
		c->out_length += FCGI_HEADER;
	}
	fcgi_put_end(c->out + c->out_length, c->id, app_status, protocol_status);
	c->out_length += 2 * FCGI_HEADER;
	return leave(c, flush(c));
}

int wsgid_output_record(struct wsgid_connection *c, int type, int id, const void *content,
                        size_t size)
{
	enter(c);
	close_record(c);
	if (size + FCGI_HEADER > WSGID_OUT_SMALL - c->out_length && flush(c) < 0)
		return leave(c, -1);
	fcgi_put(c->out + c->out_length, type, id, size);
	if (size)
		memcpy(c->out + c->out_length + FCGI_HEADER, content, size);
	c->out_length += FCGI_HEADER + size;
	return leave(c, flush(c));
}
