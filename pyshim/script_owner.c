/* Checking who could have written a script. */
#define _GNU_SOURCE
#include "script_owner.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "errcode.h"

enum { REASON = PATH_MAX + 256 };

static bool owned(const struct wsgid_script_owner *owner, const char *path, char *why, size_t size)
{
	const char *title = wsgid_error(WSGID_E_SCRIPT_OWNER)->title;
	struct stat status;

	if (stat(path, &status) != 0)
		return true;
	if (owner->uid >= 0 && status.st_uid != (uid_t)owner->uid)
		snprintf(why, size, "%s: %s has owner %ld, script_user is %ld", title, path, (long)status.st_uid, owner->uid);
	else if (owner->uid >= 0 && (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		snprintf(why, size, "%s: %s is writable by its group or by everybody (mode %04o), which "
		         "script_user does not allow", title, path, status.st_mode & 07777u);
	else if (owner->gid >= 0 && status.st_gid != (gid_t)owner->gid)
		snprintf(why, size, "%s: %s has group %ld, script_group is %ld", title, path, (long)status.st_gid, owner->gid);
	else if (owner->gid >= 0 && (status.st_mode & S_IWOTH) != 0)
		snprintf(why, size, "%s: %s is writable by everybody (mode %04o), which script_group does "
		         "not allow", title, path, status.st_mode & 07777u);
	else
		return true;
	return false;
}

bool wsgid_script_owner_right(const struct wsgid_script_owner *owner, const char *script, char *why, size_t size)
{
	const char *slash = strrchr(script, '/');
	char directory[PATH_MAX];
	size_t length = slash == NULL ? 0 : (size_t)(slash - script);

	if (length >= sizeof(directory)) {
		snprintf(why, size, "%s: the path is too long", wsgid_error(WSGID_E_SCRIPT_OWNER)->title);
		return false;
	}
	memcpy(directory, script, length);
	strcpy(directory + length, length == 0 ? "/" : "");
	return owned(owner, script, why, size) && owned(owner, directory, why, size);
}

bool wsgid_script_owned(const struct wsgid_script_owner *owner, const struct wsgid_log_context *context,
                        const char *script)
{
	struct wsgid_log_context coded = *context;
	char why[REASON];

	if (wsgid_script_owner_right(owner, script, why, sizeof(why)))
		return true;
	coded.code = wsgid_error(WSGID_E_SCRIPT_OWNER)->text;
	wsgid_logf("error", &coded, "%s", why);
	return false;
}
