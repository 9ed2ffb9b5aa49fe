/* Lines and tracebacks. A traceback begins at its first line (taking along the
 * line before it when both were written together, which is what logging does)
 * and ends with the first line that is not indented, the exception, and with
 * what was written together with that. */
#define _GNU_SOURCE
#include "lines.h"

#include <stdlib.h>
#include <string.h>

/* A line or a traceback without an end is not held beyond this, which is what the
 * supervisor takes for one event (maxEvent). */
enum { HELD_MAX = 1024 * 1024 };

void wsgid_lines_add(struct wsgid_lines *lines, const char *text, size_t length)
{
	if (length > lines->capacity - lines->length) {
		size_t capacity = lines->capacity ? lines->capacity * 2 : 256;
		while (capacity - lines->length < length)
			capacity *= 2;
		char *bigger = realloc(lines->data, capacity);
		if (!bigger)
			return;
		lines->data = bigger;
		lines->capacity = capacity;
	}
	if (length)
		memcpy(lines->data + lines->length, text, length);
	lines->length += length;
}

static bool begins(const char *line, size_t length, const char *with)
{
	size_t size = strlen(with);
	while (length && (*line == ' ' || *line == '|' || *line == '+'))
		line++, length--;
	return length >= size && memcmp(line, with, size) == 0;
}

static bool starts_traceback(const char *line, size_t length)
{
	return begins(line, length, "Traceback (most recent call last):") ||
	       begins(line, length, "Exception Group Traceback (most recent call last):") ||
	       begins(line, length, "During handling of the above exception, another exception occurred:") ||
	       begins(line, length, "The above exception was the direct cause of the following exception:");
}

static bool continues_traceback(const char *line, size_t length)
{
	return length <= 1 || *line == ' ' || *line == '\t' || starts_traceback(line, length);
}

/* One pass over the complete lines of text. With a sink: emits. Returns the
 * offset up to which records are complete; open: a traceback has begun there
 * whose exception has not come. */
static size_t scan(const char *text, size_t length, wsgid_line_sink sink, void *closure, bool *open)
{
	size_t record = 0; /* start of the record that is being put together */
	bool inside = false, ended = false, pending = false;
	size_t at = 0;
	while (at < length) {
		const char *end = memchr(text + at, '\n', length - at);
		size_t next = end ? (size_t)(end - text) + 1 : length;
		const char *line = text + at;
		if (!end && !sink)
			break;
		if (inside) {
			ended = ended || !continues_traceback(line, next - at);
		} else if (starts_traceback(line, next - at)) {
			inside = true;
			if (!pending)
				record = at;
		} else {
			if (pending && sink)
				sink(closure, text + record, at - record);
			record = at;
			pending = true;
		}
		at = next;
	}
	*open = inside && !ended;
	if (sink && at > record)
		sink(closure, text + record, at - record);
	return *open ? record : at;
}

/* Whether nothing has become complete since the last time. Looks at what is new only:
 * a line may come byte by byte, and a traceback line by line. */
static bool unfinished(struct wsgid_lines *lines)
{
	const char *end;
	if (!lines->open) {
		bool none = lines->length == lines->searched ||
		            !memchr(lines->data + lines->searched, '\n', lines->length - lines->searched);
		if (none)
			lines->searched = lines->length;
		return none;
	}
	while (lines->searched < lines->length &&
	       (end = memchr(lines->data + lines->searched, '\n', lines->length - lines->searched)) != NULL) {
		size_t next = (size_t)(end - lines->data) + 1;
		if (!continues_traceback(lines->data + lines->searched, next - lines->searched))
			return false;
		lines->searched = next;
	}
	return true;
}

char *wsgid_lines_take(struct wsgid_lines *lines, bool all, size_t *length)
{
	bool open = false;
	size_t complete = lines->length, searched = 0;
	if (!all && unfinished(lines)) {
		if (lines->length <= HELD_MAX)
			return NULL;
	} else if (!all) {
		complete = scan(lines->data, lines->length, NULL, NULL, &open);
		if (open && lines->length > HELD_MAX) {
			complete = lines->length;
			open = false;
		}
		if (open)
			searched = (size_t)((char *)memrchr(lines->data, '\n', lines->length) - lines->data) + 1 - complete;
	}
	if (!complete) {
		lines->open = open;
		lines->searched = searched;
		return NULL;
	}
	char *text = lines->data;
	size_t left = lines->length - complete;
	*length = complete;
	char *rest = NULL;
	if (left) {
		rest = malloc(left);
		if (rest)
			memcpy(rest, text + complete, left);
		else
			left = 0;
	}
	lines->data = rest;
	lines->length = lines->capacity = left;
	lines->open = open && left;
	lines->searched = left ? searched : 0;
	return text;
}

struct trimmed {
	wsgid_line_sink sink;
	void *closure;
};

/* Records without the line end. */
static void trim(void *closure, const char *text, size_t length)
{
	struct trimmed *t = closure;
	t->sink(t->closure, text, length - (text[length - 1] == '\n'));
}

void wsgid_lines_emit(const char *text, size_t length, wsgid_line_sink sink, void *closure)
{
	struct trimmed t = {sink, closure};
	bool open;
	scan(text, length, trim, &t, &open);
}
