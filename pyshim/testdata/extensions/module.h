/* What the extension modules of the tests need of Python, declared here so that
 * they are built without its headers and run on every version (builds with
 * GIL). */
#include <stddef.h>
#include <sys/types.h>

typedef struct object PyObject;
typedef struct {
	const char *name;
	PyObject *(*function)(PyObject *, PyObject *);
	int flags;
	const char *doc;
} PyMethodDef;
typedef struct {
	int slot;
	void *value;
} PyModuleDef_Slot;
typedef struct {
	ssize_t references;
	void *type, *init;
	ssize_t index;
	void *copy;
	const char *name, *doc;
	ssize_t size;
	PyMethodDef *methods;
	PyModuleDef_Slot *slots;
	void *traverse, *clear, *free;
} PyModuleDef;

enum { METH_VARARGS = 1, METH_O = 8, Py_mod_exec = 2, Py_mod_multiple_interpreters = 3 };

PyObject *PyModuleDef_Init(PyModuleDef *definition);
