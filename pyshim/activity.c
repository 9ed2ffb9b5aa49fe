/* Noticing that nothing happens: request threads write down when they did
 * something, the main thread looks when that may be long ago. */
#define _GNU_SOURCE
#include "activity.h"

#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "metrics.h"
#include "status.h"

/* Times in milliseconds, CLOCK_MONOTONIC. */
struct wsgid_activity {
	uint64_t timeout;
	int timer_fd;
	atomic_bool armed; /* by the first activity, and from then on */
	_Atomic uint64_t last;
};

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static void set_timer(const struct wsgid_activity *a, uint64_t at)
{
	struct itimerspec once = {
	    .it_value = {.tv_sec = (time_t)(at / 1000u), .tv_nsec = (long)(at % 1000u) * 1000000},
	};
	timerfd_settime(a->timer_fd, TFD_TIMER_ABSTIME, &once, NULL);
}

void wsgid_activity_note(struct wsgid_activity *a)
{
	uint64_t now = now_ms();
	bool armed = false;
	atomic_store_explicit(&a->last, now, memory_order_relaxed);
	if (!atomic_load_explicit(&a->armed, memory_order_relaxed) &&
	    atomic_compare_exchange_strong(&a->armed, &armed, true))
		set_timer(a, now + a->timeout);
}

static bool request_runs(const struct wsgid_server *server)
{
	for (int i = 0; i < atomic_load(&server->metered); i++)
		if (atomic_load(&server->meters[i]->request))
			return true;
	return false;
}

void wsgid_activity_look(struct wsgid_server *server)
{
	struct wsgid_activity *a = server->activity;
	uint64_t expired, now = now_ms(), last = atomic_load(&a->last);
	if (read(a->timer_fd, &expired, sizeof expired) < 0)
		return;
	if (now < last + a->timeout)
		set_timer(a, last + a->timeout);
	else if (request_runs(server))
		set_timer(a, now + a->timeout);
	else
		wsgid_status_relieve(server, "inactivity_timeout");
}

int wsgid_activity_fd(const struct wsgid_server *server)
{
	return server->activity ? server->activity->timer_fd : -1;
}

void wsgid_activity_forked(const struct wsgid_server *server)
{
	if (server->activity)
		close(server->activity->timer_fd);
}

int wsgid_activity_open(struct wsgid_server *server, const struct wsgid_boot *boot)
{
	long timeout = wsgid_boot_number(boot, "inactivity_timeout", 0);
	if (timeout <= 0)
		return 0;
	struct wsgid_activity *a = calloc(1, sizeof *a);
	if (!a)
		return -1;
	a->timeout = (uint64_t)timeout;
	a->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (a->timer_fd < 0)
		return -1;
	server->activity = a;
	return 0;
}
