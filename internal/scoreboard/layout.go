// Package scoreboard reads what a worker publishes in shared memory
// (docs/internals.md section 4): what each of its threads does, its counters
// and why it means to exit. Reading asks nobody and never waits.
//
// The content is the tenant's: everything is copied once, then checked, and
// nothing is believed beyond display. The package must not know processes.
package scoreboard

import (
	"fmt"
	"os"
)

// Sizes in bytes.
const (
	HeaderSize = 256
	SlotSize   = 1024
)

const (
	magic   = 0x42535357 // "WSSB"
	version = 1
)

// Offsets in the header.
const (
	atMagic    = 0
	atVersion  = 4
	atSlots    = 8
	atExit     = 12
	atFinished = 16
	atRefused  = 24
	atFailed   = 32
	atDropped  = 40
	atPython   = 64
	pythonSize = 32
	atBuckets  = 96
	atSeconds  = 208
)

// Offsets in a slot.
const (
	slotSequence = 0
	slotState    = 4
	slotStart    = 8
	slotFinished = 16
	slotLengths  = 24
	slotTrace    = 48
	traceSize    = 16
)

// field is where a text of a slot lies.
type field struct{ at, size int }

// fields in the order of their lengths.
var fields = [...]field{
	{64, 64},   // request id
	{128, 16},  // method
	{320, 704}, // URI
	{144, 48},  // client
	{192, 128}, // application group
}

// Size of the memfd for so many threads.
func Size(threads int) int { return HeaderSize + threads*SlotSize }

// State is what a thread does.
type State uint32

// States of a thread.
const (
	Unused State = iota
	Idle
	Connected
	Reading
	Application
	Writing
)

var stateNames = [...]string{"unused", "idle", "connected", "reading", "application", "writing"}

// String is the state as status shows it.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// Busy says whether the thread works on a request.
func (s State) Busy() bool { return s == Reading || s == Application || s == Writing }

// Create makes the memfd of a worker with so many threads at full size and
// seals it against shrinking and growing: a reader of a truncated one would
// die of SIGBUS. The caller closes it.
func Create(threads int) (*os.File, error) {
	if threads < 0 {
		return nil, fmt.Errorf("scoreboard for %d threads", threads)
	}
	return create(Size(threads))
}
