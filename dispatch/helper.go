package dispatch

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// HelperOptions are what the dispatch helper is started with.
type HelperOptions struct {
	// Listener is where the router connects; ServeCalls closes it.
	Listener *os.File
	// RouterUID is whom calls are taken from.
	RouterUID int
	Host      ScriptEvaluator
}

// helper is the process that evaluates scripts for the router.
type helper struct {
	host ScriptEvaluator

	mu      sync.Mutex
	running map[*ScriptCall]time.Time // until when it may run
	begun   chan struct{}             // one runs; capacity 1
}

// ServeCalls evaluates scripts for the router until ctx ends. It waits for no
// call.
func ServeCalls(ctx context.Context, o HelperOptions) error {
	listener, err := net.FileListener(o.Listener)
	o.Listener.Close()
	if err != nil {
		return fmt.Errorf("socket of the dispatch helper: %w", err)
	}
	defer listener.Close()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	h := &helper{host: o.Host, running: make(map[*ScriptCall]time.Time), begun: make(chan struct{}, 1)}
	go h.keepDeadlines(ctx)
	for {
		c, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accepting the router's connections: %w", err)
		}
		if uid, err := peerUID(c.(*net.UnixConn)); err != nil || uid != o.RouterUID {
			c.Close()
			continue
		}
		go h.serve(c)
	}
}

// serve answers the calls of one connection, one after the other.
func (h *helper) serve(c net.Conn) {
	defer c.Close()
	conn := direct(c)
	if d, ok := conn.(*directConn); ok {
		d.quiet()
	}
	in, out := make([]byte, 4096), []byte(nil)
	for {
		frame, err := readFrame(conn, in, 0, maxCall)
		if err != nil {
			return
		}
		call, left, probe, err := parseCall(frame[frameHeader:])
		switch {
		case err != nil:
			return
		case probe:
			h.host.Probe()
			out = appendAnswer(out, &ScriptAnswer{}, nil)
		default:
			a, err := h.evaluate(call, left)
			out = appendAnswer(out, &a, err)
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
		in, out = small(frame), small(out)
	}
}

// evaluate runs a call that is interrupted when left is over.
func (h *helper) evaluate(c *ScriptCall, left time.Duration) (ScriptAnswer, error) {
	h.mu.Lock()
	h.running[c] = time.Now().Add(left)
	h.mu.Unlock()
	select {
	case h.begun <- struct{}{}:
	default:
	}
	a, err := h.host.Evaluate(c)
	h.mu.Lock()
	delete(h.running, c)
	h.mu.Unlock()
	return a, err
}

// keepDeadlines interrupts calls that are over their time. It ticks only while
// calls run.
func (h *helper) keepDeadlines(ctx context.Context) {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		if !h.interruptLate(time.Now()) {
			t.Stop()
			select {
			case <-h.begun:
			case <-ctx.Done():
				return
			}
			t.Reset(tick)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// interruptLate says whether any call runs that may need it again.
func (h *helper) interruptLate(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	waiting := false
	for c, until := range h.running {
		switch {
		case until.IsZero(): // interrupted before
		case now.Before(until):
			waiting = true
		default:
			h.running[c] = time.Time{}
			go h.host.Interrupt(c) // not waited for: it needs the lock that the call may hold
		}
	}
	return waiting
}
