/* How the interpreters of a process are set up, by application group. A
 * setting is a text, NAME TAB OPTION TAB VALUE (docs/internals.md section 1):
 * NAME is "=" and the application group, or "*" for all that have no setting
 * of that option themselves. */
#ifndef WSGID_INTERPRETER_SETTINGS_H
#define WSGID_INTERPRETER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

/* The next value of option for the interpreter called name: of its own
 * settings if it has any of that option, else of the general ones. *position
 * is 0 at first and moves on. NULL at the end. settings is NULL-terminated,
 * may be NULL. */
const char *wsgid_interpreter_setting(const char *const *settings, const char *name,
                                      const char *option, size_t *position);

/* True when the first value is "1". */
bool wsgid_interpreter_is_set(const char *const *settings, const char *name, const char *option);

/* True when option is "1" for any interpreter. */
bool wsgid_interpreter_any(const char *const *settings, const char *option);

#endif
