/* The boot block: what the supervisor tells a child before anything else runs
 * (docs/internals.md section 1). Read once by the constructor in the still
 * single-threaded process; constant afterwards. */
#ifndef WSGID_BOOT_H
#define WSGID_BOOT_H

#include <stdbool.h>
#include <stddef.h>

/* One name and value; both point into the block and live as long as the process. */
struct wsgid_pair {
	const char *name;
	const char *value;
};

/* The parsed block. */
struct wsgid_boot {
	struct wsgid_pair *pairs;
	size_t count;
};

/* The boot block of this process, or NULL in a process that the supervisor
 * did not start (the plain command line). */
const struct wsgid_boot *wsgid_boot_block(void);

/* The first value of name, or fallback. */
const char *wsgid_boot_get(const struct wsgid_boot *boot, const char *name, const char *fallback);

/* The first value of name as a decimal number, or fallback when absent or malformed. */
long wsgid_boot_number(const struct wsgid_boot *boot, const char *name, long fallback);

/* Walks a list: the next pair called name at or after *position, which moves
 * behind it. NULL at the end. */
const char *wsgid_boot_next(const struct wsgid_boot *boot, const char *name, size_t *position);

/* All values of name in order, NULL-terminated: malloc'ed, the values point into
 * the block. *count (may be NULL) is their number. NULL without memory. */
const char **wsgid_boot_list(const struct wsgid_boot *boot, const char *name, size_t *count);

#endif
