/* wsgi.input: the body as it arrives (mod_wsgi behaviour 6.3). End of file is
 * the end of STDIN; a CONTENT_LENGTH cuts what comes beyond it and makes a
 * body that ends early an error. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "activity.h"
#include "fork.h"
#include "request.h"

enum { PIECE = 64 * 1024 }; /* first size of a read to the end */

struct input {
	struct wsgid_request *request; /* NULL: the request is over */
	atomic_bool busy;              /* a method runs; another thread gets an error */
	unsigned users;                /* threads inside start_response and write; GIL */
	bool failed;
};

static struct input *of(PyObject *self)
{
	return wsgid_py_payload(self);
}

struct wsgid_request *wsgid_input_use(PyObject *self)
{
	struct input *input = of(self);
	if (!input->request) {
		py.PyErr_SetString(py.PyExc_RuntimeError, "request object has expired");
		return NULL;
	}
	input->users++;
	return input->request;
}

void wsgid_input_done(PyObject *self)
{
	of(self)->users--;
}

/* Enters a method. NULL with an exception. */
static struct wsgid_request *enter(struct input *input)
{
	if (atomic_exchange(&input->busy, true)) {
		py.PyErr_SetString(py.PyExc_RuntimeError, "wsgi.input is being read by another thread");
		return NULL;
	}
	const char *wrong = NULL;
	PyObject *kind = py.PyExc_RuntimeError;
	if (!input->request) {
		wrong = "request object has expired";
	} else if (input->failed) {
		kind = py.PyExc_OSError;
		wrong = "mod_wsgi request data read error: Input is already in error state.";
	}
	if (!wrong) {
		input->request->input_reads++;
		wsgid_activity_touch(input->request);
		return input->request;
	}
	atomic_store(&input->busy, false);
	py.PyErr_SetString(kind, wrong);
	return NULL;
}

static void leave(struct input *input)
{
	atomic_store(&input->busy, false);
}

static void fail(struct input *input, const char *why)
{
	input->failed = true;
	py.PyErr_Format(py.PyExc_OSError, "mod_wsgi request data read error: %s.", why);
}

/* Why no more of the body comes, as mod_wsgi says it. */
static const char *ended(const struct wsgid_connection *c)
{
	return c->timed_out ? "The timeout specified has expired" : "Connection was terminated";
}

/* Bytes that are there without waiting for more than one record; 0 at the end,
 * -1 with an exception. */
static ssize_t available(struct input *input, struct wsgid_request *r)
{
	if (r->content_length >= 0 && r->body_read >= r->content_length)
		return 0;
	ssize_t have = wsgid_connection_body(r->connection);
	if (have < 0) {
		fail(input, ended(r->connection));
		return -1;
	}
	if (have == 0 && r->content_length >= 0) {
		fail(input, "Partial results are valid but processing is incomplete");
		return -1;
	}
	if (r->content_length >= 0 && have > r->content_length - r->body_read)
		have = (ssize_t)(r->content_length - r->body_read);
	return have;
}

static void take(struct wsgid_request *r, size_t size)
{
	wsgid_connection_take(r->connection, size);
	r->body_read += (int64_t)size;
}

/* Reads until size bytes or the end. Returns how many, -1 with an exception. */
static Py_ssize_t read_into(struct input *input, struct wsgid_request *r, char *to, size_t size)
{
	struct wsgid_connection *c = r->connection;
	size_t done = 0;
	while (done < size) {
		/* What has come of this record and what still has to: straight into to. */
		size_t want = size - done;
		if (c->content_left && c->in_start == c->in_end && !c->aborted) {
			if (r->content_length >= 0) {
				int64_t left = r->content_length - r->body_read;
				if (left <= 0)
					break;
				if ((int64_t)want > left)
					want = (size_t)left;
			}
			ssize_t got = wsgid_connection_body_into(c, (uint8_t *)to + done, want);
			if (got < 0) {
				fail(input, ended(r->connection));
				return -1;
			}
			r->body_read += got;
			done += (size_t)got;
			continue;
		}
		ssize_t have = available(input, r);
		if (have < 0)
			return -1;
		if (have == 0)
			break;
		if ((size_t)have < want)
			want = (size_t)have;
		memcpy(to + done, c->in + c->in_start, want);
		take(r, want);
		done += want;
	}
	return (Py_ssize_t)done;
}

/* read() to the end: a bytes object that doubles. */
static PyObject *read_all(struct input *input, struct wsgid_request *r)
{
	size_t size = PIECE, done = 0;
	/* A length that the client announced is believed up to 16 MiB at once. */
	if (r->content_length >= 0) {
		int64_t left = r->content_length - r->body_read;
		size = left < 16 * 1024 * 1024 ? (size_t)(left < 0 ? 0 : left) + 1 : 16 * 1024 * 1024;
	}
	PyObject *bytes = py.PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
	while (bytes) {
		Py_ssize_t got = read_into(input, r, py.PyBytes_AsString(bytes) + done, size - done);
		if (got < 0) {
			Py_DECREF(bytes);
			return NULL;
		}
		done += (size_t)got;
		if (done < size)
			break;
		size *= 2;
		if (py._PyBytes_Resize(&bytes, (Py_ssize_t)size) < 0)
			return NULL;
	}
	if (bytes && py._PyBytes_Resize(&bytes, (Py_ssize_t)done) < 0)
		return NULL;
	return bytes;
}

/* read(n): grows with what arrives, so that a large n costs nothing by itself. */
static PyObject *read_some(struct input *input, struct wsgid_request *r, size_t limit)
{
	size_t size = limit < 1024 * 1024 ? limit : 1024 * 1024, done = 0;
	PyObject *bytes = py.PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
	while (bytes) {
		Py_ssize_t got = read_into(input, r, py.PyBytes_AsString(bytes) + done, size - done);
		if (got < 0) {
			Py_DECREF(bytes);
			return NULL;
		}
		done += (size_t)got;
		if (done < size || size == limit)
			break;
		size = limit / 2 < size ? limit : size * 2;
		if (py._PyBytes_Resize(&bytes, (Py_ssize_t)size) < 0)
			return NULL;
	}
	if (bytes && done < size && py._PyBytes_Resize(&bytes, (Py_ssize_t)done) < 0)
		return NULL;
	return bytes;
}

/* A line with its end, at most limit bytes (negative: no limit). */
static PyObject *read_line(struct input *input, struct wsgid_request *r, Py_ssize_t limit)
{
	struct wsgid_buffer line = {0};
	PyObject *result = NULL;
	while (limit < 0 || line.length < (size_t)limit) {
		ssize_t have = available(input, r);
		if (have < 0)
			goto done;
		if (have == 0)
			break;
		if (limit >= 0 && (size_t)have > (size_t)limit - line.length)
			have = limit - (ssize_t)line.length;
		const uint8_t *start = r->connection->in + r->connection->in_start;
		const uint8_t *end = memchr(start, '\n', (size_t)have);
		size_t part = end ? (size_t)(end - start) + 1 : (size_t)have;
		if (end && !line.length) {
			result = py.PyBytes_FromStringAndSize((const char *)start, (Py_ssize_t)part);
			take(r, part);
			return result;
		}
		if (wsgid_buffer_add(&line, start, part) < 0) {
			py.PyErr_NoMemory();
			goto done;
		}
		take(r, part);
		if (end)
			break;
	}
	result = py.PyBytes_FromStringAndSize(line.data, (Py_ssize_t)line.length);
done:
	free(line.data);
	return result;
}

/* The optional size of read and readline. Returns 0, -1 with an exception. */
static int size_argument(const char *method, PyObject *const *args, Py_ssize_t count, Py_ssize_t *size)
{
	*size = -1;
	if (count > 1) {
		py.PyErr_Format(py.PyExc_TypeError, "%s() takes at most 1 argument", method);
		return -1;
	}
	if (count == 0 || args[0] == py.None)
		return 0;
	*size = py.PyNumber_AsSsize_t(args[0], py.PyExc_OverflowError);
	return *size == -1 && py.PyErr_Occurred() ? -1 : 0;
}

static PyObject *input_read(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
	struct input *input = of(self);
	Py_ssize_t size;
	if (size_argument("read", args, count, &size) < 0)
		return NULL;
	struct wsgid_request *r = enter(input);
	if (!r)
		return NULL;
	PyObject *result = size < 0 ? read_all(input, r) : read_some(input, r, (size_t)size);
	leave(input);
	return result;
}

static PyObject *input_readline(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
	struct input *input = of(self);
	Py_ssize_t size;
	if (size_argument("readline", args, count, &size) < 0)
		return NULL;
	struct wsgid_request *r = enter(input);
	if (!r)
		return NULL;
	PyObject *result = read_line(input, r, size);
	leave(input);
	return result;
}

static PyObject *input_readlines(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
	struct input *input = of(self);
	Py_ssize_t hint, total = 0;
	if (size_argument("readlines", args, count, &hint) < 0)
		return NULL;
	struct wsgid_request *r = enter(input);
	if (!r)
		return NULL;
	PyObject *lines = py.PyList_New(0);
	while (lines) {
		PyObject *line = read_line(input, r, -1);
		Py_ssize_t size = line ? py.PyBytes_Size(line) : -1;
		if (!line || (size && py.PyList_Append(lines, line) < 0)) {
			Py_XDECREF(line);
			wsgid_py_clear(&lines);
			break;
		}
		Py_DECREF(line);
		total += size;
		if (!size || (hint > 0 && total >= hint))
			break;
	}
	leave(input);
	return lines;
}

static PyObject *input_next(PyObject *self)
{
	struct input *input = of(self);
	struct wsgid_request *r = enter(input);
	if (!r)
		return NULL;
	PyObject *line = read_line(input, r, -1);
	leave(input);
	if (line && py.PyBytes_Size(line) == 0)
		wsgid_py_clear(&line);
	return line;
}

static PyObject *input_iter(PyObject *self)
{
	if (!of(self)->request) {
		py.PyErr_SetString(py.PyExc_RuntimeError, "request object has expired");
		return NULL;
	}
	Py_INCREF(self);
	return self;
}

static PyObject *input_close(PyObject *self, PyObject *unused)
{
	(void)unused;
	if (!of(self)->request) {
		py.PyErr_SetString(py.PyExc_RuntimeError, "request object has expired");
		return NULL;
	}
	Py_INCREF(py.None);
	return py.None;
}

static void input_dealloc(PyObject *self)
{
	PyObject *type = py.PyObject_Type(self);
	py.PyObject_Free(self);
	Py_DECREF(type);
	Py_DECREF(type); /* the one that the object had */
}

static PyMethodDef methods[] = {
    {"read", (PyCFunction)(void (*)(void))input_read, METH_FASTCALL, "read([size]) -> bytes"},
    {"readline", (PyCFunction)(void (*)(void))input_readline, METH_FASTCALL, "readline([size]) -> bytes"},
    {"readlines", (PyCFunction)(void (*)(void))input_readlines, METH_FASTCALL, "readlines([hint]) -> list"},
    {"close", input_close, METH_NOARGS, "close() -> None"},
    {NULL, NULL, 0, NULL},
};

PyObject *wsgid_input_type_new(void)
{
	PyType_Slot slots[] = {
	    {Py_tp_dealloc, (void *)input_dealloc}, {Py_tp_methods, methods},
	    {Py_tp_iter, (void *)input_iter},       {Py_tp_iternext, (void *)input_next},
	    {0, NULL},
	};
	PyType_Spec spec = {
	    .name = "mod_wsgi.Input",
	    .basicsize = (int)(py.object_header + sizeof(struct input)),
	    .flags = Py_TPFLAGS_DEFAULT,
	    .slots = slots,
	};
	return py.PyType_FromSpec(&spec);
}

PyObject *wsgid_input_new(struct wsgid_request *r)
{
	PyObject *self = py.PyType_GenericAlloc(r->side->input_type, 0);
	if (self)
		of(self)->request = r;
	return self;
}

void wsgid_input_expire(PyObject *self)
{
	struct input *input = of(self);
	/* Another thread of the application still reads: the connection is lost,
	 * since nobody knows what that thread will take from it. */
	while (atomic_exchange(&input->busy, true) && !wsgid_forked) {
		struct wsgid_connection *c = input->request->connection;
		wsgid_connection_abandon(c);
		wsgid_gil_release();
		poll(NULL, 0, 1);
		wsgid_gil_acquire();
	}
	/* A thread that still writes finishes what it has begun. */
	while (input->users && !wsgid_forked) {
		wsgid_gil_release();
		poll(NULL, 0, 1);
		wsgid_gil_acquire();
	}
	input->request = NULL;
	atomic_store(&input->busy, false);
}
