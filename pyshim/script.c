/* Scripts as modules of an interpreter. sys.modules is the truth, as in
 * mod_wsgi: an application may remove its module there. */
#define _GNU_SOURCE
#include "script.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "md5.h"

#define RETRY_MS 1000

/* What is remembered of one script in one interpreter. Never freed. */
struct script {
	char *path;
	PyObject *name;        /* interned module name */
	int64_t failed_mtime;  /* of the version that could not be imported, 0 none */
	int64_t failed_at;     /* monotonic milliseconds */
	struct script *next;
};

struct script_cache {
	PyObject *modules;         /* sys.modules, borrowed */
	PyObject *mtime;           /* "__mtime__" */
	PyObject *reload_required; /* "reload_required" */
	struct script *scripts;    /* last used first */
};

/* One per process, all interpreters together; recursive because a script may
 * cause another to be loaded while it is imported. */
static pthread_mutex_t import_lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

static struct script_cache *cache_of(struct wsgid_interpreter *interpreter)
{
	struct script_cache *cache = interpreter->scripts;

	if (cache != NULL)
		return cache;
	cache = calloc(1, sizeof(*cache));
	if (cache == NULL) {
		py.PyErr_NoMemory();
		return NULL;
	}
	cache->modules = py.PyImport_GetModuleDict();
	cache->mtime = py.PyUnicode_InternFromString("__mtime__");
	cache->reload_required = py.PyUnicode_InternFromString("reload_required");
	if (cache->mtime == NULL || cache->reload_required == NULL) {
		Py_XDECREF(cache->mtime);
		free(cache);
		return NULL;
	}
	interpreter->scripts = cache;
	return cache;
}

static struct script *script_of(struct script_cache *cache, const char *path)
{
	char name[64] = "_mod_wsgi_";
	struct script *script;

	for (struct script **at = &cache->scripts; *at != NULL; at = &(*at)->next) {
		script = *at;
		if (strcmp(script->path, path) != 0)
			continue;
		*at = script->next;
		script->next = cache->scripts;
		cache->scripts = script;
		return script;
	}
	script = calloc(1, sizeof(*script));
	if (script == NULL || (script->path = strdup(path)) == NULL) {
		free(script);
		py.PyErr_NoMemory();
		return NULL;
	}
	wsgid_md5_hex(path, strlen(path), name + strlen(name));
	script->name = py.PyUnicode_InternFromString(name);
	if (script->name == NULL) {
		free(script->path);
		free(script);
		return NULL;
	}
	script->next = cache->scripts;
	cache->scripts = script;
	return script;
}

/* Modification time in microseconds, -1 with errno. */
static int64_t file_mtime(const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0)
		return -1;
	return (int64_t)status.st_mtim.tv_sec * 1000000 + status.st_mtim.tv_nsec / 1000;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A module or an instance of a subclass, which a script may make itself by
 * setting __class__. */
static bool is_module(PyObject *object)
{
	PyObject *type = py.PyObject_Type(object);
	bool is = py.PyType_IsSubtype(type, py.PyModule_Type) != 0;

	Py_DECREF(type);
	return is;
}

/* The module when it is completely imported (__mtime__ is set last): new
 * reference, and its time. NULL without an exception otherwise. */
static PyObject *loaded_module(struct script_cache *cache, struct script *script, int64_t *mtime)
{
	PyObject *module = py.PyDict_GetItemWithError(cache->modules, script->name);
	PyObject *value;

	if (module == NULL || !is_module(module)) {
		py.PyErr_Clear();
		return NULL;
	}
	value = py.PyDict_GetItemWithError(py.PyModule_GetDict(module), cache->mtime);
	if (value == NULL || !wsgid_py_is_int(value)) {
		py.PyErr_Clear();
		return NULL;
	}
	*mtime = py.PyLong_AsLongLong(value);
	py.PyErr_Clear();
	Py_INCREF(module);
	return module;
}

/* Asks the script itself. An exception is logged by the interpreter's
 * sys.stderr and means no (mod_wsgi behaviour 7.2). */
static bool wants_reload(struct script_cache *cache, PyObject *module, const char *resource)
{
	PyObject *hook, *argument, *answer = NULL;
	int truth = -1;

	if (resource == NULL)
		return false;
	hook = py.PyDict_GetItemWithError(py.PyModule_GetDict(module), cache->reload_required);
	if (hook == NULL) {
		py.PyErr_Clear();
		return false;
	}
	Py_INCREF(hook);
	argument = py.PyUnicode_DecodeFSDefault(resource);
	if (argument != NULL)
		answer = py.PyObject_CallFunctionObjArgs(hook, argument, NULL);
	if (answer != NULL)
		truth = py.PyObject_IsTrue(answer);
	if (truth < 0)
		wsgid_py_print_exception(); /* not PyErr_Print: SystemExit would end the process */
	Py_XDECREF(answer);
	Py_XDECREF(argument);
	Py_DECREF(hook);
	return truth > 0;
}

/* The whole file, malloc'ed with a NUL behind it; NULL with errno. No GIL. */
static char *read_file(const char *path, int64_t *mtime)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO must not hold us */
	struct stat status;
	size_t length = 0, capacity;
	char *text = NULL;
	int failure = 0;

	if (fd == -1)
		return NULL;
	if (fstat(fd, &status) != 0) {
		failure = errno;
		goto done;
	}
	if (!S_ISREG(status.st_mode)) {
		failure = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
		goto done;
	}
	*mtime = (int64_t)status.st_mtim.tv_sec * 1000000 + status.st_mtim.tv_nsec / 1000;
	capacity = (size_t)status.st_size + 4096;
	text = malloc(capacity + 1);
	while (text != NULL) {
		ssize_t n = read(fd, text + length, capacity - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			failure = errno;
		if (n <= 0)
			break;
		length += (size_t)n;
		if (length == capacity) {
			char *larger = realloc(text, 2 * capacity + 1);

			failure = larger == NULL ? ENOMEM : 0;
			if (larger == NULL)
				break;
			text = larger;
			capacity *= 2;
		}
	}
	if (text == NULL)
		failure = ENOMEM;
	else
		text[length] = 0;
done:
	close(fd);
	if (failure != 0) {
		free(text);
		errno = failure;
		return NULL;
	}
	return text;
}

/* Reads, compiles and executes the file as a new module; GIL held, the lock
 * too. New reference, or NULL with an exception. */
static PyObject *import_file(struct script_cache *cache, struct script *script)
{
	int64_t mtime = 0;
	PyObject *code = NULL, *module = NULL, *time_value = NULL;
	char *text;
	int failure;

	wsgid_gil_release();
	text = read_file(script->path, &mtime);
	failure = errno;
	wsgid_gil_acquire();
	if (text == NULL) {
		PyObject *path = py.PyUnicode_DecodeFSDefault(script->path);
		PyObject *error = path == NULL ? NULL :
			py.PyObject_CallFunction(py.PyExc_OSError, "isO", failure, strerror(failure), path);

		if (error != NULL) { /* OSError makes itself the right subclass */
			PyObject *type = py.PyObject_Type(error);

			py.PyErr_SetObject(type, error);
			Py_DECREF(type);
		}
		Py_XDECREF(error);
		Py_XDECREF(path);
		return NULL;
	}
	code = py.Py_CompileString(text, script->path, Py_file_input);
	free(text);
	if (code != NULL)
		module = py.PyImport_ExecCodeModuleEx(py.PyUnicode_AsUTF8(script->name), code, script->path);
	Py_XDECREF(code);
	if (module == NULL)
		return NULL;
	if (!is_module(module)) { /* what the script left in sys.modules */
		Py_DECREF(module);
		py.PyErr_SetString(py.PyExc_ImportError, "the script put something that is no module into sys.modules");
		return NULL;
	}
	time_value = py.PyLong_FromLongLong(mtime);
	if (time_value == NULL || py.PyDict_SetItem(py.PyModule_GetDict(module), cache->mtime, time_value) != 0)
		wsgid_py_clear(&module);
	Py_XDECREF(time_value);
	return module;
}

/* Puts old back (or nothing) after a failed import; the exception stays. */
static void put_back(struct script_cache *cache, struct script *script, PyObject *old)
{
	PyObject *type, *value, *traceback;

	py.PyErr_Fetch(&type, &value, &traceback);
	if (old != NULL)
		py.PyDict_SetItem(cache->modules, script->name, old);
	else if (py.PyDict_Contains(cache->modules, script->name) == 1)
		py.PyDict_DelItem(cache->modules, script->name);
	py.PyErr_Clear();
	py.PyErr_Restore(type, value, traceback);
}

static enum wsgid_script_outcome import_again(struct wsgid_interpreter *interpreter,
                                              struct script_cache *cache, struct script *script,
                                              PyObject *old, int flags, PyObject **module)
{
	struct wsgid_log_context context = { .application = interpreter->name, .script = script->path };
	int64_t mtime = file_mtime(script->path);
	bool keep = old != NULL && (flags & WSGID_SCRIPT_KEEP) != 0;

	if (mtime < 0 && (errno == ENOENT || errno == ENOTDIR) && !keep) {
		Py_XDECREF(old);
		return WSGID_SCRIPT_MISSING;
	}
	if (keep && script->failed_mtime == mtime && now_ms() - script->failed_at < RETRY_MS) {
		*module = old;
		return WSGID_SCRIPT_FAILED;
	}
	wsgid_gil_release();
	wsgid_logf("info", &context, "%s script", old == NULL ? "loading" : "reloading");
	wsgid_gil_acquire();
	if (py.PyDict_Contains(cache->modules, script->name) == 1)
		py.PyDict_DelItem(cache->modules, script->name);
	*module = import_file(cache, script);
	if (*module != NULL) {
		script->failed_mtime = 0;
		Py_XDECREF(old);
		return WSGID_SCRIPT_OK;
	}
	put_back(cache, script, keep ? old : NULL);
	script->failed_mtime = mtime;
	script->failed_at = now_ms();
	if (keep)
		*module = old;
	else
		Py_XDECREF(old);
	return WSGID_SCRIPT_FAILED;
}

enum wsgid_script_outcome wsgid_script_load(struct wsgid_interpreter *interpreter, const char *path,
                                            const char *resource, int flags, PyObject **module)
{
	enum wsgid_script_outcome outcome = WSGID_SCRIPT_FAILED;
	struct script_cache *cache = cache_of(interpreter);
	struct script *script = cache == NULL ? NULL : script_of(cache, path);
	bool check = (flags & WSGID_SCRIPT_CHECK) != 0, asked = false;
	PyObject *old, *seen;
	int64_t mtime = 0;

	*module = NULL;
	if (script == NULL)
		return WSGID_SCRIPT_FAILED;
	old = loaded_module(cache, script, &mtime);
	if (old != NULL) {
		if (!check || (file_mtime(path) == mtime && !(asked = wants_reload(cache, old, resource)))) {
			*module = old;
			return WSGID_SCRIPT_OK;
		}
		if ((flags & WSGID_SCRIPT_REFUSE) != 0) {
			Py_DECREF(old);
			return WSGID_SCRIPT_CHANGED;
		}
	}
	seen = old; /* kept alive until the lock is there, so that the comparison means something */
	wsgid_gil_release();
	pthread_mutex_lock(&import_lock);
	wsgid_gil_acquire();
	old = loaded_module(cache, script, &mtime);
	if (old != NULL && (!check || (file_mtime(path) == mtime && (!asked || old != seen)))) {
		*module = old; /* another thread was faster */
		outcome = WSGID_SCRIPT_OK;
	} else if (old != NULL && (flags & WSGID_SCRIPT_REFUSE) != 0) {
		Py_DECREF(old);
		outcome = WSGID_SCRIPT_CHANGED;
	} else {
		outcome = import_again(interpreter, cache, script, old, flags, module);
	}
	pthread_mutex_unlock(&import_lock);
	Py_XDECREF(seen);
	return outcome;
}
