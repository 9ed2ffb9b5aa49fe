/* Loading scripts as modules (mod_wsgi behaviour section 7): named
 * _mod_wsgi_ + md5 of the path, __mtime__ in microseconds, one lock per process
 * around "is it loaded / has it changed / import it". GIL of the interpreter
 * held on every call here; the lock is never waited for with the GIL held. */
#ifndef WSGID_SCRIPT_H
#define WSGID_SCRIPT_H

#include "interpreter.h"

enum wsgid_script_outcome {
	WSGID_SCRIPT_OK,      /* *module is set (new reference) */
	WSGID_SCRIPT_MISSING, /* no such file */
	WSGID_SCRIPT_CHANGED, /* loaded, or tried, before and changed since; not imported (flags REFUSE, STALE) */
	WSGID_SCRIPT_STALE,   /* changed since, *module is what was loaded before (flag STALE) */
	WSGID_SCRIPT_FAILED,  /* import failed; a Python exception is set unless it failed before (flag ONCE) */
};

enum wsgid_script_flags {
	WSGID_SCRIPT_CHECK = 1,  /* compare the modification time */
	WSGID_SCRIPT_REFUSE = 2, /* on change answer CHANGED instead of importing again in place */
	WSGID_SCRIPT_KEEP = 4,   /* if importing the changed file fails, keep the old module and
	                            set the exception: outcome FAILED with *module set. The same
	                            broken file is tried once a second; in between there is no
	                            exception, the caller remembers the one it got */
	WSGID_SCRIPT_STALE_OK = 8, /* on change answer STALE with the old module; CHANGED if there is none */
	WSGID_SCRIPT_ONCE = 16,    /* what failed to import is not tried again in this process */
};

/* Looks the script at path up, imports it when needed. resource is what
 * reload_required is called with; NULL: do not call it, no request wants the
 * module. */
enum wsgid_script_outcome wsgid_script_load(struct wsgid_interpreter *interpreter, const char *path,
                                            const char *resource, int flags, PyObject **module);

/* What is worth telling about a script that another process should import. */
enum wsgid_script_news {
	WSGID_NEWS_NONE,    /* told less than a second ago */
	WSGID_NEWS_CHANGED, /* this version of the file was not told about yet */
	WSGID_NEWS_AGAIN,   /* it was, and a request still wants it */
};

/* Remembers with which error code the import of a script has failed, for the
 * requests that come after it. */
void wsgid_script_blame(struct wsgid_interpreter *interpreter, const char *path, int code);

/* The code, 0 when none is known. */
int wsgid_script_blamed(struct wsgid_interpreter *interpreter, const char *path);

/* After an outcome STALE, CHANGED or FAILED: is it time to tell? */
enum wsgid_script_news wsgid_script_news(struct wsgid_interpreter *interpreter, const char *path);

#endif
