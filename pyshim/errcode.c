/* Lookup of the worker's own error codes. */
#include "errcode.h"

#include <stddef.h>

static const struct wsgid_error errors[] = {
#define WSGID_ERRCODE_ROW(name, code, status, title) {code, status, "WSGID-" #code, title},
    WSGID_ERRCODES(WSGID_ERRCODE_ROW)
#undef WSGID_ERRCODE_ROW
};

const struct wsgid_error *wsgid_error(enum wsgid_errcode code)
{
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
		if (errors[i].code == (int)code)
			return &errors[i];
	return &errors[0];
}
