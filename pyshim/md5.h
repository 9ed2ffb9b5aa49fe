/* MD5 (RFC 1321), for module names only: Python's own may be switched off. */
#ifndef WSGID_MD5_H
#define WSGID_MD5_H

#include <stddef.h>

/* Writes the digest of data as 32 hexadecimal digits and a NUL. */
void wsgid_md5_hex(const char *data, size_t length, char hex[33]);

#endif
