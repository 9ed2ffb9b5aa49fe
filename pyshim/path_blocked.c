/* See path_blocked.h. */
#define _GNU_SOURCE
#include "path_blocked.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool wsgid_path_blocked(const char *path, char *blocked, size_t size)
{
	char place[PATH_MAX] = "";

	blocked[0] = 0;
	/* The C library leaves in place how far it came when it may not go on. */
	if (realpath(path, place) != NULL || errno != EACCES)
		return false;
	for (char *slash; (slash = strrchr(place, '/')) != NULL;) {
		*slash = 0;
		const char *directory = slash == place ? "/" : place;
		char parent[PATH_MAX];

		snprintf(parent, sizeof(parent), "%s", directory);
		char *above = strrchr(parent, '/');
		above[above == parent] = 0;
		/* The first that blocks is one whose own directory lets us in. */
		if (access(directory, X_OK) != 0 && (strcmp(directory, "/") == 0 || access(parent, X_OK) == 0)) {
			snprintf(blocked, size, "%s", directory);
			return true;
		}
	}
	return false;
}
