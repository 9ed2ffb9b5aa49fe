package protocol

import (
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
	armed       time.Time // as set on the connection
}

func (t *timing) enter(p phase) { t.phase, t.deadline = p, time.Time{} }

// timedReader is a ServerConn seen as the source of its own Reader.
type timedReader ServerConn

// Read reads from the connection under the deadline of the current phase.
func (r *timedReader) Read(p []byte) (int, error) {
	t := &r.timing
	if t.phase == phaseIdle && r.state == stateIdle && r.rd.r < r.rd.w {
		t.enter(phaseHeader) // part of a record has arrived
	}
	if err := t.arm(r.conn, &r.cfg); err != nil {
		return 0, err
	}
	return r.conn.Read(p)
}

// arm sets the deadline for one Read, if it differs from the one set.
func (t *timing) arm(c Conn, cfg *Config) error {
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
	if t.interrupted {
		return ErrInterrupted
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
	t.armed = time.Unix(1, 0)
	// An error means that the connection is closed, which ends the Read as well.
	_ = c.SetReadDeadline(t.armed)
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
