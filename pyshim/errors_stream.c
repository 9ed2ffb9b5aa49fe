/* One C type below the three streams. Those of the process hold incomplete
 * lines per OS thread, so that threads do not cut into each other's lines, and
 * attribute a record to the request that the thread serves. */
#define _GNU_SOURCE
#include "errors_stream.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fork.h"
#include "lines.h"

/* KIND_SCRIPT is wsgi.errors of scripts of the router. */
enum kind { KIND_ERRORS, KIND_STDOUT, KIND_STDERR, KIND_SCRIPT };

struct stream {
	enum kind kind;
	bool expired;
	unsigned emitting;             /* threads that log text of this request; GIL */
	struct wsgid_request *request; /* of wsgi.errors while it runs */
	struct wsgid_lines lines;      /* of wsgi.errors */
};

static const char *const sources[] = {"wsgi.errors", "stdout", "stderr", "wsgi.errors"};
static const char *const levels[] = {"error", "info", "error", "error"};

/* Incomplete lines of an OS thread, one for each kind from KIND_STDOUT on. */
enum { THREAD_KINDS = 3 };
struct thread_lines {
	struct wsgid_lines lines[THREAD_KINDS];
};

static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

struct sink {
	const char *level;
	struct wsgid_log_context context;
};

static void to_log(void *closure, const char *text, size_t length)
{
	struct sink *sink = closure;
	wsgid_log(sink->level, &sink->context, text, length);
}

/* Logs and frees what wsgid_lines_take gave. */
static void emit(struct sink *sink, char *text, size_t length)
{
	wsgid_lines_emit(text, length, to_log, sink);
	free(text);
}

static void flush_thread_lines(struct thread_lines *lines)
{
	for (int i = 0; i < THREAD_KINDS; i++) {
		struct sink sink = {levels[KIND_STDOUT + i], *wsgid_log_request()};
		size_t length;
		char *text = wsgid_lines_take(&lines->lines[i], true, &length);
		sink.context.source = sources[KIND_STDOUT + i];
		if (text)
			emit(&sink, text, length);
	}
}

/* An OS thread ends: what it left without a line end is logged. */
static void end_thread(void *value)
{
	struct thread_lines *lines = value;
	flush_thread_lines(lines);
	for (int i = 0; i < THREAD_KINDS; i++)
		free(lines->lines[i].data);
	free(lines);
}

static void make_key(void)
{
	pthread_key_create(&key, end_thread);
}

static struct thread_lines *thread_lines(void)
{
	pthread_once(&key_once, make_key);
	struct thread_lines *lines = pthread_getspecific(key);
	if (lines)
		return lines;
	lines = calloc(1, sizeof *lines);
	if (lines)
		pthread_setspecific(key, lines);
	return lines;
}

void wsgid_streams_flush_thread(void)
{
	pthread_once(&key_once, make_key);
	struct thread_lines *lines = pthread_getspecific(key);
	if (lines && (lines->lines[0].length || lines->lines[1].length || lines->lines[2].length))
		flush_thread_lines(lines);
}

static struct stream *of(PyObject *self)
{
	return wsgid_py_payload(self);
}

static bool expired(struct stream *s)
{
	if (s->expired)
		py.PyErr_SetString(py.PyExc_RuntimeError, "log object has expired");
	return s->expired;
}

/* Adds text and logs what is complete (all: everything). */
static void log_text(struct stream *s, const char *data, size_t size, bool all)
{
	struct thread_lines *own = s->kind == KIND_ERRORS ? NULL : thread_lines();
	struct wsgid_lines *lines = s->kind == KIND_ERRORS ? &s->lines : own ? &own->lines[s->kind - KIND_STDOUT] : NULL;
	if (!lines)
		return;
	wsgid_lines_add(lines, data, size);
	size_t length;
	char *text = wsgid_lines_take(lines, all, &length);
	if (!text)
		return;
	struct sink sink = {levels[s->kind], s->request ? s->request->context : *wsgid_log_request()};
	sink.context.source = sources[s->kind];
	s->emitting++;
	wsgid_gil_release();
	emit(&sink, text, length);
	wsgid_gil_acquire();
	s->emitting--;
}

static PyObject *none(void)
{
	Py_INCREF(py.None);
	return py.None;
}

/* Text where bytes belong: taken, with one warning a process. */
static PyObject *encoded(PyObject *text)
{
	static bool warned; /* GIL */
	if (!warned) {
		warned = true;
		PyObject *module = py.PyImport_ImportModule("warnings");
		PyObject *done = module ? py.PyObject_CallMethod(module, "warn", "sO",
		                                                 "str written to the binary layer of a log stream",
		                                                 py.PyExc_DeprecationWarning)
		                        : NULL;
		Py_XDECREF(module);
		Py_XDECREF(done);
		if (!done)
			return NULL;
	}
	return py.PyUnicode_AsEncodedString(text, "utf-8", "replace");
}

static PyObject *stream_write(PyObject *self, PyObject *object)
{
	Py_buffer view;
	if (expired(of(self)))
		return NULL;
	PyObject *bytes = wsgid_py_is_str(object) ? encoded(object) : NULL;
	if (py.PyErr_Occurred() || py.PyObject_GetBuffer(bytes ? bytes : object, &view, PyBUF_SIMPLE) < 0) {
		Py_XDECREF(bytes);
		return NULL;
	}
	log_text(of(self), view.buf, (size_t)view.len, false);
	PyObject *size = py.PyLong_FromSsize_t(view.len);
	py.PyBuffer_Release(&view);
	Py_XDECREF(bytes);
	return size;
}

static PyObject *stream_writelines(PyObject *self, PyObject *iterable)
{
	PyObject *iterator = py.PyObject_GetIter(iterable);
	if (!iterator)
		return NULL;
	for (PyObject *line; (line = py.PyIter_Next(iterator)) != NULL; Py_DECREF(line)) {
		PyObject *size = stream_write(self, line);
		Py_XDECREF(size);
		if (!size) {
			Py_DECREF(line);
			break;
		}
	}
	Py_DECREF(iterator);
	return py.PyErr_Occurred() ? NULL : none();
}

static PyObject *stream_flush(PyObject *self, PyObject *unused)
{
	(void)unused;
	if (expired(of(self)))
		return NULL;
	log_text(of(self), "", 0, true);
	return none();
}

/* The level of docs/internals.md section 3 for one of Python's logging. */
static const char *level_of(long number)
{
	return number >= 40 ? "error" : number >= 30 ? "warn" : number >= 20 ? "info" : number >= 10 ? "debug" : "trace";
}

/* _record(level, text, [logger, place]): one record of the logging module, whatever
 * lines it has (wsgid/logs.py). What was written before and has no line end comes
 * first. */
static PyObject *stream_record(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
	struct stream *s = of(self);
	if (expired(s))
		return NULL;
	bool texts = count == 2 || count == 4;
	for (Py_ssize_t i = 1; texts && i < count; i++)
		texts = wsgid_py_is_str(args[i]);
	if (!texts) {
		py.PyErr_SetString(py.PyExc_TypeError, "_record() takes a level and one or three str");
		return NULL;
	}
	long number = py.PyLong_AsLong(args[0]);
	if (number == -1 && py.PyErr_Occurred())
		return NULL;
	PyObject *bytes = py.PyUnicode_AsEncodedString(args[1], "utf-8", "replace");
	if (!bytes)
		return NULL;
	log_text(s, "", 0, true);
	struct sink sink = {level_of(number), s->request ? s->request->context : *wsgid_log_request()};
	sink.context.source = "logging";
	if (count == 4) { /* lives as long as the str; NULL when it has surrogates */
		sink.context.logger = py.PyUnicode_AsUTF8(args[2]);
		sink.context.place = py.PyUnicode_AsUTF8(args[3]);
		py.PyErr_Clear();
	}
	const char *text = py.PyBytes_AsString(bytes);
	size_t length = (size_t)py.PyBytes_Size(bytes);
	s->emitting++;
	wsgid_gil_release();
	wsgid_log(sink.level, &sink.context, text, length);
	wsgid_gil_acquire();
	s->emitting--;
	Py_DECREF(bytes);
	return none();
}

/* wsgi.errors is done with; the streams of the process are everybody's and stay. */
static PyObject *stream_close(PyObject *self, PyObject *unused)
{
	struct stream *s = of(self);
	(void)unused;
	if (!s->expired)
		log_text(s, "", 0, true);
	s->expired = s->expired || s->kind == KIND_ERRORS;
	return none();
}

static PyObject *stream_false(PyObject *self, PyObject *unused)
{
	(void)self;
	(void)unused;
	return py.PyBool_FromLong(0);
}

static PyObject *stream_true(PyObject *self, PyObject *unused)
{
	(void)self;
	(void)unused;
	return py.PyBool_FromLong(1);
}

static PyObject *stream_fileno(PyObject *self, PyObject *unused)
{
	(void)self;
	(void)unused;
	py.PyErr_SetString(py.PyExc_OSError, "a log stream has no file descriptor");
	return NULL;
}

static PyMethodDef methods[] = {
    {"write", stream_write, METH_O, "write(bytes) -> int"},
    {"writelines", stream_writelines, METH_O, "writelines(lines) -> None"},
    {"flush", stream_flush, METH_NOARGS, "flush() -> None"},
    {"close", stream_close, METH_NOARGS, "close() -> None"},
    {"isatty", stream_false, METH_NOARGS, "isatty() -> False"},
    {"readable", stream_false, METH_NOARGS, "readable() -> False"},
    {"seekable", stream_false, METH_NOARGS, "seekable() -> False"},
    {"writable", stream_true, METH_NOARGS, "writable() -> True"},
    {"fileno", stream_fileno, METH_NOARGS, "fileno() raises OSError"},
    {"_record", (PyCFunction)(void (*)(void))stream_record, METH_FASTCALL, "one record of the logging module"},
    {NULL, NULL, 0, NULL},
};

/* Never true: who writes too late gets the RuntimeError of write. */
static PyObject *get_closed(PyObject *self, void *closure)
{
	(void)closure;
	return stream_false(self, NULL);
}

static PyObject *get_name(PyObject *self, void *closure)
{
	static const char *const names[] = {"<wsgi.errors>", "<stdout>", "<stderr>", "<log>"};
	(void)closure;
	return py.PyUnicode_FromString(names[of(self)->kind]);
}

static PyGetSetDef attributes[] = {
    {"closed", get_closed, NULL, "False", NULL},
    {"name", get_name, NULL, "which stream", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static void stream_dealloc(PyObject *self)
{
	PyObject *type = py.PyObject_Type(self);
	free(of(self)->lines.data);
	py.PyObject_Free(self);
	Py_DECREF(type);
	Py_DECREF(type); /* the one that the object had */
}

PyObject *wsgid_log_type_new(void)
{
	PyType_Slot slots[] = {
	    {Py_tp_dealloc, (void *)stream_dealloc},
	    {Py_tp_methods, methods},
	    {Py_tp_getset, attributes},
	    {0, NULL},
	};
	PyType_Spec spec = {
	    .name = "mod_wsgi.Log",
	    .basicsize = (int)(py.object_header + sizeof(struct stream)),
	    .flags = Py_TPFLAGS_DEFAULT,
	    .slots = slots,
	};
	return py.PyType_FromSpec(&spec);
}

/* The text layer: every write goes through at once, lines are cut below. */
static PyObject *text_over(const struct wsgid_side *side, PyObject *log)
{
	return py.PyObject_CallFunction(side->text_type, "Osssii", log, "utf-8", "replace", "\n", 0, 1);
}

/* The word that counts an object's references: the first of its header (PEP
 * 384), which is two words long. -1: this Python has another header. */
static Py_ssize_t references(PyObject *object)
{
	Py_ssize_t count;
	if (py.object_header != 2 * sizeof(void *))
		return -1;
	memcpy(&count, object, sizeof count);
	return count;
}

static int make_errors(const struct wsgid_side *side, struct wsgid_errors *e)
{
	e->log = py.PyType_GenericAlloc(side->log_type, 0);
	e->text = e->log ? text_over(side, e->log) : NULL;
	if (!e->text) {
		Py_XDECREF(e->log);
		e->log = NULL;
		return -1;
	}
	e->text_count = references(e->text);
	e->log_count = references(e->log);
	return 0;
}

int wsgid_errors_open(struct wsgid_request *r)
{
	r->errors = wsgid_environ_errors(r);
	if (!r->errors || (!r->errors->text && make_errors(r->side, r->errors) < 0)) {
		r->errors = NULL;
		return -1;
	}
	struct stream *s = of(r->errors->log);
	s->expired = false;
	s->request = r;
	return 0;
}

void wsgid_errors_expire(struct wsgid_request *r)
{
	struct wsgid_errors *e = r->errors;
	struct stream *s = of(e->log);
	if (s->lines.length)
		log_text(s, "", 0, true);
	s->expired = true;
	/* Threads of the application that still log refer to the request's texts. */
	while (s->emitting && !wsgid_forked) {
		wsgid_gil_release();
		poll(NULL, 0, 1);
		wsgid_gil_acquire();
	}
	s->request = NULL;
	/* Whoever kept it shall not write into another request. */
	if (e->text_count < 0 || references(e->text) != e->text_count || references(e->log) != e->log_count) {
		wsgid_py_clear(&e->text);
		wsgid_py_clear(&e->log);
	}
}

PyObject *wsgid_script_errors_new(const struct wsgid_side *side)
{
	PyObject *log = py.PyType_GenericAlloc(side->log_type, 0), *text;
	if (!log)
		return NULL;
	of(log)->kind = KIND_SCRIPT;
	text = text_over(side, log);
	Py_DECREF(log);
	return text;
}

/* sys.NAME becomes a text stream of ours. */
static int install(const struct wsgid_side *side, const char *name, enum kind kind)
{
	PyObject *log = py.PyType_GenericAlloc(side->log_type, 0);
	PyObject *text = NULL, *mode = NULL;
	int result = -1;
	if (!log)
		return -1;
	of(log)->kind = kind;
	text = text_over(side, log);
	mode = text ? py.PyUnicode_FromString("w") : NULL; /* as Python's own have it */
	if (mode && py.PyObject_SetAttrString(text, "mode", mode) == 0)
		result = py.PySys_SetObject(name, text);
	Py_XDECREF(mode);
	Py_XDECREF(text);
	Py_DECREF(log);
	return result;
}

int wsgid_streams_install(const struct wsgid_side *side)
{
	if (install(side, "stdout", KIND_STDOUT) < 0 || install(side, "stderr", KIND_STDERR) < 0)
		return -1;
	PyObject *module = py.PyImport_ImportModule("wsgid.logs");
	PyObject *done = module ? py.PyObject_CallMethod(module, "install", "O", side->log_type) : NULL;
	Py_XDECREF(module);
	Py_XDECREF(done);
	return done ? 0 : -1;
}
