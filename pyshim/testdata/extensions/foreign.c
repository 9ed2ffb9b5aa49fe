/* An extension that calls Python from a thread of its own by PyGILState_Ensure:
 * call(function) is what function returns there. */
#include "module.h"

#include <pthread.h>

void *PyEval_SaveThread(void);
void PyEval_RestoreThread(void *state);
int PyGILState_Ensure(void);
void PyGILState_Release(int state);
PyObject *PyObject_CallObject(PyObject *function, PyObject *arguments);
void PyErr_Print(void);
void PyErr_SetString(PyObject *type, const char *text);
extern PyObject *PyExc_RuntimeError;

struct call {
	PyObject *function, *result;
};

static void *thread(void *argument)
{
	struct call *call = argument;
	int state = PyGILState_Ensure();

	call->result = PyObject_CallObject(call->function, NULL);
	if (call->result == NULL)
		PyErr_Print();
	PyGILState_Release(state);
	return NULL;
}

static PyObject *run(PyObject *module, PyObject *function)
{
	struct call call = { function, NULL };
	pthread_t id;
	void *state;
	int failed;

	(void)module;
	state = PyEval_SaveThread();
	failed = pthread_create(&id, NULL, thread, &call);
	if (!failed)
		pthread_join(id, NULL);
	PyEval_RestoreThread(state);
	if (call.result == NULL)
		PyErr_SetString(PyExc_RuntimeError, "the thread has no result");
	return call.result;
}

PyObject *PyInit_foreign(void)
{
	static PyMethodDef methods[] = { { "call", run, METH_O, NULL }, { NULL, NULL, 0, NULL } };
	static PyModuleDef definition = { .references = 1, .name = "foreign", .methods = methods };

	return PyModuleDef_Init(&definition);
}
