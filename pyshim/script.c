/* Scripts as modules of an interpreter. sys.modules is the truth, as in
 * mod_wsgi: an application may remove its module there. */
#define _GNU_SOURCE
#include "script.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "md5.h"
#include "script_file.h"

#define RETRY_MS 1000 /* a broken dispatch script is tried, and news told, once in so long */
#define NO_TIME INT64_MIN

/* What is remembered of one script in one interpreter. Never freed. */
struct script {
	char *path;
	PyObject *name;        /* interned module name */
	struct wsgid_stamp loaded; /* of the version that sys.modules has */
	struct wsgid_stamp failed; /* of the version that could not be imported */
	int64_t failed_at;     /* monotonic milliseconds, 0: the last import went well */
	struct wsgid_stamp seen; /* at the last comparison */
	struct wsgid_stamp told; /* when wsgid_script_news last said something */
	int64_t told_at;       /* monotonic milliseconds, 0 never */
	bool used;             /* a request has had the module */
	int blamed;            /* error code of the last failed import, 0 none */
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

/* A small letter for a capital one of ASCII. */
static char folded(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Do two paths name one script? */
static bool same_path(const char *a, const char *b)
{
	if (!wsgid_python_folds_case())
		return strcmp(a, b) == 0;
	while (*a != '\0' && folded(*a) == folded(*b)) {
		a++;
		b++;
	}
	return folded(*a) == folded(*b);
}

/* Writes the md5 of the path, as it is compared, to hex. Returns 0, or -1
 * without memory. */
static int path_md5(const char *path, char *hex)
{
	char *text = strdup(path);

	if (text == NULL)
		return -1;
	for (char *c = text; *c != '\0' && wsgid_python_folds_case(); c++)
		*c = folded(*c);
	wsgid_md5_hex(text, strlen(text), hex);
	free(text);
	return 0;
}

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
		if (!same_path(script->path, path))
			continue;
		*at = script->next;
		script->next = cache->scripts;
		cache->scripts = script;
		return script;
	}
	script = calloc(1, sizeof(*script));
	if (script == NULL || (script->path = strdup(path)) == NULL || path_md5(path, name + strlen(name)) != 0) {
		if (script != NULL)
			free(script->path);
		free(script);
		py.PyErr_NoMemory();
		return NULL;
	}
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

/* The module, a new reference, and its time; *mtime is NO_TIME when the script
 * has removed or replaced __mtime__, or is being imported (it is set last).
 * NULL without an exception if there is none. */
static PyObject *loaded_module(struct script_cache *cache, struct script *script, int64_t *mtime)
{
	PyObject *module = py.PyDict_GetItemWithError(cache->modules, script->name);
	PyObject *value;

	*mtime = NO_TIME;
	if (module == NULL || !is_module(module)) {
		py.PyErr_Clear();
		return NULL;
	}
	value = py.PyDict_GetItemWithError(py.PyModule_GetDict(module), cache->mtime);
	if (value != NULL && wsgid_py_is_int(value))
		*mtime = py.PyLong_AsLongLong(value);
	py.PyErr_Clear();
	Py_INCREF(module);
	return module;
}

/* The file is still the one that a module with this time was made of. */
static bool unchanged(struct script *script, int64_t mtime)
{
	struct wsgid_stamp now;

	if (wsgid_stamp_read(script->path, &now) != 0)
		memset(&now, 0, sizeof(now));
	script->seen = now;
	return now.inode != 0 && now.mtime == mtime &&
	       (script->loaded.mtime != mtime || wsgid_stamp_equal(&now, &script->loaded));
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

/* Reads, compiles and executes the file as a new module; GIL held, the lock
 * too. New reference, or NULL with an exception. */
static PyObject *import_file(struct script_cache *cache, struct script *script)
{
	struct wsgid_stamp stamp = { 0 };
	PyObject *code = NULL, *module = NULL, *time_value = NULL;
	char *text;
	int failure;

	wsgid_gil_release();
	text = wsgid_script_read(script->path, &stamp);
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
	script->loaded = stamp;
	time_value = py.PyLong_FromLongLong(stamp.mtime);
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

/* Imports a script that is not loaded, or again. Lock and GIL held; takes the
 * reference to old over. */
static enum wsgid_script_outcome import_again(struct wsgid_interpreter *interpreter,
                                              struct script_cache *cache, struct script *script,
                                              PyObject *old, int flags, PyObject **module)
{
	struct wsgid_log_context context = { .application = interpreter->name, .script = script->path };
	struct wsgid_stamp stamp = { 0 };
	bool keep = old != NULL && (flags & WSGID_SCRIPT_KEEP) != 0;

	if (wsgid_stamp_read(script->path, &stamp) != 0 && (errno == ENOENT || errno == ENOTDIR) && !keep) {
		Py_XDECREF(old);
		return WSGID_SCRIPT_MISSING;
	}
	if (keep && script->failed_at != 0 && wsgid_stamp_equal(&script->failed, &stamp) &&
	    now_ms() - script->failed_at < RETRY_MS) {
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
		script->failed_at = 0;
		Py_XDECREF(old);
		return WSGID_SCRIPT_OK;
	}
	put_back(cache, script, keep ? old : NULL);
	script->failed = script->seen = script->told = stamp;
	script->failed_at = now_ms();
	if (keep)
		*module = old;
	else
		Py_XDECREF(old);
	return WSGID_SCRIPT_FAILED;
}

/* The file of a module has changed, or it asks for a reload itself. Imports
 * nothing; takes the reference over. */
static enum wsgid_script_outcome changed(PyObject *old, int flags, PyObject **module)
{
	if ((flags & WSGID_SCRIPT_STALE_OK) != 0) {
		*module = old;
		return WSGID_SCRIPT_STALE;
	}
	Py_DECREF(old);
	return WSGID_SCRIPT_CHANGED;
}

/* A script that could not be imported in this process and is not tried again. */
static enum wsgid_script_outcome failed_before(struct script *script, int flags)
{
	if ((flags & WSGID_SCRIPT_CHECK) == 0)
		return WSGID_SCRIPT_FAILED;
	if (unchanged(script, script->failed.mtime) && wsgid_stamp_equal(&script->seen, &script->failed))
		return WSGID_SCRIPT_FAILED;
	return script->seen.inode == 0 ? WSGID_SCRIPT_MISSING : WSGID_SCRIPT_CHANGED;
}

/* Under the lock: nobody else imports now. asked: seen has said that it wants
 * to be reloaded. */
static enum wsgid_script_outcome load_locked(struct wsgid_interpreter *interpreter, struct script_cache *cache,
                                             struct script *script, int flags, PyObject *seen, bool asked,
                                             PyObject **module)
{
	bool check = (flags & WSGID_SCRIPT_CHECK) != 0;
	int64_t mtime;
	PyObject *old = loaded_module(cache, script, &mtime);

	if (old != NULL && (!check || (mtime != NO_TIME && unchanged(script, mtime) && (!asked || old != seen)))) {
		*module = old; /* another thread was faster */
		return WSGID_SCRIPT_OK;
	}
	if (old != NULL && (flags & (WSGID_SCRIPT_REFUSE | WSGID_SCRIPT_STALE_OK)) != 0)
		return changed(old, flags, module);
	if (old == NULL && script->failed_at != 0 && (flags & WSGID_SCRIPT_ONCE) != 0)
		return failed_before(script, flags);
	return import_again(interpreter, cache, script, old, flags, module);
}

enum wsgid_script_outcome wsgid_script_load(struct wsgid_interpreter *interpreter, const char *path,
                                            const char *resource, int flags, PyObject **module)
{
	enum wsgid_script_outcome outcome;
	struct script_cache *cache = cache_of(interpreter);
	struct script *script = cache == NULL ? NULL : script_of(cache, path);
	bool check = (flags & WSGID_SCRIPT_CHECK) != 0, asked = false;
	PyObject *old;
	int64_t mtime;

	*module = NULL;
	if (script == NULL)
		return WSGID_SCRIPT_FAILED;
	old = loaded_module(cache, script, &mtime);
	if (old != NULL && mtime != NO_TIME) {
		/* Not asked by the request that is its first: a process that was
		 * started to load it anew would be replaced again and again. */
		if (!check || (unchanged(script, mtime) &&
		               !(asked = script->used && wants_reload(cache, old, resource)))) {
			script->used = script->used || resource != NULL;
			*module = old;
			return WSGID_SCRIPT_OK;
		}
		if ((flags & (WSGID_SCRIPT_REFUSE | WSGID_SCRIPT_STALE_OK)) != 0)
			return changed(old, flags, module);
	}
	if (old == NULL && script->failed_at != 0 && (flags & WSGID_SCRIPT_ONCE) != 0)
		return failed_before(script, flags);
	/* old is kept alive until the lock is there, so that comparing with it
	 * means something. */
	wsgid_gil_release();
	pthread_mutex_lock(&import_lock);
	wsgid_gil_acquire();
	outcome = load_locked(interpreter, cache, script, flags, old, asked, module);
	if (outcome == WSGID_SCRIPT_OK)
		script->used = script->used || resource != NULL;
	pthread_mutex_unlock(&import_lock);
	Py_XDECREF(old);
	return outcome;
}

enum wsgid_script_news wsgid_script_news(struct wsgid_interpreter *interpreter, const char *path)
{
	struct script_cache *cache = cache_of(interpreter);
	struct script *script = cache == NULL ? NULL : script_of(cache, path);
	int64_t now = now_ms();

	if (script == NULL) {
		py.PyErr_Clear();
		return WSGID_NEWS_NONE;
	}
	if (!wsgid_stamp_equal(&script->seen, &script->told) || (script->told_at == 0 && script->failed_at == 0)) {
		script->told = script->seen;
		script->told_at = now;
		return WSGID_NEWS_CHANGED;
	}
	if (script->told_at != 0 && now - script->told_at < RETRY_MS)
		return WSGID_NEWS_NONE;
	script->told_at = now;
	return WSGID_NEWS_AGAIN;
}

void wsgid_script_blame(struct wsgid_interpreter *interpreter, const char *path, int code)
{
	struct script_cache *cache = cache_of(interpreter);
	PyObject *type, *value, *traceback;
	struct script *script;

	py.PyErr_Fetch(&type, &value, &traceback);
	script = cache == NULL ? NULL : script_of(cache, path);
	if (script != NULL)
		script->blamed = code;
	py.PyErr_Clear();
	py.PyErr_Restore(type, value, traceback);
}

int wsgid_script_blamed(struct wsgid_interpreter *interpreter, const char *path)
{
	struct script_cache *cache = cache_of(interpreter);
	struct script *script = cache == NULL ? NULL : script_of(cache, path);

	py.PyErr_Clear();
	return script == NULL ? 0 : script->blamed;
}
