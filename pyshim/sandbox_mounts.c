/* Mounts of a sandbox. Everything goes by descriptors: between looking a path
 * up and mounting there, nobody can put anything else in its place. */
#define _GNU_SOURCE
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of <linux/mount.h>, which the C library's headers do not get along with
 * everywhere. The numbers are the same on all machines. */
#ifndef SYS_open_tree
#define SYS_open_tree 428
#define SYS_move_mount 429
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
enum {
	TREE_CLONE = 1,
	TREE_RECURSIVE = 0x8000,
	FROM_EMPTY_PATH = 0x4,
	TO_EMPTY_PATH = 0x40,
	CONFIG_STRING = 1,
	CONFIG_CREATE = 6,
	MOUNT_CLOEXEC = 1,
	READ_ONLY = 1,
	NO_SUID = 2,
	NO_DEVICES = 4,
	NO_EXECUTION = 8,
};

struct attributes {
	uint64_t set, clear, propagation, user_namespace;
};

enum mode { READ_WRITE, READ_ONLY_PATH, INACCESSIBLE };

/* One path of an option. */
struct place {
	enum mode mode;
	struct wsgid_sandbox_path path;
	char *real; /* below the root */
	int tree;   /* READ_WRITE: what was there before anything was changed; -1 */
};

struct places {
	struct place *list;
	size_t count;
};

static const char *option_of(enum mode mode)
{
	return mode == READ_WRITE ? "read_write_paths" : mode == INACCESSIBLE ? "inaccessible_paths" : "read_only_paths";
}

static int failed(const char *option, const char *path, const char *what, char *error, size_t error_size)
{
	snprintf(error, error_size, "%s %s: %s: %s%s", option, path, what, strerror(errno),
	         errno == ENOSYS ? ": this needs Linux 5.12 or later" : "");
	return -1;
}

static int copy_tree(int at)
{
	return (int)syscall(SYS_open_tree, at, "", TREE_CLONE | TREE_RECURSIVE | AT_EMPTY_PATH | O_CLOEXEC);
}

static int attach(int tree, int at)
{
	return (int)syscall(SYS_move_mount, tree, "", at, "", FROM_EMPTY_PATH | TO_EMPTY_PATH);
}

int wsgid_sandbox_own_mount(int directory)
{
	int tree = copy_tree(directory);
	int code;

	if (tree >= 0 && attach(tree, directory) == 0) {
		close(directory);
		return tree; /* refers to the mount, wherever that is */
	}
	code = errno;
	if (tree >= 0)
		close(tree);
	close(directory);
	errno = code;
	return -1;
}

/* A new file system in memory, attached nowhere. */
static int memory(const char *mode, const char *size, unsigned int attributes)
{
	int context = (int)syscall(SYS_fsopen, "tmpfs", MOUNT_CLOEXEC), made = -1, code;

	if (context == -1)
		return -1;
	if (syscall(SYS_fsconfig, context, CONFIG_STRING, "mode", mode, 0) == 0 &&
	    syscall(SYS_fsconfig, context, CONFIG_STRING, "size", size, 0) == 0 &&
	    syscall(SYS_fsconfig, context, CONFIG_CREATE, NULL, NULL, 0) == 0)
		made = (int)syscall(SYS_fsmount, context, MOUNT_CLOEXEC, attributes);
	code = errno;
	close(context);
	errno = code;
	return made;
}

/* Looks the path up. 1, or 0 when it is not there and need not be, or -1. */
static int look_up(struct place *place, int root, int *fd, char *error, size_t error_size)
{
	char real[PATH_MAX], reason[512];
	const char *option = option_of(place->mode);

	*fd = wsgid_sandbox_walk(root, place->path.text, false, real, reason, sizeof(reason));
	if (*fd == -1 && errno == ENOENT && place->path.optional)
		return 0;
	if (*fd == -1) {
		snprintf(error, error_size, "%s %s: %s%s", option, place->path.text, reason,
		         errno == ENOENT ? ": correct the path, or write \"-\" before it if it need not exist" : "");
		return -1;
	}
	if (place->real == NULL)
		place->real = strdup(real);
	if (place->real == NULL) {
		close(*fd);
		*fd = -1;
		return failed(option, place->path.text, "remember it", error, error_size);
	}
	return 1;
}

static int collect(const struct wsgid_boot *boot, int root, struct places *places, char *error, size_t error_size)
{
	static const struct { const char *name; enum mode mode; } lists[] = {
		{ "read_only_path", READ_ONLY_PATH },
		{ "inaccessible_path", INACCESSIBLE },
		{ "read_write_path", READ_WRITE },
	};

	places->list = calloc(boot->count + 1, sizeof(*places->list));
	if (places->list == NULL)
		return failed("mounts", "", "collect them", error, error_size);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const char *value;
		size_t position = 0;

		while ((value = wsgid_boot_next(boot, lists[i].name, &position)) != NULL) {
			struct place *place = &places->list[places->count];
			int fd, found;

			*place = (struct place){ lists[i].mode, wsgid_sandbox_path(value), NULL, -1 };
			found = look_up(place, root, &fd, error, error_size);
			if (found < 0)
				return -1;
			if (found == 0)
				continue;
			places->count++;
			if (place->mode == READ_WRITE)
				place->tree = copy_tree(fd);
			close(fd);
			if (place->mode == READ_WRITE && place->tree == -1)
				return failed(option_of(place->mode), value, "mount it", error, error_size);
		}
	}
	return 0;
}

/* Outer paths before those that lie in them. */
static int by_depth(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	size_t first = strlen(x->real), second = strlen(y->real);

	return (first > second) - (first < second);
}

/* An empty file that nobody but root can open: bound from a file system that
 * is attached for a moment only, because only what is attached can be bound. */
static int blank_file(int root)
{
	int home = memory("0700", "4k", NO_SUID | NO_DEVICES | NO_EXECUTION), file = -1, made = -1, code;

	if (home == -1)
		return -1;
	if (attach(home, root) == 0) {
		file = openat(home, "blank", O_CREAT | O_WRONLY | O_CLOEXEC, 0);
		if (file >= 0)
			made = (int)syscall(SYS_open_tree, home, "blank", TREE_CLONE | O_CLOEXEC);
		code = errno;
		if (file >= 0)
			close(file);
		if (fchdir(home) != 0 || umount2(".", MNT_DETACH) != 0 || fchdir(root) != 0) {
			code = errno;
			if (made >= 0)
				close(made);
			made = -1;
		}
		errno = code;
	}
	code = errno;
	close(home);
	errno = code;
	return made;
}

static int hide(const struct place *place, int fd, int root)
{
	struct stat status;
	int blank, result, code;

	if (fstat(fd, &status) != 0)
		return -1;
	blank = S_ISDIR(status.st_mode) ? memory("0000", "4k", READ_ONLY | NO_SUID | NO_DEVICES | NO_EXECUTION)
	                                : blank_file(root);
	if (blank == -1)
		return -1;
	result = attach(blank, fd);
	code = errno;
	close(blank);
	errno = code;
	return result;
}

static int protect(const struct place *place, int fd)
{
	struct attributes attributes = { .set = READ_ONLY };
	int tree = place->real[0] == 0 ? fd : copy_tree(fd); /* the root is that of a mount */
	int result, code;

	if (tree == -1)
		return -1;
	result = (int)syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | TREE_RECURSIVE, &attributes,
	                      sizeof(attributes));
	if (result == 0 && tree != fd)
		result = attach(tree, fd);
	code = errno;
	if (tree != fd)
		close(tree);
	errno = code;
	return result;
}

static int apply(struct place *place, int root, char *error, size_t error_size)
{
	int fd, result = 0, found = look_up(place, root, &fd, error, error_size);

	if (found <= 0)
		return found;
	if (place->mode == INACCESSIBLE)
		result = hide(place, fd, root);
	else if (place->mode == READ_ONLY_PATH)
		result = protect(place, fd);
	else if (place->real[0] != 0)
		result = attach(place->tree, fd);
	if (result != 0)
		failed(option_of(place->mode), place->path.text, "mount it", error, error_size);
	close(fd);
	return result;
}

/* An empty directory instead of one that exists. */
static int empty_directory(int root, const char *path, bool needed, const char *size, char *error, size_t error_size)
{
	char real[PATH_MAX], reason[512];
	int fd = wsgid_sandbox_walk(root, path, false, real, reason, sizeof(reason)), tree, result = -1;

	if (fd == -1 && errno == ENOENT && !needed)
		return 0;
	if (fd == -1) {
		snprintf(error, error_size, "private_tmp: %s: %s", path, reason);
		return -1;
	}
	tree = memory("1777", size, NO_SUID | NO_DEVICES);
	if (tree >= 0)
		result = attach(tree, fd);
	if (result != 0)
		failed("private_tmp:", path, "mount it", error, error_size);
	if (tree >= 0)
		close(tree);
	close(fd);
	return result;
}

int wsgid_sandbox_mounts(const struct wsgid_boot *boot, int root, char *error, size_t error_size)
{
	const char *size = wsgid_boot_get(boot, "private_tmp", NULL);
	struct places places = { NULL, 0 };
	int result = collect(boot, root, &places, error, error_size);

	if (result == 0) {
		qsort(places.list, places.count, sizeof(*places.list), by_depth);
		for (size_t i = 0; result == 0 && i < places.count; i++)
			result = apply(&places.list[i], root, error, error_size);
	}
	if (result == 0 && size != NULL)
		result = empty_directory(root, "/tmp", true, size, error, error_size);
	if (result == 0 && size != NULL)
		result = empty_directory(root, "/var/tmp", false, size, error, error_size);
	for (size_t i = 0; places.list != NULL && i < places.count; i++) {
		free(places.list[i].real);
		if (places.list[i].tree >= 0)
			close(places.list[i].tree);
	}
	free(places.list);
	return result;
}
