//go:build cgo

package pyshim

// #include <stdlib.h>
// #include "embedded_threads.h"
import "C"

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"
)

// EmbeddedOptions describe the threads of embedded applications (process group
// %{GLOBAL}).
type EmbeddedOptions struct {
	Threads      int
	Scripts      []ScriptRule // what they may run
	Multiprocess bool         // wsgi.multiprocess
	StackSize    int64        // bytes of each thread
}

// ScriptRule allows one file, or the files below a directory.
type ScriptRule struct {
	Path      string
	Directory bool
}

// Import imports a script into the interpreter of an application group before
// any request wants it. A failure is logged; the request tries again.
func (h *Host) Import(application, path string) {
	text := C.CString(application)
	defer C.free(unsafe.Pointer(text))
	file := C.CString(path)
	defer C.free(unsafe.Pointer(file))
	C.wsgid_embedded_import(text, file)
}

// ServeEmbedded starts the threads, each of which serves one end of a socket
// pair as a worker's thread serves a connection (docs/internals.md section 5).
// It returns the other ends: non-blocking, close-on-exec, owned by the caller.
// A thread ends when its connection is closed. A second call is for other
// applications; what module mod_wsgi counts is then theirs.
func (h *Host) ServeEmbedded(o EmbeddedOptions) ([]int, error) {
	if o.Threads < 1 {
		return nil, errors.New("embedded applications need at least one thread")
	}
	server := C.wsgid_embedded_new(C.int(o.Threads), C.bool(o.Multiprocess), C.size_t(len(o.Scripts)))
	if server == nil {
		return nil, errors.New("embedded applications: no memory")
	}
	for i, rule := range o.Scripts {
		if C.wsgid_embedded_rule(server, C.size_t(i), chars(rule.Path), C.size_t(len(rule.Path)), C.bool(rule.Directory)) != 0 {
			return nil, errors.New("embedded applications: no memory")
		}
	}
	h.mu.Lock()
	h.embedded, h.stackSize = server, o.StackSize
	h.mu.Unlock()
	return h.AddEmbedded(o.Threads)
}

// AddEmbedded starts n more threads for the applications of the last
// ServeEmbedded, in the place of some that have ended or will.
func (h *Host) AddEmbedded(n int) ([]int, error) {
	h.mu.Lock()
	server, stack := h.embedded, h.stackSize
	h.mu.Unlock()
	fds := make([]int, 0, n)
	for i := range n {
		fd, err := startEmbedded(server, stack)
		if err != nil {
			for _, open := range fds {
				_ = syscall.Close(open) // its thread ends with it
			}
			return nil, fmt.Errorf("embedded thread %d: %w", i, err)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

// startEmbedded makes a socket pair, gives one end to a new thread and returns
// the other.
func startEmbedded(server *C.struct_wsgid_server, stack int64) (int, error) {
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket pair: %w", err)
	}
	err = syscall.SetNonblock(ends[0], true)
	if err == nil {
		if code := C.wsgid_embedded_start(server, C.int(ends[1]), C.size_t(stack)); code != 0 {
			err = fmt.Errorf("start: %w", syscall.Errno(code))
		}
	}
	if err != nil {
		_ = syscall.Close(ends[0])
		_ = syscall.Close(ends[1])
		return -1, err
	}
	return ends[0], nil
}
