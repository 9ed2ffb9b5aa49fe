/* One evaluation in the router of a dispatch script (mod_wsgi behaviour 5.1), or
 * of one that authenticates or controls access (5.2). The whole interface between Go and C: plain values, texts that the caller
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

/* Which callables of a script are called. */
enum wsgid_question_kind {
	WSGID_ASK_DISPATCH,   /* process_group, application_group, callable_object(environ) */
	WSGID_ASK_PASSWORD,   /* check_password(environ, user, password) */
	WSGID_ASK_REALM_HASH, /* get_realm_hash(environ, user, realm) */
	WSGID_ASK_GROUPS,     /* groups_for_user(environ, user) */
	WSGID_ASK_ACCESS,     /* allow_access(environ, host) */
};

/* What a script is asked; the texts, not NUL-terminated, are the arguments
 * after environ. Not kept. */
struct wsgid_question {
	enum wsgid_question_kind kind;
	const char *first, *second;
	size_t first_length, second_length;
};

/* The answer to every question but WSGID_ASK_DISPATCH. */
enum wsgid_verdict {
	WSGID_VERDICT_NONE,    /* there was no answer */
	WSGID_VERDICT_GRANTED, /* True, or a text or the groups in overrides[0] */
	WSGID_VERDICT_DENIED,  /* False */
	WSGID_VERDICT_UNKNOWN, /* None */
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
	int verdict;                  /* enum wsgid_verdict */
	bool allocated;               /* something is to be freed */
	/* Process group, application group, callable object; or first the user's
	 * name, the hash, or the groups with a NUL after each. */
	struct wsgid_override overrides[3];
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

/* Forgets the call before. Before wsgid_dispatch, by its caller. error_log is the
 * key for what the script writes, trace the id of the request's trace (log.h); what is too
 * long is left out. */
void wsgid_dispatch_slot_reset(struct wsgid_dispatch_slot *slot, const char *error_log, size_t error_log_length,
                               const char *trace, size_t trace_length);

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

/* The same for a script that authenticates or controls access: asks it question. */
void wsgid_ask(struct wsgid_dispatch_slot *slot, const char *script, size_t script_length, const char *group,
               size_t group_length, const char *params, size_t params_length, const char *request_id,
               size_t request_id_length, int flags, int kind, const char *first, size_t first_length,
               const char *second, size_t second_length, struct wsgid_dispatch_result *result);

/* Raises wsgid.DispatchTimeout in the call that runs in slot; a call that has
 * not begun yet ends at once when it does. From any thread; waits for the GIL. */
void wsgid_dispatch_interrupt(struct wsgid_dispatch_slot *slot);

void wsgid_dispatch_free_result(struct wsgid_dispatch_result *result);

#endif
