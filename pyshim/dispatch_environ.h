/* The environ of the router's scripts. */
#ifndef WSGID_DISPATCH_ENVIRON_H
#define WSGID_DISPATCH_ENVIRON_H

#include "interpreter.h"

/* Key and value objects that an interpreter keeps between calls. Its GIL
 * guards it. */
struct wsgid_dispatch_cache;

/* The cache of interpreter, which has its side (wsgid_side_of), made at first
 * use; NULL with an exception. GIL held. */
struct wsgid_dispatch_cache *wsgid_dispatch_cache_of(struct wsgid_interpreter *interpreter);

/* Interned names of the three callables. */
PyObject *wsgid_dispatch_callable_name(struct wsgid_dispatch_cache *cache, int index);

/* Why the current version of script cannot be loaded, as it was said first;
 * NULL when not known. set takes a malloc'ed text. */
const char *wsgid_dispatch_load_error(struct wsgid_dispatch_cache *cache, const char *script);
void wsgid_dispatch_set_load_error(struct wsgid_dispatch_cache *cache, const char *script, char *text);

/* The path with a NUL, kept; NULL without memory or with a NUL inside. */
const char *wsgid_dispatch_path(struct wsgid_dispatch_cache *cache, const char *path, size_t length);

/* The environ of a dispatch script: a new dict, or NULL with an exception
 * (ValueError: malformed pairs). GIL held. */
PyObject *wsgid_dispatch_environ(struct wsgid_dispatch_cache *cache, const char *params, size_t params_length,
                                 const char *request_id, size_t request_id_length);

/* The environ of a script that authenticates or controls access (mod_wsgi
 * behaviour 5.2). HTTPS and SSL_ variables do not stand in it: they are what its
 * mod_ssl. functions know. Same results. */
PyObject *wsgid_auth_environ(struct wsgid_dispatch_cache *cache, const char *params, size_t params_length);

#endif
