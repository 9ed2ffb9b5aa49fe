/* Limits of resources that a child sets itself before it gives up its
 * privileges: those of setrlimit(2), and its nice value. */
#define _GNU_SOURCE
#include "process_limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Bytes that the process can get, in hard and soft limit as mod_wsgi does
 * (mod_wsgi behaviour 2); nothing without the option. */
static int limit_memory(const struct wsgid_boot *boot, const char *option, int resource)
{
	long bytes = wsgid_boot_number(boot, option, 0);
	struct rlimit limit = { (rlim_t)bytes, (rlim_t)bytes };

	return bytes > 0 ? setrlimit((__rlimit_resource_t)resource, &limit) : 0;
}

static int failed(char *error, size_t error_size, const char *option)
{
	snprintf(error, error_size, "%s: %s", option, strerror(errno));
	return -1;
}

static const struct {
	const char *name;
	int resource;
} others[] = {
	{ "core", RLIMIT_CORE },         { "fsize", RLIMIT_FSIZE },   { "locks", RLIMIT_LOCKS },
	{ "memlock", RLIMIT_MEMLOCK },   { "msgqueue", RLIMIT_MSGQUEUE }, { "nice", RLIMIT_NICE },
	{ "nofile", RLIMIT_NOFILE },     { "nproc", RLIMIT_NPROC },   { "rtprio", RLIMIT_RTPRIO },
	{ "rttime", RLIMIT_RTTIME },     { "sigpending", RLIMIT_SIGPENDING }, { "stack", RLIMIT_STACK },
};

/* One "name=value" of the list rlimit, as hard and soft limit. */
static int set_other(const char *text, char *error, size_t error_size)
{
	const char *value = strchr(text, '=');
	struct rlimit limit;
	char *end;

	for (size_t i = 0; value != NULL && i < sizeof(others) / sizeof(others[0]); i++) {
		size_t length = strlen(others[i].name);

		if ((size_t)(value - text) != length || memcmp(text, others[i].name, length) != 0)
			continue;
		errno = 0;
		limit.rlim_cur = strtoul(value + 1, &end, 10);
		if (strcmp(value + 1, "unlimited") == 0)
			limit.rlim_cur = RLIM_INFINITY;
		else if (errno != 0 || *end != 0 || end == value + 1)
			break;
		limit.rlim_max = limit.rlim_cur;
		if (setrlimit((__rlimit_resource_t)others[i].resource, &limit) == 0)
			return 0;
		snprintf(error, error_size, "rlimits: %s: %s%s", text, strerror(errno),
		         errno == EPERM ? ": more than this user, or the kernel, allows" : "");
		return -1;
	}
	snprintf(error, error_size, "rlimits: %s makes no sense", text);
	return -1;
}

static int set_others(const struct wsgid_boot *boot, char *error, size_t error_size)
{
	const char *text;
	size_t position = 0;

	while ((text = wsgid_boot_next(boot, "rlimit", &position)) != NULL)
		if (set_other(text, error, error_size) != 0)
			return -1;
	return 0;
}

int wsgid_process_limits_set(const struct wsgid_boot *boot, char *error, size_t error_size)
{
	long nice_value = wsgid_boot_number(boot, "nice", 0);
	long seconds = wsgid_boot_number(boot, "cpu_time_limit", 0);
	struct rlimit limit = { (rlim_t)seconds, (rlim_t)wsgid_boot_number(boot, "cpu_time_killed", seconds) };

	if (nice_value != 0 && setpriority(PRIO_PROCESS, 0, (int)nice_value) != 0)
		return failed(error, error_size, "cpu_priority");
	if (seconds > 0 && setrlimit(RLIMIT_CPU, &limit) != 0)
		return failed(error, error_size, "cpu_time_limit");
	if (limit_memory(boot, "memory_limit", RLIMIT_DATA) != 0)
		return failed(error, error_size, "memory_limit");
	if (limit_memory(boot, "virtual_memory_limit", RLIMIT_AS) != 0)
		return failed(error, error_size, "virtual_memory_limit");
	return set_others(boot, error, error_size);
}
