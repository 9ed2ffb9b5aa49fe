/* Patience: a request thread in SCHED_BATCH does not preempt who wakes it. The
 * router goes on with its next request instead of being put aside in the
 * middle of a write, and everybody switches less. Beside processes that never
 * sleep the same policy would let a request wait for whole time slices, so the
 * thread looks at what it waits for a processor and falls back to the ordinary
 * policy, each time for longer. */
#define _GNU_SOURCE
#include "patience.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

enum {
	EVERY = 64,              /* wake-ups between two looks */
	TOO_LONG = 300 * 1000,   /* ns of waiting a time it ran: a time slice is 3 ms */
	FIRST_PAUSE = 8 * 256,   /* wake-ups in the ordinary policy after a failure */
	LAST_PAUSE = 1 << 20,
	FORGIVEN = 64,           /* good looks that halve the next pause */
};

struct patience {
	bool batch, refused;
	uint32_t woken, resume, pause, good;
	uint64_t waited, ran;
};

static _Thread_local struct patience own = {.pause = FIRST_PAUSE};

/* What the thread has waited for a processor, ns, and how often it ran. */
static int look(uint64_t *waited, uint64_t *ran)
{
	char text[96];
	unsigned long long cpu, wait, times;
	int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t size = read(fd, text, sizeof text - 1);
	close(fd);
	if (size <= 0)
		return -1;
	text[size] = 0;
	if (sscanf(text, "%llu %llu %llu", &cpu, &wait, &times) != 3)
		return -1;
	*waited = wait;
	*ran = times;
	return 0;
}

static int set(int policy)
{
	const struct sched_param none = {0};
	return sched_setscheduler(0, policy, &none);
}

void wsgid_patience_woken(void)
{
	struct patience *p = &own;
	uint64_t waited, ran;
	if (++p->woken % EVERY || p->refused)
		return;
	if (!p->batch) {
		if ((int32_t)(p->woken - p->resume) < 0)
			return;
		p->refused = look(&p->waited, &p->ran) < 0 || set(SCHED_BATCH) < 0;
		p->batch = !p->refused;
		return;
	}
	if (look(&waited, &ran) < 0)
		return;
	uint64_t each = ran > p->ran ? (waited - p->waited) / (ran - p->ran) : 0;
	p->waited = waited;
	p->ran = ran;
	if (each <= TOO_LONG) {
		if (++p->good % FORGIVEN == 0 && p->pause > FIRST_PAUSE)
			p->pause /= 2;
		return;
	}
	set(SCHED_OTHER);
	p->batch = false;
	p->resume = p->woken + p->pause;
	if (p->pause < LAST_PAUSE)
		p->pause *= 2;
}

void wsgid_patience_forked(void)
{
	set(SCHED_OTHER);
}
