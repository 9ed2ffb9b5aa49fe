package supervisor

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Tunables of the crash-loop back-off.
const (
	backoffFirst = 100 * time.Millisecond // long enough not to burn a CPU, short enough not to be noticed
	backoffCap   = 30 * time.Second       // a mended application is back within half a minute
	goodLife     = 10 * time.Second       // who lives so long did not crash at start
)

// backoff spaces the starts of processes that keep dying: exponential with
// jitter, shared by all processes of a group, so that ten processes that fail
// together count as one failure.
type backoff struct {
	mu     sync.Mutex
	streak int       // failures in a row
	last   time.Time // of the failure that was counted last
	until  time.Time // no start before
	paced  time.Time // nor before this, whatever becomes of the failures
}

// failed records the unplanned end of a process that was started at a time
// and either became ready or not. The very first death of a process that had
// been ready costs no delay.
func (b *backoff) failed(started, now time.Time, wasReady bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(started) >= goodLife && wasReady {
		b.streak = 0
	}
	if b.streak > 0 && started.Before(b.last) {
		return // started before the last failure was known: the same round
	}
	b.streak++
	b.last = now
	if b.streak == 1 && wasReady {
		b.until = now
		return
	}
	delay := backoffCap
	if shift := b.streak - 1; shift < 16 {
		delay = min(backoffFirst<<shift, backoffCap)
	}
	// Between 75 and 100 %: groups that fail together do not stay in step.
	delay -= time.Duration(rand.Int64N(int64(delay/4) + 1))
	b.until = now.Add(delay)
}

// paceRetire is the least time between two starts of processes that retire at
// once: no process spins, and waiting requests hardly notice.
const paceRetire = 200 * time.Millisecond

// pace spaces the start that follows a planned replacement. It is no failure
// and makes nothing wait longer the next time.
func (b *backoff) pace(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.paced = now.Add(paceRetire)
	if b.paced.After(b.until) {
		b.until = b.paced
	}
}

// reset forgets every failure: the next start waits for none of them, but for
// pace.
func (b *backoff) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streak, b.until = 0, b.paced
}

// delay is how long the next start has to wait; 0 or less: not at all.
func (b *backoff) delay(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(b.until.Sub(now), 0)
}

// good says that a process has lived long enough to forget its predecessors.
func (b *backoff) good() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streak = 0
}

// wait waits the delay out; false: stop was closed, nothing is to be started.
func (b *backoff) wait(stop <-chan struct{}) bool {
	timer := time.NewTimer(b.delay(time.Now()))
	defer timer.Stop()
	select {
	case <-stop:
	case <-timer.C:
	}
	select {
	case <-stop: // both may have been true
		return false
	default:
		return true
	}
}
