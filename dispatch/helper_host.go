package dispatch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/internal/wire"
)

// shortWait is how soon the next helper has to come for calls to wait for it.
const shortWait = time.Second

// helperHost evaluates scripts in the dispatch helper. A connection carries one
// call at a time; there are as many as there have been calls at once.
//
// Nothing that the helper does can hold the router up: a call that it does not
// answer is written off like one that Python does not return from, and when the
// supervisor says that a helper is gone all its connections are closed here,
// whoever may hold their other ends.
type helperHost struct {
	socket  string
	log     hclog.Logger
	replace func(*wire.Replace) // asks the supervisor for another helper

	prober prober

	mu      sync.Mutex
	current *helperProcess // nil: none is ready
	next    time.Time      // without one: when the next is started; zero: it is being started
	changed chan struct{}  // closed when one of these changes
	closed  bool           // the router ends
}

// helperProcess is one helper, for as long as it is fit to be asked.
type helperProcess struct {
	pid    int
	python string
	conns  map[*helperConn]struct{}
	idle   []*helperConn
}

// helperConn is one connection to a helper.
type helperConn struct {
	*directConn
	helper  *helperProcess
	out, in []byte
}

var (
	// errHelperLost: the connection ended before the answer had come.
	errHelperLost = errors.New("the dispatch helper ended during the call")
	// errHelperLate: there was no helper, or none accepted, inside the deadline.
	errHelperLate = errors.New("no dispatch helper in time")
)

func newHelperHost(socket string, log hclog.Logger, replace func(*wire.Replace)) *helperHost {
	return &helperHost{socket: socket, log: log, replace: replace, changed: make(chan struct{})}
}

// update takes what the supervisor says about the helper.
func (h *helperHost) update(m *wire.HelperState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current != nil && (!m.Ready || h.current.pid != m.PID) {
		h.dismiss(h.current)
	}
	if m.Ready && h.current == nil && !h.closed {
		h.current = &helperProcess{pid: m.PID, python: m.Python, conns: make(map[*helperConn]struct{})}
	}
	h.next = time.Time{}
	if m.RetryAfter > 0 {
		h.next = time.Now().Add(m.RetryAfter)
	}
	h.tell()
}

// tell wakes the calls that wait for a helper; h.mu is held.
func (h *helperHost) tell() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// dismiss closes all connections of a helper; h.mu is held.
func (h *helperHost) dismiss(p *helperProcess) {
	if h.current == p {
		h.current = nil
	}
	for c := range p.conns {
		c.Close()
	}
	p.conns, p.idle = nil, nil
}

// Version of the helper's Python; empty while there is none.
func (h *helperHost) Version() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current == nil {
		return ""
	}
	return h.current.python
}

// Interrupt does nothing: the helper knows the deadline and interrupts the call
// itself.
func (h *helperHost) Interrupt(*ScriptCall) {}

// Probe asks the helper for Python's lock and returns when it has had it, or is
// gone.
func (h *helperHost) Probe() {
	h.mu.Lock()
	p := h.current
	h.mu.Unlock()
	if p == nil {
		return
	}
	c, err := h.connect(p, time.Now().Add(shortWait))
	if err != nil {
		return // its calls tell
	}
	if _, err := c.exchange(nil, 0); err != nil {
		h.broken(c, err)
		return
	}
	h.put(c)
}

// Evaluate runs the callables of a script in the helper. A call whose helper
// ends is tried once more in the next one, and no more: what ends two helpers
// would end all.
func (h *helperHost) Evaluate(c *ScriptCall) (ScriptAnswer, error) {
	for again := true; ; again = false {
		conn, err := h.take(c.Deadline)
		if err != nil {
			return ScriptAnswer{}, err
		}
		frame, err := conn.exchange(c, time.Until(c.Deadline))
		if err == nil {
			var a ScriptAnswer
			if a, err = parseAnswer(frame, c.Script); !errors.Is(err, errAnswer) {
				h.put(conn)
				return a, err
			}
		}
		h.broken(conn, err)
		if !again || !errors.Is(err, errHelperLost) || time.Now().After(c.Deadline) {
			return ScriptAnswer{}, &ScriptError{Kind: ScriptHelper, Script: c.Script, Message: err.Error()}
		}
	}
}

// take gives a connection to a helper that is ready, and waits for one.
func (h *helperHost) take(deadline time.Time) (*helperConn, error) {
	var late *time.Timer
	for {
		h.mu.Lock()
		p, changed, due, closed := h.current, h.changed, time.Until(h.next), h.closed
		if p != nil {
			if n := len(p.idle); n > 0 {
				c := p.idle[n-1]
				p.idle = p.idle[:n-1]
				h.mu.Unlock()
				return c, nil
			}
		}
		h.mu.Unlock()
		if p != nil {
			c, err := h.connect(p, deadline)
			if err == nil {
				return c, nil
			}
			if !errors.Is(err, errHelperLost) {
				return nil, &ScriptError{Kind: ScriptUnavailable, Message: err.Error()}
			}
			continue // dismissed meanwhile
		}
		if closed {
			return nil, &ScriptError{Kind: ScriptUnavailable, Message: "the router ends"}
		}
		if due > shortWait {
			return nil, &ScriptError{Kind: ScriptUnavailable, Message: "the dispatch helper keeps ending", RetryAfter: due}
		}
		if late == nil {
			late = time.NewTimer(time.Until(deadline))
			defer late.Stop()
		}
		select {
		case <-changed:
		case <-late.C:
			return nil, &ScriptError{Kind: ScriptInterrupted, Message: errHelperLate.Error()}
		}
	}
}

// connect makes one more connection to p.
func (h *helperHost) connect(p *helperProcess, deadline time.Time) (*helperConn, error) {
	dialer := net.Dialer{Deadline: deadline}
	c, err := dialer.Dial("unix", h.socket)
	if err != nil {
		return nil, fmt.Errorf("connecting to the dispatch helper: %w", err)
	}
	d, ok := direct(c).(*directConn)
	if !ok {
		c.Close()
		return nil, errors.New("connecting to the dispatch helper: not a socket")
	}
	d.quiet()
	conn := &helperConn{directConn: d, helper: p, in: make([]byte, 4096)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.conns == nil {
		c.Close()
		return nil, errHelperLost
	}
	p.conns[conn] = struct{}{}
	return conn, nil
}

// put gives a connection back after an answer.
func (h *helperHost) put(c *helperConn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.helper.conns != nil {
		c.helper.idle = append(c.helper.idle, c)
	}
}

// broken gives a helper up that ended a connection or answered nonsense, and
// says so once: the supervisor knows of one that has gone, and ends any other.
func (h *helperHost) broken(c *helperConn, why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.Close()
	p := c.helper
	if p.conns == nil {
		return // dismissed before
	}
	h.dismiss(p)
	h.replace(&wire.Replace{PID: p.pid, Reason: why.Error(), Lost: errors.Is(why, errHelperLost)})
}

// giveUp has the helper replaced that is ready now.
func (h *helperHost) giveUp(why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.current; p != nil {
		h.dismiss(p)
		h.log.Error("dispatch helper has to be replaced", "helper", p.pid, "error", why)
		h.replace(&wire.Replace{PID: p.pid, Reason: why.Error()})
	}
}

// close ends all calls for good.
func (h *helperHost) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.current != nil {
		h.dismiss(h.current)
	}
	h.tell()
}

// exchange sends a call and gives the frame of its answer, valid until the
// next exchange.
func (c *helperConn) exchange(call *ScriptCall, left time.Duration) ([]byte, error) {
	c.out = appendCall(c.out, call, left)
	sent, n, err := c.Ask(c.out, c.in)
	if err == nil && sent < len(c.out) {
		_, err = c.Write(c.out[sent:])
	}
	if err != nil {
		return nil, errHelperLost
	}
	frame, err := readFrame(c, c.in, n, maxAnswer)
	if err != nil {
		return nil, err
	}
	c.out, c.in = small(c.out), small(frame)
	return frame[frameHeader:], nil
}

// small is a buffer as it is kept: one large call is no reason to keep its size.
func small(b []byte) []byte {
	if cap(b) > bufferSize {
		return make([]byte, 4096)
	}
	return b[:cap(b)]
}

// reader is the end of a connection that frames are read from.
type reader interface{ Read(b []byte) (int, error) }

// readFrame reads one frame, of which n bytes stand in buf already, and gives
// it with its length; buf may be replaced by a larger one. What follows a frame
// at once is against the protocol.
func readFrame(c reader, buf []byte, n, limit int) ([]byte, error) {
	size := frameHeader
	for {
		if n >= frameHeader {
			length := binary.BigEndian.Uint32(buf)
			if uint64(length) > uint64(limit) {
				return nil, fmt.Errorf("%w: %d bytes", errAnswer, length)
			}
			size = frameHeader + int(length)
		}
		switch {
		case n > size:
			return nil, fmt.Errorf("%w: more than was asked for", errAnswer)
		case n == size && n >= frameHeader:
			return buf[:n], nil
		case n == len(buf):
			// It grows with what has come: a length alone reserves nothing.
			larger := make([]byte, min(2*len(buf), size))
			copy(larger, buf)
			buf = larger
		}
		k, err := c.Read(buf[n:])
		if err != nil {
			return nil, errHelperLost
		}
		n += k
	}
}
