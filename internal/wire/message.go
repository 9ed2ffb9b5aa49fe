// Package wire holds the types that the supervisor and the router exchange,
// and the connection that carries them: one JSON object a line over a
// socket pair that the supervisor makes before it starts the router.
//
// It must not know how either side works: it holds data, no behaviour beyond
// encoding. Both supervisor and dispatch import it; it imports neither.
package wire

import (
	"time"

	"github.com/wsgid/wsgid/internal/histogram"
)

// Type names what a Message carries.
type Type string

// Messages from the supervisor to the router (S) and back (R).
const (
	TypeConfig  Type = "config"  // S: first message, Config is set
	TypeProcess Type = "process" // S: a worker process changed, Process is set
	TypeGroup   Type = "group"   // S: a group changed, Group is set
	TypeStop    Type = "stop"    // S: stop accepting, finish what runs, exit; Stop is set
	TypeQuery   Type = "query"   // S: ask for a TypeStatus answer; ID is set
	TypeHelper  Type = "helper"  // S: the dispatch helper changed, Helper is set

	// TypeHandover (S): your successor serves: stop accepting, hand it the front
	// connections, finish what runs, exit; Handover is set.
	TypeHandover Type = "handover"

	TypeExplain Type = "explain" // S: ask for a TypeExplained answer; ID and Question are set

	TypeReady     Type = "ready"     // R: listeners are being served
	TypeFailed    Type = "failed"    // R: cannot start; Error is set
	TypeRetired   Type = "retired"   // R: no request of ours is left on Process; Process is set
	TypeExplained Type = "explained" // R: answer to TypeExplain; ID and Explanation are set
	TypeStatus    Type = "status"    // R: answer to TypeQuery; ID and Status are set
	TypeWanted    Type = "wanted"    // R: requests of a group that may grow wait for a thread; Wanted is set
	TypeReplace   Type = "replace"   // R: the dispatch helper is unfit; Replace is set
	TypeLostLines Type = "lost"      // R: lines of an access log found no room; Lost is set
)

// Message is one line on the wire. Exactly the fields that its Type names are set.
type Message struct {
	Type        Type          `json:"type"`
	ID          uint64        `json:"id,omitempty"`
	Config      *RouterConfig `json:"config,omitempty"`
	Process     *Process      `json:"process,omitempty"`
	Group       *GroupState   `json:"group,omitempty"`
	Stop        *Stop         `json:"stop,omitempty"`
	Handover    *Handover     `json:"handover,omitempty"`
	Status      *RouterStatus `json:"status,omitempty"`
	Helper      *HelperState  `json:"helper,omitempty"`
	Replace     *Replace      `json:"replace,omitempty"`
	Wanted      *Wanted       `json:"wanted,omitempty"`
	Lost        *LostLines    `json:"lost,omitempty"`
	Question    *Question     `json:"question,omitempty"`
	Explanation *Explanation  `json:"explanation,omitempty"`
	Error       string        `json:"error,omitempty"`
}

// ProcessState is what the router must know of a worker process.
type ProcessState string

// States of a worker process as the router sees them.
const (
	// ProcessReady: connect, its threads are waiting in accept.
	ProcessReady ProcessState = "ready"
	// ProcessRetire: give it no new request; close each connection to it once
	// it is idle; answer TypeRetired when none is left.
	ProcessRetire ProcessState = "retire"
	// ProcessGone: it has exited; drop what is left of its connections.
	ProcessGone ProcessState = "gone"
)

// Process tells the router about one worker process.
type Process struct {
	Group   string       `json:"group"`
	PID     int          `json:"pid"`
	State   ProcessState `json:"state,omitempty"`
	Threads int          `json:"threads,omitempty"`
	// Overdue (ProcessRetire): what does not end there has run for longer than
	// request_timeout, or waits for a deadlock: a timeout, not to be tried again.
	Overdue bool `json:"overdue,omitempty"`
}

// GroupState tells the router whether requests of a group may wait for it.
type GroupState struct {
	Name string `json:"name"`
	// Available is false while the group backs off from a crash loop: requests
	// get 503 at once, with RetryAfter.
	Available  bool          `json:"available"`
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	Reason     string        `json:"reason,omitempty"`
	// Closed is why an administrator has it refuse further requests, with
	// RetryAfter; empty: it does not. Those that run or wait go on.
	Closed string `json:"closed,omitempty"`
}

// HelperState tells the router about the dispatch helper.
type HelperState struct {
	// Ready: it accepts on its socket; PID and Python are set. Else there is none.
	Ready  bool   `json:"ready"`
	PID    int    `json:"pid,omitempty"`
	Python string `json:"python,omitempty"` // version
	// RetryAfter is when the next one is started; 0: it is being started.
	RetryAfter time.Duration `json:"retry_after,omitempty"`
}

// Replace asks for another dispatch helper in the place of PID.
type Replace struct {
	PID    int    `json:"pid"`
	Reason string `json:"reason"`
	// Lost: it has closed a connection, so that it has probably ended already.
	Lost bool `json:"lost,omitempty"`
}

// Wanted says that so many threads of a group are missing, for requests that wait
// and to spare (Group.SpareThreads). It is said again only after one of its processes has become ready or has left.
type Wanted struct {
	Group   string `json:"group"`
	Waiting int    `json:"waiting"`
}

// Stop asks the router to end: it stops accepting at once, finishes what runs,
// and exits when nothing runs any more or Grace is over.
type Stop struct {
	Grace time.Duration `json:"grace"`
}

// Handover asks the router to give its front connections to its successor
// (docs/internals.md section 10): each as soon as it is between two requests. It
// exits when it has none left, or Grace is over.
type Handover struct {
	Grace time.Duration `json:"grace"`
}

// RouterStatus is the router's part of the status snapshot.
type RouterStatus struct {
	PID         int            `json:"pid"`
	UID         int            `json:"uid"`
	Python      string         `json:"python,omitempty"` // version of the embedded Python, empty while none is loaded
	Connections int            `json:"connections"`      // open connections of front servers
	Requests    uint64         `json:"requests"`         // finished, whatever the outcome
	Errors      uint64         `json:"errors"`           // answered by the router itself with 5xx
	InFlight    int            `json:"in_flight"`
	HandingOver bool           `json:"handing_over,omitempty"` // its successor serves
	Scripts     []ScriptStatus `json:"scripts,omitempty"`      // what the router evaluates itself
	LoadErrors  []LoadError    `json:"load_errors,omitempty"`  // scripts of its own applications that cannot be imported
	Groups      []GroupStatus  `json:"groups"`
	Spans       *SpanStatus    `json:"spans,omitempty"` // nil: none are sent
}

// ScriptStatus is what the router knows of a script that it evaluates.
type ScriptStatus struct {
	Kind      string `json:"kind"` // "dispatch script"
	Path      string `json:"path"`
	Calls     uint64 `json:"calls"`
	Running   int    `json:"running"`              // calls inside Python
	Lost      int    `json:"lost"`                 // calls that did not come back and were written off
	LoadError string `json:"load_error,omitempty"` // why the file cannot be loaded, until mended
	// Failed calls gave no answer. Latency is of all that came back.
	Failed  uint64           `json:"failed"`
	Latency histogram.Counts `json:"latency"`
}

// LoadError is why a script could not be imported the last time.
type LoadError struct {
	ApplicationGroup string    `json:"application_group"` // expanded
	Script           string    `json:"script"`
	Traceback        string    `json:"traceback"`
	At               time.Time `json:"at"`
}

// GroupStatus is what the router knows of one group; its own applications are
// group "".
type GroupStatus struct {
	Name        string `json:"name"`
	Connections int    `json:"connections"` // open to workers
	Busy        int    `json:"busy"`        // of these, with a request
	Requests    uint64 `json:"requests"`    // given to a thread
	Queued      int    `json:"queued"`      // requests waiting for a thread
	// LongestWait is how long the first of these has waited.
	LongestWait   time.Duration `json:"longest_wait"`
	QueuedTotal   uint64        `json:"queued_total"`   // had to wait
	QueueTimeouts uint64        `json:"queue_timeouts"` // waited for queue_timeout: 504
	Rejected      uint64        `json:"rejected"`       // queue full, or no process: 503
	// Waits are those of the requests that had to wait, however it ended.
	Waits histogram.Counts `json:"waits"`
}
