/* Asking an interpreter about itself by executing it: the last resort of
 * python_find.c. fork in a process with threads: only async-signal-safe calls
 * between fork and exec. */
#define _GNU_SOURCE
#include "python_find.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define QUERY_TIMEOUT_MS 10000

static const char script[] =
    "import sys\n"
    "from sysconfig import get_config_var as v\n"
    "def w(*f):\n"
    "    sys.stdout.write('\\0'.join(str(x or '') for x in f) + '\\0')\n"
    "w('%d.%d.%d' % sys.version_info[:3], sys.executable, v('LIBDIR'),\n"
    "  v('INSTSONAME'), v('Py_ENABLE_SHARED'))\n";

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static pid_t run(const char *executable, int output)
{
	char *argv[] = { (char *)executable, "-I", "-S", "-c", (char *)script, NULL };
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	int null = open("/dev/null", O_RDWR);
	if (null == -1 || dup2(null, 0) == -1 || dup2(null, 2) == -1 || dup2(output, 1) == -1)
		_exit(127);
	execv(executable, argv);
	_exit(127);
}

/* Reads to end of file. Returns the number of bytes, -1 on an error or when
 * the time is over. */
static ssize_t collect(int fd, char *buffer, size_t size)
{
	long long deadline = now_ms() + QUERY_TIMEOUT_MS;
	size_t length = 0;

	for (;;) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		long long left = deadline - now_ms();
		ssize_t n;

		if (left <= 0 || (poll(&wait, 1, (int)left) < 0 && errno != EINTR))
			return -1;
		if (wait.revents == 0)
			continue;
		n = read(fd, buffer + length, size - length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || length + (size_t)n == size)
			return -1;
		if (n == 0)
			return (ssize_t)length;
		length += (size_t)n;
	}
}

/* Copies the next NUL-terminated field. */
static int field(const char **at, const char *end, char *to, size_t size)
{
	size_t length = strnlen(*at, (size_t)(end - *at));

	if (*at + length >= end || length >= size)
		return -1;
	memcpy(to, *at, length + 1);
	*at += length + 1;
	return 0;
}

int wsgid_python_query(const char *executable, struct wsgid_python_answer *answer, char *error,
                       size_t error_size)
{
	char *buffer = malloc(4 * PATH_MAX);
	int ends[2] = { -1, -1 }, status = 0, result = -1;
	char shared[16] = "";
	const char *at, *end;
	ssize_t length;
	pid_t pid;

	if (buffer == NULL || pipe2(ends, O_CLOEXEC) != 0) {
		snprintf(error, error_size, "ask %s: %s", executable, strerror(errno));
		goto done;
	}
	pid = run(executable, ends[1]);
	if (pid == -1) {
		snprintf(error, error_size, "execute %s: %s", executable, strerror(errno));
		goto done;
	}
	close(ends[1]);
	ends[1] = -1;
	length = collect(ends[0], buffer, 4 * PATH_MAX);
	if (length < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	if (length < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		snprintf(error, error_size,
		         "%s does not work as a Python interpreter of this user: try to execute it",
		         executable);
		goto done;
	}
	at = buffer;
	end = buffer + length;
	if (field(&at, end, answer->version, sizeof(answer->version)) != 0 ||
	    field(&at, end, answer->executable, sizeof(answer->executable)) != 0 ||
	    field(&at, end, answer->library_directory, sizeof(answer->library_directory)) != 0 ||
	    field(&at, end, answer->library_name, sizeof(answer->library_name)) != 0 ||
	    field(&at, end, shared, sizeof(shared)) != 0) {
		snprintf(error, error_size, "%s gave no sensible answer about itself", executable);
		goto done;
	}
	answer->shared = strcmp(shared, "1") == 0;
	result = 0;
done:
	if (ends[0] >= 0)
		close(ends[0]);
	if (ends[1] >= 0)
		close(ends[1]);
	free(buffer);
	return result;
}
