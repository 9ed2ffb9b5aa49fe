/* One evaluation of a dispatch script in the router (mod_wsgi behaviour 5.1).
 * The whole interface between Go and C: plain values, texts that the caller
 * frees. No GIL held by the caller of any function here. */
#ifndef WSGID_DISPATCH_CALL_H
#define WSGID_DISPATCH_CALL_H

#include <stdbool.h>
#include <stddef.h>

enum {
	WSGID_DISPATCH_INLINE = 256, /* longer texts are malloc'ed */
};

enum wsgid_dispatch_kind {
	WSGID_DISPATCH_OK,
	WSGID_DISPATCH_LOAD,        /* the script is missing or cannot be imported */
	WSGID_DISPATCH_EXCEPTION,   /* a callable raised */
	WSGID_DISPATCH_VALUE,       /* a callable returned a wrong value, or is none */
	WSGID_DISPATCH_INTERRUPTED, /* wsgid_dispatch_interrupt ended it */
	WSGID_DISPATCH_INTERPRETER, /* no interpreter or no memory */
	WSGID_DISPATCH_LIMIT,       /* one interpreter more than max_interpreters */
};

/* What one callable answered. */
struct wsgid_override {
	bool set;                           /* else None, or there is no such callable */
	size_t length;
	char *text;                         /* malloc'ed when it does not fit below, else NULL */
	char inlined[WSGID_DISPATCH_INLINE];
};

/* The answer. All pointers are malloc'ed or NULL; free them with
 * wsgid_dispatch_free_result. */
struct wsgid_dispatch_result {
	int kind;                     /* enum wsgid_dispatch_kind */
	int line;                     /* in the script, 0 unknown */
	bool allocated;               /* something is to be freed */
	struct wsgid_override overrides[3]; /* process group, application group, callable object */
	char *load_error;             /* OK, but the last good version served: why */
	char *function;               /* name of the callable */
	char *message;
	char *traceback;
	char *value;                  /* repr of a wrong value */
};

/* One running call that can be interrupted; used again and again, one call at
 * a time. */
struct wsgid_dispatch_slot;
struct wsgid_dispatch_slot *wsgid_dispatch_slot_new(void);
void wsgid_dispatch_slot_free(struct wsgid_dispatch_slot *slot);

/* Forgets an interrupt of the call before. Before wsgid_dispatch, by its caller. */
void wsgid_dispatch_slot_reset(struct wsgid_dispatch_slot *slot);

enum wsgid_dispatch_flags {
	WSGID_DISPATCH_CHECK = 1,     /* compare the script's modification time */
	WSGID_DISPATCH_KEEP_GOOD = 2, /* after a broken edit the last version goes on */
};

/* Evaluates the script (not NUL-terminated, as all texts here) with an environ
 * made of the FastCGI name-value pairs in params. Fills result. */
void wsgid_dispatch(struct wsgid_dispatch_slot *slot, const char *script, size_t script_length,
                    const char *group, size_t group_length, const char *params, size_t params_length,
                    const char *request_id, size_t request_id_length, int flags,
                    struct wsgid_dispatch_result *result);

/* Raises wsgid.DispatchTimeout in the call that runs in slot; a call that has
 * not begun yet ends at once when it does. From any thread; waits for the GIL. */
void wsgid_dispatch_interrupt(struct wsgid_dispatch_slot *slot);

void wsgid_dispatch_free_result(struct wsgid_dispatch_result *result);

#endif
