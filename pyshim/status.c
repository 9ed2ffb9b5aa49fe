/* One packet an event on the status channel. */
#define _GNU_SOURCE
#include "status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "scoreboard.h"

enum {
	VALUE = 4095,          /* longest value */
	TRACEBACK = 12 * 1024, /* of this one is kept for each broken script */
};

/* Adds a text of at most limit bytes and its NUL; false: there is no room. */
static bool add(char *packet, size_t size, size_t *at, const char *text, size_t limit)
{
	size_t length = strnlen(text, limit);
	if (*at + length + 1 > size)
		return false;
	memcpy(packet + *at, text, length);
	*at += length;
	packet[(*at)++] = 0;
	return true;
}

static void transmit(const struct wsgid_server *server, const char *packet, size_t size)
{
	while (send(server->status_fd, packet, size, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

void wsgid_status_event(const struct wsgid_server *server, ...)
{
	char packet[8192];
	size_t at = 0;
	va_list arguments;
	if (server->status_fd < 0)
		return;
	va_start(arguments, server);
	for (const char *text; (text = va_arg(arguments, const char *)) != NULL;)
		if (!add(packet, sizeof packet, &at, text, VALUE))
			break;
	va_end(arguments);
	transmit(server, packet, at);
}

bool wsgid_status_leave(struct wsgid_server *server, const char *reason, uint32_t number, const char *script)
{
	bool before = false;
	if (!atomic_compare_exchange_strong(&server->retiring, &before, true))
		return false;
	wsgid_status_event(server, "event", "retire", "reason", reason, script ? "script" : NULL, script, NULL);
	wsgid_scoreboard_exit(server, number);
	return true;
}

void wsgid_status_relieve(struct wsgid_server *server, const char *reason)
{
	if (!atomic_load(&server->retiring) && !atomic_exchange(&server->relieved, true))
		wsgid_status_event(server, "event", "relieve", "reason", reason, NULL);
}

void wsgid_status_retire(struct wsgid_server *server, const struct wsgid_log_context *context, const char *what,
                         const char *path)
{
	if (wsgid_status_leave(server, "script_reload", 4, path)) /* exitreason.ScriptReload */
		wsgid_logf("info", context, "%s has changed, process wants to be replaced: %s", what, path);
}

const char *wsgid_traceback_tail(const char *traceback)
{
	size_t length = strlen(traceback);
	if (length <= TRACEBACK)
		return traceback;
	traceback += length - TRACEBACK;
	const char *line = strchr(traceback, '\n');
	return line ? line + 1 : traceback;
}

void wsgid_status_load_failed(const struct wsgid_server *server, const char *application, const char *script,
                              const char *traceback)
{
	const size_t size = TRACEBACK + 3 * (VALUE + 1);
	size_t at = 0;
	char *packet = server->status_fd < 0 ? NULL : malloc(size);
	if (!packet)
		return;
	const char *const texts[] = {"event",  "load_failed", "application", application,
	                             "script", script,        "traceback",   wsgid_traceback_tail(traceback)};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		add(packet, size, &at, texts[i], i == 7 ? TRACEBACK : VALUE);
	transmit(server, packet, at);
	free(packet);
}
