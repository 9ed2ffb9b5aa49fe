package scoreboard

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/histogram"
)

// attempts to copy a slot between two writes. A writer holds a slot for well
// under a microsecond; a hostile one that keeps it odd costs us no more.
const attempts = 8

// Board is one reading of a scoreboard.
type Board struct {
	// Valid is false until the worker has filled the header in, or when it
	// has destroyed it.
	Valid bool
	// Exit is the number of internal/exitreason that the worker claims.
	Exit     uint32
	Finished uint64
	Refused  uint64
	Failed   uint64
	Dropped  uint64
	Python   string
	Latency  histogram.Counts // of the requests that have ended
	Slots    []Slot
}

// Busy is the number of threads that work on a request.
func (b *Board) Busy() int {
	busy := 0
	for i := range b.Slots {
		if b.Slots[i].State.Busy() {
			busy++
		}
	}
	return busy
}

// Slot is one thread. Texts are escaped for display.
type Slot struct {
	State    State
	Start    time.Time // of the request; zero when the state is not busy
	Finished uint64
	// Torn is true when the slot could not be read between two writes: only
	// State is set then.
	Torn                                    bool
	RequestID, Method, URI, Client, AppName string
	// Trace is the id of the request's trace, in hexadecimal; empty: there is none.
	Trace string
}

// Reader is the supervisor's mapping, read-only. Its methods may be called
// from several goroutines.
type Reader struct {
	threads int

	mu     sync.Mutex
	memory []byte // nil after Close
}

// NewReader maps the memfd that Create made for so many threads. The file may
// be closed afterwards.
func NewReader(file *os.File, threads int) (*Reader, error) {
	memory, err := mapFile(file, threads, false)
	if err != nil {
		return nil, err
	}
	return &Reader{threads: threads, memory: memory}, nil
}

// Close removes the mapping. Read returns an invalid board afterwards.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.memory == nil {
		return nil
	}
	memory := r.memory
	r.memory = nil
	return unmap(memory)
}

// Read copies the scoreboard once and checks the copy.
func (r *Reader) Read() Board {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.memory == nil {
		return Board{}
	}
	var header [HeaderSize]byte
	copy(header[:], r.memory)
	board := Board{
		Valid: binary.LittleEndian.Uint32(header[atMagic:]) == magic &&
			binary.LittleEndian.Uint32(header[atVersion:]) == version &&
			binary.LittleEndian.Uint32(header[atSlots:]) == uint32(r.threads),
		Exit:     binary.LittleEndian.Uint32(header[atExit:]),
		Finished: binary.LittleEndian.Uint64(header[atFinished:]),
		Refused:  binary.LittleEndian.Uint64(header[atRefused:]),
		Failed:   binary.LittleEndian.Uint64(header[atFailed:]),
		Dropped:  binary.LittleEndian.Uint64(header[atDropped:]),
	}
	if !board.Valid {
		return Board{}
	}
	python, _, _ := bytes.Cut(header[atPython:atPython+pythonSize], []byte{0})
	board.Python = escape.Line(string(python))
	for i := range board.Latency.Counts {
		board.Latency.Counts[i] = binary.LittleEndian.Uint64(header[atBuckets+8*i:])
	}
	board.Latency.Seconds = float64(binary.LittleEndian.Uint64(header[atSeconds:])) / 1e6
	board.Slots = make([]Slot, r.threads)
	for i := range board.Slots {
		at := HeaderSize + i*SlotSize
		board.Slots[i] = readSlot(r.memory[at:at+SlotSize], false)
	}
	return board
}

// Request is the request with this id, which a thread runs or has run last.
func (r *Reader) Request(id string) (Slot, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := 0; r.memory != nil && i < r.threads; i++ {
		at := HeaderSize + i*SlotSize
		if s := readSlot(r.memory[at:at+SlotSize], true); s.RequestID == id && id != "" {
			return s, true
		}
	}
	return Slot{}, false
}

// sequence is read on its own, before and after the copy.
func sequence(slot []byte) uint32 {
	return atomic.LoadUint32((*uint32)(unsafe.Pointer(&slot[slotSequence])))
}

func readSlot(memory []byte, last bool) Slot {
	var slot [SlotSize]byte
	for range attempts {
		before := sequence(memory)
		copy(slot[:], memory)
		if before%2 == 0 && before == sequence(memory) {
			return parseSlot(slot[:], last)
		}
	}
	return Slot{State: State(binary.LittleEndian.Uint32(slot[slotState:])), Torn: true}
}

// parseSlot works on the copy alone, so that lengths cannot change under it. last also
// wants the request that has ended.
func parseSlot(slot []byte, last bool) Slot {
	s := Slot{
		State:    State(binary.LittleEndian.Uint32(slot[slotState:])),
		Finished: binary.LittleEndian.Uint64(slot[slotFinished:]),
	}
	if !s.State.Busy() && !last {
		return s
	}
	// Any 64-bit number is a valid argument; a silly one only shows a silly time.
	s.Start = time.UnixMicro(int64(binary.LittleEndian.Uint64(slot[slotStart:])))
	texts := [...]*string{&s.RequestID, &s.Method, &s.URI, &s.Client, &s.AppName}
	for i, f := range fields {
		length := int(binary.LittleEndian.Uint16(slot[slotLengths+2*i:]))
		length = min(length, f.size)
		*texts[i] = escape.Line(string(slot[f.at : f.at+length]))
	}
	if trace := slot[slotTrace : slotTrace+traceSize]; !bytes.Equal(trace, make([]byte, traceSize)) {
		s.Trace = hex.EncodeToString(trace)
	}
	return s
}
