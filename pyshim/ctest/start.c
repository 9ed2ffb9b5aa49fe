/* Test program: starts Python as a worker or as the router does, executes code
 * in the interpreters that it is told, from several threads, and ends.
 *
 *   start ROLE MODULES HOME PYTHON CODE [GROUP …]
 *
 * TEST_… variables hold further options, see main. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "interpreter.h"
#include "log.h"
#include "worker.h"

static const char *code;

/* boot.c wants it; this program has no boot block. */
int wsgid_worker_main(const struct wsgid_boot *boot)
{
	(void)boot;
	return 1;
}

/* A list whose elements are separated by "|"; lives as long as the process. */
static const char *const *split(char *text)
{
	static const char *lists[4][16];
	static int used;
	const char **list = lists[used++];
	int count = 0;

	for (char *at = text == NULL ? NULL : strtok(text, "|"); at != NULL && count < 15; at = strtok(NULL, "|"))
		list[count++] = at;
	return list;
}

static int run(const char *group)
{
	struct wsgid_interpreter *interpreter;
	PyObject *dict, *compiled, *result = NULL;
	char name[64]; /* no NUL after it, as in a request */

	snprintf(name, sizeof(name), "%s and more", group);
	interpreter = wsgid_interpreter_enter(name, strlen(group));
	if (interpreter == NULL)
		return 1;
	dict = py.PyDict_New();
	py.PyDict_SetItemString(dict, "__builtins__", py.PyEval_GetBuiltins());
	compiled = py.Py_CompileString(code, "<test>", Py_file_input);
	if (compiled != NULL)
		result = py.PyEval_EvalCode(compiled, dict, dict);
	if (result == NULL)
		py.PyErr_Print();
	Py_XDECREF(compiled);
	Py_XDECREF(dict);
	Py_XDECREF(result);
	wsgid_interpreter_leave(interpreter);
	return result == NULL;
}

static void *thread(void *group)
{
	for (int i = 0; i < 2; i++)
		if (run(group) != 0)
			return group;
	return NULL;
}

/* Shows the first log record, a line a field and a value. */
static void show_record(int channel)
{
	char packet[4096];
	ssize_t length = recv(channel, packet, sizeof(packet), MSG_DONTWAIT);

	for (ssize_t i = 0; i < length; i++)
		putchar(packet[i] == 0 ? '\n' : packet[i]);
	putchar('\n');
}

static int join(pthread_t id)
{
	void *failed;

	pthread_join(id, &failed);
	return failed != NULL;
}

int main(int argc, char **argv)
{
	struct wsgid_python_options options = { 0 };
	static const char *paths[] = { NULL, NULL };
	char error[4096];
	pthread_t threads[16];
	int count = 0, result = 0, channel[2] = { -1, -1 };

	if (argc < 6)
		return 2;
	options.router = strcmp(argv[1], "router") == 0;
	options.modules_fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	options.python_home = *argv[3] == 0 ? NULL : argv[3];
	options.python = *argv[4] == 0 ? NULL : argv[4];
	paths[0] = getenv("TEST_PYTHON_PATH");
	options.python_path = paths;
	options.home = getenv("TEST_HOME");
	options.arguments = split(getenv("TEST_ARGUMENTS"));
	options.variables = split(getenv("TEST_VARIABLES"));
	options.interpreters = split(getenv("TEST_INTERPRETERS"));
	options.locale = getenv("TEST_LOCALE");
	if (getenv("TEST_MAX_INTERPRETERS") != NULL)
		options.max_interpreters = strtoul(getenv("TEST_MAX_INTERPRETERS"), NULL, 10);
	options.free_threading = getenv("TEST_FREE_THREADING") != NULL;
	code = argv[5];
	if (getenv("TEST_LOG") != NULL && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channel) == 0)
		wsgid_log_open(channel[1]);
	if (wsgid_python_start(&options, error, sizeof(error)) != 0) {
		printf("error: %s\n", error);
		return 1;
	}
	printf("version %s\nprefix %s\nlibrary %s\n", wsgid_python_version(), wsgid_python_prefix(),
	       wsgid_python_library());
	fflush(stdout);
	result |= argc == 6 && run("");
	for (int i = 6; i < argc && count < 16; i++) {
		if (pthread_create(&threads[count], NULL, thread, argv[i]) == 0)
			count++;
		if (getenv("TEST_ONE_BY_ONE") != NULL && count > 0)
			result |= join(threads[--count]);
	}
	for (int i = 0; i < count; i++)
		result |= join(threads[i]);
	wsgid_python_finish();
	if (channel[0] >= 0)
		show_record(channel[0]);
	printf("finished\n");
	return result;
}
