package scoreboard

import (
	"encoding/binary"
	"os"
	"sync/atomic"
	"time"
	"unsafe"
)

// Writer is the worker's side. Real workers write in C (pyshim/scoreboard.c);
// this one stands in for them in tests.
type Writer struct {
	memory []byte
}

// NewWriter maps the memfd for writing and fills the header in.
func NewWriter(file *os.File, threads int) (*Writer, error) {
	memory, err := mapFile(file, threads, true)
	if err != nil {
		return nil, err
	}
	w := &Writer{memory: memory}
	binary.LittleEndian.PutUint32(memory[atVersion:], version)
	binary.LittleEndian.PutUint32(memory[atSlots:], uint32(threads))
	binary.LittleEndian.PutUint32(memory[atMagic:], magic)
	return w, nil
}

// Close removes the mapping.
func (w *Writer) Close() error { return unmap(w.memory) }

// Memory is the mapping itself, for tests that scribble.
func (w *Writer) Memory() []byte { return w.memory }

// SetExit writes the reason of the exit to come (internal/exitreason).
func (w *Writer) SetExit(reason uint32) { binary.LittleEndian.PutUint32(w.memory[atExit:], reason) }

// SetPython writes the version.
func (w *Writer) SetPython(version string) {
	copy(w.memory[atPython:atPython+pythonSize-1], version)
}

// Count adds to the counters.
func (w *Writer) Count(finished, refused, failed uint64) {
	for at, n := range map[int]uint64{atFinished: finished, atRefused: refused, atFailed: failed} {
		atomic.AddUint64((*uint64)(unsafe.Pointer(&w.memory[at])), n)
	}
}

// Begin says that a thread runs a request.
func (w *Writer) Begin(thread int, start time.Time, id, method, uri, client, application string) {
	slot := w.memory[HeaderSize+thread*SlotSize:][:SlotSize]
	w.step(slot)
	binary.LittleEndian.PutUint32(slot[slotState:], uint32(Application))
	binary.LittleEndian.PutUint64(slot[slotStart:], uint64(start.UnixMicro()))
	for i, text := range []string{id, method, uri, client, application} {
		n := copy(slot[fields[i].at:][:fields[i].size], text)
		binary.LittleEndian.PutUint16(slot[slotLengths+2*i:], uint16(n))
	}
	w.step(slot)
}

// SetTrace says which trace the request of a thread belongs to.
func (w *Writer) SetTrace(thread int, trace [traceSize]byte) {
	slot := w.memory[HeaderSize+thread*SlotSize:][:SlotSize]
	w.step(slot)
	copy(slot[slotTrace:], trace[:])
	w.step(slot)
}

// SetState writes the state of a thread.
func (w *Writer) SetState(thread int, state State) {
	slot := w.memory[HeaderSize+thread*SlotSize:][:SlotSize]
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&slot[slotState])), uint32(state))
}

func (w *Writer) step(slot []byte) {
	atomic.AddUint32((*uint32)(unsafe.Pointer(&slot[slotSequence])), 1)
}
