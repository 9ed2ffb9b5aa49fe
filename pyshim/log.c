/* Framed log records: one SEQPACKET packet each (docs/internals.md section 3). */
#define _GNU_SOURCE
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	PACKET = 64 * 1024, /* largest packet, contract */
	WAIT_MS = 2000,     /* for a full channel */
	FIELD = 4096,       /* longest value in front of the message */
};

static atomic_int channel = -1;
static atomic_ulong dropped;
static atomic_ulong long_records; /* so far; the number tells their parts from others' */
static _Thread_local struct wsgid_log_context current;

void wsgid_log_open(int fd)
{
	atomic_store(&channel, fd);
}

unsigned long wsgid_log_dropped(void)
{
	return atomic_load(&dropped);
}

void wsgid_log_set_request(const struct wsgid_log_context *context)
{
	if (context)
		current = *context;
	else
		memset(&current, 0, sizeof current);
}

const struct wsgid_log_context *wsgid_log_request(void)
{
	return &current;
}

static size_t put_field(char *packet, size_t at, const char *name, const char *value)
{
	if (!value || !*value)
		return at;
	size_t length = strnlen(value, FIELD), name_length = strlen(name) + 1;
	memcpy(packet + at, name, name_length);
	at += name_length;
	memcpy(packet + at, value, length);
	at += length;
	packet[at++] = 0;
	return at;
}

static long now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000L + now.tv_nsec / 1000000;
}

/* Sends a packet, waiting at most 2 s for room. False: it was dropped. */
static bool send_packet(int fd, const char *packet, size_t size)
{
	long deadline = now_ms() + WAIT_MS;
	for (;;) {
		if (send(fd, packet, size, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return true;
		if (errno == EINTR)
			continue;
		long left = deadline - now_ms();
		if ((errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS) || left <= 0)
			break;
		if (errno == ENOBUFS) {
			poll(NULL, 0, 10);
			continue;
		}
		struct pollfd wait = {.fd = fd, .events = POLLOUT};
		poll(&wait, 1, (int)left);
	}
	atomic_fetch_add(&dropped, 1);
	return false;
}

/* How much of the message goes into a packet with room bytes left: all, or up
 * to and including the last line end, or room less the beginning of a character. */
static size_t cut(const char *message, size_t length, size_t room)
{
	if (length <= room)
		return length;
	const char *end = memrchr(message, '\n', room);
	if (end)
		return (size_t)(end - message) + 1;
	for (size_t back = 0; back < 4; back++) /* UTF-8: where a character begins */
		if (((unsigned char)message[room - back] & 0xc0) != 0x80)
			return room - back;
	return room;
}

/* Without a channel: lines on descriptor 2. */
static void raw(const char *message, size_t length)
{
	if (!length) /* an empty line says nothing */
		return;
	while (length) {
		ssize_t sent = write(2, message, length);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return;
		message += sent;
		length -= (size_t)sent;
	}
	if (write(2, "\n", 1) < 0)
		return;
}

void wsgid_log(const char *level, const struct wsgid_log_context *context, const char *message,
               size_t length)
{
	static const struct wsgid_log_context none;
	int saved = errno, fd = atomic_load(&channel);
	if (!context)
		context = &none;
	if (fd < 0) {
		raw(message, length);
		errno = saved;
		return;
	}
	/* Most records are short: only a long one pays for a large packet. */
	char small[8192];
	char *packet = small;
	size_t capacity = sizeof small;
	const char *fields[] = {level, context->source, context->application,
	                        context->script, context->request, context->code,
	                        context->logger, context->place, context->error_log,
	                        context->trace};
	size_t header = 224; /* names, and the fields below */
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		header += fields[i] ? strnlen(fields[i], FIELD) : 0;
	if (header + length > capacity) {
		capacity = PACKET;
		packet = malloc(capacity);
		if (!packet) {
			atomic_fetch_add(&dropped, 1);
			errno = saved;
			return;
		}
	}
	size_t at = put_field(packet, 0, "level", level);
	at = put_field(packet, at, "source", context->source ? context->source : "wsgid");
	at = put_field(packet, at, "application", context->application);
	at = put_field(packet, at, "script", context->script);
	at = put_field(packet, at, "request", context->request);
	at = put_field(packet, at, "trace", context->trace);
	at = put_field(packet, at, "code", context->code);
	at = put_field(packet, at, "logger", context->logger);
	at = put_field(packet, at, "place", context->place);
	at = put_field(packet, at, "error_log", context->error_log);
	char number[24] = "";
	do {
		size_t base = at;
		size_t room = capacity - at - sizeof "part" - sizeof number - sizeof "more\0001" - sizeof "message";
		size_t part = cut(message, length, room);
		if (part < length && !*number)
			snprintf(number, sizeof number, "%lu", atomic_fetch_add(&long_records, 1) + 1);
		base = put_field(packet, base, "part", number);
		if (part < length)
			base = put_field(packet, base, "more", "1");
		memcpy(packet + base, "message", sizeof "message");
		base += sizeof "message";
		memcpy(packet + base, message, part);
		if (!send_packet(fd, packet, base + part))
			break; /* a full channel costs a record 2 s, however long it is */
		message += part;
		length -= part;
	} while (length);
	if (packet != small)
		free(packet);
	errno = saved;
}

void wsgid_logf(const char *level, const struct wsgid_log_context *context, const char *format, ...)
{
	char text[4096];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	wsgid_log(level, context, text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
}
