/* From "python_home" or "python" to the library to load. */
#define _GNU_SOURCE
#include "python_find.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "path_blocked.h"

/* Sets to[size] to the formatted text; false when it does not fit. */
__attribute__((format(printf, 3, 4))) static bool put(char *to, size_t size, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(to, size, format, arguments);
	va_end(arguments);
	return length >= 0 && (size_t)length < size;
}

static void parent_directory(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash == path)
		path[1] = 0;
	else if (slash != NULL)
		*slash = 0;
}

/* Looks name up in PATH. */
static int search_path(const char *name, char *found, char *error, size_t error_size)
{
	const char *path = getenv("PATH");

	if (path == NULL || *path == 0)
		path = "/usr/local/bin:/usr/bin:/bin";
	while (*path != 0) {
		size_t length = strcspn(path, ":");

		if (length > 0 && put(found, PATH_MAX, "%.*s/%s", (int)length, path, name) &&
		    access(found, X_OK) == 0)
			return 0;
		path += length + (path[length] == ':');
	}
	snprintf(error, error_size, "no %s in PATH: install Python (apt-get install python3 libpython3.11) "
	         "or set python or python_home", name);
	return -1;
}

/* Finds the prefix that a path lies in: bin, lib, site-packages or an
 * executable was given instead of it. */
static bool prefix_above(const char *inside, char *prefix)
{
	static const char *const inner[] = { "bin", "lib", "lib64", "site-packages", "dist-packages", "python" };
	char executable[PATH_MAX];
	bool known = false;

	if (!put(prefix, PATH_MAX, "%s", inside))
		return false;
	for (size_t length = strlen(prefix); length > 1 && prefix[length - 1] == '/';)
		prefix[--length] = 0;
	for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]); i++) {
		const char *name = strrchr(prefix, '/');

		known = known || (name != NULL && strncmp(name + 1, inner[i], strlen(inner[i])) == 0);
	}
	if (!known)
		return false;
	for (int levels = 0; levels < 4 && strlen(prefix) > 1; levels++) {
		parent_directory(prefix);
		if (put(executable, sizeof(executable), "%s/bin/python3", prefix) && access(executable, X_OK) == 0 &&
		    strlen(prefix) > 1)
			return true;
	}
	return false;
}

/* The executable below a virtual environment or prefix. */
static int executable_of_home(const char *home, char *executable, char *error, size_t error_size)
{
	static const char *const names[] = { "bin/python", "bin/python3" };
	char blocked[PATH_MAX];
	int reason = ENOENT;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!put(executable, PATH_MAX, "%s/%s", home, names[i]))
			break;
		if (access(executable, X_OK) == 0)
			return 0;
		if (errno != ENOENT)
			reason = errno;
	}
	if (reason == EACCES && wsgid_path_blocked(executable, blocked, sizeof(blocked)))
		snprintf(error, error_size, "python_home %s: user %d may not enter the directory %s: chmod o+x %s, "
		         "or put the user into its group", home, (int)geteuid(), blocked, blocked);
	else if (reason == EACCES)
		snprintf(error, error_size, "python_home %s: bin/python may not be executed by user %d: "
		         "check its mode", home, (int)geteuid());
	else if (prefix_above(home, blocked))
		snprintf(error, error_size, "python_home %s points into an environment: give its prefix: "
		         "python_home = \"%s\"", home, blocked);
	else
		snprintf(error, error_size, "python_home %s has no bin/python: give a virtual environment "
		         "(python3 -m venv %s) or the prefix of a Python", home, home);
	return -1;
}

/* Values of pyvenv.cfg that matter. */
struct venv_config {
	char home[PATH_MAX];
	char version[32];
};

/* Reads DIRECTORY/pyvenv.cfg. False when there is none. */
static bool read_venv_config(const char *directory, struct venv_config *config)
{
	char path[PATH_MAX], line[PATH_MAX + 64];
	FILE *file;

	memset(config, 0, sizeof(*config));
	if (!put(path, sizeof(path), "%s/pyvenv.cfg", directory))
		return false;
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	while (fgets(line, sizeof(line), file) != NULL) {
		char *equals = strchr(line, '='), *value, *key = line + strspn(line, " \t");

		if (equals == NULL)
			continue;
		value = equals + 1 + strspn(equals + 1, " \t");
		value[strcspn(value, "\r\n")] = 0;
		while (equals > key && (equals[-1] == ' ' || equals[-1] == '\t'))
			equals--;
		*equals = 0;
		if (strcasecmp(key, "home") == 0)
			put(config->home, sizeof(config->home), "%s", value);
		else if (strcasecmp(key, "version") == 0 || strcasecmp(key, "version_info") == 0)
			put(config->version, sizeof(config->version), "%.31s", value);
	}
	fclose(file);
	return true;
}

/* "3.11" of "python3.11" (with "t" of a free-threaded build), "" otherwise. */
static void version_of_name(const char *path, char *version, size_t size)
{
	const char *name = strrchr(path, '/');
	size_t digits;

	name = name == NULL ? path : name + 1;
	version[0] = 0;
	if (strncmp(name, "python3.", 8) != 0)
		return;
	digits = strspn(name + 8, "0123456789");
	if (digits == 0 || (name[8 + digits] != 0 && strcmp(name + 8 + digits, "t") != 0))
		return;
	put(version, size, "%s", name + 6);
}

/* Tries the places where a prefix keeps its library. */
static bool library_in_prefix(const char *prefix, const char *version, char *library)
{
	static const char *const patterns[] = {
		"%s/lib/libpython%s.so.1.0",
		"%s/lib64/libpython%s.so.1.0",
		"%s/lib/*-linux-*/libpython%s.so.1.0", /* Debian's multiarch */
	};

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		char path[PATH_MAX];
		glob_t found;
		bool hit = false;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		if (!put(path, sizeof(path), patterns[i], prefix, version))
			continue;
#pragma GCC diagnostic pop
		if (glob(path, 0, NULL, &found) == 0) {
			for (size_t k = 0; k < found.gl_pathc && !hit; k++)
				hit = access(found.gl_pathv[k], R_OK) == 0 &&
				      put(library, PATH_MAX, "%s", found.gl_pathv[k]);
			globfree(&found);
		}
		if (hit)
			return true;
	}
	return false;
}

/* Copies "3.11" of "3.11.2"; "" when there is no such beginning. */
static void minor_version(const char *version, char *minor, size_t size)
{
	size_t major = strspn(version, "0123456789"), rest;

	minor[0] = 0;
	if (major == 0 || version[major] != '.')
		return;
	rest = strspn(version + major + 1, "0123456789");
	put(minor, size, "%.*s", (int)(major + 1 + rest), version);
}

static int refuse_old(const char *version, const char *executable, char *error, size_t error_size)
{
	int major = 0, minor = 0;

	if (sscanf(version, "%d.%d", &major, &minor) != 2 || major > 3 || (major == 3 && minor >= 8))
		return 0;
	snprintf(error, error_size, "%s is Python %s: wsgid needs Python 3.8 or later", executable, version);
	return -1;
}

/* The remedy when a Python has no shared library. */
static void no_library(const struct wsgid_python_answer *answer, const char *real, char *error,
                       size_t error_size)
{
	char minor[16];

	minor_version(answer->version, minor, sizeof(minor));
	if (strstr(real, "/.pyenv/") != NULL || strstr(real, "/pyenv/versions/") != NULL)
		snprintf(error, error_size, "%s was built without a shared library: rebuild it with "
		         "--enable-shared: PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install %s",
		         real, answer->version);
	else if (strncmp(real, "/usr/bin/", 9) == 0 && access("/etc/debian_version", F_OK) == 0)
		snprintf(error, error_size, "%s has no shared library here: apt-get install libpython%s",
		         real, minor);
	else if (strncmp(real, "/usr/bin/", 9) == 0 && access("/etc/redhat-release", F_OK) == 0)
		snprintf(error, error_size, "%s has no shared library here: dnf install python%s-libs",
		         real, strcmp(answer->version, "3.12") < 0 ? "3" : minor);
	else
		snprintf(error, error_size, "%s (Python %s) was built without a shared library: rebuild it "
		         "with ./configure --enable-shared, or use another Python", real, answer->version);
}

static int by_query(struct wsgid_python_place *place, const char *real, char *error, size_t error_size)
{
	struct wsgid_python_answer *answer = calloc(1, sizeof(*answer));
	int result = -1;

	if (answer == NULL) {
		snprintf(error, error_size, "no memory to look for Python");
		return -1;
	}
	if (wsgid_python_query(place->executable, answer, error, error_size) != 0)
		goto done;
	if (refuse_old(answer->version, place->executable, error, error_size) != 0)
		goto done;
	/* A shim (pyenv's python3 is a shell script) is not what Python calls itself. */
	if (answer->executable[0] == '/')
		put(place->executable, sizeof(place->executable), "%s", answer->executable);
	put(place->version, sizeof(place->version), "%s", answer->version);
	if (!answer->shared ||
	    !put(place->library, sizeof(place->library), "%s/%s", answer->library_directory,
	         answer->library_name) ||
	    access(place->library, R_OK) != 0) {
		char prefix[PATH_MAX], minor[16];

		put(prefix, sizeof(prefix), "%s", answer->executable);
		if (realpath(answer->executable, prefix) == NULL)
			put(prefix, sizeof(prefix), "%s", real);
		parent_directory(prefix);
		parent_directory(prefix);
		minor_version(answer->version, minor, sizeof(minor));
		if (!library_in_prefix(prefix, minor, place->library)) {
			no_library(answer, real, error, error_size);
			goto done;
		}
	}
	result = 0;
done:
	free(answer);
	return result;
}

/* Remembers the virtual environment that the executable belongs to. */
static bool find_venv(struct wsgid_python_place *place, struct venv_config *config)
{
	put(place->venv, sizeof(place->venv), "%s", place->executable);
	parent_directory(place->venv);
	if (read_venv_config(place->venv, config))
		return true;
	parent_directory(place->venv);
	if (read_venv_config(place->venv, config))
		return true;
	place->venv[0] = 0;
	return false;
}

/* Files only: the name of the resolved executable or pyvenv.cfg tells the version. */
static bool by_files(struct wsgid_python_place *place, const char *real, const struct venv_config *config)
{
	char prefix[PATH_MAX];

	version_of_name(real, place->version, sizeof(place->version));
	put(prefix, sizeof(prefix), "%s", real);
	parent_directory(prefix);
	if (place->version[0] == 0 && place->venv[0] != 0 && config->home[0] == '/') { /* venv --copies */
		minor_version(config->version, place->version, sizeof(place->version));
		put(prefix, sizeof(prefix), "%s", config->home);
	}
	parent_directory(prefix);
	return place->version[0] != 0 && library_in_prefix(prefix, place->version, place->library);
}

static int choose_executable(const char *python, const char *home, char *executable, char *error,
                             size_t error_size)
{
	if (home != NULL && *home != 0)
		return executable_of_home(home, executable, error, error_size);
	if (python == NULL || *python == 0)
		python = "python3";
	if (strchr(python, '/') == NULL)
		return search_path(python, executable, error, error_size);
	if (access(python, X_OK) != 0) {
		int reason = errno;
		char blocked[PATH_MAX];

		if (wsgid_path_blocked(python, blocked, sizeof(blocked)))
			snprintf(error, error_size, "python %s: user %d may not enter the directory %s: chmod o+x %s, "
			         "or put the user into its group", python, (int)geteuid(), blocked, blocked);
		else
			snprintf(error, error_size, "python %s: %s", python, strerror(reason));
		return -1;
	}
	if (!put(executable, PATH_MAX, "%s", python)) {
		snprintf(error, error_size, "python: path too long");
		return -1;
	}
	return 0;
}

int wsgid_python_find(const char *python, const char *home, struct wsgid_python_place *place,
                      char *error, size_t error_size)
{
	struct venv_config config;
	char real[PATH_MAX];

	memset(place, 0, sizeof(*place));
	if (choose_executable(python, home, place->executable, error, error_size) != 0)
		return -1;
	if (realpath(place->executable, real) == NULL) {
		snprintf(error, error_size, "python %s: %s", place->executable, strerror(errno));
		return -1;
	}
	memset(&config, 0, sizeof(config));
	find_venv(place, &config);
	if (!by_files(place, real, &config) && by_query(place, real, error, error_size) != 0)
		return -1;
	return refuse_old(place->version, place->executable, error, error_size);
}

int wsgid_python_check_version(const struct wsgid_python_place *place, const char *version,
                               char *error, size_t error_size)
{
	struct venv_config config;
	char made_by[16], loaded[16];

	minor_version(version, loaded, sizeof(loaded));
	if (refuse_old(loaded, place->library, error, error_size) != 0)
		return -1;
	if (place->venv[0] == 0 || !read_venv_config(place->venv, &config))
		return 0;
	minor_version(config.version, made_by, sizeof(made_by));
	if (made_by[0] == 0 || strcmp(made_by, loaded) == 0)
		return 0;
	snprintf(error, error_size, "the virtual environment %s was made by Python %s, but its interpreter "
	         "is now Python %s: make it again (python3 -m venv --clear %s)", place->venv, made_by, loaded,
	         place->venv);
	return -1;
}
