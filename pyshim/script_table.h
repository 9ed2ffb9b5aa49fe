/* The script table: which files this process may run (docs/internals.md
 * section 1, rule.file and rule.dir), whatever the router says. */
#ifndef WSGID_SCRIPT_TABLE_H
#define WSGID_SCRIPT_TABLE_H

#include <stdbool.h>

#include "worker.h"

/* True when path (absolute, NUL-terminated) may run. A file below a directory
 * rule must also lie below it once symbolic links are resolved; one that does
 * not exist is judged by its path alone, so that it is reported as missing. */
bool wsgid_script_allowed(const struct wsgid_server *server, const char *path);

#endif
