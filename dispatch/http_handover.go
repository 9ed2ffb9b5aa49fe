package dispatch

import (
	"net"
	"net/http"
	"sync"
)

// adopted is a listener whose connections come from the router before.
type adopted struct {
	address net.Addr
	conns   chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

func newAdopted(address net.Addr) *adopted {
	return &adopted{address: address, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for a connection.
func (a *adopted) Accept() (net.Conn, error) {
	select {
	case c := <-a.conns:
		return c, nil
	case <-a.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (a *adopted) Close() error {
	a.once.Do(func() { close(a.closed) })
	return nil
}

// Addr is that of the listener which the connections came in by.
func (a *adopted) Addr() net.Addr { return a.address }

// adopt serves a connection of the router before. It has its place.
func (h *httpListener) adopt(c net.Conn) {
	counted := h.track(c)
	select {
	case h.adopted.conns <- counted:
	case <-h.adopted.closed:
		_ = counted.Close() // nobody serves it
	}
}

// track makes a connection one that knows when it has to leave.
func (h *httpListener) track(c net.Conn) *countedConn {
	counted := &countedConn{Conn: c, http: h, patience: h.l.BodyTimeout}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns[counted] = struct{}{}
	return counted
}

func (h *httpListener) forget(c *countedConn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, c)
}

// release wakes those that wait for a request, after handing is set: a
// connection that comes later sees that itself.
func (h *httpListener) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.conns {
		c.wake()
	}
}

// betweenRequests is called by net/http before it waits for another request.
func betweenRequests(c net.Conn, state http.ConnState) {
	if counted, ok := c.(*countedConn); ok && state == http.StateIdle {
		counted.touched.Store(false)
	}
}
