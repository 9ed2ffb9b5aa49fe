/* Importing scripts at the start of a process, and telling the supervisor what
 * cannot be imported. */
#ifndef WSGID_IMPORT_H
#define WSGID_IMPORT_H

#include "errcode.h"
#include "log.h"
#include "script.h"
#include "worker.h"

/* Logs the current exception, which an import has raised, and sends it as the
 * event load_failed. Returns what it means for a request: SCRIPT_IMPORT, or
 * EXTENSION_UNFIT, which was logged too. GIL held; the exception is cleared. */
enum wsgid_errcode wsgid_import_failed(const struct wsgid_server *server, struct wsgid_interpreter *interpreter,
                                       const struct wsgid_log_context *context);

/* What a script is to be imported for. */
struct wsgid_import {
	char application[1024]; /* expanded; "" is the main interpreter */
	const char *path;       /* points into the entry */
};

/* Reads an entry of the boot block: application group TAB path. False: it is none. */
bool wsgid_import_parse(const char *entry, struct wsgid_import *import);

/* Imports it into its interpreter, on this thread, which holds no GIL.
 * Failures are logged and told; a child of the script that comes back here
 * ends. With status, SystemExit is the wish to end the process with that
 * status: true is returned. */
bool wsgid_import_run(const struct wsgid_server *server, const struct wsgid_import *import, int *status);

/* Imports what the boot block lists under a name, in order, until SIGTERM
 * comes. checked: only what the script table allows. */
void wsgid_import_all(const struct wsgid_server *server, const struct wsgid_boot *boot, const char *name,
                      bool checked);

#endif
