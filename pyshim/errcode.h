/* The codes of refusals that a worker itself answers. internal/errcode is the
 * list for people and Go; errcode_test.go holds the two together. */
#ifndef WSGID_ERRCODE_H
#define WSGID_ERRCODE_H

/* X(name, code, HTTP status, title) */
#define WSGID_ERRCODES(X)                                                              \
	X(SCRIPT_FORBIDDEN, 1101, 403, "script not permitted for this process group")  \
	X(SCRIPT_MISSING, 1102, 404, "script not found")                               \
	X(SCRIPT_IMPORT, 1103, 500, "script failed to import")                         \
	X(CALLABLE_MISSING, 1104, 500, "script has no such callable object")           \
	X(APPLICATION_RAISED, 1105, 500, "application raised an exception")            \
	X(APPLICATION_INVALID, 1106, 500, "application broke the WSGI protocol")       \
	X(INTERPRETER_FAILED, 1107, 500, "interpreter could not be created")           \
	X(WORKER_PARAMS, 1108, 500, "worker received bad parameters")                  \
	X(APPLICATION_EXITED, 1115, 500, "application raised SystemExit")              \
	X(REQUEST_TIMEOUT, 1120, 504, "request interrupted by RequestTimeout")         \
	X(SCRIPT_OWNER, 1141, 403, "script belongs to somebody else")                  \
	X(INTERPRETER_LIMIT, 1142, 503, "too many application groups in the process")  \
	X(EXTENSION_UNFIT, 1143, 500, "extension module does not support sub-interpreters")

enum wsgid_errcode {
#define WSGID_ERRCODE_ENUM(name, code, status, title) WSGID_E_##name = code,
	WSGID_ERRCODES(WSGID_ERRCODE_ENUM)
#undef WSGID_ERRCODE_ENUM
};

/* What a code means; static, never NULL. */
struct wsgid_error {
	int code;
	int status;
	const char *text; /* "WSGID-1101" */
	const char *title;
};
const struct wsgid_error *wsgid_error(enum wsgid_errcode code);

#endif
