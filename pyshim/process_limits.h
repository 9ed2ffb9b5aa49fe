/* Limits of resources of this process. */
#ifndef WSGID_PROCESS_LIMITS_H
#define WSGID_PROCESS_LIMITS_H

#include <stddef.h>

#include "boot.h"

/* Sets what the block says: nice, cpu_time_limit, memory_limit,
 * virtual_memory_limit and the list rlimit ("name=number" or "name=unlimited").
 * Called in the single-threaded process while it has all privileges: only root
 * may raise a limit, or lower the nice value. 0, or -1 with error filled. */
int wsgid_process_limits_set(const struct wsgid_boot *boot, char *error, size_t error_size);

#endif
