/* The end of the interpreters of a process. */
#include "interpreter.h"

/* Runs what must run at the end of an interpreter that is not torn down. Not
 * threading._shutdown: in a sub-interpreter it waits for the end of the thread
 * that made the interpreter (3.9 to 3.12). */
static void run_exit_functions(void)
{
	static const char code[] =
	    "import atexit, sys, threading\n"
	    "for f in reversed(getattr(threading, '_threading_atexits', ())):\n"
	    "    f()\n"
	    "for t in threading.enumerate():\n"
	    "    if not (t.daemon or t is threading.main_thread() or t is threading.current_thread()):\n"
	    "        t.join()\n"
	    "atexit._run_exitfuncs()\n"
	    "for f in (sys.stdout, sys.stderr):\n"
	    "    if f is not None:\n"
	    "        f.flush()\n";
	PyObject *dict = py.PyDict_New();
	PyObject *compiled = py.Py_CompileString(code, "<wsgid>/exit", Py_file_input);
	PyObject *result = NULL;

	if (dict != NULL && compiled != NULL &&
	    py.PyDict_SetItemString(dict, "__builtins__", py.PyEval_GetBuiltins()) == 0)
		result = py.PyEval_EvalCode(compiled, dict, dict);
	if (result == NULL)
		wsgid_py_print_exception();
	Py_XDECREF(result);
	Py_XDECREF(compiled);
	Py_XDECREF(dict);
}

void wsgid_python_finish(void)
{
	struct wsgid_interpreter *main_interpreter = wsgid_interpreter_find("", 0);
	bool alone = true;

	if (main_interpreter == NULL)
		return;
	for (struct wsgid_interpreter *i = wsgid_interpreter_next(NULL); i != NULL; i = wsgid_interpreter_next(i)) {
		if (i == main_interpreter)
			continue;
		alone = false;
		if (wsgid_interpreter_enter(i->name, i->name_length) == NULL)
			continue;
		run_exit_functions();
		wsgid_interpreter_leave(i);
	}
	if (wsgid_interpreter_enter("", 0) == NULL)
		return;
	/* Tearing a sub-interpreter down needs every thread state in it gone, and
	 * daemon threads of the application cannot be made to go: Python would
	 * abort. The exit functions have run; the process ends now anyway. */
	if (alone) {
		py.Py_FinalizeEx();
		return;
	}
	run_exit_functions();
	wsgid_interpreter_leave(main_interpreter);
}
