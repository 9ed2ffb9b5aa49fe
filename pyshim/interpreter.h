/* Interpreters by application group, and the thread states of OS threads in
 * them. "" is the main interpreter, every other name a sub-interpreter made at
 * first use. One thread state per OS thread and interpreter, made once and
 * kept (sharing one between OS threads deadlocks PyGILState_Ensure). */
#ifndef WSGID_INTERPRETER_H
#define WSGID_INTERPRETER_H

#include <stdbool.h>
#include <stddef.h>

#include "python_api.h"

/* One interpreter. Never freed before the process ends. */
struct wsgid_interpreter {
	char *name;         /* application group, NUL-terminated */
	size_t name_length;
	PyInterpreterState *state;
	PyObject *modules;  /* "wsgid" module dictionary (borrowed from the interpreter), for the Python side */
	void *keys;         /* interned environ keys of this interpreter; owned by environ.c */
	void *scripts;      /* what script.c knows of each script; GIL of this interpreter */
	void *dispatch;     /* key and value objects of dispatch_call.c; the same */
	struct wsgid_interpreter *next;
};

/* How Python is started. What the pointers lead to, lists included, must live
 * as long as the process: later interpreters need it too. Lists end with NULL
 * and may be NULL. */
struct wsgid_python_options {
	const char *python;              /* an executable, or NULL */
	const char *python_home;         /* a virtual environment or prefix, or NULL */
	const char *const *python_path;  /* in front of sys.path */
	const char *home;                /* goes to sys.path[0]; may be NULL */
	const char *const *arguments;    /* of the interpreter, as -O; a worker's only */
	const char *const *variables;    /* NAME=value, there while Python is initialised */
	const char *const *interpreters; /* settings by application group, interpreter_settings.h */
	const char *locale;              /* for setlocale(LC_ALL), or NULL */
	size_t max_interpreters;         /* sub-interpreters, 0: no limit */
	bool free_threading;             /* without the GIL, where Python can */
	int modules_fd;                  /* the Python side of pyshim, docs/internals.md section 6 */
	bool router;                     /* leave signals alone */
	int threads;                     /* of embedded applications; a worker's are in its boot block */
};

/* Starts Python in this process: finds libpython for python_home or python,
 * loads it, initialises it, and leaves without the GIL. Returns 0, or -1 with
 * a sentence in error that says what to do. Called once, on the main thread of
 * a worker or on any one thread of the router. */
int wsgid_python_start(const struct wsgid_python_options *options, char *error, size_t error_size);

/* Called in each new interpreter, GIL held, after package wsgid is there and
 * before anything of the application runs (sys.stdout and the like). Returns 0,
 * or -1 with a Python exception. Set before wsgid_python_start; NULL: nothing. */
typedef int (*wsgid_interpreter_hook)(struct wsgid_interpreter *interpreter);
void wsgid_interpreter_on_new(wsgid_interpreter_hook hook);

/* Scripts whose paths differ in the case of ASCII letters are one module, as on
 * a file system that does not tell them apart (case_sensitivity = false). */
bool wsgid_python_folds_case(void);

/* Version ("3.11.2"), prefix and library path after a start; "" before. */
const char *wsgid_python_version(void);
const char *wsgid_python_prefix(void);
const char *wsgid_python_library(void);

/* Enters the interpreter called name (length bytes) on this OS thread: takes
 * its GIL. Creates interpreter and thread state when needed. Returns NULL if
 * it could not be created (a line was logged); the GIL is then not held. */
struct wsgid_interpreter *wsgid_interpreter_enter(const char *name, size_t length);

/* Why the last wsgid_interpreter_enter of this OS thread returned NULL: a code
 * of enum wsgid_errcode. */
int wsgid_interpreter_failure(void);

/* Enters the main interpreter and leaves it. */
void wsgid_interpreter_probe(void);

/* The interpreter after one, NULL: the first; NULL after the last. No GIL needed. */
struct wsgid_interpreter *wsgid_interpreter_next(const struct wsgid_interpreter *after);

/* The interpreter called name if it exists, else NULL. No GIL needed. */
struct wsgid_interpreter *wsgid_interpreter_find(const char *name, size_t length);

/* Leaves it: releases the GIL, keeps the thread state. */
void wsgid_interpreter_leave(struct wsgid_interpreter *interpreter);

/* The interpreter that this OS thread has entered last, and its thread state there;
 * NULL: none. Async-signal-safe. */
const struct wsgid_interpreter *wsgid_interpreter_last(void);
void *wsgid_interpreter_last_state(void);

/* Inside an interpreter: give the GIL up around a system call and take it
 * back. Same thread, properly nested. */
void wsgid_gil_release(void);
void wsgid_gil_acquire(void);

/* Ends Python: threads are joined and atexit functions run in the
 * sub-interpreters, then in the main one. Main thread of a worker only, no
 * other thread inside Python; the process exits afterwards. */
void wsgid_python_finish(void);

#endif
