/* Looking settings of interpreters up. */
#include "interpreter_settings.h"

#include <string.h>

/* The value if setting is of name (NULL: of all) and option, else NULL. */
static const char *value_of(const char *setting, const char *name, const char *option)
{
	const char *tab = strchr(setting, '\t');
	size_t length = strlen(option);

	if (tab == NULL || strncmp(tab + 1, option, length) != 0 || tab[1 + length] != '\t')
		return NULL;
	if (name == NULL ? tab != setting + 1 || *setting != '*'
	                 : *setting != '=' || strlen(name) != (size_t)(tab - setting) - 1 ||
	                       strncmp(setting + 1, name, strlen(name)) != 0)
		return NULL;
	return tab + 1 + length + 1;
}

static const char *next(const char *const *settings, const char *name, const char *option,
                        size_t *position)
{
	while (settings != NULL && settings[*position] != NULL) {
		const char *value = value_of(settings[(*position)++], name, option);

		if (value != NULL)
			return value;
	}
	return NULL;
}

const char *wsgid_interpreter_setting(const char *const *settings, const char *name,
                                      const char *option, size_t *position)
{
	size_t start = 0;

	return next(settings, next(settings, name, option, &start) == NULL ? NULL : name, option, position);
}

bool wsgid_interpreter_is_set(const char *const *settings, const char *name, const char *option)
{
	size_t position = 0;
	const char *value = wsgid_interpreter_setting(settings, name, option, &position);

	return value != NULL && strcmp(value, "1") == 0;
}

bool wsgid_interpreter_any(const char *const *settings, const char *option)
{
	size_t length = strlen(option);

	for (; settings != NULL && *settings != NULL; settings++) {
		const char *tab = strchr(*settings, '\t');

		if (tab != NULL && strncmp(tab + 1, option, length) == 0 && strcmp(tab + 1 + length, "\t1") == 0)
			return true;
	}
	return false;
}
