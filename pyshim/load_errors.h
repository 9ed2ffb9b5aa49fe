/* Scripts that the Python of the router cannot import: what status shows of
 * them until one can be imported. A worker tells its supervisor instead
 * (status.h). Any thread, with or without the GIL. */
#ifndef WSGID_LOAD_ERRORS_H
#define WSGID_LOAD_ERRORS_H

#include <stddef.h>

/* Remembers the traceback of an import; of more than a few scripts nothing. */
void wsgid_load_errors_add(const char *application, const char *script, const char *traceback);

/* The script could be imported, or is gone. Costs next to nothing while
 * nothing is remembered. */
void wsgid_load_errors_drop(const char *application, const char *script);

/* All of them: application, script, microseconds since the epoch and traceback
 * of each, every text with a NUL. Owned by the caller; NULL when there are none
 * or without memory. */
char *wsgid_load_errors_text(size_t *size);

#endif
