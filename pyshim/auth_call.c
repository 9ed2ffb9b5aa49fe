/* The four callables and what their answers mean. */
#include "auth_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *wsgid_auth_function(enum wsgid_question_kind kind)
{
	switch (kind) {
	case WSGID_ASK_PASSWORD:
		return "check_password";
	case WSGID_ASK_REALM_HASH:
		return "get_realm_hash";
	case WSGID_ASK_GROUPS:
		return "groups_for_user";
	case WSGID_ASK_ACCESS:
		return "allow_access";
	case WSGID_ASK_DISPATCH:
		break;
	}
	return "";
}

/* A wrong answer: what is wrong with it and, unless value is NULL, its type. */
static void wrong(struct wsgid_dispatch_result *result, PyObject *value, const char *message)
{
	PyObject *type = value == NULL ? NULL : py.PyObject_Type(value);
	PyObject *name = type == NULL ? NULL : py.PyObject_GetAttrString(type, "__name__");
	const char *text = name != NULL && wsgid_py_is_str(name) ? py.PyUnicode_AsUTF8(name) : NULL;
	char shown[128];

	result->kind = WSGID_DISPATCH_VALUE;
	result->allocated = true;
	result->message = strdup(message);
	if (text != NULL) {
		snprintf(shown, sizeof(shown), "an object of type %s", text);
		result->value = strdup(shown);
	}
	py.PyErr_Clear();
	Py_XDECREF(name);
	Py_XDECREF(type);
}

/* Adds bytes to the text of result and, with more to come, a NUL behind them.
 * 0, or -1 without memory: MemoryError is set. */
static int add_text(struct wsgid_dispatch_result *result, const char *bytes, size_t length, bool list)
{
	struct wsgid_override *text = &result->overrides[0];
	char *more = realloc(text->text, text->length + length + 1);

	if (more == NULL) {
		py.PyErr_NoMemory();
		return -1;
	}
	result->allocated = true;
	memcpy(more + text->length, bytes, length);
	more[text->length + length] = 0;
	text->text = more;
	text->length += length + (list ? 1 : 0);
	text->set = true;
	return 0;
}

/* Adds a str (as UTF-8) or bytes object to the text of result. Returns 0, or -1
 * with the result or an exception set. */
static int add_object(struct wsgid_dispatch_result *result, PyObject *object, bool list, const char *message)
{
	PyObject *encoded = NULL;
	Py_ssize_t length = 0;
	char *bytes = NULL;
	int done = -1;

	if (wsgid_py_is_str(object)) {
		encoded = py.PyUnicode_AsUTF8String(object);
	} else if (wsgid_py_is_bytes(object)) {
		encoded = object;
		Py_INCREF(encoded);
	} else {
		wrong(result, object, message);
		return -1;
	}
	if (encoded == NULL || py.PyBytes_AsStringAndSize(encoded, &bytes, &length) != 0)
		wrong(result, object, "the text cannot be encoded as UTF-8");
	else if (memchr(bytes, 0, (size_t)length) != NULL)
		wrong(result, object, "the text contains a NUL");
	else
		done = add_text(result, bytes, (size_t)length, list);
	Py_XDECREF(encoded);
	return done;
}

/* True, False and None themselves; -1 for anything else. */
static int verdict_of(PyObject *answer)
{
	if (answer == py.True)
		return WSGID_VERDICT_GRANTED;
	if (answer == py.False)
		return WSGID_VERDICT_DENIED;
	return answer == py.None ? WSGID_VERDICT_UNKNOWN : -1;
}

static void take_password(PyObject *answer, struct wsgid_dispatch_result *result)
{
	static const char message[] = "must return True, False, None or the user's name, a str that is not empty";
	int verdict = verdict_of(answer);

	if (verdict >= 0) {
		result->verdict = verdict;
	} else if (!wsgid_py_is_str(answer) || py.PyUnicode_GetLength(answer) == 0) {
		wrong(result, answer, message);
	} else if (add_object(result, answer, false, message) == 0) {
		result->verdict = WSGID_VERDICT_GRANTED;
	}
}

static void take_realm_hash(PyObject *answer, struct wsgid_dispatch_result *result)
{
	if (answer == py.None)
		result->verdict = WSGID_VERDICT_UNKNOWN;
	else if (add_object(result, answer, false, "must return None or the hash, a str or a bytes object") == 0)
		result->verdict = WSGID_VERDICT_GRANTED;
}

static void take_groups(PyObject *answer, struct wsgid_dispatch_result *result)
{
	static const char message[] = "must return an iterable of str or bytes";
	bool text = wsgid_py_is_str(answer) || wsgid_py_is_bytes(answer); /* of characters: never meant */
	PyObject *iterator = text ? NULL : py.PyObject_GetIter(answer), *item;
	int taken = 0;

	if (iterator == NULL) {
		if (text || py.PyErr_ExceptionMatches(py.PyExc_TypeError))
			wrong(result, answer, message);
		return;
	}
	while (taken == 0 && (item = py.PyIter_Next(iterator)) != NULL) {
		taken = add_object(result, item, true, message);
		Py_DECREF(item);
	}
	Py_DECREF(iterator);
	if (taken == 0 && py.PyErr_Occurred() == NULL)
		result->verdict = WSGID_VERDICT_GRANTED;
}

static void take_access(PyObject *answer, struct wsgid_dispatch_result *result)
{
	int verdict = verdict_of(answer);

	if (verdict >= 0)
		result->verdict = verdict;
	else
		wrong(result, answer, "must return True, False or None");
}

static void take(PyObject *answer, enum wsgid_question_kind kind, struct wsgid_dispatch_result *result)
{
	switch (kind) {
	case WSGID_ASK_PASSWORD:
		take_password(answer, result);
		break;
	case WSGID_ASK_REALM_HASH:
		take_realm_hash(answer, result);
		break;
	case WSGID_ASK_GROUPS:
		take_groups(answer, result);
		break;
	case WSGID_ASK_ACCESS:
		take_access(answer, result);
		break;
	case WSGID_ASK_DISPATCH:
		break;
	}
}

void wsgid_auth_ask(PyObject *globals, const struct wsgid_question *question, PyObject *environ,
                    struct wsgid_dispatch_result *result)
{
	const char *name = wsgid_auth_function(question->kind);
	PyObject *function = py.PyDict_GetItemString(globals, name); /* borrowed */
	bool two = question->kind == WSGID_ASK_PASSWORD || question->kind == WSGID_ASK_REALM_HASH;
	PyObject *first, *second = NULL, *answer = NULL;

	if (function == NULL || !py.PyCallable_Check(function)) {
		wrong(result, function, function == NULL ? "the script has no such function" : "is not callable");
		return;
	}
	Py_INCREF(function);
	first = py.PyUnicode_DecodeLatin1(question->first, (Py_ssize_t)question->first_length, NULL);
	if (two)
		second = py.PyUnicode_DecodeLatin1(question->second, (Py_ssize_t)question->second_length, NULL);
	if (first != NULL && (second != NULL || !two))
		answer = py.PyObject_CallFunctionObjArgs(function, environ, first, second, NULL);
	if (answer != NULL)
		take(answer, question->kind, result);
	Py_XDECREF(answer);
	Py_XDECREF(second);
	Py_XDECREF(first);
	Py_DECREF(function);
}
