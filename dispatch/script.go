package dispatch

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/internal/histogram"
	"github.com/wsgid/wsgid/internal/wire"
)

// writeOffAfter is how long an interrupted call may take to come back. One
// that sits in C code without the lock never sees the exception.
const writeOffAfter = time.Second

// script is a script that the router evaluates itself. The goroutine of the
// request calls into Python; a call that does not come back is answered by the
// housekeeper.
type script struct {
	router *Router
	kind   ScriptKind
	config wire.Script
	host   ScriptEvaluator
	slots  chan struct{} // one element a call inside Python

	calls     atomic.Uint64
	failed    atomic.Uint64 // calls without an answer
	latency   histogram.Histogram
	loadError atomic.Pointer[string]

	mu      sync.Mutex
	running map[*runningCall]struct{}
	lost    int // calls written off
}

// runningCall is one call inside Python.
type runningCall struct {
	x           *exchange
	call        *ScriptCall
	start       time.Time
	deadline    time.Time
	interrupted bool
	writtenOff  bool
}

func newScript(r *Router, kind ScriptKind, config wire.Script, host ScriptEvaluator) *script {
	return &script{router: r, kind: kind, config: config, host: host,
		slots:   make(chan struct{}, max(1, config.Concurrency)),
		running: make(map[*runningCall]struct{})}
}

// evaluate asks the script about x. It runs in the interpreter of its own
// option, else in application, the one that the request was statically decided
// to use. What c asks, the caller has set.
func (s *script) evaluate(x *exchange, application string, c *ScriptCall) (ScriptAnswer, *refusal, outcome) {
	x.enter(phaseScript)
	now := time.Now()
	x.account.asking = now
	x.span.asks(now)
	deadline := now.Add(s.config.Timeout)
	if s.config.Timeout <= 0 {
		deadline = now.Add(365 * 24 * time.Hour)
	}
	if r := s.enter(deadline); r != nil {
		return ScriptAnswer{}, r, answered
	}
	if s.config.ApplicationGroup != "" {
		application = x.env.expand(s.config.ApplicationGroup, scriptGroupValue, x.target.scriptName)
	}
	c.Script, c.ApplicationGroup, c.RequestID, c.ErrorLog = s.config.Path, application, string(x.requestID), x.errorLog()
	c.Trace = x.traceID()
	c.Check, c.KeepLastGood = s.config.ScriptReloading, s.config.OnLoadError == wire.LoadErrorLastGood
	c.Deadline = deadline
	call := &runningCall{x: x, start: time.Now(), deadline: deadline, call: c}
	s.mu.Lock()
	s.running[call] = struct{}{}
	s.mu.Unlock()
	s.calls.Add(1)
	a, err := s.host.Evaluate(c)
	s.latency.Observe(time.Since(call.start))
	if err != nil {
		s.failed.Add(1)
	}

	s.mu.Lock()
	delete(s.running, call)
	gone := call.writtenOff
	if gone {
		s.lost--
	}
	s.mu.Unlock()
	if gone {
		s.router.left.Add(-1)
		return a, nil, left
	}
	<-s.slots
	x.account.told()
	if err != nil && c.Kind == KindPassword {
		err = hidden(err, c.Second)
	}
	a, r, o := s.judge(a, err)
	x.scriptSpan(s, r)
	return a, r, o
}

// enter waits for a slot inside the deadline.
func (s *script) enter(deadline time.Time) *refusal {
	select {
	case s.slots <- struct{}{}:
		return nil
	default:
	}
	t := time.NewTimer(time.Until(deadline))
	defer t.Stop()
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-t.C:
		return refuse(s.kind.code(errcode.DispatchTimeout), "script", s.config.Path, "reason", "all calls are busy")
	}
}

// judge turns the result of a call into an answer or a refusal.
func (s *script) judge(a ScriptAnswer, err error) (ScriptAnswer, *refusal, outcome) {
	if err == nil {
		s.noteLoad(a.LoadError)
		return a, nil, answered
	}
	var e *ScriptError
	if !errors.As(err, &e) {
		return a, refuse(s.kind.code(errcode.DispatchException), "script", s.config.Path, "error", err), answered
	}
	args := []any{"script", e.Script, "function", e.Function, "line", e.Line, "error", e.Message}
	if e.Traceback != "" {
		args = append(args, "traceback", e.Traceback)
	}
	switch e.Kind {
	case ScriptLoad:
		s.noteLoad(e.Message)
		if s.config.OnLoadError == wire.LoadErrorStatic {
			return ScriptAnswer{}, nil, answered
		}
		return a, refuse(s.kind.code(errcode.DispatchLoad), args...), answered
	case ScriptValue:
		return a, refuse(s.kind.code(errcode.DispatchValue), append(args, "value", e.Value)...), answered
	case ScriptInterrupted:
		return a, refuse(s.kind.code(errcode.DispatchTimeout), args...), answered
	case ScriptInterpreter:
		return a, refuse(s.kind.code(errcode.EmbeddedMissing), args...), answered
	case ScriptLimit:
		return a, refuse(s.kind.code(errcode.InterpreterLimit), args...), answered
	case ScriptHelper:
		return a, refuse(errcode.HelperFailed, "script", s.config.Path, "error", e.Message), answered
	case ScriptUnavailable:
		r := refuse(errcode.HelperUnavailable, "script", s.config.Path, "error", e.Message)
		r.retryAfter = max(r.retryAfter, e.RetryAfter)
		return a, r, answered
	}
	return a, refuse(s.kind.code(errcode.DispatchException), args...), answered
}

// noteLoad keeps what status shows until the script is mended, and logs the
// change once.
func (s *script) noteLoad(message string) {
	old := s.loadError.Load()
	if message == "" {
		if old != nil && s.loadError.CompareAndSwap(old, nil) {
			s.router.log.Info(s.kind.String()+" loads again", "script", s.config.Path)
		}
		return
	}
	if old != nil && *old == message {
		return
	}
	if s.loadError.CompareAndSwap(old, &message) {
		s.router.log.Error(s.kind.String()+" cannot be loaded", "script", s.config.Path, "error", message,
			"on_load_error", string(s.config.OnLoadError))
	}
}

// look interrupts calls that are past their deadline, writes those off that do
// not come back, and reports when too many are lost to go on.
func (s *script) look(now time.Time) (oldest time.Duration, err error) {
	var lost []*exchange
	defer func() {
		for _, x := range lost { // outside of the lock: it writes to the client
			x.abandon(s)
		}
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.running {
		late := now.Sub(c.deadline)
		oldest = max(oldest, now.Sub(c.start))
		switch {
		case c.writtenOff || late < 0:
		case !c.interrupted:
			c.interrupted = true
			go s.host.Interrupt(c.call) // not waited for: it needs the lock that the call may hold
		case late > writeOffAfter:
			c.writtenOff = true
			s.lost++
			<-s.slots
			lost = append(lost, c.x)
		}
	}
	if n := cap(s.slots); s.lost > 0 && 2*s.lost >= n {
		return oldest, fmt.Errorf("%d of %d calls of %s %s do not come back", s.lost, n, s.kind, s.config.Path)
	}
	return oldest, nil
}

// abandon answers for a request whose goroutine is caught in a script. That
// goroutine touches nothing of it when it ever comes back.
func (x *exchange) abandon(s *script) {
	x.router.requests.Add(1)
	x.front.hurry()
	r := refuse(s.kind.code(errcode.DispatchTimeout), "script", s.config.Path, "reason", "the call does not come back")
	r.plain = true
	o := x.refuse(r)
	x.scriptSpan(s, r)
	x.endSpan(o)
	x.logAccess(left, false)
	x.router.abandoned(x)
}

// status is what the router tells of the script.
func (s *script) status() wire.ScriptStatus {
	w := wire.ScriptStatus{Kind: s.kind.String(), Path: s.config.Path, Calls: s.calls.Load(), Failed: s.failed.Load(), Latency: s.latency.Snapshot()}
	if e := s.loadError.Load(); e != nil {
		w.LoadError = *e
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Running, w.Lost = len(s.running)-s.lost, s.lost
	return w
}
