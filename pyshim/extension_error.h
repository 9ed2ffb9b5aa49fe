/* Exceptions of extension modules that are in the wrong interpreter. */
#ifndef WSGID_EXTENSION_ERROR_H
#define WSGID_EXTENSION_ERROR_H

#include <stdbool.h>

#include "log.h"

/* Whether an extension that does not support sub-interpreters is behind the
 * current exception, which stays; if so its name and the remedy were logged
 * (WSGID_E_EXTENSION_UNFIT). context says which application group this is. GIL
 * held. */
bool wsgid_unfit_extension(const struct wsgid_log_context *context);

#endif
