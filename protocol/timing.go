package protocol

import (
	"errors"
	"os"
	"sync"
	"time"
)

// phase says what a connection is waiting for.
type phase uint8

const (
	phaseIdle   phase = iota // the first byte of a record
	phaseHeader              // the end of PARAMS
	phaseBody                // more STDIN
	phaseWatch               // the web server going away
)

// timing holds the read deadline of a ServerConn. Nothing is computed and no
// deadline is set before a Read is really needed. The lock is against
// Interrupt only, all else belongs to the reading side.
type timing struct {
	phase    phase
	deadline time.Time // of phaseIdle and phaseHeader, zero until computed

	mu          sync.Mutex
	interrupted bool
	released    bool      // for good: see ServerConn.Release
	armed       time.Time // as set on the connection
}

// atOnce is a deadline that ends a Read under way.
var atOnce = time.Unix(1, 0)

func (t *timing) enter(p phase) { t.phase, t.deadline = p, time.Time{} }

// timedReader is a ServerConn seen as the source of its own Reader.
type timedReader ServerConn

// Read reads from the connection under the deadline of the current phase.
func (r *timedReader) Read(p []byte) (int, error) {
	t := &r.timing
	if t.phase == phaseIdle && r.state == stateIdle && r.rd.r < r.rd.w {
		t.enter(phaseHeader) // part of a record has arrived
	}
	for {
		if err := t.arm(r.conn, &r.cfg, r.untouched()); err != nil {
			return 0, err
		}
		n, err := r.conn.Read(p)
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && t.woken() {
			continue
		}
		return n, err
	}
}

// untouched: nothing of another request or record has been read.
func (r *timedReader) untouched() bool {
	return r.state == stateIdle && r.rd.r == r.rd.w && r.rd.content+r.rd.padding == 0
}

// arm sets the deadline for one Read, if it differs from the one set.
func (t *timing) arm(c Conn, cfg *Config, untouched bool) error {
	var want time.Time
	switch t.phase {
	case phaseIdle:
		want = t.until(cfg.IdleTimeout)
	case phaseHeader:
		want = t.until(cfg.HeaderTimeout)
	case phaseBody:
		if cfg.BodyTimeout > 0 {
			want = time.Now().Add(cfg.BodyTimeout)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.interrupted:
		return ErrInterrupted
	case t.released && untouched:
		return ErrReleased
	}
	if want.Equal(t.armed) {
		return nil
	}
	t.armed = want
	return c.SetReadDeadline(want)
}

// until fixes the end of the phase the first time it is asked.
func (t *timing) until(d time.Duration) time.Time {
	if d > 0 && t.deadline.IsZero() {
		t.deadline = time.Now().Add(d)
	}
	return t.deadline
}

// interrupt ends a Read that is waiting and forbids further ones.
func (t *timing) interrupt(c Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.interrupted = true
	t.armed = atOnce
	// An error means that the connection is closed, which ends the Read as well.
	_ = c.SetReadDeadline(t.armed)
}

// release ends a Read that waits for another request; any other is woken only.
func (t *timing) release(c Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.released = true
	if !t.interrupted {
		t.armed = atOnce
		_ = c.SetReadDeadline(t.armed) // as in interrupt
	}
}

// woken: release, and nothing else, has ended a Read.
func (t *timing) woken() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.released && !t.interrupted && t.armed.Equal(atOnce)
}

// clear forgets an interruption.
func (t *timing) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.interrupted = false
}

// timeoutError is what an expired deadline means.
func (t *timing) timeoutError() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.interrupted:
		return ErrInterrupted
	case t.phase == phaseIdle:
		return ErrIdleTimeout
	case t.phase == phaseHeader:
		return ErrHeaderTimeout
	}
	return ErrBodyTimeout
}
