/* A stand-in for libpython that has every function of the table and runs
 * nothing: what wsgid tells a Python that this machine does not have can be
 * read from how it refuses to be initialised. VERSION is what it says it is;
 * the other functions are in stand_in_rest.c. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "python_api.h"

#ifndef VERSION
#define VERSION "3.14.0 (none)"
#endif

static char said[4096];

static void say(const char *text, const char *value)
{
	size_t length = strlen(said);

	snprintf(said + length, sizeof(said) - length, "%s%s ", text, value);
}

static void say_variables(void)
{
	static const char *const names[] = { "PYTHON_GIL", "PYTHONHASHSEED", "PYTHONOPTIMIZE" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (getenv(names[i]) != NULL) {
			say(names[i], "=");
			say("", getenv(names[i]));
		}
}

const char *Py_GetVersion(void)
{
	return VERSION;
}

void PyConfig_InitPythonConfig(PyConfig *config)
{
	memset(config, 0, sizeof(*config));
}

PyStatus PyConfig_SetBytesArgv(PyConfig *config, Py_ssize_t count, char *const *arguments)
{
	PyStatus status = { 0, NULL, NULL, 0 };

	(void)config;
	for (Py_ssize_t i = 1; i < count; i++)
		say("", arguments[i]);
	return status;
}

PyStatus Py_InitializeFromConfig(const PyConfig *config)
{
	PyStatus status = { 1, "stand-in", said, 0 };

	(void)config;
	say_variables();
	return status;
}

int PyStatus_Exception(PyStatus status)
{
	return status.type != 0;
}

void PyConfig_Clear(PyConfig *config)
{
	(void)config;
}

/* Python 3.14 */
void *PyInitConfig_Create(void)
{
	return said;
}

void PyInitConfig_Free(void *config)
{
	(void)config;
}

int PyInitConfig_SetStr(void *config, const char *name, const char *value)
{
	(void)config;
	say(name, "=");
	say("", strrchr(value, '/'));
	return 0;
}

int PyInitConfig_SetInt(void *config, const char *name, int64_t value)
{
	(void)config;
	say(name, value == 0 ? "=0" : value == 1 ? "=1" : "=?");
	return 0;
}

int Py_InitializeFromInitConfig(void *config)
{
	(void)config;
	say_variables();
	return -1;
}

int PyInitConfig_GetError(void *config, const char **message)
{
	(void)config;
	*message = said;
	return 1;
}
