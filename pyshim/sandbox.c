/* The sandbox of a worker: what of it needs root. */
#define _GNU_SOURCE
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const mount_options[] = { "private_tmp", "read_only_path", "inaccessible_path",
	                                     "read_write_path" };

/* How the configuration calls what the block calls so. */
static const char *option_name(const char *name)
{
	if (strcmp(name, "read_only_path") == 0)
		return "read_only_paths";
	if (strcmp(name, "inaccessible_path") == 0)
		return "inaccessible_paths";
	return strcmp(name, "read_write_path") == 0 ? "read_write_paths" : name;
}

/* The first option that needs a mount namespace; NULL: none. */
static const char *mounting(const struct wsgid_boot *boot)
{
	for (size_t i = 0; i < sizeof(mount_options) / sizeof(mount_options[0]); i++)
		if (wsgid_boot_get(boot, mount_options[i], NULL) != NULL)
			return option_name(mount_options[i]);
	return NULL;
}

static int set_oom_score(const struct wsgid_boot *boot, char *error, size_t error_size)
{
	const char *value = wsgid_boot_get(boot, "oom_score_adjust", NULL);
	ssize_t written;
	int fd;

	if (value == NULL)
		return 0;
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	written = fd == -1 ? -1 : write(fd, value, strlen(value));
	if (written != (ssize_t)strlen(value))
		snprintf(error, error_size, "oom_score_adjust %s: %s: %s", value, strerror(errno),
		         errno == EACCES ? "less than what wsgid has needs CAP_SYS_RESOURCE" : "is /proc mounted?");
	if (fd >= 0)
		close(fd);
	return written == (ssize_t)strlen(value) ? 0 : -1;
}

static int new_namespace(const char *option, char *error, size_t error_size)
{
	const char *what = "make a mount namespace";

	if (unshare(CLONE_NEWNS) == 0) {
		/* Nothing that is mounted here gets out, and nothing in. */
		if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
			return 0;
		what = "make the mounts private";
	}
	snprintf(error, error_size, "%s: %s: %s%s", option, what, strerror(errno),
	         errno == EPERM ? ": wsgid needs CAP_SYS_ADMIN for that (in a container: add it, and a seccomp "
	                          "profile that allows mounts), or take the option out" : "");
	return -1;
}

/* The directory that the process shall have as its root. */
static int open_jail(int root, const char *path, bool own_mount, char *error, size_t error_size)
{
	char real[PATH_MAX], reason[512];
	struct stat status;
	int jail = wsgid_sandbox_walk(root, path, true, real, reason, sizeof(reason));

	if (jail == -1) {
		snprintf(error, error_size, "chroot %s: %s", path, reason);
		return -1;
	}
	if (fstat(jail, &status) != 0 || !S_ISDIR(status.st_mode)) {
		snprintf(error, error_size, "chroot %s is no directory", path);
	} else if (status.st_uid != 0 || (status.st_mode & 022) != 0) {
		snprintf(error, error_size, "chroot %s does not belong to root, or others can write there: chown root "
		         "and chmod go-w it", path);
	} else if (own_mount && (jail = wsgid_sandbox_own_mount(jail)) == -1) {
		snprintf(error, error_size, "chroot %s: mount it on itself: %s", path, strerror(errno));
		return -1;
	} else {
		return jail;
	}
	close(jail);
	return -1;
}

int wsgid_sandbox_enter(const struct wsgid_boot *boot, char *error, size_t error_size)
{
	const char *jail = wsgid_boot_get(boot, "chroot", NULL), *option = mounting(boot);
	int root, result = -1;

	if (set_oom_score(boot, error, error_size) != 0)
		return -1;
	if (jail == NULL && option == NULL)
		return 0;
	if (option != NULL && new_namespace(option, error, error_size) != 0)
		return -1;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root >= 0 && jail != NULL) {
		int inner = open_jail(root, jail, option != NULL, error, error_size);

		close(root);
		if (inner == -1)
			return -1;
		root = inner;
		if (fchdir(root) != 0 || chroot(".") != 0) {
			snprintf(error, error_size, "chroot %s: %s%s", jail, strerror(errno),
			         errno == EPERM ? ": wsgid needs CAP_SYS_CHROOT for that" : "");
			close(root);
			return -1;
		}
	}
	if (root == -1)
		snprintf(error, error_size, "open /: %s", strerror(errno));
	else if (option == NULL || wsgid_sandbox_mounts(boot, root, error, error_size) == 0)
		result = 0;
	if (result == 0 && chdir("/") != 0) {
		snprintf(error, error_size, "chdir /: %s", strerror(errno));
		result = -1;
	}
	if (root >= 0)
		close(root);
	return result;
}
