/* Cutting what an application prints into log records: a record a line, but a
 * traceback is one record. Plain C, knows no Python. */
#ifndef WSGID_LINES_H
#define WSGID_LINES_H

#include <stdbool.h>
#include <stddef.h>

/* Text that was written and not yet logged. */
struct wsgid_lines {
	char *data;
	size_t length, capacity;
	/* What was looked at before: without a line end, or, if open, complete lines that
	 * end in a traceback whose exception has not come. */
	size_t searched;
	bool open;
};

/* Receives a record without the line end at its end; empty for an empty line. */
typedef void (*wsgid_line_sink)(void *closure, const char *text, size_t length);

/* Appends what one write call wrote. Without memory the text is lost. */
void wsgid_lines_add(struct wsgid_lines *lines, const char *text, size_t length);

/* Takes the records that are complete out of lines: everything when all is
 * set. The caller gets a malloc'ed text and its length to give to
 * wsgid_lines_emit, or NULL when nothing is complete. */
char *wsgid_lines_take(struct wsgid_lines *lines, bool all, size_t *length);

/* Cuts what wsgid_lines_take gave into records. */
void wsgid_lines_emit(const char *text, size_t length, wsgid_line_sink sink, void *closure);

#endif
