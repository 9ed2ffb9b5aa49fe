/* CPython, loaded at run time: the functions and data that wsgid uses, as a
 * table filled by dlsym, with declarations of our own. Only what all Pythons
 * from 3.8 on export is required, and no struct layout of Python's is assumed
 * but those that its stable ABI fixes (PEP 384).
 *
 * Use: py.PyList_New(3), py.PyExc_TypeError, py.None. Every function needs the
 * GIL unless Python's own documentation says otherwise; references are counted
 * as documented there. */
#ifndef WSGID_PYTHON_API_H
#define WSGID_PYTHON_API_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <wchar.h>

typedef ssize_t Py_ssize_t;
typedef struct wsgid_py_object PyObject;
typedef struct wsgid_py_object PyTypeObject; /* types are passed as objects */
typedef struct wsgid_py_thread_state PyThreadState;
typedef struct wsgid_py_interpreter_state PyInterpreterState;
typedef int PyGILState_STATE;

typedef PyObject *(*PyCFunction)(PyObject *, PyObject *);
typedef PyObject *(*PyCFunctionWithKeywords)(PyObject *, PyObject *, PyObject *);
typedef PyObject *(*PyCFunctionFast)(PyObject *, PyObject *const *, Py_ssize_t);
typedef void (*destructor)(PyObject *);
typedef PyObject *(*unaryfunc)(PyObject *);
typedef PyObject *(*reprfunc)(PyObject *);
typedef PyObject *(*getter)(PyObject *, void *);
typedef int (*setter)(PyObject *, PyObject *, void *);
typedef int (*inquiry)(PyObject *);
typedef int (*visitproc)(PyObject *, void *);
typedef int (*traverseproc)(PyObject *, visitproc, void *);

/* Structs of the stable ABI. */
typedef struct {
	const char *ml_name;
	PyCFunction ml_meth;
	int ml_flags;
	const char *ml_doc;
} PyMethodDef;

typedef struct {
	const char *name;
	getter get;
	setter set;
	const char *doc;
	void *closure;
} PyGetSetDef;

typedef struct {
	int slot;
	void *pfunc;
} PyType_Slot;

typedef struct {
	const char *name;
	int basicsize;
	int itemsize;
	unsigned int flags;
	PyType_Slot *slots;
} PyType_Spec;

typedef struct {
	void *buf;
	PyObject *obj;
	Py_ssize_t len;
	Py_ssize_t itemsize;
	int readonly;
	int ndim;
	char *format;
	Py_ssize_t *shape;
	Py_ssize_t *strides;
	Py_ssize_t *suboffsets;
	void *internal;
} Py_buffer;

/* Returned by value by the initialisation functions (PEP 587). */
typedef struct {
	int type; /* 0 ok, 1 error, 2 exit */
	const char *func;
	const char *err_msg;
	int exitcode;
} PyStatus;

/* PyConfig is opaque to us: 3.8 … 3.14 need less than 600 bytes. */
typedef struct {
	_Alignas(16) unsigned char opaque[4096];
} PyConfig;

#define METH_VARARGS 0x0001
#define METH_KEYWORDS 0x0002
#define METH_NOARGS 0x0004
#define METH_O 0x0008
#define METH_FASTCALL 0x0080 /* works from 3.7 on, in the stable ABI from 3.10 */

#define Py_TPFLAGS_DEFAULT (1UL << 18)
#define Py_TPFLAGS_BASETYPE (1UL << 10)
#define Py_TPFLAGS_HAVE_GC (1UL << 14)
#define Py_TPFLAGS_LONG_SUBCLASS (1UL << 24)
#define Py_TPFLAGS_LIST_SUBCLASS (1UL << 25)
#define Py_TPFLAGS_TUPLE_SUBCLASS (1UL << 26)
#define Py_TPFLAGS_BYTES_SUBCLASS (1UL << 27)
#define Py_TPFLAGS_UNICODE_SUBCLASS (1UL << 28)
#define Py_TPFLAGS_DICT_SUBCLASS (1UL << 29)
#define Py_TPFLAGS_BASE_EXC_SUBCLASS (1UL << 30)

#define Py_tp_alloc 47
#define Py_tp_base 48
#define Py_tp_call 50
#define Py_tp_clear 51
#define Py_tp_dealloc 52
#define Py_tp_del 53
#define Py_tp_doc 56
#define Py_tp_getattr 57
#define Py_tp_getattro 58
#define Py_tp_hash 59
#define Py_tp_init 60
#define Py_tp_iter 62
#define Py_tp_iternext 63
#define Py_tp_methods 64
#define Py_tp_new 65
#define Py_tp_repr 66
#define Py_tp_setattro 69
#define Py_tp_str 70
#define Py_tp_traverse 71
#define Py_tp_members 72
#define Py_tp_getset 73
#define Py_tp_free 74
#define Py_tp_finalize 80

#define Py_file_input 257
#define Py_eval_input 258
#define PyBUF_SIMPLE 0
#define PyBUF_WRITABLE 1
#define PyBUF_READ 0x100
#define PyBUF_WRITE 0x200
#define Py_LT 0
#define Py_LE 1
#define Py_EQ 2
#define Py_NE 3
#define Py_GT 4
#define Py_GE 5

/* Functions that must exist: X(result, name, parameters). */
#define WSGID_PY_REQUIRED(X) \
	/* process and interpreters */ \
	X(const char *, Py_GetVersion, (void)) \
	X(int, Py_IsInitialized, (void)) \
	X(void, Py_InitializeEx, (int)) \
	X(int, Py_FinalizeEx, (void)) \
	X(wchar_t *, Py_DecodeLocale, (const char *, size_t *)) \
	X(void, PyConfig_InitPythonConfig, (PyConfig *)) \
	X(PyStatus, PyConfig_SetBytesArgv, (PyConfig *, Py_ssize_t, char *const *)) \
	X(void, PyConfig_Clear, (PyConfig *)) \
	X(PyStatus, Py_InitializeFromConfig, (const PyConfig *)) \
	X(int, PyStatus_Exception, (PyStatus)) \
	X(PyThreadState *, Py_NewInterpreter, (void)) \
	X(void, Py_EndInterpreter, (PyThreadState *)) \
	X(int, Py_AddPendingCall, (int (*)(void *), void *)) \
	X(void, PyOS_AfterFork_Child, (void)) \
	X(void, PyOS_AfterFork_Parent, (void)) \
	X(void, PyOS_BeforeFork, (void)) \
	/* threads and the GIL */ \
	X(PyThreadState *, PyEval_SaveThread, (void)) \
	X(void, PyEval_RestoreThread, (PyThreadState *)) \
	X(void, PyEval_AcquireThread, (PyThreadState *)) \
	X(void, PyEval_ReleaseThread, (PyThreadState *)) \
	X(PyThreadState *, PyThreadState_New, (PyInterpreterState *)) \
	X(void, PyThreadState_Clear, (PyThreadState *)) \
	X(void, PyThreadState_Delete, (PyThreadState *)) \
	X(void, PyThreadState_DeleteCurrent, (void)) \
	X(PyThreadState *, PyThreadState_Get, (void)) \
	X(PyThreadState *, PyThreadState_Swap, (PyThreadState *)) \
	X(PyObject *, PyThreadState_GetDict, (void)) \
	X(int, PyThreadState_SetAsyncExc, (unsigned long, PyObject *)) \
	X(PyGILState_STATE, PyGILState_Ensure, (void)) \
	X(void, PyGILState_Release, (PyGILState_STATE)) \
	X(int, PyGILState_Check, (void)) \
	X(PyThreadState *, PyGILState_GetThisThreadState, (void)) \
	X(unsigned long, PyThread_get_thread_ident, (void)) \
	/* objects */ \
	X(void, Py_IncRef, (PyObject *)) \
	X(void, Py_DecRef, (PyObject *)) \
	X(PyObject *, PyObject_Type, (PyObject *)) \
	X(PyObject *, PyObject_Repr, (PyObject *)) \
	X(PyObject *, PyObject_Str, (PyObject *)) \
	X(int, PyObject_IsTrue, (PyObject *)) \
	X(int, PyObject_IsInstance, (PyObject *, PyObject *)) \
	X(int, PyObject_IsSubclass, (PyObject *, PyObject *)) \
	X(PyObject *, PyObject_GetAttr, (PyObject *, PyObject *)) \
	X(PyObject *, PyObject_GetAttrString, (PyObject *, const char *)) \
	X(int, PyObject_SetAttr, (PyObject *, PyObject *, PyObject *)) \
	X(int, PyObject_SetAttrString, (PyObject *, const char *, PyObject *)) \
	X(int, PyObject_HasAttrString, (PyObject *, const char *)) \
	X(PyObject *, PyObject_GenericGetAttr, (PyObject *, PyObject *)) \
	X(int, PyObject_GenericSetAttr, (PyObject *, PyObject *, PyObject *)) \
	X(PyObject *, PyObject_SelfIter, (PyObject *)) \
	X(PyObject *, PyObject_GetIter, (PyObject *)) \
	X(PyObject *, PyIter_Next, (PyObject *)) \
	X(Py_ssize_t, PyObject_Size, (PyObject *)) \
	X(PyObject *, PyObject_GetItem, (PyObject *, PyObject *)) \
	X(int, PyObject_SetItem, (PyObject *, PyObject *, PyObject *)) \
	X(int, PyObject_RichCompareBool, (PyObject *, PyObject *, int)) \
	X(int, PyCallable_Check, (PyObject *)) \
	X(PyObject *, PyObject_Call, (PyObject *, PyObject *, PyObject *)) \
	X(PyObject *, PyObject_CallObject, (PyObject *, PyObject *)) \
	X(PyObject *, PyObject_CallFunctionObjArgs, (PyObject *, ...)) \
	X(PyObject *, PyObject_CallMethodObjArgs, (PyObject *, PyObject *, ...)) \
	X(PyObject *, PyObject_CallMethod, (PyObject *, const char *, const char *, ...)) \
	X(PyObject *, PyObject_CallFunction, (PyObject *, const char *, ...)) \
	X(int, PyObject_GetBuffer, (PyObject *, Py_buffer *, int)) \
	X(void, PyBuffer_Release, (Py_buffer *)) \
	X(void, PyObject_Free, (void *)) \
	X(void, PyObject_GC_UnTrack, (void *)) \
	X(void, PyObject_GC_Del, (void *)) \
	X(void *, PyMem_Malloc, (size_t)) \
	X(void, PyMem_Free, (void *)) \
	X(void *, PyMem_RawMalloc, (size_t)) \
	X(void, PyMem_RawFree, (void *)) \
	/* types and functions */ \
	X(PyObject *, PyType_FromSpec, (PyType_Spec *)) \
	X(PyObject *, PyType_FromSpecWithBases, (PyType_Spec *, PyObject *)) \
	X(PyObject *, PyType_GenericAlloc, (PyTypeObject *, Py_ssize_t)) \
	X(PyObject *, PyType_GenericNew, (PyTypeObject *, PyObject *, PyObject *)) \
	X(unsigned long, PyType_GetFlags, (PyTypeObject *)) \
	X(int, PyType_IsSubtype, (PyTypeObject *, PyTypeObject *)) \
	X(void *, PyType_GetSlot, (PyTypeObject *, int)) \
	X(PyObject *, PyCFunction_NewEx, (PyMethodDef *, PyObject *, PyObject *)) \
	X(PyObject *, PyCapsule_New, (void *, const char *, void (*)(PyObject *))) \
	X(void *, PyCapsule_GetPointer, (PyObject *, const char *)) \
	/* numbers */ \
	X(PyObject *, PyBool_FromLong, (long)) \
	X(PyObject *, PyLong_FromLong, (long)) \
	X(PyObject *, PyLong_FromLongLong, (long long)) \
	X(PyObject *, PyLong_FromUnsignedLongLong, (unsigned long long)) \
	X(PyObject *, PyLong_FromSsize_t, (Py_ssize_t)) \
	X(long, PyLong_AsLong, (PyObject *)) \
	X(long long, PyLong_AsLongLong, (PyObject *)) \
	X(unsigned long, PyLong_AsUnsignedLong, (PyObject *)) \
	X(Py_ssize_t, PyLong_AsSsize_t, (PyObject *)) \
	X(Py_ssize_t, PyNumber_AsSsize_t, (PyObject *, PyObject *)) \
	X(PyObject *, PyNumber_Long, (PyObject *)) \
	X(PyObject *, PyFloat_FromDouble, (double)) \
	X(double, PyFloat_AsDouble, (PyObject *)) \
	/* bytes */ \
	X(PyObject *, PyBytes_FromStringAndSize, (const char *, Py_ssize_t)) \
	X(PyObject *, PyBytes_FromString, (const char *)) \
	X(char *, PyBytes_AsString, (PyObject *)) \
	X(int, PyBytes_AsStringAndSize, (PyObject *, char **, Py_ssize_t *)) \
	X(Py_ssize_t, PyBytes_Size, (PyObject *)) \
	X(int, _PyBytes_Resize, (PyObject **, Py_ssize_t)) \
	X(PyObject *, PyByteArray_FromStringAndSize, (const char *, Py_ssize_t)) \
	X(char *, PyByteArray_AsString, (PyObject *)) \
	X(Py_ssize_t, PyByteArray_Size, (PyObject *)) \
	X(PyObject *, PyMemoryView_FromObject, (PyObject *)) \
	X(PyObject *, PyMemoryView_FromMemory, (char *, Py_ssize_t, int)) \
	/* str */ \
	X(PyObject *, PyUnicode_FromString, (const char *)) \
	X(PyObject *, PyUnicode_FromStringAndSize, (const char *, Py_ssize_t)) \
	X(PyObject *, PyUnicode_FromFormat, (const char *, ...)) \
	X(PyObject *, PyUnicode_FromWideChar, (const wchar_t *, Py_ssize_t)) \
	X(PyObject *, PyUnicode_FromObject, (PyObject *)) \
	X(PyObject *, PyUnicode_InternFromString, (const char *)) \
	X(void, PyUnicode_InternInPlace, (PyObject **)) \
	X(PyObject *, PyUnicode_Decode, (const char *, Py_ssize_t, const char *, const char *)) \
	X(PyObject *, PyUnicode_DecodeLatin1, (const char *, Py_ssize_t, const char *)) \
	X(PyObject *, PyUnicode_DecodeUTF8, (const char *, Py_ssize_t, const char *)) \
	X(PyObject *, PyUnicode_DecodeFSDefault, (const char *)) \
	X(PyObject *, PyUnicode_DecodeFSDefaultAndSize, (const char *, Py_ssize_t)) \
	X(PyObject *, PyUnicode_EncodeFSDefault, (PyObject *)) \
	X(PyObject *, PyUnicode_AsLatin1String, (PyObject *)) \
	X(PyObject *, PyUnicode_AsUTF8String, (PyObject *)) \
	X(PyObject *, PyUnicode_AsEncodedString, (PyObject *, const char *, const char *)) \
	X(const char *, PyUnicode_AsUTF8AndSize, (PyObject *, Py_ssize_t *)) \
	X(const char *, PyUnicode_AsUTF8, (PyObject *)) \
	X(Py_ssize_t, PyUnicode_GetLength, (PyObject *)) \
	X(int, PyUnicode_CompareWithASCIIString, (PyObject *, const char *)) \
	X(int, PyUnicode_Compare, (PyObject *, PyObject *)) \
	/* containers */ \
	X(PyObject *, PyTuple_New, (Py_ssize_t)) \
	X(PyObject *, PyTuple_Pack, (Py_ssize_t, ...)) \
	X(Py_ssize_t, PyTuple_Size, (PyObject *)) \
	X(PyObject *, PyTuple_GetItem, (PyObject *, Py_ssize_t)) \
	X(int, PyTuple_SetItem, (PyObject *, Py_ssize_t, PyObject *)) \
	X(PyObject *, PyList_New, (Py_ssize_t)) \
	X(Py_ssize_t, PyList_Size, (PyObject *)) \
	X(PyObject *, PyList_GetItem, (PyObject *, Py_ssize_t)) \
	X(int, PyList_SetItem, (PyObject *, Py_ssize_t, PyObject *)) \
	X(int, PyList_Append, (PyObject *, PyObject *)) \
	X(int, PyList_Insert, (PyObject *, Py_ssize_t, PyObject *)) \
	X(PyObject *, PyList_AsTuple, (PyObject *)) \
	X(Py_ssize_t, PySequence_Size, (PyObject *)) \
	X(PyObject *, PySequence_GetItem, (PyObject *, Py_ssize_t)) \
	X(PyObject *, PySequence_List, (PyObject *)) \
	X(PyObject *, PySequence_Tuple, (PyObject *)) \
	X(int, PySequence_Check, (PyObject *)) \
	X(int, PySequence_Contains, (PyObject *, PyObject *)) \
	X(PyObject *, PyDict_New, (void)) \
	X(PyObject *, PyDict_Copy, (PyObject *)) \
	X(PyObject *, PyDict_GetItem, (PyObject *, PyObject *)) \
	X(PyObject *, PyDict_GetItemString, (PyObject *, const char *)) \
	X(PyObject *, PyDict_GetItemWithError, (PyObject *, PyObject *)) \
	X(int, PyDict_SetItem, (PyObject *, PyObject *, PyObject *)) \
	X(int, PyDict_SetItemString, (PyObject *, const char *, PyObject *)) \
	X(int, PyDict_DelItem, (PyObject *, PyObject *)) \
	X(int, PyDict_DelItemString, (PyObject *, const char *)) \
	X(int, PyDict_Contains, (PyObject *, PyObject *)) \
	X(int, PyDict_Next, (PyObject *, Py_ssize_t *, PyObject **, PyObject **)) \
	X(int, PyDict_Update, (PyObject *, PyObject *)) \
	X(void, PyDict_Clear, (PyObject *)) \
	X(Py_ssize_t, PyDict_Size, (PyObject *)) \
	/* errors */ \
	X(PyObject *, PyErr_Occurred, (void)) \
	X(void, PyErr_Clear, (void)) \
	X(void, PyErr_Print, (void)) \
	X(void, PyErr_PrintEx, (int)) \
	X(void, PyErr_Fetch, (PyObject **, PyObject **, PyObject **)) \
	X(void, PyErr_Restore, (PyObject *, PyObject *, PyObject *)) \
	X(void, PyErr_NormalizeException, (PyObject **, PyObject **, PyObject **)) \
	X(int, PyErr_ExceptionMatches, (PyObject *)) \
	X(int, PyErr_GivenExceptionMatches, (PyObject *, PyObject *)) \
	X(void, PyErr_SetNone, (PyObject *)) \
	X(void, PyErr_SetObject, (PyObject *, PyObject *)) \
	X(void, PyErr_SetString, (PyObject *, const char *)) \
	X(PyObject *, PyErr_Format, (PyObject *, const char *, ...)) \
	X(PyObject *, PyErr_SetFromErrno, (PyObject *)) \
	X(PyObject *, PyErr_NoMemory, (void)) \
	X(void, PyErr_WriteUnraisable, (PyObject *)) \
	X(int, PyErr_CheckSignals, (void)) \
	X(PyObject *, PyErr_NewException, (const char *, PyObject *, PyObject *)) \
	X(int, PyException_SetTraceback, (PyObject *, PyObject *)) \
	X(PyObject *, PyException_GetTraceback, (PyObject *)) \
	/* code and modules */ \
	X(PyObject *, Py_CompileString, (const char *, const char *, int)) \
	X(PyObject *, PyEval_EvalCode, (PyObject *, PyObject *, PyObject *)) \
	X(PyObject *, PyEval_GetBuiltins, (void)) \
	X(PyObject *, PyImport_AddModule, (const char *)) \
	X(PyObject *, PyImport_ImportModule, (const char *)) \
	X(PyObject *, PyImport_Import, (PyObject *)) \
	X(PyObject *, PyImport_GetModuleDict, (void)) \
	X(PyObject *, PyImport_ExecCodeModule, (const char *, PyObject *)) \
	X(PyObject *, PyImport_ExecCodeModuleEx, (const char *, PyObject *, const char *)) \
	X(PyObject *, PyModule_GetDict, (PyObject *)) \
	X(PyObject *, PyModule_NewObject, (PyObject *)) \
	X(PyObject *, PySys_GetObject, (const char *)) \
	X(int, PySys_SetObject, (const char *, PyObject *)) \
	/* building and parsing */ \
	X(PyObject *, Py_BuildValue, (const char *, ...)) \
	X(int, PyArg_ParseTuple, (PyObject *, const char *, ...)) \
	X(int, PyArg_ParseTupleAndKeywords, (PyObject *, PyObject *, const char *, char **, ...)) \
	X(int, PyArg_UnpackTuple, (PyObject *, const char *, Py_ssize_t, Py_ssize_t, ...))

/* Functions that only some versions have: NULL where they are missing. */
#define WSGID_PY_OPTIONAL(X) \
	X(PyInterpreterState *, PyInterpreterState_Get, (void))  /* 3.9 */ \
	X(PyInterpreterState *, _PyInterpreterState_Get, (void)) /* 3.8 */ \
	X(PyInterpreterState *, PyThreadState_GetInterpreter, (PyThreadState *)) /* 3.9 */ \
	X(PyObject *, PyThreadState_GetFrame, (PyThreadState *)) /* 3.9 */ \
	X(PyInterpreterState *, PyInterpreterState_Main, (void)) \
	X(void, Py_SetProgramName, (const wchar_t *)) /* deprecated since 3.11 */ \
	X(void *, PyInitConfig_Create, (void)) /* 3.14, PEP 741 */ \
	X(void, PyInitConfig_Free, (void *)) \
	X(int, PyInitConfig_SetStr, (void *, const char *, const char *)) \
	X(int, PyInitConfig_SetInt, (void *, const char *, int64_t)) \
	X(int, PyInitConfig_GetError, (void *, const char **)) \
	X(int, Py_InitializeFromInitConfig, (void *)) \
	X(PyStatus, Py_NewInterpreterFromConfig, (PyThreadState **, const void *)) /* 3.12, PEP 684 */ \
	X(PyObject *, PyObject_Vectorcall, (PyObject *, PyObject *const *, size_t, PyObject *)) /* 3.9 */ \
	X(PyObject *, PyObject_CallNoArgs, (PyObject *)) /* 3.9 */ \
	X(PyObject *, PyObject_CallOneArg, (PyObject *, PyObject *)) /* 3.9 */ \
	X(int, PyObject_GetOptionalAttr, (PyObject *, PyObject *, PyObject **)) /* 3.13 */ \
	X(int, _PyObject_LookupAttr, (PyObject *, PyObject *, PyObject **)) /* 3.8 to 3.12 */ \
	X(PyObject *, PyErr_GetRaisedException, (void)) /* 3.12 */ \
	X(void, PyErr_SetRaisedException, (PyObject *)) /* 3.12 */ \
	X(int, Py_IsFinalizing, (void)) /* 3.13 */ \
	X(int, PyUnstable_Module_SetGIL, (PyObject *, void *)) /* free-threaded 3.13 */

/* Data symbols that are pointers to objects: py.NAME is the object itself. */
#define WSGID_PY_OBJECTS(X) \
	X(PyExc_BaseException) \
	X(PyExc_Exception) \
	X(PyExc_ArithmeticError) \
	X(PyExc_AssertionError) \
	X(PyExc_AttributeError) \
	X(PyExc_BlockingIOError) \
	X(PyExc_BrokenPipeError) \
	X(PyExc_ConnectionError) \
	X(PyExc_ConnectionResetError) \
	X(PyExc_EOFError) \
	X(PyExc_FileNotFoundError) \
	X(PyExc_GeneratorExit) \
	X(PyExc_ImportError) \
	X(PyExc_IndexError) \
	X(PyExc_KeyError) \
	X(PyExc_KeyboardInterrupt) \
	X(PyExc_LookupError) \
	X(PyExc_MemoryError) \
	X(PyExc_NotImplementedError) \
	X(PyExc_OSError) \
	X(PyExc_OverflowError) \
	X(PyExc_PermissionError) \
	X(PyExc_RuntimeError) \
	X(PyExc_StopIteration) \
	X(PyExc_SyntaxError) \
	X(PyExc_SystemError) \
	X(PyExc_SystemExit) \
	X(PyExc_TimeoutError) \
	X(PyExc_TypeError) \
	X(PyExc_UnicodeDecodeError) \
	X(PyExc_UnicodeEncodeError) \
	X(PyExc_UnicodeError) \
	X(PyExc_ValueError) \
	X(PyExc_DeprecationWarning) \
	X(PyExc_RuntimeWarning)

/* Data symbols that are objects: X(field, symbol). */
#define WSGID_PY_STATICS(X) \
	X(None, _Py_NoneStruct) \
	X(True, _Py_TrueStruct) \
	X(False, _Py_FalseStruct) \
	X(PyBaseObject_Type, PyBaseObject_Type) \
	X(PyBool_Type, PyBool_Type) \
	X(PyByteArray_Type, PyByteArray_Type) \
	X(PyBytes_Type, PyBytes_Type) \
	X(PyDict_Type, PyDict_Type) \
	X(PyFloat_Type, PyFloat_Type) \
	X(PyList_Type, PyList_Type) \
	X(PyLong_Type, PyLong_Type) \
	X(PyMemoryView_Type, PyMemoryView_Type) \
	X(PyModule_Type, PyModule_Type) \
	X(PyTuple_Type, PyTuple_Type) \
	X(PyType_Type, PyType_Type) \
	X(PyUnicode_Type, PyUnicode_Type)

/* The table. Filled once by wsgid_python_api_load, constant afterwards. */
struct wsgid_python_api {
#define WSGID_PY_FUNCTION(result, name, parameters) result(*name) parameters;
	WSGID_PY_REQUIRED(WSGID_PY_FUNCTION)
	WSGID_PY_OPTIONAL(WSGID_PY_FUNCTION)
#undef WSGID_PY_FUNCTION
#define WSGID_PY_OBJECT(name) PyObject *name;
	WSGID_PY_OBJECTS(WSGID_PY_OBJECT)
#undef WSGID_PY_OBJECT
#define WSGID_PY_STATIC(field, symbol) PyObject *field;
	WSGID_PY_STATICS(WSGID_PY_STATIC)
#undef WSGID_PY_STATIC
	/* Bytes of the header of every object (it differs between builds): the
	 * payload of a type of ours starts at this offset, its basicsize is this
	 * plus the payload. Known once Python is initialised. */
	size_t object_header;
};
extern struct wsgid_python_api py;

/* Fills the table from a library opened with dlopen. Returns 0, or -1 with a
 * sentence in error when a required symbol is missing. */
int wsgid_python_api_load(void *library, char *error, size_t error_size);

/* Learns what only an initialised Python knows (object_header). GIL held.
 * Returns 0, or -1 with a Python exception set. */
int wsgid_python_api_measure(void);

#define Py_INCREF(object) py.Py_IncRef((PyObject *)(object))
#define Py_DECREF(object) py.Py_DecRef((PyObject *)(object))
#define Py_XINCREF(object) py.Py_IncRef((PyObject *)(object)) /* Py_IncRef takes NULL */
#define Py_XDECREF(object) py.Py_DecRef((PyObject *)(object))

/* Releases *object and sets it to NULL first. */
static inline void wsgid_py_clear(PyObject **object)
{
	PyObject *old = *object;

	*object = NULL;
	py.Py_DecRef(old);
}

/* tp_flags of the object's type: an exact or subclass check costs no call into
 * Python beyond reference counting. GIL held. */
static inline unsigned long wsgid_py_flags(PyObject *object)
{
	PyObject *type = py.PyObject_Type(object);
	unsigned long flags = py.PyType_GetFlags(type);

	py.Py_DecRef(type);
	return flags;
}

static inline bool wsgid_py_is_str(PyObject *object)
{
	return (wsgid_py_flags(object) & Py_TPFLAGS_UNICODE_SUBCLASS) != 0;
}

static inline bool wsgid_py_is_bytes(PyObject *object)
{
	return (wsgid_py_flags(object) & Py_TPFLAGS_BYTES_SUBCLASS) != 0;
}

static inline bool wsgid_py_is_list(PyObject *object)
{
	return (wsgid_py_flags(object) & Py_TPFLAGS_LIST_SUBCLASS) != 0;
}

static inline bool wsgid_py_is_tuple(PyObject *object)
{
	return (wsgid_py_flags(object) & Py_TPFLAGS_TUPLE_SUBCLASS) != 0;
}

static inline bool wsgid_py_is_dict(PyObject *object)
{
	return (wsgid_py_flags(object) & Py_TPFLAGS_DICT_SUBCLASS) != 0;
}

static inline bool wsgid_py_is_int(PyObject *object)
{
	return (wsgid_py_flags(object) & Py_TPFLAGS_LONG_SUBCLASS) != 0;
}

/* True when object's type is exactly type (a WSGID_PY_STATICS type). GIL held. */
static inline bool wsgid_py_is_exactly(PyObject *object, PyObject *type)
{
	PyObject *own = py.PyObject_Type(object);

	py.Py_DecRef(own);
	return own == type;
}

/* The payload of an object of a type of ours. */
static inline void *wsgid_py_payload(PyObject *object)
{
	return (char *)object + py.object_header;
}

/* object.name when it exists. Returns 1 with a new reference, 0 when there is
 * none (no exception is left), -1 with an exception. GIL held. */
int wsgid_py_optional_attr(PyObject *object, PyObject *name, PyObject **value);

/* The current interpreter. GIL held. */
PyInterpreterState *wsgid_py_current_interpreter(void);

/* Formats the current exception as Python would print it, clears it, and
 * returns the text as malloc'ed UTF-8, length in *length. NULL only without
 * memory. GIL held. */
char *wsgid_py_format_exception(size_t *length);

/* Writes the current exception to sys.stderr and clears it; SystemExit is an
 * exception like the others. GIL held. */
void wsgid_py_print_exception(void);

#endif
