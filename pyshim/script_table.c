/* Checking a path against the script table. */
#define _GNU_SOURCE
#include "script_table.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Absolute, no empty, "." or ".." segment, no slash at the end. */
static bool clean(const char *path)
{
	if (*path != '/' || !path[1])
		return false;
	while (*path) {
		const char *segment = path + 1;
		size_t size = strcspn(segment, "/");
		if (size == 0 || (size == 1 && segment[0] == '.') ||
		    (size == 2 && segment[0] == '.' && segment[1] == '.'))
			return false;
		path = segment + size;
	}
	return true;
}

/* path lies below directory (which may end in a slash). */
static bool below(const char *path, const char *directory, size_t length)
{
	while (length > 1 && directory[length - 1] == '/')
		length--;
	if (length == 1 && directory[0] == '/')
		return path[0] == '/' && path[1];
	return strncmp(path, directory, length) == 0 && path[length] == '/';
}

/* The same with symbolic links resolved in both. */
static bool really_below(const char *path, const struct wsgid_script_rule *rule)
{
	char real_path[PATH_MAX], real_rule[PATH_MAX];
	if (!realpath(path, real_path))
		return errno == ENOENT || errno == ENOTDIR;
	return realpath(rule->path, real_rule) && below(real_path, real_rule, strlen(real_rule));
}

bool wsgid_script_allowed(const struct wsgid_server *server, const char *path)
{
	if (!clean(path))
		return false;
	for (size_t i = 0; i < server->rule_count; i++) {
		const struct wsgid_script_rule *rule = &server->rules[i];
		if (!rule->directory) {
			if (strcmp(path, rule->path) == 0)
				return true;
		} else if (below(path, rule->path, rule->length) && really_below(path, rule)) {
			return true;
		}
	}
	return false;
}
