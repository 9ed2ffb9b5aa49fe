/* environ of a request (PEP 3333, mod_wsgi behaviour 6.1 and 6.2).
 *
 * Each thread keeps, per interpreter, the environ of its last request as a
 * template: a parameter whose value is the same as last time costs a memcmp,
 * and the application gets a copy of the template, which CPython makes by
 * copying the hash table. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "request.h"

enum {
	BUCKETS = 256,
	ENTRIES_MAX = 512, /* names a client can make us remember */
	VALUE_MAX = 4096,  /* longest value that is remembered */
	NAME_MAX_KEPT = 256, /* longest name: what a client can make us keep is bounded */
};

/* One name of environ and its last value. */
struct entry {
	struct entry *next;      /* in the bucket */
	struct entry *follower;  /* the one that came after it last time */
	PyObject *key;
	PyObject *value;         /* as in the template; NULL: not in the template */
	char *name;
	uint32_t name_length;
	uint32_t value_length;
	uint32_t value_capacity;
	bool remembered;         /* bytes holds the value */
	char *bytes;
	uint64_t seen;           /* serial of the last request that had it */
};

/* A value that is in the template, remade when its bytes change. */
struct memo {
	bool set;
	size_t length;
	char bytes[256];
};

/* Variables that every environ has. */
enum { ALWAYS = 3 };
static const char *const always[ALWAYS] = {"SCRIPT_NAME", "PATH_INFO", "QUERY_STRING"};

struct wsgid_environ_cache {
	struct wsgid_environ_cache *next;
	struct entry *always[ALWAYS];
	struct memo callable, server_pid, listener_host, listener_port;
	struct wsgid_errors errors;
	struct wsgid_interpreter *interpreter;
	PyObject *template;
	struct entry *buckets[BUCKETS];
	struct entry first; /* its follower is the first of a request */
	size_t entries;
	size_t live;        /* entries in the template */
	uint64_t serial;
};

double wsgid_seconds(uint64_t microseconds)
{
	return (double)microseconds / 1e6;
}

double wsgid_daemon_seconds(const struct wsgid_request *r, uint64_t microseconds)
{
	return r->connection->server->embedded ? 0 : wsgid_seconds(microseconds);
}

/* How long the request has waited for its thread. */
static double queue_seconds(const struct wsgid_request *r)
{
	bool known = r->queue_start && r->daemon_start > r->queue_start; /* the clock may be set back */
	return known ? wsgid_seconds(r->daemon_start - r->queue_start) : 0;
}

uint64_t wsgid_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* Sets key to a new reference (stolen; NULL: an exception is set). */
static int put(PyObject *dict, PyObject *key, PyObject *value)
{
	if (!value)
		return -1;
	int result = py.PyDict_SetItem(dict, key, value);
	Py_DECREF(value);
	return result;
}

static int put_name(PyObject *dict, const char *name, PyObject *value)
{
	if (!value)
		return -1;
	int result = py.PyDict_SetItemString(dict, name, value);
	Py_DECREF(value);
	return result;
}

static PyObject *native(const char *data, size_t size)
{
	return py.PyUnicode_DecodeLatin1(data, (Py_ssize_t)size, NULL);
}

/* Everything that does not change as long as thread and interpreter do. */
static int fill_template(PyObject *t, const struct wsgid_request *r)
{
	const struct wsgid_server *server = r->connection->server;
	const struct wsgid_side *side = r->side;
	PyObject *changing[] = {side->key_input,       side->key_errors,      side->key_scheme,
	                        side->key_callable,    side->key_script_name, side->key_path_info,
	                        side->key_request_id,  side->key_server_pid,  side->key_request_start,
	                        side->key_queue_start, side->key_daemon_start, side->key_application_start,
	                        side->key_listener_host, side->key_listener_port, side->key_queue_time};
	for (size_t i = 0; i < sizeof changing / sizeof changing[0]; i++)
		if (py.PyDict_SetItem(t, changing[i], py.None) < 0)
			return -1;
	if (put_name(t, "wsgi.version", py.Py_BuildValue("(ii)", 1, 0)) < 0 ||
	    put_name(t, "wsgi.input_terminated", py.PyBool_FromLong(1)) < 0 ||
	    put_name(t, "wsgi.multithread", py.PyBool_FromLong(server->threads != 1)) < 0 ||
	    put_name(t, "wsgi.multiprocess", py.PyBool_FromLong(server->multiprocess)) < 0 ||
	    put_name(t, "wsgi.run_once", py.PyBool_FromLong(server->threads == 1 && server->maximum_requests == 1)) < 0 ||
	    py.PyDict_SetItemString(t, "wsgi.file_wrapper", side->file_wrapper) < 0 ||
	    put_name(t, "mod_wsgi.version", py.Py_BuildValue("(iii)", 6, 0, 5)) < 0 ||
	    put_name(t, "mod_wsgi.process_group", native(server->group, strlen(server->group))) < 0 ||
	    put_name(t, "mod_wsgi.application_group",
	             native(r->interpreter->name, r->interpreter->name_length)) < 0 ||
	    put_name(t, "mod_wsgi.request_handler", native("wsgi-script", 11)) < 0 ||
	    put_name(t, "mod_wsgi.handler_script", native("", 0)) < 0 ||
	    put_name(t, "mod_wsgi.thread_id", py.PyLong_FromLong(r->connection->thread + 1)) < 0)
		return -1;
	return 0;
}

static struct entry *entry_of(struct wsgid_environ_cache *cache, const char *name, uint32_t length);

/* A cache that could not be completed: its entries have no values yet. */
static void free_cache(struct wsgid_environ_cache *cache)
{
	for (size_t i = 0; i < ALWAYS; i++) {
		struct entry *e = cache->always[i];
		if (!e)
			continue;
		Py_DECREF(e->key);
		free(e->name);
		free(e);
	}
	Py_DECREF(cache->template);
	free(cache);
}

/* The cache of this thread and interpreter. */
static struct wsgid_environ_cache *cache_of(struct wsgid_request *r)
{
	struct wsgid_environ_cache *cache = r->local->caches;
	for (; cache; cache = cache->next)
		if (cache->interpreter == r->interpreter)
			return cache;
	cache = calloc(1, sizeof *cache);
	PyObject *template = py.PyDict_New();
	if (!cache || !template || fill_template(template, r) < 0) {
		if (!py.PyErr_Occurred())
			py.PyErr_NoMemory();
		Py_XDECREF(template);
		free(cache);
		return NULL;
	}
	cache->interpreter = r->interpreter;
	cache->template = template;
	/* The first entries: they have room whatever clients send. */
	for (size_t i = 0; i < ALWAYS; i++) {
		cache->always[i] = entry_of(cache, always[i], (uint32_t)strlen(always[i]));
		if (!cache->always[i]) {
			if (!py.PyErr_Occurred())
				py.PyErr_NoMemory();
			free_cache(cache);
			return NULL;
		}
	}
	cache->next = r->local->caches;
	r->local->caches = cache;
	return cache;
}

struct wsgid_errors *wsgid_environ_errors(struct wsgid_request *r)
{
	struct wsgid_environ_cache *cache = cache_of(r);
	return cache ? &cache->errors : NULL;
}

static uint32_t hash(const char *name, size_t length)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < length; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return h % BUCKETS;
}

static PyObject *interned(const char *name, size_t length)
{
	PyObject *key = native(name, length);
	if (key)
		py.PyUnicode_InternInPlace(&key);
	return key;
}

/* The entry for a name, made when there is room. NULL: none (no exception),
 * or an exception is set. */
static struct entry *entry_of(struct wsgid_environ_cache *cache, const char *name, uint32_t length)
{
	struct entry **bucket = &cache->buckets[hash(name, length)];
	for (struct entry *e = *bucket; e; e = e->next)
		if (e->name_length == length && memcmp(e->name, name, length) == 0)
			return e;
	if (cache->entries == ENTRIES_MAX || length > NAME_MAX_KEPT)
		return NULL;
	struct entry *e = calloc(1, sizeof *e);
	char *copy = malloc(length + 1u);
	PyObject *key = e && copy ? interned(name, length) : NULL;
	if (!key) {
		free(e);
		free(copy);
		return NULL;
	}
	memcpy(copy, name, length);
	copy[length] = 0;
	e->name = copy;
	e->name_length = length;
	e->key = key;
	e->next = *bucket;
	*bucket = e;
	cache->entries++;
	return e;
}

/* Gives an entry a new value, in the template too. */
static int change(struct wsgid_environ_cache *cache, struct entry *e, const char *value, uint32_t length)
{
	PyObject *object = native(value, length);
	if (!object)
		return -1;
	if (py.PyDict_SetItem(cache->template, e->key, object) < 0) {
		Py_DECREF(object);
		return -1;
	}
	if (e->value)
		Py_DECREF(e->value);
	else
		cache->live++;
	e->value = object;
	e->remembered = length <= VALUE_MAX;
	if (!e->remembered)
		return 0;
	if (length > e->value_capacity) {
		uint32_t capacity = (length + 63u) & ~63u;
		char *bigger = realloc(e->bytes, capacity);
		if (!bigger) {
			e->remembered = false;
			return 0;
		}
		e->bytes = bigger;
		e->value_capacity = capacity;
	}
	if (length)
		memcpy(e->bytes, value, length);
	e->value_length = length;
	return 0;
}

/* Takes what the template has of earlier requests and this one has not. */
static int forget(struct wsgid_environ_cache *cache)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct entry *e = cache->buckets[i]; e; e = e->next) {
			if (!e->value || e->seen == cache->serial)
				continue;
			if (py.PyDict_DelItem(cache->template, e->key) < 0)
				py.PyErr_Clear();
			wsgid_py_clear(&e->value);
			e->remembered = false;
			cache->live--;
		}
	}
	return 0;
}

/* Names that the server itself decides about. */
static bool reserved(const struct fcgi_pair *p)
{
	const char *n = p->name;
	uint32_t l = p->name_length;
	return l == 0 || (l > 5 && memcmp(n, "wsgi.", 5) == 0) || (l > 9 && memcmp(n, "mod_wsgi.", 9) == 0) ||
	       (l > 6 && memcmp(n, "WSGID_", 6) == 0) || (l == 5 && memcmp(n, "HTTPS", 5) == 0);
}

/* One parameter. Pairs beyond what is remembered go to the list of extras. */
static struct entry *apply(struct wsgid_environ_cache *cache, struct entry *last, const char *name,
                           uint32_t name_length, const char *value, uint32_t value_length,
                           size_t *seen)
{
	struct entry *e = last->follower;
	if (!e || e->name_length != name_length || memcmp(e->name, name, name_length) != 0) {
		e = entry_of(cache, name, name_length);
		if (!e)
			return NULL;
		last->follower = e;
	}
	if (e->seen != cache->serial) {
		e->seen = cache->serial;
		++*seen;
	}
	if (e->value && e->remembered && e->value_length == value_length &&
	    (value_length == 0 || memcmp(e->bytes, value, value_length) == 0))
		return e;
	return change(cache, e, value, value_length) < 0 ? NULL : e;
}

/* Brings the template up to date. extras: pairs that found no room. */
static int update(struct wsgid_request *r, struct wsgid_environ_cache *cache, PyObject **values,
                  size_t *extras)
{
	struct entry *last = &cache->first;
	size_t seen = 0;
	*extras = 0;
	cache->serial++;
	for (size_t i = 0; i < r->pair_count; i++) {
		struct fcgi_pair *p = &r->local->pairs[i];
		char c = p->name_length ? p->name[0] : 0;
		if ((c == 'w' || c == 'm' || c == 'W' || c == 'H' || c == 0) && reserved(p))
			continue;
		struct entry *e = apply(cache, last, p->name, p->name_length, p->value, p->value_length, &seen);
		if (!e) {
			if (py.PyErr_Occurred())
				return -1;
			r->local->pairs[(*extras)++] = *p;
			continue;
		}
		last = e;
	}
	for (size_t i = 0; i < ALWAYS; i++) {
		struct entry *e = cache->always[i];
		if (e->seen != cache->serial &&
		    !apply(cache, last, e->name, e->name_length, "", 0, &seen))
			return -1;
		values[i] = e->value;
	}
	return seen == cache->live ? 0 : forget(cache);
}

/* Puts a text into the template unless it is there. */
static int memoise(struct wsgid_environ_cache *cache, struct memo *memo, PyObject *key, const char *data,
                   size_t length)
{
	if (memo->set && memo->length == length && memcmp(memo->bytes, data, length) == 0)
		return 0;
	memo->set = length <= sizeof memo->bytes;
	memo->length = length;
	if (memo->set)
		memcpy(memo->bytes, data, length);
	return put(cache->template, key, native(data, length));
}

PyObject *wsgid_environ_new(struct wsgid_request *r)
{
	struct wsgid_environ_cache *cache = cache_of(r);
	const struct wsgid_side *side = r->side;
	PyObject *values[3];
	size_t extras;
	if (!cache)
		return NULL;
	if (update(r, cache, values, &extras) < 0 ||
	    memoise(cache, &cache->callable, side->key_callable, r->callable, strlen(r->callable)) < 0 ||
	    memoise(cache, &cache->server_pid, side->key_server_pid, r->server_pid.data, r->server_pid.length) < 0 ||
	    memoise(cache, &cache->listener_host, side->key_listener_host, r->listener_host.data,
	            r->listener_host.length) < 0 ||
	    memoise(cache, &cache->listener_port, side->key_listener_port, r->listener_port.data,
	            r->listener_port.length) < 0)
		return NULL;
	PyObject *environ = py.PyDict_Copy(cache->template);
	if (!environ)
		return NULL;
	for (size_t i = 0; i < extras; i++) {
		const struct fcgi_pair *p = &r->local->pairs[i];
		PyObject *key = native(p->name, p->name_length);
		int done = key ? put(environ, key, native(p->value, p->value_length)) : -1;
		Py_XDECREF(key);
		if (done < 0)
			goto failed;
	}
	r->application_start = wsgid_now();
	if (r->handler.data &&
	    (put_name(environ, "mod_wsgi.request_handler", native(r->handler.data, r->handler.length)) < 0 ||
	     put_name(environ, "mod_wsgi.handler_script", native(r->script, strlen(r->script))) < 0))
		goto failed;
	bool https = r->want_https || (r->scheme_https && !r->scheme_decided);
	PyObject *scheme = https ? side->https : side->http;
	if (py.PyDict_SetItem(environ, side->key_scheme, scheme) < 0 ||
	    py.PyDict_SetItem(environ, side->key_input, r->input) < 0 ||
	    py.PyDict_SetItem(environ, side->key_errors, r->errors->text) < 0 ||
	    py.PyDict_SetItem(environ, side->key_script_name, values[0]) < 0 ||
	    py.PyDict_SetItem(environ, side->key_path_info, values[1]) < 0 ||
	    put(environ, side->key_request_id, native(r->id, strlen(r->id))) < 0 ||
	    put(environ, side->key_request_start, py.PyFloat_FromDouble(wsgid_seconds(r->request_start))) < 0 ||
	    put(environ, side->key_queue_start, py.PyFloat_FromDouble(wsgid_daemon_seconds(r, r->queue_start))) < 0 ||
	    put(environ, side->key_daemon_start, py.PyFloat_FromDouble(wsgid_daemon_seconds(r, r->daemon_start))) < 0 ||
	    put(environ, side->key_queue_time, py.PyFloat_FromDouble(queue_seconds(r))) < 0 ||
	    put(environ, side->key_application_start, py.PyFloat_FromDouble(wsgid_seconds(r->application_start))) < 0)
		goto failed;
	/* A proxy's word for SCRIPT_NAME leaves mod_wsgi.script_name as it was mapped. */
	if (r->mount_point.data &&
	    (put(environ, side->key_mount_point, native(r->mount_point.data, r->mount_point.length)) < 0 ||
	     put(environ, side->key_script_name, native(r->mapped_name.data, r->mapped_name.length)) < 0))
		goto failed;
	return environ;
failed:
	Py_DECREF(environ);
	return NULL;
}
