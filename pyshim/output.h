/* Sizes of the output buffer of a connection. */
#ifndef WSGID_OUTPUT_H
#define WSGID_OUTPUT_H

enum {
	WSGID_OUT_SMALL = 16 * 1024,             /* collected and copied up to here */
	WSGID_OUT_CAPACITY = WSGID_OUT_SMALL + 64, /* room for the end of STDOUT and END_REQUEST */
};

#endif
