/* The scoreboard of a worker: docs/internals.md section 4. One writer a slot
 * (the thread it belongs to); the supervisor reads without asking. Every
 * function does nothing when the server has no scoreboard (embedded). */
#ifndef WSGID_SCOREBOARD_H
#define WSGID_SCOREBOARD_H

#include <stdint.h>

#include "worker.h"

enum wsgid_slot_state {
	WSGID_SLOT_UNUSED,
	WSGID_SLOT_IDLE,
	WSGID_SLOT_CONNECTED,
	WSGID_SLOT_READING,
	WSGID_SLOT_APPLICATION,
	WSGID_SLOT_WRITING,
};

/* Bytes of a text with its length; need not be NUL-terminated. */
struct wsgid_text {
	const char *data;
	size_t length;
};

/* What a slot says about the request that runs. */
struct wsgid_slot_request {
	uint64_t start; /* microseconds since the epoch */
	struct wsgid_text id, method, uri, client, application;
	struct wsgid_text trace; /* in hexadecimal; empty: none */
};

/* Maps the memfd and fills the header in. Returns 0 or -1 with errno. */
int wsgid_scoreboard_open(struct wsgid_server *server, int fd);

/* Writes the Python version into the header. */
void wsgid_scoreboard_python(struct wsgid_server *server, const char *version);

/* Writes the exit reason (internal/exitreason) into the header. */
void wsgid_scoreboard_exit(struct wsgid_server *server, uint32_t reason);

void wsgid_scoreboard_state(struct wsgid_server *server, int thread, enum wsgid_slot_state state);
void wsgid_scoreboard_begin(struct wsgid_server *server, int thread,
                            const struct wsgid_slot_request *request);
/* The request is over, which has taken so long; failed: it ended in an exception or
 * 5xx. Returns how many the process has finished, 0 without a scoreboard. */
uint64_t wsgid_scoreboard_end(struct wsgid_server *server, int thread, bool failed, uint64_t microseconds);
void wsgid_scoreboard_refused(struct wsgid_server *server);
/* Copies the number of dropped log records. */
void wsgid_scoreboard_dropped(struct wsgid_server *server, uint64_t dropped);

#endif
