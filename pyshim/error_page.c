/* The page that a client gets when the worker answers instead of the application. */
#include <stdio.h>
#include <string.h>

#include "request.h"

static const char *reason(int status)
{
	switch (status) {
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	}
	return "Internal Server Error";
}

/* Copies text without the characters that mean something in HTML or a header. */
static void plain(char *to, size_t size, const char *text, size_t length)
{
	size_t at = 0;
	for (; length && at + 1 < size; text++, length--) {
		unsigned char c = (unsigned char)*text;
		to[at++] = c < 0x20 || c >= 0x7f || strchr("<>&\"'", c) ? '?' : (char)c;
	}
	to[at] = 0;
}

size_t wsgid_override_page(const char *status, size_t length, char *page, size_t size)
{
	char line[256];
	plain(line, sizeof line, status, length);
	return (size_t)snprintf(page, size, "<!DOCTYPE html>\n<title>%s</title>\n<h1>%s</h1>\n", line, line);
}

void wsgid_error_page(struct wsgid_request *r, enum wsgid_errcode code)
{
	const struct wsgid_error *e = wsgid_error(code);
	r->failure = code; /* from now on the application cannot write */
	r->status = e->status;
	wsgid_output_discard(r->connection);
	r->page_left = r->no_page;
	if (r->no_page)
		return;
	char id[256], body[1024], head[512];
	plain(id, sizeof id, r->id, strlen(r->id));
	int body_size = snprintf(body, sizeof body,
	                         "<!DOCTYPE html>\n<html><head><title>%d %s</title></head>\n"
	                         "<body><h1>%d %s</h1>\n<p>%s (%s)</p>\n<p>Request %s</p></body></html>\n",
	                         e->status, reason(e->status), e->status, reason(e->status), e->title,
	                         e->text, id);
	int head_size = snprintf(head, sizeof head,
	                         "Status: %d %s\r\nContent-Type: text/html; charset=utf-8\r\n"
	                         "X-WSGID-Error: %s\r\nContent-Length: %d\r\n%s\r\n",
	                         e->status, reason(e->status), e->text, body_size,
	                         e->status == 503 ? "Retry-After: 60\r\n" : ""); /* as retryInterpreter of dispatch */
	wsgid_output_stdout(r->connection, head, (size_t)head_size);
	if (!r->head_request)
		wsgid_output_stdout(r->connection, body, (size_t)body_size);
}
