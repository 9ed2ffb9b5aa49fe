/* Loading libpython and initialising it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interpreter.h"
#include "interpreter_internal.h"
#include "python_find.h"
#include "python_modules.h"

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

/* As plain python starts: the environment is read, site is imported. */
static int initialise_worker(const char *executable, char *error, size_t error_size)
{
	char *arguments[] = { (char *)executable, NULL };
	PyConfig *config = calloc(1, sizeof(*config));
	PyStatus status;
	int result = 0;

	if (config == NULL) {
		snprintf(error, error_size, "no memory to initialise Python");
		return -1;
	}
	py.PyConfig_InitPythonConfig(config);
	status = py.PyConfig_SetBytesArgv(config, 1, arguments);
	if (!py.PyStatus_Exception(status))
		status = py.Py_InitializeFromConfig(config);
	if (py.PyStatus_Exception(status))
		result = refused(&status, executable, error, error_size);
	py.PyConfig_Clear(config);
	free(config);
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

/* A copy that lives as long as the process: later interpreters need it too. */
static const struct wsgid_python_options *keep(const struct wsgid_python_options *options)
{
	struct wsgid_python_options *copy = malloc(sizeof(*copy));
	size_t count = 0;
	char **paths;

	while (options->python_path != NULL && options->python_path[count] != NULL)
		count++;
	paths = calloc(count + 1, sizeof(*paths));
	if (copy == NULL || paths == NULL) {
		free(copy);
		free(paths);
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		paths[i] = strdup(options->python_path[i]);
	*copy = *options;
	copy->python = NULL;
	copy->python_home = NULL;
	copy->python_path = (const char *const *)paths;
	copy->home = options->home == NULL ? NULL : strdup(options->home);
	return copy;
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
	const struct wsgid_python_options *kept;
	int result = -1;

	if (place == NULL) {
		snprintf(error, error_size, "no memory to look for Python");
		return -1;
	}
	if (wsgid_python_find(options->python, options->python_home, place, error, error_size) != 0 ||
	    wsgid_modules_open(options->modules_fd, error, error_size) != 0 ||
	    load(place, error, error_size) != 0)
		goto done;
	kept = keep(options);
	if (kept == NULL) {
		snprintf(error, error_size, "no memory to initialise Python");
		goto done;
	}
	result = options->router ? initialise_router(place->executable, error, error_size)
	                         : initialise_worker(place->executable, error, error_size);
	if (result != 0)
		goto done;
	if (!options->router)
		quiet_interrupt();
	result = settle(error, error_size);
	if (result == 0)
		result = wsgid_interpreter_adopt_main(kept, error, error_size);
done:
	free(place);
	return result;
}
