/* What a script is as a file: its content, and a stamp by which a change is
 * noticed. No GIL needed. */
#ifndef WSGID_SCRIPT_FILE_H
#define WSGID_SCRIPT_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* Tells versions of a file apart. The modification time alone does not: the
 * clock of a file system ticks every few milliseconds, and two edits may fall
 * into one tick. */
struct wsgid_stamp {
	int64_t mtime; /* microseconds since the epoch */
	off_t size;
	dev_t device;
	ino_t inode;
};

/* The stamp of what stat said. */
struct wsgid_stamp wsgid_stamp_of(const struct stat *status);

/* Fills *stamp in, symbolic links followed. 0, or -1 with errno. */
int wsgid_stamp_read(const char *path, struct wsgid_stamp *stamp);

bool wsgid_stamp_equal(const struct wsgid_stamp *a, const struct wsgid_stamp *b);

/* The whole of a regular file, malloc'ed with a NUL behind it, and its stamp
 * from before the reading; NULL with errno. */
char *wsgid_script_read(const char *path, struct wsgid_stamp *stamp);

#endif
