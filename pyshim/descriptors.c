/* Descriptors that a child may keep. */
#define _GNU_SOURCE
#include "privileges.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int compare(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool named(const int *keep, size_t count, int fd)
{
	return bsearch(&fd, keep, count, sizeof(*keep), compare) != NULL;
}

/* For kernels before 5.9. Without /proc nothing is closed: everything that the
 * supervisor opens is close-on-exec anyway, this is the second lock. */
static void close_by_listing(const int *keep, size_t count)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;

	if (directory == NULL)
		return;
	while ((entry = readdir(directory)) != NULL) {
		int fd = atoi(entry->d_name);

		if (fd > 2 && fd != dirfd(directory) && !named(keep, count, fd))
			close(fd);
	}
	closedir(directory);
}

static int close_between(unsigned int first, unsigned int last)
{
	if (first > last)
		return 0;
#ifdef SYS_close_range
	return (int)syscall(SYS_close_range, first, last, 0);
#else
	errno = ENOSYS;
	return -1;
#endif
}

static void close_others(const int *keep, size_t count)
{
	unsigned int next = 3;

	for (size_t i = 0; i < count; i++) {
		if (keep[i] < 3)
			continue;
		if (close_between(next, (unsigned int)keep[i] - 1) != 0) {
			close_by_listing(keep, count);
			return;
		}
		next = (unsigned int)keep[i] + 1;
	}
	if (close_between(next, ~0U) != 0)
		close_by_listing(keep, count);
}

int wsgid_descriptors_reduce(const struct wsgid_boot *boot, char *error, size_t error_size)
{
	int *keep = calloc(boot->count + 1, sizeof(*keep));
	size_t count = 0;
	int result = -1;

	if (keep == NULL) {
		snprintf(error, error_size, "no memory for the list of descriptors");
		return -1;
	}
	for (size_t i = 0; i < boot->count; i++) {
		const char *value = boot->pairs[i].value;
		char *end;
		long fd;

		if (strncmp(boot->pairs[i].name, "fd.", 3) != 0)
			continue;
		fd = strtol(value, &end, 10);
		if (end == value || *end != 0 || fd < 0 || fd > 0x7fffffff ||
		    fcntl((int)fd, F_GETFD) == -1) {
			snprintf(error, error_size, "%s=%s is not an open descriptor", boot->pairs[i].name, value);
			goto done;
		}
		if (fd > 2 && fcntl((int)fd, F_SETFD, FD_CLOEXEC) != 0) {
			snprintf(error, error_size, "%s: %s", boot->pairs[i].name, strerror(errno));
			goto done;
		}
		keep[count++] = (int)fd;
	}
	qsort(keep, count, sizeof(*keep), compare);
	close_others(keep, count);
	result = 0;
done:
	free(keep);
	return result;
}
