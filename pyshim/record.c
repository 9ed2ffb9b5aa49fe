/* FastCGI record and pair coding. */
#include "record.h"

#include <string.h>

void fcgi_put_end(uint8_t *p, int id, uint32_t app_status, int protocol_status)
{
	fcgi_put(p, FCGI_END_REQUEST, id, 8);
	p[8] = (uint8_t)(app_status >> 24);
	p[9] = (uint8_t)(app_status >> 16);
	p[10] = (uint8_t)(app_status >> 8);
	p[11] = (uint8_t)app_status;
	p[12] = (uint8_t)protocol_status;
	p[13] = p[14] = p[15] = 0;
}

/* One length: a byte, or four with the top bit set. -1 when it is cut. */
static int next_length(const uint8_t *stream, size_t size, size_t *position, uint32_t *length)
{
	if (*position >= size)
		return -1;
	const uint8_t *p = stream + *position;
	if (p[0] < 0x80) {
		*length = p[0];
		*position += 1;
		return 0;
	}
	if (size - *position < 4)
		return -1;
	*length = (uint32_t)(p[0] & 0x7f) << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	*position += 4;
	return 0;
}

int fcgi_next_pair(const uint8_t *stream, size_t size, size_t *position, struct fcgi_pair *pair)
{
	size_t at = *position;
	if (at == size)
		return 0;
	if (next_length(stream, size, &at, &pair->name_length) < 0 ||
	    next_length(stream, size, &at, &pair->value_length) < 0)
		return -1;
	if (pair->name_length > size - at || pair->value_length > size - at - pair->name_length)
		return -1;
	pair->name = (const char *)stream + at;
	pair->value = pair->name + pair->name_length;
	*position = at + pair->name_length + pair->value_length;
	return 1;
}

size_t fcgi_put_pair(uint8_t *p, const char *name, const char *value)
{
	size_t name_length = strlen(name), value_length = strlen(value);
	p[0] = (uint8_t)name_length;
	p[1] = (uint8_t)value_length;
	memcpy(p + 2, name, name_length);
	memcpy(p + 2 + name_length, value, value_length);
	return 2 + name_length + value_length;
}
