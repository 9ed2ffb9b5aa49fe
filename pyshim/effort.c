/* Measuring a request. */
#define _GNU_SOURCE
#include "effort.h"

#include <sys/resource.h>
#include <time.h>

atomic_bool wsgid_observed;
_Thread_local struct wsgid_effort *wsgid_effort;

static uint64_t microseconds(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * 1000000u + (uint64_t)time->tv_usec;
}

void wsgid_effort_begin(struct wsgid_effort *effort)
{
	struct rusage usage;
	if (effort->measured)
		return;
	effort->measured = getrusage(RUSAGE_THREAD, &usage) == 0;
	if (!effort->measured)
		return;
	effort->user = microseconds(&usage.ru_utime);
	effort->system = microseconds(&usage.ru_stime);
	wsgid_effort = effort;
}

void wsgid_effort_end(struct wsgid_effort *effort)
{
	struct rusage usage;
	if (!effort->measured || getrusage(RUSAGE_THREAD, &usage) < 0)
		return;
	effort->user = microseconds(&usage.ru_utime) - effort->user;
	effort->system = microseconds(&usage.ru_stime) - effort->system;
}

uint64_t wsgid_effort_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}
