/* Which directory keeps this user from a path. */
#ifndef WSGID_PATH_BLOCKED_H
#define WSGID_PATH_BLOCKED_H

#include <stdbool.h>
#include <stddef.h>

/* Writes to blocked (size bytes) the first directory on the way to path, links
 * followed, that this user may not enter. False, and an empty text, when there
 * is none: something else is wrong with the path. */
bool wsgid_path_blocked(const char *path, char *blocked, size_t size);

#endif
