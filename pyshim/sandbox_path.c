/* Looking paths up for root in directories that others may write. */
#define _GNU_SOURCE
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKS = 40 }; /* as the kernel allows */

/* A walk under way. */
struct walk {
	int root, at;           /* at: where it is, its own descriptor */
	char rest[2 * PATH_MAX]; /* what is still to go */
	char *real;             /* [PATH_MAX] */
	int links;
	char *error;
	size_t error_size;
};

struct wsgid_sandbox_path wsgid_sandbox_path(const char *value)
{
	return (struct wsgid_sandbox_path){ value[0] == '-' ? value + 1 : value, value[0] == '-' };
}

__attribute__((format(printf, 3, 4))) static int fail(struct walk *w, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(w->error, w->error_size, format, arguments);
	va_end(arguments);
	errno = code;
	return -1;
}

static bool is_ours(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

/* Only root and this user can change what lies in the directory, or others at
 * least not what is theirs. */
static bool is_owned(const struct stat *directory)
{
	return is_ours(directory->st_uid) &&
	       ((directory->st_mode & 022) == 0 || (directory->st_mode & S_ISVTX) != 0);
}

static int start_over(struct walk *w)
{
	close(w->at);
	w->at = fcntl(w->root, F_DUPFD_CLOEXEC, 3);
	w->real[0] = 0;
	return w->at == -1 ? fail(w, errno, "%s", strerror(errno)) : 0;
}

/* Puts text in front of the rest. */
static int prepend(struct walk *w, const char *text)
{
	char *rest = strdup(w->rest);
	int length;

	if (rest == NULL)
		return fail(w, ENOMEM, "no memory");
	length = snprintf(w->rest, sizeof(w->rest), "%s/%s", text, rest);
	free(rest);
	return length >= (int)sizeof(w->rest) ? fail(w, ENAMETOOLONG, "path too long") : 0;
}

/* Up one directory: over the root again, since ".." of a directory that
 * somebody moves leads elsewhere. */
static int go_up(struct walk *w)
{
	char parent[PATH_MAX];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", w->real);
	slash = strrchr(parent, '/');
	if (slash != NULL)
		*slash = 0;
	return start_over(w) != 0 ? -1 : prepend(w, parent);
}

static int follow(struct walk *w, int link, const struct stat *status, const struct stat *directory)
{
	char target[PATH_MAX];
	ssize_t length;

	if (!is_ours(status->st_uid) || !is_owned(directory))
		return fail(w, ELOOP, "a symbolic link below /%s belongs to user %d or lies where others can write: "
		            "write the path that it leads to", w->real, (int)status->st_uid);
	if (++w->links > LINKS)
		return fail(w, ELOOP, "%s", strerror(ELOOP));
	length = readlinkat(link, "", target, sizeof(target) - 1);
	if (length < 0)
		return fail(w, errno, "%s", strerror(errno));
	target[length] = 0;
	if (target[0] == '/' && start_over(w) != 0)
		return -1;
	return prepend(w, target);
}

/* One name of the path. */
static int step(struct walk *w, const char *name, bool owned)
{
	struct stat directory, status;
	size_t length = strlen(w->real);
	int next, result;

	if (fstat(w->at, &directory) != 0)
		return fail(w, errno, "%s", strerror(errno));
	if (owned && !is_owned(&directory))
		return fail(w, EPERM, "the directory /%s does not belong to root, or others can write there: "
		            "chown root and chmod go-w it", w->real);
	next = openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (next == -1)
		return fail(w, errno, "%s", strerror(errno));
	if (fstat(next, &status) != 0) {
		result = fail(w, errno, "%s", strerror(errno));
	} else if (S_ISLNK(status.st_mode)) {
		result = follow(w, next, &status, &directory);
	} else if (length + strlen(name) + 2 > PATH_MAX) {
		result = fail(w, ENAMETOOLONG, "path too long");
	} else {
		sprintf(w->real + length, "%s%s", length > 0 ? "/" : "", name);
		close(w->at);
		w->at = next;
		return 0;
	}
	close(next);
	return result;
}

int wsgid_sandbox_walk(int root, const char *path, bool owned, char *real, char *error, size_t error_size)
{
	struct walk *w = calloc(1, sizeof(*w));
	int result = -1;

	real[0] = 0;
	if (w == NULL)
		return -1;
	*w = (struct walk){ .root = root, .at = -1, .real = real, .error = error, .error_size = error_size };
	if (strlen(path) >= sizeof(w->rest)) {
		fail(w, ENAMETOOLONG, "path too long");
		goto done;
	}
	strcpy(w->rest, path);
	if (start_over(w) != 0)
		goto done;
	for (;;) {
		char name[NAME_MAX + 1];
		size_t slashes = strspn(w->rest, "/"), length = strcspn(w->rest + slashes, "/");
		int stepped = 0;

		if (length == 0)
			break;
		if (length > NAME_MAX) {
			fail(w, ENAMETOOLONG, "%s", strerror(ENAMETOOLONG));
			goto done;
		}
		memcpy(name, w->rest + slashes, length);
		name[length] = 0;
		memmove(w->rest, w->rest + slashes + length, strlen(w->rest + slashes + length) + 1);
		if (strcmp(name, "..") == 0)
			stepped = go_up(w);
		else if (strcmp(name, ".") != 0)
			stepped = step(w, name, owned);
		if (stepped != 0)
			goto done;
	}
	result = w->at;
	w->at = -1;
done:
	if (w->at >= 0) {
		int code = errno;

		close(w->at);
		errno = code;
	}
	free(w);
	return result;
}
