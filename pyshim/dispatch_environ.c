/* Building the environ of the router's scripts: most names and many values are
 * those of the call before, so their objects are kept. */
#include "dispatch_environ.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "errors_stream.h"

enum {
	TABLE_SIZE = 1024, /* slots of the name table, a power of two */
	TABLE_FILL = 512,  /* names kept; a client invents header names, so there is an end */
	NAME_LIMIT = 128,
	VALUE_LIMIT = 1024, /* longer values are not kept */
	MISSES = 16,        /* so many calls in a row with other names make another pattern */
};

/* One name and the value it had last. */
struct kept {
	char *name;
	size_t name_length;
	PyObject *key;
	char *bytes;
	size_t bytes_length, bytes_capacity;
	PyObject *value;
	const PyObject *placed; /* the value in pattern number of: if that is the present one */
	unsigned long of, round; /* round: the call that named it last */
};

struct path {
	char *text;
	size_t length;
	char *load_error;
	struct path *next;
};

struct wsgid_dispatch_cache {
	struct kept table[TABLE_SIZE];
	size_t filled;
	PyObject *callables[3];
	PyObject *key_process_group, *key_application_group, *key_request_id, *key_script_name,
	    *key_path_info, *key_errors;
	PyObject *empty, *application_group, *errors;
	struct path *paths;
	/* The environ of the call before, as it was made: most calls have the same
	 * names, and a copy with some other values costs a third of a new one. */
	PyObject *pattern;
	size_t pattern_names;
	unsigned long pattern_number, round; /* round: of calls */
	int misses;                          /* calls in a row that have other names */
};

struct wsgid_dispatch_cache *wsgid_dispatch_cache_of(struct wsgid_interpreter *interpreter)
{
	struct wsgid_dispatch_cache *cache = interpreter->dispatch;

	if (cache != NULL)
		return cache;
	cache = calloc(1, sizeof(*cache));
	if (cache == NULL) {
		py.PyErr_NoMemory();
		return NULL;
	}
	const struct {
		PyObject **to;
		const char *text;
	} texts[] = {
		{ &cache->callables[0], "process_group" },
		{ &cache->callables[1], "application_group" },
		{ &cache->callables[2], "callable_object" },
		{ &cache->key_process_group, "mod_wsgi.process_group" },
		{ &cache->key_application_group, "mod_wsgi.application_group" },
		{ &cache->key_request_id, "mod_wsgi.request_id" },
		{ &cache->key_script_name, "mod_wsgi.script_name" },
		{ &cache->key_path_info, "mod_wsgi.path_info" },
		{ &cache->key_errors, "wsgi.errors" },
		{ &cache->empty, "" },
	};
	bool complete = true;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		complete = (*texts[i].to = py.PyUnicode_InternFromString(texts[i].text)) != NULL && complete;
	cache->application_group =
	    py.PyUnicode_DecodeLatin1(interpreter->name, (Py_ssize_t)interpreter->name_length, NULL);
	cache->errors = wsgid_script_errors_new(interpreter->keys);
	if (!complete || cache->application_group == NULL || cache->errors == NULL) {
		for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
			Py_XDECREF(*texts[i].to);
		Py_XDECREF(cache->application_group);
		Py_XDECREF(cache->errors);
		free(cache);
		return NULL;
	}
	interpreter->dispatch = cache;
	return cache;
}

PyObject *wsgid_dispatch_callable_name(struct wsgid_dispatch_cache *cache, int index)
{
	return cache->callables[index];
}

const char *wsgid_dispatch_path(struct wsgid_dispatch_cache *cache, const char *path, size_t length)
{
	struct path *entry;

	for (entry = cache->paths; entry != NULL; entry = entry->next)
		if (entry->length == length && memcmp(entry->text, path, length) == 0)
			return entry->text;
	entry = memchr(path, 0, length) != NULL ? NULL : calloc(1, sizeof(*entry));
	if (entry == NULL)
		return NULL;
	entry->text = malloc(length + 1);
	if (entry->text == NULL) {
		free(entry);
		return NULL;
	}
	memcpy(entry->text, path, length);
	entry->text[length] = 0;
	entry->length = length;
	entry->next = cache->paths;
	cache->paths = entry;
	return entry->text;
}

static struct path *path_entry(struct wsgid_dispatch_cache *cache, const char *script)
{
	struct path *entry = cache->paths;

	while (entry != NULL && entry->text != script)
		entry = entry->next;
	return entry;
}

const char *wsgid_dispatch_load_error(struct wsgid_dispatch_cache *cache, const char *script)
{
	struct path *entry = path_entry(cache, script);

	return entry == NULL ? NULL : entry->load_error;
}

void wsgid_dispatch_set_load_error(struct wsgid_dispatch_cache *cache, const char *script, char *text)
{
	struct path *entry = path_entry(cache, script);

	if (entry == NULL) {
		free(text);
		return;
	}
	free(entry->load_error);
	entry->load_error = text;
}

/* FastCGI 1.0 section 3.4: one byte below 128, else four with the top bit set. */
static int pair_length(const unsigned char **at, const unsigned char *end, size_t *length)
{
	const unsigned char *p = *at;

	if (p >= end)
		return -1;
	if (*p < 128) {
		*length = *p;
		*at = p + 1;
		return 0;
	}
	if (end - p < 4)
		return -1;
	*length = (size_t)(p[0] & 0x7f) << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	*at = p + 4;
	return 0;
}

/* Eight bytes at a time; only its spread over the table matters. */
static size_t hash(const char *name, size_t length)
{
	uint64_t h = length * 0x9e3779b97f4a7c15ULL;

	while (length >= 8) {
		uint64_t word;

		memcpy(&word, name, 8);
		h = (h ^ word) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 29;
		name += 8;
		length -= 8;
	}
	while (length-- > 0)
		h = (h ^ (unsigned char)*name++) * 0x100000001b3ULL;
	return (size_t)(h ^ h >> 32);
}

/* The entry of name, made when there is room; NULL when it is not kept (no
 * exception) or with an exception. */
static struct kept *find(struct wsgid_dispatch_cache *cache, const char *name, size_t length)
{
	size_t at = hash(name, length) & (TABLE_SIZE - 1);
	struct kept *entry;

	for (;; at = (at + 1) & (TABLE_SIZE - 1)) {
		entry = &cache->table[at];
		if (entry->name == NULL)
			break;
		if (entry->name_length == length && memcmp(entry->name, name, length) == 0)
			return entry;
	}
	if (cache->filled >= TABLE_FILL || length > NAME_LIMIT)
		return NULL;
	PyObject *key = py.PyUnicode_DecodeLatin1(name, (Py_ssize_t)length, NULL);
	char *copy = key == NULL ? NULL : malloc(length + 1);
	if (copy == NULL) {
		Py_XDECREF(key);
		return NULL;
	}
	py.PyUnicode_InternInPlace(&key);
	memcpy(copy, name, length);
	entry->name = copy;
	entry->name_length = length;
	entry->key = key;
	cache->filled++;
	return entry;
}

/* The value object of entry for these bytes: borrowed, or NULL with an exception. */
static PyObject *value_of(struct kept *entry, const char *bytes, size_t length)
{
	PyObject *value;

	if (entry->value != NULL && entry->bytes_length == length && memcmp(entry->bytes, bytes, length) == 0)
		return entry->value;
	value = py.PyUnicode_DecodeLatin1(bytes, (Py_ssize_t)length, NULL);
	if (value == NULL)
		return NULL;
	if (length > entry->bytes_capacity) {
		char *larger = realloc(entry->bytes, length + 32);

		if (larger == NULL) {
			Py_DECREF(value);
			py.PyErr_NoMemory();
			return NULL;
		}
		entry->bytes = larger;
		entry->bytes_capacity = length + 32;
	}
	memcpy(entry->bytes, bytes, length);
	entry->bytes_length = length;
	Py_XDECREF(entry->value);
	entry->value = value;
	return value;
}

/* dict[name] = value without keeping them. */
static int put_once(PyObject *dict, PyObject *known_key, const char *name, size_t name_length,
                    const char *value, size_t value_length)
{
	PyObject *key = known_key, *text;
	int result = -1;

	if (known_key == NULL)
		key = py.PyUnicode_DecodeLatin1(name, (Py_ssize_t)name_length, NULL);
	text = py.PyUnicode_DecodeLatin1(value, (Py_ssize_t)value_length, NULL);
	if (key != NULL && text != NULL)
		result = py.PyDict_SetItem(dict, key, text);
	if (known_key == NULL)
		Py_XDECREF(key);
	Py_XDECREF(text);
	return result;
}

static bool is(const char *name, size_t length, const char *what, size_t what_length)
{
	return length == what_length && memcmp(name, what, length) == 0;
}

/* Whether the variable tells of the client's TLS connection. */
static bool of_tls(const char *name, size_t length)
{
	return is(name, length, "HTTPS", 5) || (length > 4 && memcmp(name, "SSL_", 4) == 0);
}

/* Adds one pair. Without tls, to the environ of a dispatch script: with a copy
 * under mod_wsgi's own name where there is one. With tls, to that of an
 * authentication script: what tells of the TLS connection goes there. */
static int put(struct wsgid_dispatch_cache *cache, PyObject *dict, PyObject *tls, const char *name,
               size_t name_length, const char *value, size_t value_length)
{
	struct kept *entry = find(cache, name, name_length);
	PyObject *object, *also = NULL;

	if (tls != NULL && of_tls(name, name_length))
		return put_once(tls, NULL, name, name_length, value, value_length);
	if (tls == NULL && is(name, name_length, "SCRIPT_NAME", 11))
		also = cache->key_script_name;
	else if (tls == NULL && is(name, name_length, "PATH_INFO", 9))
		also = cache->key_path_info;
	if (entry == NULL || value_length > VALUE_LIMIT) {
		if (also != NULL && put_once(dict, also, NULL, 0, value, value_length) != 0)
			return -1;
		return put_once(dict, entry == NULL ? NULL : entry->key, name, name_length, value, value_length);
	}
	object = value_of(entry, value, value_length);
	if (object == NULL || (also != NULL && py.PyDict_SetItem(dict, also, object) != 0))
		return -1;
	return py.PyDict_SetItem(dict, entry->key, object);
}

/* Adds all pairs of params: put says where to. 0, or -1 with an exception. */
static int put_pairs(struct wsgid_dispatch_cache *cache, PyObject *dict, PyObject *tls, const char *params,
                     size_t length)
{
	const unsigned char *at = (const unsigned char *)params, *end = at + length;

	while (at < end) {
		size_t name_length, value_length;

		if (pair_length(&at, end, &name_length) != 0 || pair_length(&at, end, &value_length) != 0 ||
		    name_length > (size_t)(end - at) || value_length > (size_t)(end - at) - name_length) {
			py.PyErr_SetString(py.PyExc_ValueError, "malformed FastCGI parameters");
			return -1;
		}
		if (put(cache, dict, tls, (const char *)at, name_length, (const char *)at + name_length,
		        value_length) != 0)
			return -1;
		at += name_length + value_length;
	}
	return 0;
}

/* What both kinds of environ have. 0, or -1 with an exception. */
static int put_common(struct wsgid_dispatch_cache *cache, PyObject *dict)
{
	if (py.PyDict_SetItem(dict, cache->key_process_group, cache->empty) != 0 ||
	    py.PyDict_SetItem(dict, cache->key_application_group, cache->application_group) != 0)
		return -1;
	return py.PyDict_SetItem(dict, cache->key_errors, cache->errors);
}

/* Makes the pattern the environ of params: 1 if it has just these names, 0 if it
 * has not, or not all is kept, and it is of no use then; -1 with an exception. */
static int adapt_pattern(struct wsgid_dispatch_cache *cache, const char *params, size_t length)
{
	const unsigned char *at = (const unsigned char *)params, *end = at + length;
	size_t names = 0;

	for (cache->round++; at < end; names++) {
		size_t name_length, value_length;
		const char *name, *value;
		struct kept *entry;

		if (pair_length(&at, end, &name_length) != 0 || pair_length(&at, end, &value_length) != 0 ||
		    name_length > (size_t)(end - at) || value_length > (size_t)(end - at) - name_length)
			return 0; /* said by whoever makes it anew */
		name = (const char *)at;
		value = name + name_length;
		at += name_length + value_length;
		entry = find(cache, name, name_length);
		if (entry == NULL && py.PyErr_Occurred() != NULL)
			return -1;
		if (entry == NULL || entry->of != cache->pattern_number || entry->round == cache->round ||
		    value_length > VALUE_LIMIT)
			return 0;
		entry->round = cache->round;
		if (value_of(entry, value, value_length) == NULL)
			return -1;
		if (entry->value == entry->placed)
			continue;
		if (put(cache, cache->pattern, NULL, name, name_length, value, value_length) != 0)
			return -1;
		entry->placed = entry->value;
	}
	return names == cache->pattern_names;
}

/* Keeps a copy of dict, which was made of params, as the pattern if all its names
 * are kept and the present one has been of no use for a while. 0, or -1 with an exception. */
static int keep_pattern(struct wsgid_dispatch_cache *cache, PyObject *dict, const char *params, size_t length)
{
	const unsigned char *at = (const unsigned char *)params, *end = at + length;

	if (cache->pattern != NULL && ++cache->misses < MISSES)
		return 0;
	cache->misses = 0;
	wsgid_py_clear(&cache->pattern);
	cache->pattern_number++;
	cache->pattern_names = 0;
	for (cache->round++; at < end; cache->pattern_names++) {
		size_t name_length = 0, value_length = 0;
		struct kept *entry;

		if (pair_length(&at, end, &name_length) != 0 || pair_length(&at, end, &value_length) != 0)
			return 0;
		entry = find(cache, (const char *)at, name_length);
		at += name_length + value_length;
		if (entry == NULL || entry->round == cache->round || value_length > VALUE_LIMIT) {
			py.PyErr_Clear();
			return 0;
		}
		entry->round = cache->round;
		entry->of = cache->pattern_number;
		entry->placed = entry->value;
	}
	cache->pattern = py.PyDict_Copy(dict);
	return cache->pattern == NULL ? -1 : 0;
}

PyObject *wsgid_dispatch_environ(struct wsgid_dispatch_cache *cache, const char *params, size_t params_length,
                                 const char *request_id, size_t request_id_length)
{
	PyObject *dict = NULL;
	int same = cache->pattern == NULL ? 0 : adapt_pattern(cache, params, params_length);

	if (same == 1) {
		cache->misses = 0;
		dict = py.PyDict_Copy(cache->pattern);
	}
	if (same != 0) {
		if (dict != NULL &&
		    put_once(dict, cache->key_request_id, NULL, 0, request_id, request_id_length) != 0)
			wsgid_py_clear(&dict);
		if (dict == NULL)
			wsgid_py_clear(&cache->pattern); /* who knows what it holds */
		return dict;
	}
	dict = py.PyDict_New();

	if (dict == NULL)
		return NULL;
	if (put_pairs(cache, dict, NULL, params, params_length) != 0 || put_common(cache, dict) != 0 ||
	    keep_pattern(cache, dict, params, params_length) != 0 ||
	    put_once(dict, cache->key_request_id, NULL, 0, request_id, request_id_length) != 0)
		wsgid_py_clear(&dict);
	return dict;
}

PyObject *wsgid_auth_environ(struct wsgid_dispatch_cache *cache, const char *params, size_t params_length)
{
	PyObject *dict = py.PyDict_New(), *tls = py.PyDict_New();
	PyObject *module = py.PyImport_ImportModule("wsgid.authentication"), *done = NULL;

	if (dict != NULL && tls != NULL && module != NULL &&
	    put_pairs(cache, dict, tls, params, params_length) == 0 && put_common(cache, dict) == 0)
		done = py.PyObject_CallMethod(module, "complete", "OO", dict, tls);
	if (done == NULL)
		wsgid_py_clear(&dict);
	Py_XDECREF(done);
	Py_XDECREF(module);
	Py_XDECREF(tls);
	return dict;
}
