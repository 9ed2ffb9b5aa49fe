/* Test program: starts Python as a worker or as the router does, executes code
 * in the interpreters that it is told, from several threads, and ends.
 *
 *   start ROLE MODULES HOME PYTHON CODE [GROUP …] */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "interpreter.h"
#include "worker.h"

static const char *code;

/* boot.c wants it; this program has no boot block. */
int wsgid_worker_main(const struct wsgid_boot *boot)
{
	(void)boot;
	return 1;
}

static int run(const char *group)
{
	struct wsgid_interpreter *interpreter = wsgid_interpreter_enter(group, strlen(group));
	PyObject *dict, *compiled, *result = NULL;

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

int main(int argc, char **argv)
{
	struct wsgid_python_options options = { 0 };
	const char *paths[] = { NULL, NULL };
	char error[4096];
	pthread_t threads[16];
	int count = 0, result = 0;

	if (argc < 6)
		return 2;
	options.router = strcmp(argv[1], "router") == 0;
	options.modules_fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	options.python_home = *argv[3] == 0 ? NULL : argv[3];
	options.python = *argv[4] == 0 ? NULL : argv[4];
	paths[0] = getenv("TEST_PYTHON_PATH");
	options.python_path = paths;
	options.home = getenv("TEST_HOME");
	code = argv[5];
	if (wsgid_python_start(&options, error, sizeof(error)) != 0) {
		printf("error: %s\n", error);
		return 1;
	}
	printf("version %s\nprefix %s\nlibrary %s\n", wsgid_python_version(), wsgid_python_prefix(),
	       wsgid_python_library());
	fflush(stdout);
	result |= argc == 6 && run("");
	for (int i = 6; i < argc && count < 16; i++)
		if (pthread_create(&threads[count], NULL, thread, argv[i]) == 0)
			count++;
	for (int i = 0; i < count; i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		result |= failed != NULL;
	}
	wsgid_python_finish();
	printf("finished\n");
	return result;
}
