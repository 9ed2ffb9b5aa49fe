/* Landlock: the kernel's own list of what a process may do to files, on top of
 * owners and modes. */
#define _GNU_SOURCE
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

enum { ASK_VERSION = 1, PATH_BENEATH = 1 };

/* Rights, in the kernel's order. */
#define EXECUTE (1ull << 0)
#define WRITE_FILE (1ull << 1)
#define READ_FILE (1ull << 2)
#define READ_DIR (1ull << 3)
#define CHANGE_DIR (((1ull << 13) - 1) & ~((1ull << 4) - 1)) /* remove and make, eight kinds */
#define REFER (1ull << 13)      /* version 2: move between directories */
#define TRUNCATE (1ull << 14)   /* version 3 */
#define IOCTL_DEVICE (1ull << 15) /* version 5 */

#define READ (READ_FILE | READ_DIR)
#define WRITE (READ | WRITE_FILE | CHANGE_DIR | REFER | TRUNCATE | IOCTL_DEVICE)
#define OF_FILES (EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEVICE)

struct rule {
	uint64_t allowed;
	int32_t parent;
} __attribute__((packed));

/* What a version of Landlock can hold back. */
static uint64_t handled_by(long version)
{
	uint64_t rights = EXECUTE | WRITE_FILE | READ | CHANGE_DIR;

	if (version >= 2)
		rights |= REFER;
	if (version >= 3)
		rights |= TRUNCATE;
	if (version >= 5)
		rights |= IOCTL_DEVICE;
	return rights;
}

static int allow(int ruleset, int root, const char *option, const char *value, uint64_t rights, char *error,
                 size_t error_size)
{
	struct wsgid_sandbox_path path = wsgid_sandbox_path(value);
	char real[PATH_MAX], reason[512];
	struct rule rule = { rights, -1 };
	struct stat status;
	int result = -1;

	rule.parent = wsgid_sandbox_walk(root, path.text, false, real, reason, sizeof(reason));
	if (rule.parent == -1 && errno == ENOENT && path.optional)
		return 0;
	if (rule.parent == -1) {
		snprintf(error, error_size, "landlock %s %s: %s%s", option, path.text, reason,
		         errno == ENOENT ? ": correct the path, or write \"-\" before it if it need not exist" : "");
		return -1;
	}
	if (fstat(rule.parent, &status) == 0) {
		if (!S_ISDIR(status.st_mode))
			rule.allowed &= OF_FILES;
		result = (int)syscall(SYS_landlock_add_rule, ruleset, PATH_BENEATH, &rule, 0);
	}
	if (result != 0)
		snprintf(error, error_size, "landlock %s %s: %s", option, path.text, strerror(errno));
	close(rule.parent);
	return result;
}

static int allow_all(const struct wsgid_boot *boot, int ruleset, uint64_t handled, char *error, size_t error_size)
{
	static const struct { const char *name, *option; uint64_t rights; } lists[] = {
		{ "landlock.read", "read", READ },
		{ "landlock.write", "write", WRITE },
		{ "landlock.execute", "execute", READ | EXECUTE },
	};
	/* Whoever starts a program needs them, and nothing is kept there. */
	static const char *const devices[] = { "-/dev/null", "-/dev/zero", "-/dev/full", "-/dev/random", "-/dev/urandom" };
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), result = 0;

	if (root == -1) {
		snprintf(error, error_size, "landlock: open /: %s", strerror(errno));
		return -1;
	}
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const char *value;
		size_t position = 0;

		while (result == 0 && (value = wsgid_boot_next(boot, lists[i].name, &position)) != NULL)
			result = allow(ruleset, root, lists[i].option, value, lists[i].rights & handled, error, error_size);
	}
	for (size_t i = 0; result == 0 && i < sizeof(devices) / sizeof(devices[0]); i++)
		result = allow(ruleset, root, "write", devices[i], WRITE & handled, error, error_size);
	close(root);
	return result;
}

int wsgid_landlock_restrict(const struct wsgid_boot *boot, char *error, size_t error_size)
{
	const char *how = wsgid_boot_get(boot, "landlock", NULL);
	uint64_t handled;
	long version;
	int ruleset, result;

	if (how == NULL)
		return 0;
	version = syscall(SYS_landlock_create_ruleset, NULL, 0, ASK_VERSION);
	if (version < 1) {
		if (strcmp(how, "best_effort") == 0)
			return 0;
		snprintf(error, error_size, "landlock: this kernel does not have it, or it is not switched on: Linux 5.13 or "
		         "later with landlock in lsm=, or best_effort = true, or take the block out");
		return -1;
	}
	handled = handled_by(version);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);
	if (ruleset == -1) {
		snprintf(error, error_size, "landlock: %s", strerror(errno));
		return -1;
	}
	fcntl(ruleset, F_SETFD, FD_CLOEXEC);
	result = allow_all(boot, ruleset, handled, error, error_size);
	if (result == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) {
		snprintf(error, error_size, "landlock: %s%s", strerror(errno),
		         errno == EPERM ? ": it needs no_new_privileges = true" : "");
		result = -1;
	}
	close(ruleset);
	return result;
}
