/* Checking who could have written a script. */
#define _GNU_SOURCE
#include "script_owner.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "errcode.h"

static bool owned(const struct wsgid_script_owner *owner, const struct wsgid_log_context *context, const char *path)
{
	const struct wsgid_error *error = wsgid_error(WSGID_E_SCRIPT_OWNER);
	struct wsgid_log_context coded = *context;
	struct stat status;

	coded.code = error->text;
	if (stat(path, &status) != 0)
		return true;
	if (owner->uid >= 0 && status.st_uid != (uid_t)owner->uid)
		wsgid_logf("error", &coded, "%s: %s has owner %ld, script_user is %ld", error->title, path,
		           (long)status.st_uid, owner->uid);
	else if (owner->uid >= 0 && (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		wsgid_logf("error", &coded, "%s: %s is writable by its group or by everybody (mode %04o), which "
		           "script_user does not allow", error->title, path, status.st_mode & 07777u);
	else if (owner->gid >= 0 && status.st_gid != (gid_t)owner->gid)
		wsgid_logf("error", &coded, "%s: %s has group %ld, script_group is %ld", error->title, path,
		           (long)status.st_gid, owner->gid);
	else if (owner->gid >= 0 && (status.st_mode & S_IWOTH) != 0)
		wsgid_logf("error", &coded, "%s: %s is writable by everybody (mode %04o), which script_group does "
		           "not allow", error->title, path, status.st_mode & 07777u);
	else
		return true;
	return false;
}

bool wsgid_script_owned(const struct wsgid_script_owner *owner, const struct wsgid_log_context *context,
                        const char *script)
{
	const char *slash = strrchr(script, '/');
	char directory[PATH_MAX];
	size_t length = slash == NULL ? 0 : (size_t)(slash - script);

	if (length >= sizeof(directory))
		return false;
	memcpy(directory, script, length);
	strcpy(directory + length, length == 0 ? "/" : "");
	return owned(owner, context, script) && owned(owner, context, directory);
}
