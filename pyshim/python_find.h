/* Finding the Python that a group asked for. */
#ifndef WSGID_PYTHON_FIND_H
#define WSGID_PYTHON_FIND_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* One Python: where its library is and which executable it shall believe to be. */
struct wsgid_python_place {
	char executable[PATH_MAX]; /* absolute, not resolved: a venv's python is a link */
	char library[PATH_MAX];    /* path or soname for dlopen */
	char venv[PATH_MAX];       /* directory with pyvenv.cfg, "" when it is no venv */
	char version[32];          /* as far as known before loading: "3.11" or "3.11.2" */
};

/* Finds the Python of home (a virtual environment or prefix), else of python
 * (an executable, looked up in PATH without a slash), else the system's
 * python3. Files first; the interpreter is executed only when they do not
 * tell. As the current user. Returns 0, or -1 with a sentence that says what
 * to do. */
int wsgid_python_find(const char *python, const char *home, struct wsgid_python_place *place,
                      char *error, size_t error_size);

/* Checks the loaded library ("3.11.2 (main, …") against what was found: a venv
 * of another version would silently find none of its packages. Returns 0, or
 * -1 with a sentence. */
int wsgid_python_check_version(const struct wsgid_python_place *place, const char *version,
                               char *error, size_t error_size);

/* What the interpreter says of itself, see python_query.c. */
struct wsgid_python_answer {
	char version[32];
	char executable[PATH_MAX];
	char library_directory[PATH_MAX]; /* LIBDIR */
	char library_name[256];           /* INSTSONAME */
	bool shared;                      /* Py_ENABLE_SHARED */
};

/* Executes the interpreter (isolated, without site) and reads the answer; at
 * most 10 s. Returns 0, or -1 with a sentence. */
int wsgid_python_query(const char *executable, struct wsgid_python_answer *answer, char *error,
                       size_t error_size);

#endif
