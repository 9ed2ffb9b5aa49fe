//go:build cgo

package pyshim

// #include "dispatch_call.h"
import "C"

import (
	"fmt"
	"sync"
	"unsafe"
)

// Call is one evaluation of a script of the router. It may be used for one
// Dispatch or Ask.
type Call struct {
	Script           string
	ApplicationGroup string // interpreter, expanded
	Params           []byte // FastCGI name-value pairs: the environ
	RequestID        string
	ErrorLog         string // key of the file for what it writes; empty: none
	Trace            string // id of the request's trace, for what it logs; empty: none
	Check            bool   // compare the script's modification time
	KeepLastGood     bool   // after a broken edit the last version that loaded goes on

	mu          sync.Mutex
	slot        *slot // while Dispatch runs
	interrupted bool
	interrupts  sync.WaitGroup // running Interrupts that use slot
}

// Override is the answer of one callable: not Set for None or when the script
// has no such callable.
type Override struct {
	Set   bool
	Value string // bytes as they are, str encoded as latin-1
}

// Decision is what the script said.
type Decision struct {
	ProcessGroup, ApplicationGroup, CallableObject Override
	// LoadError is set when the script on disk cannot be loaded and the last
	// good version answered: the traceback.
	LoadError string
}

// ErrorKind says what failed.
type ErrorKind int

// Kinds of failures of a dispatch script.
const (
	Load        ErrorKind = C.WSGID_DISPATCH_LOAD        // missing, or cannot be imported
	Exception   ErrorKind = C.WSGID_DISPATCH_EXCEPTION   // a callable raised
	Value       ErrorKind = C.WSGID_DISPATCH_VALUE       // a wrong value, or not callable
	Interrupted ErrorKind = C.WSGID_DISPATCH_INTERRUPTED // by Interrupt
	Interpreter ErrorKind = C.WSGID_DISPATCH_INTERPRETER // no interpreter, no memory
	Limit       ErrorKind = C.WSGID_DISPATCH_LIMIT       // more interpreters than max_interpreters
)

func (k ErrorKind) String() string {
	switch k {
	case Load:
		return "load"
	case Exception:
		return "exception"
	case Value:
		return "value"
	case Interrupted:
		return "interrupted"
	case Interpreter:
		return "interpreter"
	case Limit:
		return "interpreter limit"
	}
	return fmt.Sprintf("kind %d", int(k))
}

// ScriptError says why a script gave no answer.
type ScriptError struct {
	Kind      ErrorKind
	Script    string
	Function  string // callable, "" when it did not come that far
	Line      int    // in the script, 0 when unknown
	Message   string // "ValueError: what"
	Traceback string // whole, several lines
	Value     string // repr of a wrong value
}

func (e *ScriptError) Error() string {
	text := "script " + e.Script
	if e.Line > 0 {
		text += fmt.Sprintf(" line %d", e.Line)
	}
	if e.Function != "" {
		text += ": " + e.Function
	}
	text += ": " + e.Message
	if e.Value != "" {
		text += ": " + e.Value
	}
	return text
}

// slot is the C side of a running call; reused.
type slot struct {
	c      *C.struct_wsgid_dispatch_slot
	result C.struct_wsgid_dispatch_result
}

func (h *Host) takeSlot() *slot {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.slots); n > 0 {
		s := h.slots[n-1]
		h.slots = h.slots[:n-1]
		return s
	}
	c := C.wsgid_dispatch_slot_new()
	if c == nil {
		return nil
	}
	return &slot{c: c}
}

func (h *Host) giveSlot(s *slot) {
	h.mu.Lock()
	h.slots = append(h.slots, s)
	h.mu.Unlock()
}

// begin gives the call its C side, which end takes back.
func (h *Host) begin(c *Call) (*slot, error) {
	s := h.takeSlot()
	if s == nil {
		return nil, &ScriptError{Kind: Interpreter, Script: c.Script, Message: "no memory"}
	}
	C.wsgid_dispatch_slot_reset(s.c, chars(c.ErrorLog), C.size_t(len(c.ErrorLog)), chars(c.Trace), C.size_t(len(c.Trace)))
	c.mu.Lock()
	early := c.interrupted
	c.slot = s
	c.mu.Unlock()
	if early {
		C.wsgid_dispatch_interrupt(s.c)
	}
	s.result = C.struct_wsgid_dispatch_result{}
	return s, nil
}

// end waits for interrupts that still use the C side, and takes it back.
func (h *Host) end(c *Call) {
	c.mu.Lock()
	s := c.slot
	c.slot = nil
	c.mu.Unlock()
	c.interrupts.Wait()
	h.giveSlot(s)
}

// flags are enum wsgid_dispatch_flags.
func (c *Call) flags() C.int {
	flags := C.int(0)
	if c.Check {
		flags |= C.WSGID_DISPATCH_CHECK
	}
	if c.KeepLastGood {
		flags |= C.WSGID_DISPATCH_KEEP_GOOD
	}
	return flags
}

// Dispatch runs the callables. It blocks in C until they return; Interrupt
// ends it. The error is a *ScriptError.
func (h *Host) Dispatch(c *Call) (Decision, error) {
	s, err := h.begin(c)
	if err != nil {
		return Decision{}, err
	}
	defer h.end(c)
	C.wsgid_dispatch(s.c, chars(c.Script), C.size_t(len(c.Script)), chars(c.ApplicationGroup),
		C.size_t(len(c.ApplicationGroup)), bytesOf(c.Params), C.size_t(len(c.Params)),
		chars(c.RequestID), C.size_t(len(c.RequestID)), c.flags(), &s.result)
	defer s.free()
	if err := s.failure(c.Script); err != nil {
		return Decision{}, err
	}
	r := &s.result
	return Decision{
		ProcessGroup: override(&r.overrides[0]), ApplicationGroup: override(&r.overrides[1]),
		CallableObject: override(&r.overrides[2]), LoadError: C.GoString(r.load_error),
	}, nil
}

// Interrupt raises an exception in the script that c runs; one that has not
// begun yet ends when it does. Safe at any time and from any goroutine; it
// waits for the GIL.
func (h *Host) Interrupt(c *Call) {
	c.mu.Lock()
	c.interrupted = true
	s := c.slot
	if s != nil {
		c.interrupts.Add(1)
	}
	c.mu.Unlock()
	if s == nil {
		return
	}
	defer c.interrupts.Done()
	C.wsgid_dispatch_interrupt(s.c)
}

// free frees what C allocated for the result.
func (s *slot) free() {
	if s.result.allocated {
		C.wsgid_dispatch_free_result(&s.result)
	}
}

// failure is why there is no answer, or nil.
func (s *slot) failure(script string) error {
	r := &s.result
	if r.kind == C.WSGID_DISPATCH_OK {
		return nil
	}
	return &ScriptError{
		Kind: ErrorKind(r.kind), Script: script, Line: int(r.line), Function: C.GoString(r.function),
		Message: C.GoString(r.message), Traceback: C.GoString(r.traceback), Value: C.GoString(r.value),
	}
}

func override(o *C.struct_wsgid_override) Override {
	if !o.set {
		return Override{}
	}
	from := o.text
	if from == nil {
		from = &o.inlined[0]
	}
	return Override{Set: true, Value: string(unsafe.Slice((*byte)(unsafe.Pointer(from)), int(o.length)))}
}

// bytesOf is the slice without a copy; C is told its length.
func bytesOf(b []byte) *C.char { return (*C.char)(unsafe.Pointer(unsafe.SliceData(b))) }

// chars is the text without a copy and without a NUL; C is told its length.
func chars(s string) *C.char { return (*C.char)(unsafe.Pointer(unsafe.StringData(s))) }
