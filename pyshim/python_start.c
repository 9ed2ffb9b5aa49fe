/* Loading libpython and initialising it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interpreter.h"
#include "interpreter_internal.h"
#include "interpreter_settings.h"
#include "log.h"
#include "python_find.h"
#include "python_modules.h"
#include "python_variables.h"

/* Written once by wsgid_python_start. */
static char version[32];
static char prefix[PATH_MAX];
static char library_path[PATH_MAX];

const char *wsgid_python_version(void)
{
	return version;
}

const char *wsgid_python_prefix(void)
{
	return prefix;
}

const char *wsgid_python_library(void)
{
	return library_path;
}

/* A handler instead of "ignore": what the application executes gets the default back. */
static void nothing(int number)
{
	(void)number;
}

/* A worker's interrupt is no KeyboardInterrupt in whatever Python runs in the
 * main thread. */
static void quiet_interrupt(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = nothing;
	action.sa_flags = SA_RESTART;
	sigaction(SIGINT, &action, NULL);
}

static int refused(const PyStatus *status, const char *executable, char *error, size_t error_size)
{
	snprintf(error, error_size, "initialise Python of %s: %s%s%s", executable,
	         status->func == NULL ? "" : status->func, status->func == NULL ? "" : ": ",
	         status->err_msg == NULL ? "no reason given" : status->err_msg);
	return -1;
}

/* A build that can do without the GIL. */
static bool free_threaded(void)
{
	return strstr(py.Py_GetVersion(), "free-threading build") != NULL;
}

/* The command line of the interpreter: NULL-terminated, or NULL without memory.
 * A free-threaded build has the GIL unless it is told otherwise: an extension
 * that was not made for going without would take it anyway, in the middle of
 * the service. */
static char **command_line(const struct wsgid_python_options *options, const char *executable, int *count)
{
	size_t given = 0, n = 0;
	char **line;

	while (options->arguments != NULL && options->arguments[given] != NULL)
		given++;
	line = calloc(given + 4, sizeof(*line));
	if (line == NULL)
		return NULL;
	line[n++] = (char *)executable;
	for (size_t i = 0; i < given; i++)
		line[n++] = (char *)options->arguments[i];
	if (free_threaded()) {
		line[n++] = "-X";
		line[n++] = options->free_threading ? "gil=0" : "gil=1";
	}
	*count = (int)n;
	return line;
}

/* As plain python starts: the environment is read, site is imported. */
static int initialise_worker(const struct wsgid_python_options *options, const char *executable,
                             char *error, size_t error_size)
{
	PyConfig *config = calloc(1, sizeof(*config));
	int count = 0, result = 0;
	char **line = command_line(options, executable, &count);
	PyStatus status;

	if (config == NULL || line == NULL) {
		snprintf(error, error_size, "no memory to initialise Python");
		free(config);
		free(line);
		return -1;
	}
	py.PyConfig_InitPythonConfig(config);
	status = py.PyConfig_SetBytesArgv(config, count, line);
	if (!py.PyStatus_Exception(status))
		status = py.Py_InitializeFromConfig(config);
	if (py.PyStatus_Exception(status))
		result = refused(&status, executable, error, error_size);
	py.PyConfig_Clear(config);
	free(config);
	free(line);
	return result;
}

/* Python 3.14 and later: says no instead of ending the process. */
static int initialise_by_names(const char *executable, char *error, size_t error_size)
{
	void *config = py.PyInitConfig_Create();
	const char *message = "no memory";
	int result = -1;

	if (config != NULL && py.PyInitConfig_SetStr(config, "program_name", executable) == 0 &&
	    py.PyInitConfig_SetInt(config, "install_signal_handlers", 0) == 0 &&
	    py.PyInitConfig_SetInt(config, "use_environment", 1) == 0 &&
	    py.PyInitConfig_SetInt(config, "user_site_directory", 1) == 0 &&
	    py.Py_InitializeFromInitConfig(config) == 0) {
		result = 0;
	} else {
		if (config != NULL)
			py.PyInitConfig_GetError(config, &message);
		snprintf(error, error_size, "initialise Python of %s: %s", executable, message);
	}
	if (config != NULL)
		py.PyInitConfig_Free(config);
	return result;
}

/* Leaves the signals to Go. */
static int initialise_router(const char *executable, char *error, size_t error_size)
{
	wchar_t *name;

	if (py.PyInitConfig_Create != NULL)
		return initialise_by_names(executable, error, error_size);
	if (py.Py_SetProgramName == NULL) {
		snprintf(error, error_size, "this Python has neither Py_SetProgramName nor PyInitConfig");
		return -1;
	}
	name = py.Py_DecodeLocale(executable, NULL); /* Python keeps the pointer */
	if (name == NULL) {
		snprintf(error, error_size, "path of Python cannot be decoded: %s", executable);
		return -1;
	}
	py.Py_SetProgramName(name);
	py.Py_InitializeEx(0);
	return 0;
}

/* What only a running Python tells; the prefix is for status and log. */
static int settle(char *error, size_t error_size)
{
	PyObject *path = NULL, *bytes = NULL;
	int result = -1;

	if (wsgid_python_api_measure() != 0)
		goto done;
	path = py.PySys_GetObject("prefix"); /* borrowed */
	if (path != NULL)
		bytes = py.PyUnicode_EncodeFSDefault(path);
	if (bytes == NULL)
		goto done;
	snprintf(prefix, sizeof(prefix), "%s", py.PyBytes_AsString(bytes));
	result = 0;
done:
	if (result != 0)
		snprintf(error, error_size, "Python started but has no usable sys module");
	py.PyErr_Clear();
	Py_XDECREF(bytes);
	return result;
}

/* What this Python cannot do is said before it starts. */
static int refuse_options(const struct wsgid_python_options *options, char *error, size_t error_size)
{
	if (options->free_threading && !free_threaded()) {
		snprintf(error, error_size, "free_threading needs a free-threaded build of Python (python3.13t or "
		         "later); %s of Python %s is none: choose another Python or take free_threading out",
		         library_path, version);
		return -1;
	}
	if (!options->free_threading && py.Py_NewInterpreterFromConfig == NULL &&
	    wsgid_interpreter_any(options->interpreters, "own_gil")) {
		snprintf(error, error_size, "per_interpreter_gil needs Python 3.12 or later; %s is Python %s: "
		         "choose another Python or take per_interpreter_gil out", library_path, version);
		return -1;
	}
	return 0;
}

/* All categories, as mod_wsgi does; Python itself only sets LC_CTYPE. */
static void set_locale(const char *name)
{
	if (name != NULL && setlocale(LC_ALL, name) == NULL)
		wsgid_logf("warn", NULL, "locale %s is not available on this machine: install it (locale -a shows "
		           "what there is) or correct the option locale", name);
}

/* Environment and the two ways to start. */
static int initialise(const struct wsgid_python_options *options, const char *executable, char *error,
                      size_t error_size)
{
	int result = wsgid_python_variables_set(options->variables);

	if (result == 0 && options->router && free_threaded())
		result = wsgid_python_variable_set("PYTHON_GIL", options->free_threading ? "0" : "1");
	if (result != 0)
		snprintf(error, error_size, "no memory to initialise Python");
	else if (options->router)
		result = initialise_router(executable, error, error_size);
	else
		result = initialise_worker(options, executable, error, error_size);
	wsgid_python_variables_restore();
	return result;
}

static int load(const struct wsgid_python_place *place, char *error, size_t error_size)
{
	struct link_map *map;
	/* Global: the extension modules of the standard library need its symbols. */
	void *library = dlopen(place->library, RTLD_NOW | RTLD_GLOBAL);

	if (library == NULL) {
		snprintf(error, error_size, "load the Python library: %s", dlerror());
		return -1;
	}
	if (wsgid_python_api_load(library, error, error_size) != 0)
		return -1;
	if (wsgid_python_check_version(place, py.Py_GetVersion(), error, error_size) != 0)
		return -1;
	snprintf(version, sizeof(version), "%.*s", (int)strcspn(py.Py_GetVersion(), " "), py.Py_GetVersion());
	snprintf(library_path, sizeof(library_path), "%s", place->library);
	if (dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 && map->l_name[0] != 0)
		snprintf(library_path, sizeof(library_path), "%s", map->l_name);
	return 0;
}

int wsgid_python_start(const struct wsgid_python_options *options, char *error, size_t error_size)
{
	struct wsgid_python_place *place = malloc(sizeof(*place));
	int result = -1;

	if (place == NULL) {
		snprintf(error, error_size, "no memory to look for Python");
		return -1;
	}
	if (wsgid_python_find(options->python, options->python_home, place, error, error_size) != 0 ||
	    wsgid_modules_open(options->modules_fd, error, error_size) != 0 ||
	    load(place, error, error_size) != 0 || refuse_options(options, error, error_size) != 0)
		goto done;
	result = initialise(options, place->executable, error, error_size);
	if (result != 0)
		goto done;
	if (!options->router)
		quiet_interrupt();
	set_locale(options->locale);
	result = settle(error, error_size);
	if (result == 0)
		result = wsgid_interpreter_adopt_main(options, error, error_size);
done:
	free(place);
	return result;
}
