/* Giving up what a child must not have. */
#ifndef WSGID_PRIVILEGES_H
#define WSGID_PRIVILEGES_H

#include <stddef.h>

#include "boot.h"

/* Turns the still single-threaded child into what the block says: session,
 * parent-death signal, umask, limits, sandbox, no_new_privs, Landlock, groups,
 * gid, uid, capabilities, working directory, dumpable flag, descriptors. Returns 0, or -1 with a
 * sentence in error; the process must then exit. */
int wsgid_privileges_drop(const struct wsgid_boot *boot, char *error, size_t error_size);

/* Closes every descriptor from 3 on that no "fd.*" pair of the block names and
 * makes the named ones close-on-exec. Returns 0, or -1 with a sentence. */
int wsgid_descriptors_reduce(const struct wsgid_boot *boot, char *error, size_t error_size);

#endif
