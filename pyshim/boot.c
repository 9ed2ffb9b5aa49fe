/* Taking the role that the supervisor gave, before the Go runtime exists
 * (docs/internals.md section 1). A worker never returns from here: a Go
 * runtime in the process would break fork, signal handlers and crash reports
 * of the application. */
#define _GNU_SOURCE
#include "boot.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "privileges.h"
#include "worker.h"

#ifndef __GLIBC__
#error "wsgid needs glibc: it loads libpython at run time with dlopen"
#endif

#define BOOT_VARIABLE "WSGID_BOOT_FD"
#define BOOT_MAGIC "wsgid-boot 1"
#define DEFAULT_TIMER_SLACK 50000UL /* ns: the kernel's */
#define ROUTER_TIMER_SLACK 1000000UL
#define BOOT_LIMIT (64L * 1024 * 1024)

/* Set once, by the constructor. */
static struct wsgid_boot boot_block;
static bool booted;

const struct wsgid_boot *wsgid_boot_block(void)
{
	return booted ? &boot_block : NULL;
}

const char *wsgid_boot_next(const struct wsgid_boot *boot, const char *name, size_t *position)
{
	while (*position < boot->count) {
		const struct wsgid_pair *pair = &boot->pairs[(*position)++];

		if (strcmp(pair->name, name) == 0)
			return pair->value;
	}
	return NULL;
}

const char *wsgid_boot_get(const struct wsgid_boot *boot, const char *name, const char *fallback)
{
	size_t position = 0;
	const char *value = wsgid_boot_next(boot, name, &position);

	return value != NULL ? value : fallback;
}

long wsgid_boot_number(const struct wsgid_boot *boot, const char *name, long fallback)
{
	const char *value = wsgid_boot_get(boot, name, NULL);
	char *end;
	long number;

	if (value == NULL || *value == 0)
		return fallback;
	errno = 0;
	number = strtol(value, &end, 10);
	return errno != 0 || *end != 0 ? fallback : number;
}

const char **wsgid_boot_list(const struct wsgid_boot *boot, const char *name, size_t *count)
{
	size_t position = 0, n = 0;
	const char **values;

	while (wsgid_boot_next(boot, name, &position) != NULL)
		n++;
	values = calloc(n + 1, sizeof(*values));
	position = 0;
	for (size_t i = 0; values != NULL && i < n; i++)
		values[i] = wsgid_boot_next(boot, name, &position);
	if (count != NULL)
		*count = n;
	return values;
}

/* Says why the child cannot start, to the supervisor and on descriptor 2, and
 * ends the process. */
static _Noreturn void refuse(const struct wsgid_boot *boot, const char *error)
{
	int status = boot == NULL ? -1 : (int)wsgid_boot_number(boot, "fd.status", -1);
	char packet[2048];
	int length;

	dprintf(2, "wsgid: cannot start: %s\n", error);
	length = snprintf(packet, sizeof(packet), "event%cfailed%cerror%c%s", 0, 0, 0, error);
	if (length >= (int)sizeof(packet))
		length = (int)sizeof(packet) - 1;
	if (status >= 0)
		send(status, packet, (size_t)length + 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	_exit(1);
}

/* The whole content of the memfd, with a NUL behind it; NULL when it is not a
 * block that only the supervisor can have written. */
static char *read_block(int fd, size_t *length)
{
	const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	struct stat status;
	char *block;
	ssize_t got = 0;

	int have = fcntl(fd, F_GET_SEALS);
	if (have == -1 || (have & seals) != seals)
		return NULL;
	if (fstat(fd, &status) != 0 || status.st_size < (off_t)sizeof(BOOT_MAGIC) ||
	    status.st_size > BOOT_LIMIT)
		return NULL;
	block = malloc((size_t)status.st_size + 1);
	if (block == NULL)
		return NULL;
	while (got < status.st_size) {
		ssize_t n = pread(fd, block + got, (size_t)(status.st_size - got), got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			free(block);
			return NULL;
		}
		got += n;
	}
	block[got] = 0;
	if (memcmp(block, BOOT_MAGIC, sizeof(BOOT_MAGIC)) != 0) {
		free(block);
		return NULL;
	}
	*length = (size_t)got;
	return block;
}

/* Cuts the block into pairs. Both strings must end inside the block. */
static int parse_block(char *block, size_t length, struct wsgid_boot *boot)
{
	char *at = block + sizeof(BOOT_MAGIC), *end = block + length;
	size_t strings = 0;

	for (char *p = at; p < end; p++)
		strings += *p == 0;
	boot->pairs = calloc(strings / 2 + 1, sizeof(*boot->pairs));
	if (boot->pairs == NULL || strings % 2 != 0 || (at < end && end[-1] != 0))
		return -1;
	while (at < end) {
		struct wsgid_pair *pair = &boot->pairs[boot->count++];

		pair->name = at;
		at += strlen(at) + 1;
		pair->value = at;
		at += strlen(at) + 1;
	}
	return 0;
}

/* Removes the variable without moving the others: the Go runtime finds the
 * auxiliary vector behind the environment by counting, and it cannot read
 * /proc/self/auxv in an undumpable process. An empty string is no variable to
 * anybody. */
static void blank_variable(void)
{
	extern char **environ;

	for (char **entry = environ; *entry != NULL; entry++)
		if (strncmp(*entry, BOOT_VARIABLE "=", sizeof(BOOT_VARIABLE)) == 0)
			memset(*entry, 0, strlen(*entry));
}

/* In a worker, which has no Go runtime, the empty entry can go. */
static void remove_blank(void)
{
	extern char **environ;
	char **to = environ;

	for (char **entry = environ; *entry != NULL; entry++)
		if (**entry != 0)
			*to++ = *entry;
	*to = NULL;
}

/* A child that an application in the router forks must behave as under plain
 * python: Go's handlers and masks are not its own. */
static void reset_signals(void)
{
	struct sigaction action;
	sigset_t none;

	memset(&action, 0, sizeof(action));
	action.sa_handler = SIG_DFL;
	for (int number = 1; number < NSIG; number++)
		sigaction(number, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In a child that an embedded application forks. */
static void reset_child(void)
{
	reset_signals();
	prctl(PR_SET_TIMERSLACK, DEFAULT_TIMER_SLACK, 0, 0, 0);
}

/* Moves the listening socket away from descriptor 0, so that a child of the
 * application finds end of file there, and writes its new number into the block. */
static int move_listener(struct wsgid_boot *boot, char *error, size_t error_size)
{
	static char number[16]; /* single-threaded, lives as long as the block */
	int from = (int)wsgid_boot_number(boot, "fd.listen", -1);
	int to, null;

	if (from != 0)
		return 0;
	to = fcntl(0, F_DUPFD_CLOEXEC, 3);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (to == -1 || null == -1 || dup2(null, 0) == -1) {
		snprintf(error, error_size, "move the listening socket: %s", strerror(errno));
		return -1;
	}
	if (null != 0)
		close(null);
	snprintf(number, sizeof(number), "%d", to);
	for (size_t i = 0; i < boot->count; i++)
		if (strcmp(boot->pairs[i].name, "fd.listen") == 0)
			boot->pairs[i].value = number;
	return 0;
}

static void set_name(const struct wsgid_boot *boot, const char *role)
{
	char name[16]; /* what the kernel keeps */

	snprintf(name, sizeof(name), "wsgid:%s",
	         strcmp(role, "worker") == 0 ? wsgid_boot_get(boot, "name", role) : role);
	prctl(PR_SET_NAME, name, 0, 0, 0);
}

__attribute__((constructor)) static void take_role(void)
{
	const char *variable = secure_getenv(BOOT_VARIABLE); /* not for a set-uid copy of the program */
	char error[1024] = "", *block, *end;
	const char *role;
	size_t length;
	long fd;

	if (variable == NULL)
		return;
	fd = strtol(variable, &end, 10);
	if (end == variable || *end != 0 || fd < 0 || fd > 0x7fffffff)
		fd = -1;
	blank_variable();
	block = fd < 0 ? NULL : read_block((int)fd, &length);
	if (block == NULL)
		return; /* somebody else's variable: the plain command line */
	if (parse_block(block, length, &boot_block) != 0)
		refuse(NULL, "malformed boot block");
	role = wsgid_boot_get(&boot_block, "role", "");
	if (strcmp(role, "worker") != 0 && strcmp(role, "router") != 0 && strcmp(role, "dispatcher") != 0 &&
	    strcmp(role, "monitor") != 0)
		refuse(&boot_block, "unknown role in the boot block");
	reset_signals();
	close((int)fd);
	/* A root directory of its own may lack /dev/null. */
	if (strcmp(role, "worker") == 0 && move_listener(&boot_block, error, sizeof(error)) != 0)
		refuse(&boot_block, error);
	if (wsgid_privileges_drop(&boot_block, error, sizeof(error)) != 0)
		refuse(&boot_block, error);
	set_name(&boot_block, role);
	booted = true;
	if (strcmp(role, "worker") != 0) { /* there will be a Go runtime */
		/* The Go runtime's monitor sleeps 20 us at a time while a call into C is
		 * under way, and its waking costs more than a dispatch script does. All
		 * threads inherit the slack; timeouts may be late by it. */
		prctl(PR_SET_TIMERSLACK, ROUTER_TIMER_SLACK, 0, 0, 0);
		pthread_atfork(NULL, NULL, reset_child);
		return;
	}
	remove_blank();
	exit(wsgid_worker_main(&boot_block));
}
