package dispatch

import (
	"sync/atomic"
	"time"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/internal/wire"
)

// ScriptEvaluator is a Python that evaluates scripts: that of this process, or
// of the dispatch helper. Its methods may be called from any goroutine.
type ScriptEvaluator interface {
	// Version of Python; empty while there is none.
	Version() string
	// Evaluate runs the callables of a script. It blocks; errors are
	// *ScriptError.
	Evaluate(c *ScriptCall) (ScriptAnswer, error)
	// Interrupt raises an exception in a running call. It may wait for Python's
	// lock, even for ever.
	Interrupt(c *ScriptCall)
	// Probe takes and releases the lock of the main interpreter.
	Probe()
}

// ScriptHost is the Python inside the router process. Its methods may be
// called from any goroutine.
type ScriptHost interface {
	ScriptEvaluator
	// Import imports a script into the interpreter of an application group.
	// Failures are the host's to log.
	Import(application, path string)
	// ServeEmbedded starts n threads that serve applications and returns the
	// router's ends of their socket pairs.
	ServeEmbedded(n int) ([]int, error)
	// LoadErrors are the scripts of applications that cannot be imported.
	LoadErrors() []wire.LoadError
	// Stopping tells the subscribers of applications that the router ends, and
	// returns when the last of them has.
	Stopping()
}

// ScriptKind says what a script is asked, and so which of its callables run.
type ScriptKind int

// Kinds of scripts.
const (
	// KindDispatch: process_group, application_group, callable_object, each
	// with the environ.
	KindDispatch  ScriptKind = iota
	KindPassword             // check_password, with a user and a password
	KindRealmHash            // get_realm_hash, with a user and a realm
	KindGroups               // groups_for_user, with a user
	KindAccess               // allow_access, with a host
)

// String is what log and status call such a script.
func (k ScriptKind) String() string {
	return [...]string{"dispatch script", "auth user script", "auth user script", "auth group script", "access script"}[k]
}

// code is the one with which a request is refused when such a script fails; of
// a dispatch script it depends on how. The outcomes are those of mod_wsgi
// behaviour 5.2.
func (k ScriptKind) code(dispatch errcode.Code) errcode.Code {
	switch k {
	case KindPassword, KindRealmHash:
		return errcode.AuthFailed
	case KindGroups:
		return errcode.GroupsFailed
	case KindAccess:
		return errcode.AccessFailed
	}
	return dispatch
}

// ScriptCall is one evaluation of a script.
type ScriptCall struct {
	Kind             ScriptKind
	Script           string
	ApplicationGroup string // interpreter, expanded
	Params           []byte // name-value pairs: the environ
	First, Second    []byte // the arguments after environ, but for KindDispatch
	RequestID        string
	ErrorLog         string // key of the file for what it writes; empty: none
	Trace            string // id of the request's trace; empty: none
	Check            bool   // compare the modification time
	KeepLastGood     bool   // a version that loaded goes on serving
	// Deadline is when the caller has it interrupted.
	Deadline time.Time
	// Handle is the host's own state of the call.
	Handle atomic.Value
}

// Override is what one callable returned.
type Override struct {
	Set   bool // text was returned, not None
	Value string
}

// ScriptDecision is what a dispatch script said about a request.
type ScriptDecision struct {
	ProcessGroup, ApplicationGroup, CallableObject Override
}

// ScriptAnswer is what the callables of a script said.
type ScriptAnswer struct {
	ScriptDecision         // of KindDispatch
	Verdict        Verdict // of the others
	// Text is the user's name that replaces the one given, or the hash.
	Text   string
	Groups []string
	// LoadError says why the file could not be loaded when an older version served.
	LoadError string
}

// Verdict is what a script that authenticates or controls access said.
type Verdict int

// Verdicts.
const (
	VerdictNone    Verdict = iota // nothing
	VerdictGranted                // True, a text or the groups
	VerdictDenied                 // False
	VerdictUnknown                // None
)

// ScriptErrorKind tells the failures of a script apart.
type ScriptErrorKind int

// Kinds of script errors.
const (
	ScriptLoad        ScriptErrorKind = iota // the file cannot be loaded
	ScriptRaised                             // a callable raised
	ScriptValue                              // a callable returned something that cannot be
	ScriptInterrupted                        // the deadline's exception ended it
	ScriptInterpreter                        // the interpreter cannot be had
	ScriptLimit                              // because there are as many as there may be

	// Not of a script: of the dispatch helper.
	ScriptHelper      // it ended during the call, or its answer makes no sense
	ScriptUnavailable // there is none, and none soon
)

// ScriptError is a failed evaluation.
type ScriptError struct {
	Kind      ScriptErrorKind
	Script    string
	Function  string
	Line      int
	Message   string
	Traceback string
	Value     string
	// RetryAfter is when ScriptUnavailable may be over.
	RetryAfter time.Duration
}

// Error is the message with its place.
func (e *ScriptError) Error() string {
	if e.Function == "" {
		return e.Script + ": " + e.Message
	}
	return e.Script + ": " + e.Function + ": " + e.Message
}
