/* start_response and write (PEP 3333, mod_wsgi behaviour 6.5), the header
 * block, and the rules about Content-Length. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "activity.h"
#include "events.h"
#include "request.h"

enum {
	LINE_MAX_BYTES = 8190, /* Apache's limit for a header line of a backend */
	PAGE_MAX_BYTES = 1024, /* of wsgid_override_page, with room to spare */
};

int wsgid_buffer_add(struct wsgid_buffer *buffer, const void *data, size_t size)
{
	if (size > buffer->capacity - buffer->length) {
		size_t capacity = buffer->capacity ? buffer->capacity * 2 : 512;
		while (capacity - buffer->length < size)
			capacity *= 2;
		char *bigger = realloc(buffer->data, capacity);
		if (!bigger)
			return -1;
		buffer->data = bigger;
		buffer->capacity = capacity;
	}
	if (size)
		memcpy(buffer->data + buffer->length, data, size);
	buffer->length += size;
	return 0;
}

/* The latin-1 bytes of a str. owner: a reference to drop afterwards, or NULL.
 * Returns 0, -1 with an exception. */
static int latin1(PyObject *object, const char *what, const char **data, Py_ssize_t *size,
                  PyObject **owner)
{
	*owner = NULL;
	*data = py.PyUnicode_AsUTF8AndSize(object, size);
	if (*data) {
		const char *p = *data, *end = p + *size;
		while (p < end && !(*p & 0x80))
			p++;
		if (p == end)
			return 0;
	} else {
		py.PyErr_Clear();
		if (!wsgid_py_is_str(object)) {
			py.PyErr_Format(py.PyExc_TypeError, "expected str object for %s", what);
			return -1;
		}
	}
	*owner = py.PyUnicode_AsLatin1String(object);
	if (!*owner)
		return -1;
	*data = py.PyBytes_AsString(*owner);
	*size = py.PyBytes_Size(*owner);
	return 0;
}

static int refuse(PyObject *kind, const char *message)
{
	py.PyErr_SetString(kind, message);
	return -1;
}

/* Writes "Status: …". Returns the number, -1 with an exception. */
static int put_status(struct wsgid_buffer *head, PyObject *object)
{
	const char *s;
	Py_ssize_t size;
	PyObject *owner;
	int status = -1;
	if (latin1(object, "status line", &s, &size, &owner) < 0)
		return -1;
	if (size < 3 || s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' || s[2] < '0' || s[2] > '9') {
		refuse(py.PyExc_ValueError, "status code is not a 3 digit integer");
		goto done;
	}
	if (size > 3 && s[3] != ' ') {
		refuse(py.PyExc_ValueError, s[3] >= '0' && s[3] <= '9' ? "status code is not a 3 digit integer"
		                                                       : "no space following status code");
		goto done;
	}
	for (Py_ssize_t i = 4; i < size; i++) {
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f) {
			refuse(py.PyExc_ValueError, "control character present in reason phrase");
			goto done;
		}
	}
	int number = (s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0');
	if (number < 200 || number > 599) {
		refuse(py.PyExc_ValueError, "status code outside 200 to 599");
		goto done;
	}
	if (size > LINE_MAX_BYTES - 16) {
		refuse(py.PyExc_ValueError, "status line too long");
		goto done;
	}
	if (wsgid_buffer_add(head, "Status: ", 8) < 0 || wsgid_buffer_add(head, s, (size_t)size) < 0 ||
	    wsgid_buffer_add(head, "\r\n", 2) < 0) {
		py.PyErr_NoMemory();
		goto done;
	}
	status = number;
done:
	Py_XDECREF(owner);
	return status;
}

/* RFC 9110 section 5.6.2. */
static bool token(const char *s, Py_ssize_t size)
{
	static const char others[] = "!#$%&'*+-.^_`|~";
	for (Py_ssize_t i = 0; i < size; i++) {
		char c = s[i];
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-')
			continue;
		if (!c || !strchr(others, c))
			return false;
	}
	return size > 0;
}

static bool is(const char *name, Py_ssize_t size, const char *known)
{
	return strlen(known) == (size_t)size && strncasecmp(name, known, (size_t)size) == 0;
}

/* Headers that belong to the connection, or that the protocol uses itself. */
static bool dropped(const char *n, Py_ssize_t size)
{
	switch (n[0] | 0x20) {
	case 'c':
		return is(n, size, "connection");
	case 'k':
		return is(n, size, "keep-alive");
	case 'p':
		return size > 6 && strncasecmp(n, "proxy-", 6) == 0;
	case 's':
		return is(n, size, "status");
	case 't':
		return is(n, size, "transfer-encoding") || is(n, size, "te") || is(n, size, "trailer");
	case 'u':
		return is(n, size, "upgrade");
	}
	return false;
}

/* The application's Content-Length: remembered, written at the commit. */
static void take_length(struct wsgid_request *r, const char *s, Py_ssize_t size)
{
	int64_t length = 0;
	r->bad_length = NULL;
	while (size && (*s == ' ' || *s == '\t'))
		s++, size--;
	while (size && (s[size - 1] == ' ' || s[size - 1] == '\t'))
		size--;
	if (!size)
		r->bad_length = "Content-Length header value is empty";
	for (Py_ssize_t i = 0; i < size && !r->bad_length; i++) {
		if (s[i] < '0' || s[i] > '9' || length > (INT64_MAX - 9) / 10)
			r->bad_length = "invalid Content-Length header value";
		else
			length = length * 10 + (s[i] - '0');
	}
	r->announced = r->bad_length ? -1 : length;
}

/* Removes the first line of a name, and says whether there was one. */
static bool drop_line(struct wsgid_buffer *head, const char *name, size_t size)
{
	char *line = memchr(head->data, '\n', head->length), *end = head->data + head->length;
	for (line = line ? line + 1 : end; line < end;) {
		char *next = memchr(line, '\n', (size_t)(end - line));
		next = next ? next + 1 : end;
		if ((size_t)(next - line) > size && line[size] == ':' && strncasecmp(line, name, size) == 0) {
			memmove(line, next, (size_t)(end - next));
			head->length -= (size_t)(next - line);
			return true;
		}
		line = next;
	}
	return false;
}

/* The page for the status line in head. Returns its size. */
static size_t page_of(const struct wsgid_buffer *head, char page[PAGE_MAX_BYTES])
{
	const char *status = head->data + sizeof "Status: " - 1, *end = memchr(status, '\r', head->length - 8);
	return wsgid_override_page(status, (size_t)(end - status), page, PAGE_MAX_BYTES);
}

/* error_override: the headers lose what describes the application's body, and
 * describe the page that is sent instead. Returns 0, -1 with an exception. */
static int override_body(struct wsgid_request *r, struct wsgid_buffer *head)
{
	static const char *const names[] = {"content-type",  "content-encoding", "content-language", "content-disposition",
	                                    "content-range", "content-location", "content-md5",      "etag",
	                                    "last-modified", "accept-ranges"};
	static const char type[] = "Content-Type: text/html; charset=utf-8\r\n";
	char page[PAGE_MAX_BYTES];
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		while (drop_line(head, names[i], strlen(names[i])))
			;
	if (wsgid_buffer_add(head, type, sizeof type - 1) < 0) {
		py.PyErr_NoMemory();
		return -1;
	}
	r->announced = (int64_t)page_of(head, page);
	r->bad_length = NULL;
	r->no_body = r->overridden = true;
	return 0;
}

/* Headers of which a client can use only one: the last counts (mod_wsgi
 * behaviour 6.6; nginx refuses a response with two). -1: none of them. */
static int single(const char *name, Py_ssize_t size)
{
	static const char *const names[] = {"content-type", "content-range", "location", "last-modified"};
	for (int i = 0; i < (int)(sizeof names / sizeof names[0]); i++)
		if (is(name, size, names[i]))
			return i;
	return -1;
}

/* One header. seen: a bit for each of the single ones that were there. */
static int put_header(struct wsgid_request *r, struct wsgid_buffer *head, PyObject *tuple, unsigned *seen)
{
	const char *name, *value;
	Py_ssize_t name_size, value_size, size = py.PyTuple_Size(tuple);
	PyObject *name_owner = NULL, *value_owner = NULL;
	int result = -1;
	if (size < 0) {
		py.PyErr_Clear();
		py.PyErr_SetString(py.PyExc_TypeError, "list of tuple values expected for headers");
		return -1;
	}
	if (size != 2)
		return refuse(py.PyExc_ValueError, "tuple of length 2 expected for header");
	if (latin1(py.PyTuple_GetItem(tuple, 0), "header name", &name, &name_size, &name_owner) < 0 ||
	    latin1(py.PyTuple_GetItem(tuple, 1), "header value", &value, &value_size, &value_owner) < 0)
		goto done;
	if (!token(name, name_size)) {
		refuse(py.PyExc_ValueError, name_size ? "invalid character in header name" : "header name is empty");
		goto done;
	}
	for (Py_ssize_t i = 0; i < value_size; i++) {
		if (value[i] == '\r' || value[i] == '\n' || value[i] == 0) {
			refuse(py.PyExc_ValueError, "embedded newline in header value");
			goto done;
		}
	}
	if (name_size + value_size + 4 >= LINE_MAX_BYTES) {
		refuse(py.PyExc_ValueError, "header line too long");
		goto done;
	}
	result = 0;
	if (dropped(name, name_size))
		goto done;
	if ((name[0] | 0x20) == 'c' || (name[0] | 0x20) == 'l') {
		if (is(name, name_size, "content-length")) {
			take_length(r, value, value_size);
			goto done;
		}
		int kind = single(name, name_size);
		if (kind >= 0 && *seen & 1u << kind)
			drop_line(head, name, (size_t)name_size);
		if (kind >= 0)
			*seen |= 1u << kind;
	}
	if (wsgid_buffer_add(head, name, (size_t)name_size) < 0 || wsgid_buffer_add(head, ": ", 2) < 0 ||
	    wsgid_buffer_add(head, value, (size_t)value_size) < 0 || wsgid_buffer_add(head, "\r\n", 2) < 0) {
		py.PyErr_NoMemory();
		result = -1;
	}
done:
	Py_XDECREF(name_owner);
	Py_XDECREF(value_owner);
	return result;
}

/* Renders status and headers. The block lacks Content-Length and the empty
 * line. Returns 0, -1 with an exception. */
static int render(struct wsgid_request *r, PyObject *status, PyObject *headers)
{
	struct wsgid_buffer *head = &r->local->head;
	unsigned seen = 0;
	Py_ssize_t count = py.PyList_Size(headers);
	if (count < 0) {
		py.PyErr_Clear();
		return refuse(py.PyExc_TypeError, "list expected for headers");
	}
	r->started = false;
	r->announced = -1;
	r->bad_length = NULL;
	head->length = 0;
	int number = put_status(head, status);
	if (number < 0)
		return -1;
	for (Py_ssize_t i = 0; i < count; i++)
		if (put_header(r, head, py.PyList_GetItem(headers, i), &seen) < 0)
			return -1;
	r->status = number;
	r->no_body = r->head_request || number == 204 || number == 304;
	r->overridden = false;
	if (r->error_override && number >= 400 && override_body(r, head) < 0)
		return -1;
	r->started = true;
	return 0;
}

/* An error page is collected or the response is cut: the application had its turn. */
static int over(const struct wsgid_request *r)
{
	return r->failure ? refuse(py.PyExc_RuntimeError, "the request has failed") : 0;
}

static PyObject *write_in(struct wsgid_request *r, PyObject *data)
{
	char *bytes;
	Py_ssize_t size;
	if (over(r) < 0)
		return NULL;
	if (py.PyBytes_AsStringAndSize(data, &bytes, &size) < 0) {
		py.PyErr_Clear();
		r->invalid = true;
		py.PyErr_SetString(py.PyExc_TypeError, "byte string value expected for write()");
		return NULL;
	}
	int result = wsgid_response_body(r, bytes, (size_t)size);
	if (result == 0 && size)
		result = wsgid_output_flush(r->connection) < 0 ? -2 : 0;
	if (result == -2)
		py.PyErr_SetString(py.PyExc_OSError, "failed to write data: client connection closed");
	if (result < 0)
		return NULL;
	Py_INCREF(py.None);
	return py.None;
}

static PyObject *response_write(PyObject *self, PyObject *data)
{
	struct wsgid_request *r = wsgid_input_use(self);
	if (!r)
		return NULL;
	PyObject *result = write_in(r, data);
	wsgid_input_done(self);
	return result;
}

static PyMethodDef write_method = {"write", response_write, METH_O, "write(data) -> None"};

/* Raises the exception of an exc_info again. Python believes what is given to
 * it here: nothing but a real exception may pass. */
static void raise_again(PyObject *exc_info)
{
	PyObject *value = py.PyTuple_GetItem(exc_info, 1), *traceback = py.PyTuple_GetItem(exc_info, 2);
	if (!(wsgid_py_flags(value) & Py_TPFLAGS_BASE_EXC_SUBCLASS)) {
		py.PyErr_SetString(py.PyExc_RuntimeError, "exception info without an exception");
		return;
	}
	if (py.PyException_SetTraceback(value, traceback) < 0)
		py.PyErr_Clear();
	Py_INCREF(value);
	py.PyErr_Restore(py.PyObject_Type(value), value, py.PyException_GetTraceback(value));
}

/* start_response(status, headers, exc_info=None), positional only. */
static PyObject *start_in(struct wsgid_request *r, PyObject *self, PyObject *const *args, Py_ssize_t count)
{
	if (over(r) < 0)
		return NULL;
	if (count < 2 || count > 3) {
		py.PyErr_Format(py.PyExc_TypeError, "start_response() takes 2 or 3 arguments (%zd given)", count);
		return NULL;
	}
	if (wsgid_events_wanted(r))
		wsgid_event_response(r, args[0], args[1], count == 3 ? args[2] : py.None);
	PyObject *exc_info = count == 3 && args[2] != py.None ? args[2] : NULL;
	if (exc_info && py.PyTuple_Size(exc_info) != 3) {
		py.PyErr_Clear();
		py.PyErr_SetString(py.PyExc_RuntimeError, "exception info must be a tuple of three");
		return NULL;
	}
	if (r->committed) {
		if (!exc_info) {
			py.PyErr_SetString(py.PyExc_RuntimeError, "headers have already been sent");
			return NULL;
		}
		raise_again(exc_info);
		return NULL;
	}
	if (render(r, args[0], args[1]) < 0) {
		r->invalid = true;
		return NULL;
	}
	r->invalid = false;
	return py.PyCFunction_NewEx(&write_method, self, NULL);
}

static PyObject *start_response(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
	struct wsgid_request *r = wsgid_input_use(self);
	if (!r)
		return NULL;
	PyObject *result = start_in(r, self, args, count);
	wsgid_input_done(self);
	return result;
}

static PyMethodDef start_response_method = {"start_response", (PyCFunction)(void (*)(void))start_response,
                                            METH_FASTCALL, "start_response(status, headers, exc_info=None) -> write"};

PyObject *wsgid_start_response_new(struct wsgid_request *r)
{
	return py.PyCFunction_NewEx(&start_response_method, r->input, NULL);
}

void wsgid_response_set_length(struct wsgid_request *r, int64_t length)
{
	if (r->announced < 0 && !r->bad_length && length >= 0)
		r->announced = length;
}

int wsgid_response_commit(struct wsgid_request *r)
{
	struct wsgid_buffer *head = &r->local->head;
	char line[48], page[PAGE_MAX_BYTES];
	if (r->committed)
		return 0;
	if (!r->started) {
		r->invalid = true;
		return refuse(py.PyExc_RuntimeError, "response has not been started");
	}
	if (r->bad_length) {
		r->invalid = true;
		return refuse(py.PyExc_ValueError, r->bad_length);
	}
	char *at = line + sizeof line;
	*--at = '\n';
	*--at = '\r';
	if (r->announced >= 0 && r->status != 204) { /* RFC 9110 section 8.6 */
		int64_t n = r->announced;
		*--at = '\n';
		*--at = '\r';
		do
			*--at = (char)('0' + n % 10);
		while (n /= 10);
		at -= 16;
		memcpy(at, "Content-Length: ", 16);
	}
	if (wsgid_buffer_add(head, at, (size_t)(line + sizeof line - at)) < 0) {
		py.PyErr_NoMemory();
		return -1;
	}
	r->committed = true;
	if (wsgid_output_stdout(r->connection, head->data, head->length) < 0)
		return -2;
	if (r->overridden && !r->head_request && wsgid_output_stdout(r->connection, page, page_of(head, page)) < 0)
		return -2;
	return 0;
}

int wsgid_response_body(struct wsgid_request *r, const char *data, size_t size)
{
	if (!size)
		return 0; /* start_response may still come */
	int result = wsgid_response_commit(r);
	if (result < 0)
		return result;
	r->output_writes++;
	wsgid_activity_touch(r);
	r->produced += size;
	/* More than announced is cut (mod_wsgi behaviour 6.6). */
	if (r->announced >= 0) {
		int64_t left = r->announced - r->written;
		if ((int64_t)size > left)
			size = left > 0 ? (size_t)left : 0;
	}
	r->written += (int64_t)size;
	if (r->no_body || !size)
		return 0;
	return wsgid_output_stdout(r->connection, data, size) < 0 ? -2 : 0;
}
