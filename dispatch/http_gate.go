package dispatch

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// gate is the listener of an http.Server: it admits and checks peers.
type gate struct {
	net.Listener
	router *Router
	l      *listener
	http   *httpListener
}

// Accept waits for a connection that is allowed.
func (g *gate) Accept() (net.Conn, error) {
	c, err := g.l.next(g.router)
	if err != nil {
		return nil, err
	}
	return g.http.track(c), nil
}

// countedConn gives its place back when it is closed. A client that takes
// nothing of an answer for longer than patience (0: for ever) loses it: it
// holds a thread of an application. Between two requests it goes to a successor
// of this router.
type countedConn struct {
	net.Conn
	http     *httpListener
	once     sync.Once
	patience time.Duration // of the answer under way
	hurried  atomic.Bool   // somebody has set another deadline
	touched  atomic.Bool   // something has been read since the last request, or ever

	mu       sync.Mutex
	deadline time.Time // for reading, as net/http wants it
	woken    bool      // another one is set, to end a Read under way
	// interrupted: the same, to end reading a body, and until net/http sets a
	// deadline again.
	interrupted bool
}

// countedKey is that of the connection in the context of its requests.
type countedKey struct{}

// watchRead is the size of the Read by which net/http looks, while an application
// runs, whether the client leaves. If that fails the connection is as good as lost.
const watchRead = 1

// freshRead is the size of net/http's read buffer: it offers all of it only
// while it holds nothing of a next request.
const freshRead = 4 << 10

// Read is that of net.Conn, until there is a successor: the connection then
// ends for net/http between two requests, and goes there.
func (c *countedConn) Read(p []byte) (int, error) {
	r := c.http.router
	for {
		if r.handing.Load() && len(p) == freshRead && !c.touched.Load() {
			r.passOn(c.http.l, c.Conn)
			return 0, io.EOF
		}
		n, err := c.Conn.Read(p)
		if n > 0 && !c.touched.Load() {
			c.touched.Store(true)
		}
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && c.goOn(len(p)) {
			continue
		}
		return n, err
	}
}

// wake makes a Read under way look whether there is a successor.
func (c *countedConn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.woken = true
	_ = c.Conn.SetReadDeadline(past) // an error means that it is closed
}

// interrupt ends reading a body. The body may have come to its end meanwhile: a
// Read that watches the client is not concerned.
func (c *countedConn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	_ = c.Conn.SetReadDeadline(past) // an error means that it is closed
}

// goOn says whether a Read of that size was ended by wake, or by an interrupt that
// was not for it, and puts the deadline right again.
func (c *countedConn) goOn(size int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.interrupted && size != watchRead: // it was for this one
		return false
	case !c.interrupted && !c.woken: // net/http's own deadline
		return false
	}
	c.woken = false
	return c.Conn.SetReadDeadline(c.deadline) == nil
}

// SetReadDeadline is that of net.Conn.
func (c *countedConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline, c.woken, c.interrupted = t, false, false
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline is that of net.Conn.
func (c *countedConn) SetWriteDeadline(t time.Time) error {
	c.hurried.Store(!t.IsZero())
	return c.Conn.SetWriteDeadline(t)
}

// Write sends b, a piece of an answer.
func (c *countedConn) Write(b []byte) (int, error) {
	if c.patience > 0 && !c.hurried.Load() {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.patience)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}

// Close closes the connection, once.
func (c *countedConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = c.Conn.Close()
		c.http.forget(c)
		c.http.router.fronts.leave()
	})
	return err
}
