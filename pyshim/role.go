package pyshim

/*
#cgo CFLAGS: -std=gnu11 -O2 -Wall -Wextra -Wno-unused-parameter
#cgo LDFLAGS: -ldl -lpthread
#include "boot.h"
*/
import "C"

import "unsafe"

// Role is what the C constructor found this process to be: "" for the command
// line and the supervisor, "router" for the router. A worker never gets here.
func Role() string {
	role, _ := BootValue("role")
	return role
}

// BootValue is the first value of a name in the boot block that the supervisor
// handed over (docs/internals.md section 1); false without block or name.
func BootValue(name string) (string, bool) {
	values := BootList(name)
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

// BootList is every value of a name in the boot block, in order.
func BootList(name string) []string {
	block := C.wsgid_boot_block()
	if block == nil {
		return nil
	}
	var values []string
	for _, pair := range unsafe.Slice(block.pairs, int(block.count)) {
		if C.GoString(pair.name) == name {
			values = append(values, C.GoString(pair.value))
		}
	}
	return values
}
