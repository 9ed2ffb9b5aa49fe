/* Running over what the application returned (mod_wsgi behaviour 6.6): each
 * item of an iterable leaves when it comes; those of a list or tuple, which
 * are all there, leave together. */
#include "request.h"

/* 0, -1 with an exception, -2 client gone. */
static int item(struct wsgid_request *r, PyObject *object)
{
	char *data;
	Py_ssize_t size;
	if (py.PyBytes_AsStringAndSize(object, &data, &size) < 0) {
		py.PyErr_Clear();
		r->invalid = true;
		PyObject *type = py.PyObject_Type(object);
		PyObject *name = py.PyObject_GetAttrString(type, "__name__");
		const char *text = name ? py.PyUnicode_AsUTF8(name) : NULL;
		py.PyErr_Clear();
		py.PyErr_Format(py.PyExc_TypeError,
		                "sequence of byte string values expected, value of type %.200s found",
		                text ? text : "unknown");
		Py_XDECREF(name);
		Py_DECREF(type);
		return -1;
	}
	return wsgid_response_body(r, data, (size_t)size);
}

static int items(struct wsgid_request *r, PyObject *result, bool list)
{
	for (Py_ssize_t i = 0; i < (list ? py.PyList_Size(result) : py.PyTuple_Size(result)); i++) {
		PyObject *object = list ? py.PyList_GetItem(result, i) : py.PyTuple_GetItem(result, i);
		if (!object)
			return -1;
		/* The list can change while another thread runs during a send. */
		Py_INCREF(object);
		int done = item(r, object);
		Py_DECREF(object);
		if (done < 0)
			return done;
	}
	return 0;
}

int wsgid_response_iterate(struct wsgid_request *r, PyObject *result)
{
	PyObject *type = py.PyObject_Type(result);
	Py_DECREF(type);
	if (type == py.PyList_Type || type == py.PyTuple_Type)
		return items(r, result, type == py.PyList_Type);
	if (type == py.PyBytes_Type || type == py.PyUnicode_Type) {
		/* Legal or not, iterating over bytes gives ints and over str str. */
		r->invalid = true;
	} else {
		int file = wsgid_response_file(r, result);
		if (file)
			return file > 0 ? 0 : file;
	}
	PyObject *iterator = py.PyObject_GetIter(result);
	int done = 0;
	if (!iterator) {
		r->invalid = true;
		return -1;
	}
	for (PyObject *object; done == 0 && (object = py.PyIter_Next(iterator)) != NULL; Py_DECREF(object)) {
		done = item(r, object);
		if (done == 0 && r->connection->out_length && wsgid_output_flush(r->connection) < 0)
			done = -2;
	}
	Py_DECREF(iterator);
	return done == 0 && py.PyErr_Occurred() ? -1 : done;
}
