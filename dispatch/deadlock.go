package dispatch

import (
	"errors"
	"fmt"
	"time"
)

const (
	// probeAfter is how long Python is busy before anybody asks whether its
	// lock can be had at all.
	probeAfter = time.Second
	// defaultDeadlock is deadlock_timeout without a script.
	defaultDeadlock = 300 * time.Second
)

// lookAtPython is the housekeeper's part for the Python of this process: calls
// of scripts past their deadline, and the lock of the interpreter
// that nobody can get any more.
func (r *Router) lookAtPython(now time.Time) {
	var busy time.Duration
	var err error
	for _, s := range r.scripts {
		oldest, lost := s.look(now)
		busy, err = max(busy, oldest), errors.Join(err, lost)
	}
	for _, g := range r.order {
		if g.embedded {
			busy = max(busy, g.busyFor(now))
		}
	}
	if err == nil && (busy > probeAfter || r.probing.Load() != 0) {
		err = r.probe(now)
	}
	if err != nil {
		r.log.Error("router has to be replaced", "error", err)
		r.cancel(err)
	}
}

// probe asks for Python's lock beside everything else, one question at a time
// and one a second.
func (r *Router) probe(now time.Time) error {
	limit := r.deadlockTimeout()
	if since := r.probing.Load(); since != 0 {
		if held := now.Sub(time.Unix(0, since)); limit > 0 && held > limit {
			return fmt.Errorf("python's interpreter lock could not be had for %s", held.Round(time.Second))
		}
		return nil
	}
	if !r.hostMu.TryLock() {
		return nil // Python is being started
	}
	host := r.host
	r.hostMu.Unlock()
	if host == nil || now.Sub(r.probed) < probeAfter {
		return nil
	}
	r.probed = now
	r.probing.Store(now.UnixNano())
	go func() { // not waited for: it may never come back
		host.Probe()
		r.probing.Store(0)
	}()
	return nil
}

// deadlockTimeout is that of the least patient script.
func (r *Router) deadlockTimeout() time.Duration {
	limit := r.config.Embedded.DeadlockTimeout
	if limit <= 0 {
		limit = defaultDeadlock
	}
	first := true
	for _, s := range r.scripts {
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
