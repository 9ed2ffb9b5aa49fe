//go:build cgo

// Package pyshim is the bridge to CPython. Its C part is a worker process as a
// whole (a constructor takes the process over before the Go runtime starts)
// and, inside the router, the interpreter for dispatch scripts and embedded
// applications. libpython is loaded at run time.
//
// It must not know of configuration, mounts, queues or the FastCGI front: it is
// told what to run and runs it.
package pyshim

// #cgo CFLAGS: -std=gnu11 -O2 -fno-strict-aliasing
// #cgo LDFLAGS: -ldl -lpthread
// #include <stdlib.h>
// #include "boot.h"
import "C"

import "unsafe"

// Role of this process as the C constructor found it: "" (the command line),
// "router" or "dispatcher". A worker never gets here.
func Role() string {
	role, _ := BootValue("role")
	return role
}

// BootValue is the first value of name in the boot block (docs/internals.md
// section 1), for example "fd.wire".
func BootValue(name string) (string, bool) {
	values := BootList(name)
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

// BootList is every value of name in the boot block, in order.
func BootList(name string) []string {
	boot := C.wsgid_boot_block()
	if boot == nil {
		return nil
	}
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	var values []string
	var position C.size_t
	for {
		value := C.wsgid_boot_next(boot, cname, &position)
		if value == nil {
			return values
		}
		values = append(values, C.GoString(value))
	}
}
