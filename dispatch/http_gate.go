package dispatch

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsgid/wsgid/internal/errcode"
)

// gate is the listener of an http.Server: it admits and checks peers.
type gate struct {
	net.Listener
	router *Router
	l      *listener
}

// Accept waits for a connection that is allowed.
func (g *gate) Accept() (net.Conn, error) {
	for {
		if !g.router.fronts.admit(g.router.ctx) {
			return nil, net.ErrClosed
		}
		c, err := g.Listener.Accept()
		if err != nil {
			g.router.fronts.leave()
			return nil, err
		}
		if err := g.l.allows(c); err != nil {
			g.router.log.Warn(entries[errcode.PeerForbidden].Title, "code", errcode.PeerForbidden.String(),
				"listener", g.l.Address, "peer", peerName(c), "error", err)
			c.Close()
			g.router.fronts.leave()
			continue
		}
		return &countedConn{Conn: c, leave: g.router.fronts.leave, patience: g.l.BodyTimeout}, nil
	}
}

// countedConn gives its place back when it is closed. A client that takes
// nothing of an answer for longer than patience (0: for ever) loses it: it
// holds a thread of an application.
type countedConn struct {
	net.Conn
	once     sync.Once
	leave    func()
	patience time.Duration
	hurried  atomic.Bool // somebody has set another deadline
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
		c.leave()
	})
	return err
}
