/* Writing the scoreboard. Plain stores between two steps of the slot's
 * sequence number; the counters of the header are atomic. */
#include "scoreboard.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
	HEADER = 256,
	SLOT = 1024,
	MAGIC = 0x42535357,
	VERSION = 1,
};

/* Offsets of the header. */
enum {
	AT_MAGIC = 0,
	AT_VERSION = 4,
	AT_SLOTS = 8,
	AT_EXIT = 12,
	AT_FINISHED = 16,
	AT_REFUSED = 24,
	AT_FAILED = 32,
	AT_DROPPED = 40,
	AT_PYTHON = 64,
	AT_BUCKETS = 96,
	AT_SECONDS = 208, /* microseconds of all requests together */
};

/* Bounds of the buckets in microseconds, as internal/histogram has them. */
static const uint64_t bounds[] = {1000,   5000,   10000,   25000,   50000,   100000,  250000,
                                  500000, 1000000, 2500000, 5000000, 10000000, 30000000};
enum { BUCKETS = sizeof bounds / sizeof bounds[0] + 1 };
_Static_assert(AT_BUCKETS + BUCKETS * 8 == AT_SECONDS, "header layout");

/* A slot as it lies in memory (x86-64 and arm64 are little endian). */
struct slot {
	_Atomic uint32_t sequence;
	_Atomic uint32_t state;
	uint64_t start;
	uint64_t finished;
	uint16_t lengths[5];
	uint8_t gap[14];
	uint8_t trace[16]; /* zeros: none */
	char id[64];
	char method[16];
	char client[48];
	char application[128];
	char uri[704];
};
_Static_assert(sizeof(struct slot) == SLOT, "slot layout");
_Static_assert(offsetof(struct slot, trace) == 48, "slot layout");
_Static_assert(offsetof(struct slot, id) == 64, "slot layout");
_Static_assert(offsetof(struct slot, uri) == 320, "slot layout");

static _Atomic uint32_t *word(struct wsgid_server *server, size_t at)
{
	return (_Atomic uint32_t *)(void *)(server->scoreboard + at);
}

static _Atomic uint64_t *counter(struct wsgid_server *server, size_t at)
{
	return (_Atomic uint64_t *)(void *)(server->scoreboard + at);
}

static struct slot *slot(struct wsgid_server *server, int thread)
{
	return (struct slot *)(void *)(server->scoreboard + HEADER + (size_t)thread * SLOT);
}

int wsgid_scoreboard_open(struct wsgid_server *server, int fd)
{
	size_t size = HEADER + (size_t)server->threads * SLOT;
	struct stat status;
	if (fstat(fd, &status) < 0)
		return -1;
	if (status.st_size < (off_t)size) { /* writing beyond it would kill the worker */
		errno = EINVAL;
		return -1;
	}
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -1;
	server->scoreboard = memory;
	server->scoreboard_size = size;
	atomic_store(word(server, AT_VERSION), VERSION);
	atomic_store(word(server, AT_SLOTS), (uint32_t)server->threads);
	atomic_store(word(server, AT_MAGIC), MAGIC);
	return 0;
}

void wsgid_scoreboard_python(struct wsgid_server *server, const char *version)
{
	if (!server->scoreboard)
		return;
	size_t length = strnlen(version, 31);
	memcpy(server->scoreboard + AT_PYTHON, version, length);
	server->scoreboard[AT_PYTHON + length] = 0;
}

void wsgid_scoreboard_exit(struct wsgid_server *server, uint32_t reason)
{
	if (server->scoreboard)
		atomic_store(word(server, AT_EXIT), reason);
}

void wsgid_scoreboard_state(struct wsgid_server *server, int thread, enum wsgid_slot_state state)
{
	if (server->scoreboard)
		atomic_store_explicit(&slot(server, thread)->state, (uint32_t)state, memory_order_relaxed);
}

static uint16_t copy(char *to, size_t size, const struct wsgid_text *text)
{
	size_t length = text->length < size ? text->length : size;
	if (length)
		memcpy(to, text->data, length);
	return (uint16_t)length;
}

static uint8_t digit(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* A trace id, which the router has made or checked. */
static void set_trace(struct slot *s, const struct wsgid_text *trace)
{
	memset(s->trace, 0, sizeof s->trace);
	if (trace->length != 2 * sizeof s->trace)
		return;
	for (size_t i = 0; i < sizeof s->trace; i++)
		s->trace[i] = (uint8_t)(digit(trace->data[2 * i]) << 4 | digit(trace->data[2 * i + 1]));
}

void wsgid_scoreboard_begin(struct wsgid_server *server, int thread,
                            const struct wsgid_slot_request *request)
{
	if (!server->scoreboard)
		return;
	struct slot *s = slot(server, thread);
	atomic_fetch_add_explicit(&s->sequence, 1, memory_order_acq_rel);
	s->start = request->start;
	s->lengths[0] = copy(s->id, sizeof s->id, &request->id);
	s->lengths[1] = copy(s->method, sizeof s->method, &request->method);
	s->lengths[2] = copy(s->uri, sizeof s->uri, &request->uri);
	s->lengths[3] = copy(s->client, sizeof s->client, &request->client);
	s->lengths[4] = copy(s->application, sizeof s->application, &request->application);
	set_trace(s, &request->trace);
	atomic_store_explicit(&s->state, WSGID_SLOT_APPLICATION, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->sequence, 1, memory_order_release);
}

static void count(struct wsgid_server *server, uint64_t microseconds)
{
	size_t bucket = 0;
	while (bucket < BUCKETS - 1 && microseconds > bounds[bucket])
		bucket++;
	atomic_fetch_add_explicit(counter(server, AT_BUCKETS + 8 * bucket), 1, memory_order_relaxed);
	atomic_fetch_add_explicit(counter(server, AT_SECONDS), microseconds, memory_order_relaxed);
}

uint64_t wsgid_scoreboard_end(struct wsgid_server *server, int thread, bool failed, uint64_t microseconds)
{
	if (!server->scoreboard)
		return 0;
	count(server, microseconds);
	struct slot *s = slot(server, thread);
	atomic_fetch_add_explicit(&s->sequence, 1, memory_order_acq_rel);
	s->finished++;
	atomic_store_explicit(&s->state, WSGID_SLOT_CONNECTED, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->sequence, 1, memory_order_release);
	if (failed)
		atomic_fetch_add_explicit(counter(server, AT_FAILED), 1, memory_order_relaxed);
	return atomic_fetch_add_explicit(counter(server, AT_FINISHED), 1, memory_order_relaxed) + 1;
}

void wsgid_scoreboard_refused(struct wsgid_server *server)
{
	if (server->scoreboard)
		atomic_fetch_add_explicit(counter(server, AT_REFUSED), 1, memory_order_relaxed);
}

void wsgid_scoreboard_dropped(struct wsgid_server *server, uint64_t dropped)
{
	if (server->scoreboard)
		atomic_store_explicit(counter(server, AT_DROPPED), dropped, memory_order_relaxed);
}
