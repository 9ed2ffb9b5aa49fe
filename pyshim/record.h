/* FastCGI 1.0 on the wire: record headers and name-value pairs. Knows nothing
 * of sockets, requests or Python. */
#ifndef WSGID_RECORD_H
#define WSGID_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FCGI_HEADER = 8,        /* bytes in front of every record */
	FCGI_CONTENT_MAX = 65535,
	FCGI_CHUNK = 65528,     /* largest content we send: a multiple of 8, needs no padding */
};

/* Record types, FastCGI 1.0 section 8. */
enum {
	FCGI_BEGIN_REQUEST = 1,
	FCGI_ABORT_REQUEST = 2,
	FCGI_END_REQUEST = 3,
	FCGI_PARAMS = 4,
	FCGI_STDIN = 5,
	FCGI_STDOUT = 6,
	FCGI_STDERR = 7,
	FCGI_GET_VALUES = 9,
	FCGI_GET_VALUES_RESULT = 10,
	FCGI_UNKNOWN_TYPE = 11,
};

enum { FCGI_RESPONDER = 1 };

/* protocolStatus of END_REQUEST. */
enum {
	FCGI_REQUEST_COMPLETE = 0,
	FCGI_CANT_MPX_CONN = 1,
	FCGI_OVERLOADED = 2,
	FCGI_UNKNOWN_ROLE = 3,
};

/* appStatus that marks a response as cut (docs/internals.md section 5). */
#define WSGID_TRUNCATED 0x57534731u

struct fcgi_record {
	uint8_t version;
	uint8_t type;
	uint16_t id;
	uint16_t length;
	uint8_t padding;
};

/* Reads a header of 8 bytes. */
static inline struct fcgi_record fcgi_get(const uint8_t *p)
{
	return (struct fcgi_record){
	    .version = p[0],
	    .type = p[1],
	    .id = (uint16_t)(p[2] << 8 | p[3]),
	    .length = (uint16_t)(p[4] << 8 | p[5]),
	    .padding = p[6],
	};
}

/* Writes a header of 8 bytes, no padding. */
static inline void fcgi_put(uint8_t *p, int type, int id, size_t length)
{
	p[0] = 1;
	p[1] = (uint8_t)type;
	p[2] = (uint8_t)(id >> 8);
	p[3] = (uint8_t)id;
	p[4] = (uint8_t)(length >> 8);
	p[5] = (uint8_t)length;
	p[6] = 0;
	p[7] = 0;
}

/* Writes END_REQUEST, 16 bytes. */
void fcgi_put_end(uint8_t *p, int id, uint32_t app_status, int protocol_status);

/* One name and value of a PARAMS stream; points into it, not NUL-terminated. */
struct fcgi_pair {
	const char *name;
	const char *value;
	uint32_t name_length;
	uint32_t value_length;
};

/* Takes the next pair at *position of a stream of size bytes. Returns 1, 0 at
 * the end, -1 when the pair is cut (FastCGI 1.0 section 3.4). */
int fcgi_next_pair(const uint8_t *stream, size_t size, size_t *position, struct fcgi_pair *pair);

/* Writes a pair with lengths below 128 each; returns its size. */
size_t fcgi_put_pair(uint8_t *p, const char *name, const char *value);

#endif
