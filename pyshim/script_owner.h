/* script_user and script_group: whose scripts a group runs (mod_wsgi behaviour
 * 2.1). */
#ifndef WSGID_SCRIPT_OWNER_H
#define WSGID_SCRIPT_OWNER_H

#include <stdbool.h>

#include "log.h"

/* At most one of the two is asked for; -1: not. */
struct wsgid_script_owner {
	long uid;
	long gid;
};

/* True when script and its directory belong to the owner and nobody else may
 * write there: neither group nor others for a user, no others for a group.
 * Otherwise why says what is wrong. A script that cannot be looked at is left
 * to who reads it. */
bool wsgid_script_owner_right(const struct wsgid_script_owner *owner, const char *script, char *why, size_t size);

/* The same, and a line in the log says what is wrong. */
bool wsgid_script_owned(const struct wsgid_script_owner *owner, const struct wsgid_log_context *context,
                        const char *script);

#endif
