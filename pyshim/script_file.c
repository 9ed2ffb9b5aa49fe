#define _GNU_SOURCE
#include "script_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct wsgid_stamp wsgid_stamp_of(const struct stat *status)
{
	return (struct wsgid_stamp){
		.mtime = (int64_t)status->st_mtim.tv_sec * 1000000 + status->st_mtim.tv_nsec / 1000,
		.size = status->st_size,
		.device = status->st_dev,
		.inode = status->st_ino,
	};
}

int wsgid_stamp_read(const char *path, struct wsgid_stamp *stamp)
{
	struct stat status;

	if (stat(path, &status) != 0)
		return -1;
	*stamp = wsgid_stamp_of(&status);
	return 0;
}

bool wsgid_stamp_equal(const struct wsgid_stamp *a, const struct wsgid_stamp *b)
{
	return a->mtime == b->mtime && a->size == b->size && a->device == b->device && a->inode == b->inode;
}

char *wsgid_script_read(const char *path, struct wsgid_stamp *stamp)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO must not hold us */
	struct stat status;
	size_t length = 0, capacity;
	char *text = NULL;
	int failure = 0;

	if (fd == -1)
		return NULL;
	if (fstat(fd, &status) != 0) {
		failure = errno;
		goto done;
	}
	if (!S_ISREG(status.st_mode)) {
		failure = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
		goto done;
	}
	*stamp = wsgid_stamp_of(&status);
	capacity = (size_t)status.st_size + 4096;
	text = malloc(capacity + 1);
	while (text != NULL) {
		ssize_t n = read(fd, text + length, capacity - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			failure = errno;
		if (n <= 0)
			break;
		length += (size_t)n;
		if (length == capacity) {
			char *larger = realloc(text, 2 * capacity + 1);

			failure = larger == NULL ? ENOMEM : 0;
			if (larger == NULL)
				break;
			text = larger;
			capacity *= 2;
		}
	}
	if (text == NULL)
		failure = ENOMEM;
	else
		text[length] = 0;
done:
	close(fd);
	if (failure != 0) {
		free(text);
		errno = failure;
		return NULL;
	}
	return text;
}
