/* wsgi.file_wrapper over a regular file (mod_wsgi behaviour 6.8): its bytes go
 * from the file to the router without Python and without the GIL, by sendfile
 * where the file system can do that, else through a buffer. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "deadline.h"
#include "fork.h"
#include "request.h"

enum {
	SMALL = 64 * 1024,      /* up to here one read is cheaper than sendfile's two calls a record */
	PIECE = 4 * FCGI_CHUNK, /* read at once */
};

/* What is still to be sent. */
struct file {
	int fd;
	off_t at;
	int64_t left;
	bool copied; /* sendfile does not work here */
};

/* Reads at most size bytes. 0 at the end, and on an error: the response is
 * then shorter than announced. */
static size_t read_some(struct file *f, void *to, size_t size)
{
	ssize_t got;
	do
		got = pread(f->fd, to, size, f->at);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return 0;
	f->at += got;
	f->left -= got;
	return (size_t)got;
}

/* Sends what is left through a buffer, or until the request is overdue. 0, -1
 * when the peer is gone. */
static int copy(struct wsgid_connection *c, struct file *f)
{
	size_t capacity = f->left < PIECE ? (size_t)f->left : PIECE;
	char *buffer = malloc(capacity ? capacity : 1);
	int result = buffer ? 0 : -1;
	while (!result && f->left && !wsgid_deadline_overdue(c)) {
		size_t got = read_some(f, buffer, f->left < (int64_t)capacity ? (size_t)f->left : capacity);
		if (!got)
			break;
		result = wsgid_output_stdout(c, buffer, got);
	}
	free(buffer);
	return result;
}

/* All of data into the socket. 0, -1. */
static int send_all(struct wsgid_connection *c, const uint8_t *data, size_t size, int flags)
{
	while (size) {
		ssize_t sent = send(c->fd, data, size, MSG_NOSIGNAL | flags);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -1;
		data += sent;
		size -= (size_t)sent;
	}
	return 0;
}

/* One record with content from the file. Its header promises the size: what
 * keeps it from coming breaks the connection. 0, -1. */
static int send_record(struct wsgid_connection *c, struct file *f)
{
	uint8_t header[FCGI_HEADER], buffer[8192];
	size_t size = f->left < FCGI_CHUNK ? (size_t)f->left : FCGI_CHUNK;
	fcgi_put(header, FCGI_STDOUT, c->id, size);
	if (send_all(c, header, sizeof header, MSG_MORE) < 0)
		return -1;
	while (size && !f->copied) {
		ssize_t sent = sendfile(c->fd, f->fd, &f->at, size);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
			f->copied = true;
			break;
		}
		if (sent <= 0)
			return -1;
		size -= (size_t)sent;
		f->left -= sent;
	}
	while (size) {
		size_t got = read_some(f, buffer, size < sizeof buffer ? size : sizeof buffer);
		if (!got || send_all(c, buffer, got, 0) < 0)
			return -1;
		size -= got;
	}
	return 0;
}

/* Sends records until the end, until the request is overdue, or until sendfile
 * shows that it does not work here. sendfile cannot be told to raise no SIGPIPE, and an application may
 * have given that signal its deadly default. 0, -1 when the connection is lost. */
static int send_records(struct wsgid_connection *c, struct file *f)
{
	sigset_t pipe, before;
	int result = 0;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &before);
	while (!result && f->left && !f->copied && !wsgid_deadline_overdue(c))
		result = send_record(c, f);
	if (result < 0 && !sigismember(&before, SIGPIPE))
		sigtimedwait(&pipe, NULL, &(struct timespec){0, 0});
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return result;
}

/* The whole file; outside of Python. 0, -1 when the connection is lost. */
static int send_file(struct wsgid_connection *c, struct file *f)
{
	if (f->left > SMALL) {
		if (wsgid_output_suspend(c) < 0)
			return -1;
		int result = c->fd < 0 || wsgid_forked ? -1 : send_records(c, f);
		if (result < 0)
			c->broken = true;
		wsgid_output_resume(c);
		if (result < 0)
			return -1;
	}
	return f->left ? copy(c, f) : 0;
}

/* Asks the wrapper for a descriptor (ours to close), where to begin and how
 * much there is. 1, 0 when it is to be iterated over, -1 with an exception. */
static int prepare(PyObject *wrapper, struct file *f)
{
	PyObject *facts = py.PyObject_CallMethod(wrapper, "_prepare", NULL);
	int result = -1;
	if (!facts)
		return -1;
	if (facts == py.None) {
		result = 0;
	} else {
		/* Another thread may close the file while it is sent. */
		f->fd = fcntl((int)py.PyLong_AsLong(py.PyTuple_GetItem(facts, 0)), F_DUPFD_CLOEXEC, 0);
		f->at = py.PyLong_AsLongLong(py.PyTuple_GetItem(facts, 1));
		f->left = py.PyLong_AsLongLong(py.PyTuple_GetItem(facts, 2));
		if (!py.PyErr_Occurred() && f->fd >= 0 && f->at >= 0)
			result = 1;
		else
			result = 0; /* an object with its own idea of numbers */
		py.PyErr_Clear();
		if (!result && f->fd >= 0)
			close(f->fd);
	}
	Py_DECREF(facts);
	return result;
}

int wsgid_response_file(struct wsgid_request *r, PyObject *result)
{
	struct wsgid_connection *c = r->connection;
	struct file f = {.fd = -1};
	int wrapper = py.PyObject_IsInstance(result, r->side->file_wrapper);
	if (wrapper <= 0 || r->committed)
		return wrapper < 0 ? -1 : 0;
	int done = prepare(result, &f);
	if (done <= 0)
		return done;
	wsgid_response_set_length(r, f.left);
	done = wsgid_response_commit(r);
	if (done == 0 && !r->no_body) {
		if (f.left > r->announced)
			f.left = r->announced;
		int64_t size = f.left;
		uint64_t began = wsgid_output_leave_python(c);
		done = send_file(c, &f) < 0 ? -2 : 0;
		wsgid_output_enter_python(c, began);
		r->written += size - f.left;
		r->produced += (uint64_t)(size - f.left);
		r->output_writes += size != f.left;
		if (!done && f.left && wsgid_deadline_overdue(c)) {
			wsgid_deadline_raise(r);
			done = -1;
		}
	}
	close(f.fd);
	return done ? done : 1;
}
