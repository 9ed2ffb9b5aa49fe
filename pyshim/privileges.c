/* The one function that drops privileges. The order matters: groups before
 * the user, the bounding set while CAP_SETPCAP is there, dumpable and the
 * parent-death signal after the switch because the kernel resets both then. */
#define _GNU_SOURCE
#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "process_limits.h"
#include "sandbox.h"

static int failed(char *error, size_t error_size, const char *what)
{
	snprintf(error, error_size, "%s: %s", what, strerror(errno));
	return -1;
}

/* Reads a number that must be right if it is there: a malformed uid must never
 * mean "do not switch". Returns 1 when present, 0 when absent, -1 when malformed. */
static int read_id(const char *text, unsigned long *id)
{
	char *end;

	if (text == NULL)
		return 0;
	errno = 0;
	*id = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != 0 || text[0] < '0' || text[0] > '9' ||
	    *id >= 0xffffffffUL) /* (uid_t)-1 means "unchanged" to the kernel */
		return -1;
	return 1;
}

static int set_groups(const struct wsgid_boot *boot, char *error, size_t error_size)
{
	size_t position = 0, count = 0;
	gid_t *groups;
	const char *text;
	int result;

	groups = calloc(boot->count + 1, sizeof(*groups));
	if (groups == NULL)
		return failed(error, error_size, "list of groups");
	while ((text = wsgid_boot_next(boot, "group", &position)) != NULL) {
		unsigned long id;

		if (read_id(text, &id) != 1) {
			snprintf(error, error_size, "bad supplementary group %s", text);
			free(groups);
			return -1;
		}
		groups[count++] = (gid_t)id;
	}
	result = setgroups(count, groups);
	if (result != 0)
		failed(error, error_size, "setgroups");
	free(groups);
	return result;
}

/* Needs CAP_SETPCAP, so it comes before the switch of user and may fail for an
 * ordinary user, who has nothing to drop. */
static void empty_bounding_set(void)
{
	for (unsigned long capability = 0; capability < 64; capability++)
		if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1)
			prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

static int empty_capabilities(char *error, size_t error_size)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	memset(data, 0, sizeof(data));
	if (syscall(SYS_capset, &header, data) != 0)
		return failed(error, error_size, "empty the capabilities");
	return 0;
}

static int switch_user(const struct wsgid_boot *boot, char *error, size_t error_size)
{
	unsigned long uid = 0, gid = 0;
	int has_uid = read_id(wsgid_boot_get(boot, "uid", NULL), &uid);
	int has_gid = read_id(wsgid_boot_get(boot, "gid", NULL), &gid);
	bool has_groups = wsgid_boot_get(boot, "group", NULL) != NULL;
	uid_t real, effective, saved;

	if (has_uid < 0 || has_gid < 0) {
		snprintf(error, error_size, "bad uid or gid in the boot block");
		return -1;
	}
	if (has_uid == 1 && uid == 0) {
		snprintf(error, error_size, "refusing to run Python as root (uid 0): set another user");
		return -1;
	}
	if (has_uid == 1 && has_gid == 0) {
		snprintf(error, error_size, "uid %lu without a gid: the group of the supervisor would stay", uid);
		return -1;
	}
	if ((has_uid == 1 || has_groups) && set_groups(boot, error, error_size) != 0)
		return -1;
	if (has_gid == 1 && setresgid((gid_t)gid, (gid_t)gid, (gid_t)gid) != 0)
		return failed(error, error_size, "setresgid");
	if (has_uid == 1 && geteuid() == 0)
		empty_bounding_set();
	if (has_uid == 1 && setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid) != 0)
		return failed(error, error_size, "setresuid");
	if (getresuid(&real, &effective, &saved) != 0)
		return failed(error, error_size, "getresuid");
	if (has_uid == 1 && (real != uid || effective != uid || saved != uid)) {
		snprintf(error, error_size, "the user did not change to uid %lu", uid);
		return -1;
	}
	if ((real == 0 || effective == 0 || saved == 0) &&
	    strcmp(wsgid_boot_get(boot, "role", ""), "worker") == 0) {
		snprintf(error, error_size, "refusing to run Python as root (uid 0): set a user for group %s",
		         wsgid_boot_get(boot, "name", "?"));
		return -1;
	}
	if (effective == 0)
		return 0;
	empty_bounding_set();
	return empty_capabilities(error, error_size);
}

static int enter_directory(const struct wsgid_boot *boot, char *error, size_t error_size)
{
	const char *directory = wsgid_boot_get(boot, "chdir", NULL);
	const char *fallback = wsgid_boot_get(boot, "chdir.fallback", NULL);

	if (directory == NULL || chdir(directory) == 0)
		return 0;
	snprintf(error, error_size, "chdir %s: %s", directory, strerror(errno));
	if (fallback == NULL)
		return -1;
	if (chdir(fallback) == 0)
		return 0;
	snprintf(error, error_size, "chdir %s: %s", fallback, strerror(errno));
	return -1;
}

int wsgid_privileges_drop(const struct wsgid_boot *boot, char *error, size_t error_size)
{
	long parent = wsgid_boot_number(boot, "parent", -1);
	long mask = wsgid_boot_number(boot, "umask", -1);
	sigset_t none;

	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) != 0)
		return failed(error, error_size, "sigprocmask");
	/* EPERM: it is one already, which is all that we want. */
	if (setsid() == -1 && errno != EPERM)
		return failed(error, error_size, "setsid");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		return failed(error, error_size, "parent-death signal");
	if (mask >= 0)
		umask((mode_t)mask & 0777);
	if (wsgid_process_limits_set(boot, error, error_size) != 0 || wsgid_sandbox_enter(boot, error, error_size) != 0)
		return -1;
	if (strcmp(wsgid_boot_get(boot, "no_new_privs", "1"), "0") != 0 &&
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return failed(error, error_size, "no_new_privs");
	/* Before the switch: root can look every path up, and without no_new_privs
	 * only root may restrict itself. */
	if (wsgid_landlock_restrict(boot, error, error_size) != 0 || switch_user(boot, error, error_size) != 0)
		return -1;
	if (enter_directory(boot, error, error_size) != 0)
		return -1;
	/* The switch of user made the process undumpable, which would take
	 * /proc/self and with it /dev/stderr away from the application. */
	if (prctl(PR_SET_DUMPABLE, wsgid_boot_number(boot, "dumpable", 1) != 0, 0, 0, 0) != 0)
		return failed(error, error_size, "dumpable");
	if (wsgid_descriptors_reduce(boot, error, error_size) != 0)
		return -1;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		return failed(error, error_size, "parent-death signal");
	if (parent > 0 && getppid() != (pid_t)parent) {
		snprintf(error, error_size, "the supervisor (pid %ld) is gone", parent);
		return -1;
	}
	return 0;
}
