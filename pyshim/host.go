//go:build cgo

package pyshim

// #include <stdlib.h>
// #include "fork.h"
// #include "interpreter.h"
// #include "load_errors.h"
// #include "log.h"
// #include "process_events.h"
// #include "request.h"
// #include "stacks.h"
import "C"

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// HostOptions say which Python the router loads. At most one of Python (an
// executable) and PythonHome (a virtual environment or prefix) is set; with
// neither it is the system's python3.
type HostOptions struct {
	Python, PythonHome string
	PythonPath         []string // added in front of sys.path
	Threads            int      // of embedded applications, for mod_wsgi.threads_per_process
	Variables          []string // NAME=value, in the environment while Python is initialised
	Interpreters       []string // settings by application group (docs/internals.md section 1)
	MaxInterpreters    int      // sub-interpreters, 0: no limit
	FreeThreading      bool     // without the GIL, on a build that can
	ModulesFD          int      // archive of the Python side
	LogFD              int      // channel for log records, -1: lines on descriptor 2
	StacksFD           int      // memory for the stacks of threads (stacks.h), -1: none
}

// Host is the Python inside the router. There is at most one in a process.
type Host struct {
	mu        sync.Mutex
	slots     []*slot                // free ones
	embedded  *C.struct_wsgid_server // of ServeEmbedded
	stackSize int64                  // of the threads of embedded applications
}

// errStarted: CPython cannot be initialised twice in one process.
var errStarted = errors.New("python was started before in this process")

// started belongs to the process as CPython itself does.
var started sync.Mutex

// StartHost loads and initialises Python. The error says what to do.
func StartHost(o HostOptions) (*Host, error) {
	if !started.TryLock() {
		return nil, errStarted
	}
	if o.LogFD >= 0 {
		C.wsgid_log_open(C.int(o.LogFD))
	}
	if C.wsgid_fork_watch() != 0 {
		return nil, errors.New("start python: no memory for a fork handler")
	}
	C.wsgid_interpreter_on_new(C.wsgid_interpreter_hook(C.wsgid_side_prepare))
	// Python wants the texts for as long as the process lives.
	options := C.struct_wsgid_python_options{
		python_path:      texts(o.PythonPath),
		variables:        texts(o.Variables),
		interpreters:     texts(o.Interpreters),
		max_interpreters: C.size_t(o.MaxInterpreters),
		free_threading:   C.bool(o.FreeThreading),
		threads:          C.int(o.Threads),
		modules_fd:       C.int(o.ModulesFD),
		router:           true,
	}
	if o.Python != "" {
		options.python = C.CString(o.Python)
	}
	if o.PythonHome != "" {
		options.python_home = C.CString(o.PythonHome)
	}
	const size = 4096
	text := C.calloc(1, size)
	defer C.free(text)
	if C.wsgid_python_start(&options, (*C.char)(text), size) != 0 {
		return nil, fmt.Errorf("start python: %s", C.GoString((*C.char)(text)))
	}
	if o.StacksFD >= 0 && C.wsgid_stacks_open(nil, C.int(o.StacksFD)) != 0 {
		return nil, errors.New("start python: no memory to tell where threads are")
	}
	return &Host{}, nil
}

// texts is a NULL-terminated list in C memory that is never freed.
func texts(list []string) **C.char {
	memory := C.calloc(C.size_t(len(list)+1), C.size_t(unsafe.Sizeof((*C.char)(nil))))
	for i, text := range list {
		unsafe.Slice((**C.char)(memory), len(list))[i] = C.CString(text)
	}
	return (**C.char)(memory)
}

// Version of the loaded Python, "3.11.2".
func (h *Host) Version() string { return C.GoString(C.wsgid_python_version()) }

// Prefix is sys.prefix of the main interpreter.
func (h *Host) Prefix() string { return C.GoString(C.wsgid_python_prefix()) }

// Library is the path of the loaded libpython.
func (h *Host) Library() string { return C.GoString(C.wsgid_python_library()) }

// Stopping publishes process_stopping in every interpreter. It returns when the
// last subscriber has, which can be never.
func (h *Host) Stopping() {
	reason := C.CString("")
	defer C.free(unsafe.Pointer(reason))
	C.wsgid_process_stopping(reason)
}

// LoadError is a script that could not be imported the last time.
type LoadError struct {
	ApplicationGroup string // expanded
	Script           string
	Traceback        string
	At               time.Time
}

// LoadErrors are the scripts of embedded applications that cannot be imported,
// until they can, in no order.
func (h *Host) LoadErrors() []LoadError {
	var size C.size_t
	text := C.wsgid_load_errors_text(&size)
	defer C.free(unsafe.Pointer(text))
	fields := strings.Split(C.GoStringN(text, C.int(size)), "\x00")
	var all []LoadError
	for ; len(fields) > 4; fields = fields[4:] {
		at, _ := strconv.ParseInt(fields[2], 10, 64) // written by us
		all = append(all, LoadError{ApplicationGroup: fields[0], Script: fields[1], At: time.UnixMicro(at), Traceback: fields[3]})
	}
	return all
}

// Probe takes and releases the GIL of the main interpreter once. It does not
// return while the GIL is never released: that is what the caller watches for.
func (h *Host) Probe() {
	C.wsgid_interpreter_probe()
}
