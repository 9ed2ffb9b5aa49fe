/* One packet an event on the status channel. */
#define _GNU_SOURCE
#include "status.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

void wsgid_status_event(const struct wsgid_server *server, ...)
{
	char packet[8192];
	size_t at = 0;
	va_list arguments;
	if (server->status_fd < 0)
		return;
	va_start(arguments, server);
	for (const char *text; (text = va_arg(arguments, const char *)) != NULL;) {
		size_t length = strnlen(text, sizeof packet / 2 - 1);
		if (at + length + 1 > sizeof packet)
			break;
		memcpy(packet + at, text, length);
		at += length;
		packet[at++] = 0;
	}
	va_end(arguments);
	while (send(server->status_fd, packet, at, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}
