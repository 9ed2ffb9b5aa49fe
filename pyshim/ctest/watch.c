/* Watches the descriptors of a worker under test. Linked into the test program
 * with --wrap for every function in "ours" below, so that the calls of the C
 * worker come here, and with -rdynamic, so that close and its like of everybody
 * else in the process do too. The process ends with a line on descriptor 2 when
 *
 * - the worker closes, or uses, a number that it has not opened or has closed;
 * - somebody else in the process closes or replaces a number of the worker.
 *
 * Descriptors 0 to 2 are nobody's. In a child that the application forked only
 * the worker's code is watched: the child may close what it likes. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NUMBERS = 65536 };

static atomic_bool owned[NUMBERS];
static atomic_ulong opened, closed, used;
static pid_t self;
static bool forked;

long __real_syscall(long number, ...);

/* A child of vfork writes into its parent's memory: it must not. */
static bool watching(void)
{
	return getpid() == self;
}

static bool mine(int fd)
{
	return fd >= 0 && fd < NUMBERS && atomic_load(&owned[fd]);
}

static _Noreturn void wrong(const char *what, int fd)
{
	dprintf(2, "DESCRIPTOR %d of %s%d: %s\n", fd, forked ? "child " : "", (int)self, what);
	_exit(1);
}

static int take(int fd)
{
	if (fd < 3 || fd >= NUMBERS || !watching())
		return fd;
	atomic_fetch_add(&opened, 1);
	if (atomic_exchange(&owned[fd], true) && !forked)
		wrong("opened by the worker while it has it: somebody closed it", fd);
	return fd;
}

static void drop(unsigned int first, unsigned int last)
{
	for (unsigned int fd = first < 3 ? 3 : first; fd < NUMBERS && fd <= last; fd++)
		atomic_store(&owned[fd], false);
}

static int use(int fd, const char *what)
{
	if (fd > 2 && watching()) {
		atomic_fetch_add(&used, 1);
		if (!mine(fd))
			wrong(what, fd);
	}
	return fd;
}

/* Of somebody else in the process. */
static void lose(int fd, const char *what)
{
	if (fd > 2 && watching() && mine(fd)) {
		if (!forked)
			wrong(what, fd);
		atomic_store(&owned[fd], false);
	}
}

static void in_child(void)
{
	self = getpid();
	forked = true;
}

/* What is open at the start is the worker's. */
__attribute__((constructor(101))) static void start(void)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;

	self = getpid();
	pthread_atfork(NULL, NULL, in_child);
	while (directory != NULL && (entry = readdir(directory)) != NULL)
		if (atoi(entry->d_name) != dirfd(directory))
			take(atoi(entry->d_name));
	if (directory != NULL)
		closedir(directory);
}

__attribute__((destructor)) static void end(void)
{
	if (!forked && watching())
		dprintf(2, "DESCRIPTORS opened %lu closed %lu used %lu\n", opened, closed, used);
}

/* Ours. */

int __wrap_close(int fd)
{
	/* Before the call: right after it the number may be somebody else's. */
	if (fd > 2 && watching()) {
		atomic_fetch_add(&closed, 1);
		if (fd >= NUMBERS || !atomic_exchange(&owned[fd], false))
			wrong("closed by the worker, which does not have it", fd);
	}
	return (int)__real_syscall(SYS_close, fd);
}

long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list arguments;

	va_start(arguments, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(arguments, long);
	va_end(arguments);
	if (number == SYS_close_range && watching())
		drop((unsigned int)a[0], (unsigned int)a[1]);
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	return take(__real_open(path, flags));
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
	va_list arguments;
	long argument;
	int result;

	va_start(arguments, command);
	argument = va_arg(arguments, long);
	va_end(arguments);
	result = __real_fcntl(fd, command, argument);
	return command == F_DUPFD_CLOEXEC ? take(result) : result;
}

int __real_pipe2(int ends[2], int flags);
int __wrap_pipe2(int ends[2], int flags)
{
	int result = __real_pipe2(ends, flags);

	if (result == 0) {
		take(ends[0]);
		take(ends[1]);
	}
	return result;
}

int __real_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
	return take(__real_accept4(use(fd, "accept4"), address, size, flags));
}

int __real_eventfd(unsigned int value, int flags);
int __wrap_eventfd(unsigned int value, int flags)
{
	return take(__real_eventfd(value, flags));
}

int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags)
{
	return take(__real_epoll_create1(flags));
}

int __real_timerfd_create(clockid_t clock, int flags);
int __wrap_timerfd_create(clockid_t clock, int flags)
{
	return take(__real_timerfd_create(clock, flags));
}

int __real_epoll_ctl(int set, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int set, int operation, int fd, struct epoll_event *event)
{
	return __real_epoll_ctl(use(set, "epoll_ctl"), operation, use(fd, "epoll_ctl"), event);
}

int __real_epoll_wait(int set, struct epoll_event *events, int count, int timeout);
int __wrap_epoll_wait(int set, struct epoll_event *events, int count, int timeout)
{
	return __real_epoll_wait(use(set, "epoll_wait"), events, count, timeout);
}

ssize_t __real_read(int fd, void *to, size_t size);
ssize_t __wrap_read(int fd, void *to, size_t size)
{
	return __real_read(use(fd, "read"), to, size);
}

ssize_t __real_write(int fd, const void *from, size_t size);
ssize_t __wrap_write(int fd, const void *from, size_t size)
{
	return __real_write(use(fd, "write"), from, size);
}

ssize_t __real_readv(int fd, const struct iovec *vector, int count);
ssize_t __wrap_readv(int fd, const struct iovec *vector, int count)
{
	return __real_readv(use(fd, "readv"), vector, count);
}

ssize_t __real_recv(int fd, void *to, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *to, size_t size, int flags)
{
	return __real_recv(use(fd, "recv"), to, size, flags);
}

ssize_t __real_send(int fd, const void *from, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *from, size_t size, int flags)
{
	return __real_send(use(fd, "send"), from, size, flags);
}

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	return __real_sendmsg(use(fd, "sendmsg"), message, flags);
}

int __real_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how)
{
	return __real_shutdown(use(fd, "shutdown"), how);
}

/* Everybody else's: found before those of libc. */

int close(int fd)
{
	lose(fd, "closed by somebody else, it is the worker's");
	return (int)__real_syscall(SYS_close, fd);
}

int dup2(int from, int to)
{
	lose(to, "replaced by somebody else, it is the worker's");
	return from == to ? (fcntl(from, F_GETFD) < 0 ? -1 : to) : (int)__real_syscall(SYS_dup3, from, to, 0);
}

int dup3(int from, int to, int flags)
{
	lose(to, "replaced by somebody else, it is the worker's");
	return (int)__real_syscall(SYS_dup3, from, to, flags);
}

int close_range(unsigned int first, unsigned int last, int flags)
{
	for (unsigned int fd = first; fd < NUMBERS && fd <= last && flags == 0; fd++)
		lose((int)fd, "closed in a range by somebody else, it is the worker's");
	return (int)__real_syscall(SYS_close_range, first, last, flags);
}
