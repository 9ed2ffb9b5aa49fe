/* What a worker may see and touch of the machine: root directory, mounts,
 * Landlock, score of the OOM killer. Called by privileges.c alone, in the
 * single-threaded child before anything else of it runs. */
#ifndef WSGID_SANDBOX_H
#define WSGID_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "boot.h"

/* Everything that needs the privileges of root: oom_score_adjust, mount
 * namespace, chroot. The working directory is "/" afterwards if one of the last
 * two was asked for. Returns 0, or -1 with a sentence in error. */
int wsgid_sandbox_enter(const struct wsgid_boot *boot, char *error, size_t error_size);

/* Restricts the process by the landlock pairs of the block, looked up below its
 * root directory. Needs no_new_privs or CAP_SYS_ADMIN. Returns 0, or -1. */
int wsgid_landlock_restrict(const struct wsgid_boot *boot, char *error, size_t error_size);

/* An option's path, taken apart. */
struct wsgid_sandbox_path {
	const char *text; /* absolute */
	bool optional;    /* a "-" stood before it: it need not exist */
};

struct wsgid_sandbox_path wsgid_sandbox_path(const char *value);

/* Looks an absolute path up below the directory root and writes where it
 * really lies into real[PATH_MAX], relative to root; "" is root itself. A
 * symbolic link counts only if it and its directory belong to root or this user
 * and nobody else can write there: what the user of the group could make must not
 * lead root anywhere. With owned every directory on the way must be like that.
 * Returns an O_PATH descriptor, close-on-exec, the caller's, or -1 with errno
 * and a reason in error. */
int wsgid_sandbox_walk(int root, const char *path, bool owned, char *real, char *error, size_t error_size);

/* Makes the mounts of the block below the directory root, in a mount namespace
 * that is this process's own. Returns 0, or -1 with a sentence. */
int wsgid_sandbox_mounts(const struct wsgid_boot *boot, int root, char *error, size_t error_size);

/* Makes the directory, a name and an O_PATH descriptor of it, the root of a
 * mount. Returns a descriptor of that in place of it (which is closed), or -1. */
int wsgid_sandbox_own_mount(int directory);

#endif
