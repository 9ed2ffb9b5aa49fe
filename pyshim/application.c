/* From the script of a request to its application object. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "import.h"
#include "load_errors.h"
#include "request.h"
#include "script.h"
#include "status.h"

bool wsgid_application_checked(const struct wsgid_request *r, size_t length)
{
	if (r->connection->server->embedded)
		return false;
	for (size_t i = 0; i < WSGID_CHECKED; i++) {
		const struct wsgid_checked *c = &r->local->checked[i];
		if (c->length == length && c->interpreter && memcmp(c->path, r->script, length) == 0 &&
		    strcmp(c->interpreter->name, r->application) == 0)
			return true;
	}
	return false;
}

static void remember_checked(struct wsgid_request *r)
{
	size_t length = strlen(r->script);
	if (wsgid_application_checked(r, length))
		return;
	struct wsgid_checked *c = &r->local->checked[r->local->next_checked++ % WSGID_CHECKED];
	char *path = strdup(r->script);
	if (!path)
		return;
	free(c->path);
	*c = (struct wsgid_checked){r->interpreter, length, path};
}

/* Says in the log what the error page of a code cannot: which script or name it
 * is about. Called with the GIL, which is given back meanwhile. */
static void log_refusal(struct wsgid_request *r, enum wsgid_errcode code, const char *name)
{
	const struct wsgid_error *e = wsgid_error(code);
	struct wsgid_log_context coded = r->context;
	coded.code = e->text;
	wsgid_gil_release();
	wsgid_logf("error", &coded, "%s: %s", e->title, name);
	wsgid_gil_acquire();
}

/* Another process should import the script: because it has changed, or because
 * it could not be imported here and is still wanted. */
static void tell_renewal(struct wsgid_request *r)
{
	enum wsgid_script_news news = wsgid_script_news(r->interpreter, r->script);
	if (news == WSGID_NEWS_NONE)
		return;
	wsgid_gil_release();
	wsgid_status_event(r->connection->server, "event", "renew", "reason",
	                   news == WSGID_NEWS_CHANGED ? "changed" : "again", "application", r->application,
	                   "script", r->script, NULL);
	wsgid_gil_acquire();
}

/* The answer while a script cannot be imported. */
static void import_error(struct wsgid_request *r)
{
	enum wsgid_errcode code;
	if (py.PyErr_Occurred()) {
		code = wsgid_import_failed(r->connection->server, r->interpreter, &r->context);
	} else {
		int blamed = wsgid_script_blamed(r->interpreter, r->script);
		code = blamed ? (enum wsgid_errcode)blamed : WSGID_E_SCRIPT_IMPORT;
		log_refusal(r, code, "tried before, another process will try again");
		tell_renewal(r);
	}
	wsgid_error_page(r, code);
}

/* How scripts are loaded here. In the router a changed script is imported in
 * place, as is one that failed; in a process of a group nothing is imported
 * twice. */
static int load_flags(const struct wsgid_request *r)
{
	const struct wsgid_server *server = r->connection->server;
	int flags = r->check ? WSGID_SCRIPT_CHECK : 0;
	if (server->embedded)
		return flags;
	if (r->check)
		flags |= server->keep ? WSGID_SCRIPT_STALE_OK : WSGID_SCRIPT_REFUSE;
	return flags | WSGID_SCRIPT_ONCE;
}

PyObject *wsgid_application_find(struct wsgid_request *r, bool *refused)
{
	PyObject *module = NULL, *application;
	*refused = false;
	switch (wsgid_script_load(r->interpreter, r->script, r->script, load_flags(r), &module)) {
	case WSGID_SCRIPT_OK:
		if (r->connection->server->embedded)
			wsgid_load_errors_drop(r->application, r->script);
		else
			remember_checked(r);
		break;
	case WSGID_SCRIPT_STALE:
		tell_renewal(r);
		break;
	case WSGID_SCRIPT_MISSING:
		wsgid_load_errors_drop(r->application, r->script);
		log_refusal(r, WSGID_E_SCRIPT_MISSING, r->script);
		wsgid_error_page(r, WSGID_E_SCRIPT_MISSING);
		return NULL;
	case WSGID_SCRIPT_CHANGED:
		if (r->connection->server->keep)
			import_error(r);
		else
			*refused = true;
		return NULL;
	case WSGID_SCRIPT_FAILED:
		Py_XDECREF(module);
		import_error(r);
		return NULL;
	}
	application = py.PyDict_GetItemString(py.PyModule_GetDict(module), r->callable);
	Py_XINCREF(application);
	Py_DECREF(module);
	if (!application) {
		log_refusal(r, WSGID_E_CALLABLE_MISSING, r->callable);
		wsgid_error_page(r, WSGID_E_CALLABLE_MISSING);
	}
	return application;
}
