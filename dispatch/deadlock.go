package dispatch

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// probeAfter is how long Python is busy before anybody asks whether its
	// lock can be had at all.
	probeAfter = time.Second
	// defaultDeadlock is deadlock_timeout without a script.
	defaultDeadlock = 300 * time.Second
)

// lookAtPython is the housekeeper's part for Python: calls of scripts past
// their deadline, and an interpreter's lock that nobody can get any more. It
// ends this process, or has the dispatch helper replaced, whichever it is.
func (r *Router) lookAtPython(now time.Time) {
	var scripts, applications time.Duration
	var err error
	for _, s := range r.scripts {
		oldest, lost := s.look(now)
		scripts, err = max(scripts, oldest), errors.Join(err, lost)
	}
	for _, g := range r.order {
		if g.embedded {
			applications = max(applications, g.busyFor(now))
		}
	}
	if r.helper != nil {
		if err == nil {
			err = r.helper.prober.look(now, scripts, r.deadlockTimeout(r.scripts), func() ScriptEvaluator { return r.helper })
		}
		if err != nil {
			r.helper.giveUp(err)
		}
		err, scripts = nil, 0
	}
	if err == nil {
		watched := r.scripts
		if r.helper != nil {
			watched = nil
		}
		err = r.prober.look(now, max(scripts, applications), r.deadlockTimeout(watched), r.startedHost)
	}
	if err != nil {
		r.log.Error("router has to be replaced", "error", err)
		r.cancel(err)
	}
}

// startedHost is the Python of this process, nil while there is none.
func (r *Router) startedHost() ScriptEvaluator {
	if !r.hostMu.TryLock() {
		return nil // it is being started
	}
	defer r.hostMu.Unlock()
	if r.host == nil {
		return nil
	}
	return r.host
}

// prober asks for the lock of a Python beside everything else, one question at
// a time and one a second. It is the housekeeper's, but for since.
type prober struct {
	since atomic.Pointer[time.Time] // start of a question that is under way; nil: none is
	last  time.Time                 // when the last one began
}

// look asks if Python has been busy for long. The error says that the question
// has not been answered for limit; 0: it may take for ever.
func (p *prober) look(now time.Time, busy, limit time.Duration, of func() ScriptEvaluator) error {
	if since := p.since.Load(); since != nil {
		if held := now.Sub(*since); limit > 0 && held > limit {
			return fmt.Errorf("python's interpreter lock could not be had for %s", held.Round(time.Second))
		}
		return nil
	}
	if busy <= probeAfter || now.Sub(p.last) < probeAfter {
		return nil
	}
	host := of()
	if host == nil {
		return nil
	}
	p.last = now
	p.since.Store(&now)
	go func() { // not waited for: it may never come back
		host.Probe()
		p.since.Store(nil)
	}()
	return nil
}

// deadlockTimeout is that of the least patient of scripts.
func (r *Router) deadlockTimeout(scripts []*script) time.Duration {
	limit := r.config.Embedded.DeadlockTimeout
	if limit <= 0 {
		limit = defaultDeadlock
	}
	first := true
	for _, s := range scripts {
		if d := s.config.DeadlockTimeout; d > 0 && (first || d < limit) {
			limit, first = d, false
		}
	}
	return limit
}

// busyFor is how long at least one thread of the group has been busy, as far
// as the housekeeper has seen.
func (g *group) busyFor(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.processes {
		if p.busy() > 0 {
			if g.busySince.IsZero() {
				g.busySince = now
			}
			return now.Sub(g.busySince)
		}
	}
	g.busySince = time.Time{}
	return 0
}
