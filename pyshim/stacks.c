/* Asking Python where it is, and interrupting threads that cannot be asked. */
#define _GNU_SOURCE
#include "stacks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fork.h"
#include "interpreter.h"
#include "log.h"
#include "request.h"
#include "status.h"

enum {
	PATIENCE_MS = 1000, /* for Python */
	ANSWER_MS = 200,    /* for each thread that is interrupted */
};

struct server_thread {
	atomic_ulong ident; /* as Python calls it; 0: not there */
	atomic_int tid;
};

static struct {
	const struct wsgid_server *server;
	struct server_thread *threads;
	pthread_mutex_t turn; /* of who collects: one at a time */
	bool closed;          /* nobody collects any more; turn is held */

	/* Between the one who collects and the one who asks Python. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool started;         /* there is one who asks */
	unsigned long wanted; /* the question, counted; 0: none yet */
	unsigned long given;  /* the one that was answered last */
	struct wsgid_buffer text; /* the answer to wanted, as far as it has come */

	/* Interrupting. */
	void (*dump)(int);  /* faulthandler's handler; NULL: it is not there */
	int dump_fd;        /* where it writes */
	pthread_key_t key;  /* of the thread state that it takes, before Python 3.12 */
	bool has_key;
	pid_t pid;
	atomic_int target;  /* the thread that is meant */
	sem_t done;
	struct stat told; /* the file at dump_fd, if the supervisor sends the signal */
} state = {.turn = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER,
           .changed = PTHREAD_COND_INITIALIZER, .dump_fd = -1};

static pid_t own_tid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

static void write_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t sent = write(fd, data, size);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return;
		data += sent;
		size -= (size_t)sent;
	}
}

static const char end[] = "\1end\n";

/* Writes this thread's stack. Before Python 3.12 faulthandler knows the first
 * thread state of a thread alone: it is shown the one of the interpreter that the
 * thread has entered last. */
static void dump(int number)
{
	void *before = state.has_key ? pthread_getspecific(state.key) : NULL;
	void *current = state.has_key ? wsgid_interpreter_last_state() : NULL;
	if (before && current)
		pthread_setspecific(state.key, current);
	state.dump(number);
	if (before && current)
		pthread_setspecific(state.key, before);
}

/* The supervisor sends the signal, to one thread after another. An application may have
 * closed our descriptor and opened another file in its place. */
static void on_supervisor_signal(int number)
{
	static const char head[] = "\1tid", interpreter[] = "interpreter";
	char digits[16], *first = digits + sizeof digits;
	struct stat now;
	int saved = errno;
	if (getpid() == state.pid && fstat(state.dump_fd, &now) == 0 && now.st_ino == state.told.st_ino && now.st_dev == state.told.st_dev) {
		const struct wsgid_interpreter *last = wsgid_interpreter_last();
		*--first = '\0';
		for (pid_t tid = own_tid(); tid; tid /= 10)
			*--first = (char)('0' + tid % 10);
		write_all(state.dump_fd, head, sizeof head); /* with the NUL */
		write_all(state.dump_fd, first, (size_t)(digits + sizeof digits - first));
		write_all(state.dump_fd, interpreter, sizeof interpreter);
		if (last)
			write_all(state.dump_fd, last->name, last->name_length);
		write_all(state.dump_fd, "\n", 1);
		dump(number);
		write_all(state.dump_fd, end, sizeof end - 1);
	}
	errno = saved;
}

static void on_signal(int number)
{
	int saved = errno;
	if (getpid() == state.pid && atomic_load(&state.target) == own_tid()) {
		dump(number);
		atomic_store(&state.target, 0);
		sem_post(&state.done);
	}
	errno = saved;
}

/* Where Python before 3.12 keeps the thread state of a thread. GIL held. */
static void find_key(void)
{
	PyThreadState *own = py.PyThreadState_Get();
	int minor = 0;
	if (sscanf(wsgid_python_version(), "3.%d", &minor) != 1 || minor >= 12)
		return;
	for (pthread_key_t key = 0; key < PTHREAD_KEYS_MAX && !state.has_key; key++)
		if (pthread_getspecific(key) == own) {
			state.key = key;
			state.has_key = true;
		}
}

/* Registers faulthandler, and puts a handler of our own before its. GIL held. */
static bool prepare_signal(bool from_supervisor)
{
	struct sigaction action, theirs;
	PyObject *module = py.PyImport_ImportModule("faulthandler"), *result = NULL;
	if (module)
		result = py.PyObject_CallMethod(module, "register", "iiii", WSGID_STACKS_SIGNAL, state.dump_fd, 0, 0);
	py.PyErr_Clear();
	Py_XDECREF(module);
	if (!result)
		return false;
	Py_DECREF(result);
	find_key();
	memset(&action, 0, sizeof action);
	action.sa_handler = from_supervisor ? on_supervisor_signal : on_signal;
	action.sa_flags = SA_RESTART | SA_ONSTACK; /* Go's threads run on stacks of some KiB */
	sigemptyset(&action.sa_mask);
	if (sigaction(WSGID_STACKS_SIGNAL, NULL, &theirs) != 0 || theirs.sa_flags & SA_SIGINFO)
		return false;
	state.dump = theirs.sa_handler; /* before ours is there: it may be called at once */
	return sigaction(WSGID_STACKS_SIGNAL, &action, NULL) == 0;
}

int wsgid_stacks_open(const struct wsgid_server *server, int fd)
{
	state.server = server;
	state.pid = getpid();
	state.threads = calloc((size_t)(server ? server->threads : 0) + 1, sizeof *state.threads);
	state.dump_fd = fd >= 0 ? fd : open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &state.told) != 0)
		return -1;
	if (!state.threads || sem_init(&state.done, 0, 0) != 0)
		return -1;
	struct wsgid_interpreter *main = state.dump_fd < 0 ? NULL : wsgid_interpreter_enter("", 0);
	if (!main)
		return 0;
	bool prepared = prepare_signal(fd >= 0);
	wsgid_interpreter_leave(main);
	if (!prepared)
		wsgid_logf("debug", NULL, "no faulthandler: there are no stacks while an extension holds the GIL");
	else if (fd >= 0)
		write_all(fd, end, sizeof end - 1);
	return 0;
}

void wsgid_stacks_thread(int number)
{
	if (!state.threads)
		return;
	atomic_store(&state.threads[number].ident, (unsigned long)pthread_self());
	atomic_store(&state.threads[number].tid, own_tid());
}

/* The threads of one interpreter, added to the answer. Inside it. */
static void ask_one(const struct wsgid_interpreter *interpreter)
{
	PyObject *module = py.PyImport_ImportModule("wsgid.stacks"), *text = NULL, *bytes = NULL;
	if (module)
		text = py.PyObject_CallMethod(module, "everything", "s", interpreter->name);
	if (text)
		bytes = py.PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
	py.PyErr_Clear();
	if (bytes) {
		pthread_mutex_lock(&state.lock);
		wsgid_buffer_add(&state.text, py.PyBytes_AsString(bytes), (size_t)py.PyBytes_Size(bytes));
		pthread_mutex_unlock(&state.lock);
	}
	Py_XDECREF(bytes);
	Py_XDECREF(text);
	Py_XDECREF(module);
}

/* Asks Python, as often as it is wanted. It is the only one who waits for GILs. */
static void *ask(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&state.lock);
	for (;;) {
		while (state.given == state.wanted)
			pthread_cond_wait(&state.changed, &state.lock);
		unsigned long question = state.wanted;
		state.text.length = 0;
		pthread_mutex_unlock(&state.lock);
		for (struct wsgid_interpreter *i = wsgid_interpreter_next(NULL); i; i = wsgid_interpreter_next(i)) {
			struct wsgid_interpreter *entered = wsgid_interpreter_enter(i->name, i->name_length);
			if (entered) {
				ask_one(entered);
				wsgid_interpreter_leave(entered);
			}
		}
		pthread_mutex_lock(&state.lock);
		state.given = question;
		pthread_cond_broadcast(&state.changed);
	}
	return NULL;
}

static struct timespec in_ms(clockid_t clock, long ms)
{
	struct timespec at;
	clock_gettime(clock, &at);
	at.tv_nsec += ms % 1000 * 1000000;
	at.tv_sec += ms / 1000 + at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	return at;
}

/* Writes what Python says. False: it does not answer. */
static bool from_python(int fd)
{
	const struct timespec until = in_ms(CLOCK_REALTIME, PATIENCE_MS);
	pthread_t thread;
	pthread_mutex_lock(&state.lock);
	bool fresh = state.given == state.wanted; /* else it still waits for a GIL */
	if (fresh)
		state.wanted++;
	if (!state.started && (state.started = pthread_create(&thread, NULL, ask, NULL) == 0))
		pthread_detach(thread);
	pthread_cond_broadcast(&state.changed);
	while (fresh && state.started && state.given != state.wanted)
		if (pthread_cond_timedwait(&state.changed, &state.lock, &until) == ETIMEDOUT)
			break;
	bool whole = fresh && state.given == state.wanted;
	char *text = whole && state.text.length ? malloc(state.text.length) : NULL;
	size_t length = text ? state.text.length : 0;
	if (text)
		memcpy(text, state.text.data, length);
	pthread_mutex_unlock(&state.lock);
	write_all(fd, text, length);
	free(text);
	return whole;
}

/* Has one thread write its stack. */
static void interrupt(int fd, pid_t tid)
{
	const struct timespec until = in_ms(CLOCK_REALTIME, ANSWER_MS);
	char head[64];
	while (sem_trywait(&state.done) == 0) /* of one that came late */
		;
	write_all(fd, head, (size_t)snprintf(head, sizeof head, "\1tid%c%d\n", 0, (int)tid));
	atomic_store(&state.target, tid);
	if (syscall(SYS_tgkill, state.pid, tid, WSGID_STACKS_SIGNAL) == 0)
		while (sem_timedwait(&state.done, &until) != 0 && errno == EINTR)
			;
	int expected = tid;
	atomic_compare_exchange_strong(&state.target, &expected, 0);
}

/* Has every thread but this one write its stack. */
static void from_threads(int fd)
{
	DIR *tasks = state.dump ? opendir("/proc/self/task") : NULL;
	const struct dirent *entry;
	int null = tasks ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
	if (null >= 0 && dup3(fd, state.dump_fd, O_CLOEXEC) >= 0) {
		while ((entry = readdir(tasks)) != NULL) {
			pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
			if (tid > 0 && tid != own_tid())
				interrupt(fd, tid);
		}
		dup3(null, state.dump_fd, O_CLOEXEC);
	}
	if (null >= 0)
		close(null);
	if (tasks)
		closedir(tasks);
}

/* Which thread serves requests under which number. */
static void write_numbers(int fd)
{
	char line[128];
	for (int i = 0; i < state.server->threads; i++) {
		unsigned long ident = atomic_load(&state.threads[i].ident);
		if (ident)
			write_all(fd, line, (size_t)snprintf(line, sizeof line, "\1number%c%d%cident%c%lu%ctid%c%d\n", 0, i, 0, 0,
			                                     ident, 0, 0, atomic_load(&state.threads[i].tid)));
	}
}

static void *collect(void *argument)
{
	int fd = (int)(intptr_t)argument;
	pthread_mutex_lock(&state.turn);
	write_numbers(fd);
	if (!state.closed && !from_python(fd))
		from_threads(fd);
	write_all(fd, end, sizeof end - 1);
	close(fd);
	wsgid_status_event(state.server, "event", "stacks", NULL);
	pthread_mutex_unlock(&state.turn);
	return NULL;
}

void wsgid_stacks_stop(void)
{
	pthread_mutex_lock(&state.turn);
	state.closed = true;
	pthread_mutex_unlock(&state.turn);
	pthread_mutex_lock(&state.lock);
	while (state.started && state.given != state.wanted)
		pthread_cond_wait(&state.changed, &state.lock);
	pthread_mutex_unlock(&state.lock);
}

void wsgid_stacks_write(int fd)
{
	pthread_t thread;
	if (state.threads && pthread_create(&thread, NULL, collect, (void *)(intptr_t)fd) == 0)
		pthread_detach(thread);
	else
		close(fd);
}
