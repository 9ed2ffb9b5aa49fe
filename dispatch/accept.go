package dispatch

import (
	"errors"
	"net"
	"time"

	"github.com/wsgid/wsgid/internal/errcode"
)

const (
	acceptBackoffMin = time.Millisecond
	acceptBackoffMax = time.Second
)

// next waits for a connection that is allowed, which has a place in fronts. At
// max_connections, and while there are no descriptors, others wait in the
// backlog. net.ErrClosed: there will be none.
func (l *listener) next(r *Router) (net.Conn, error) {
	for {
		if !r.fronts.admit(r.ctx) {
			return nil, net.ErrClosed
		}
		c, err := l.acceptOne(r)
		if err != nil {
			r.fronts.free()
			return nil, net.ErrClosed
		}
		if err := l.allows(c); err != nil {
			r.log.Warn(entries[errcode.PeerForbidden].Title, "code", errcode.PeerForbidden.String(),
				"listener", l.Address, "peer", peerName(c), "error", err)
			c.Close()
			r.fronts.free()
			continue
		}
		r.fronts.accepted()
		return c, nil
	}
}

// acceptOne tries again, ever more slowly, as long as there are no descriptors or
// no memory, and tells of a shortage once.
func (l *listener) acceptOne(r *Router) (net.Conn, error) {
	var since time.Time
	backoff := acceptBackoffMin
	for {
		c, err := l.socket.Accept()
		if err == nil {
			if !since.IsZero() {
				r.log.Info("accepts again", "listener", l.Address, "after", time.Since(since).Round(time.Millisecond).String())
			}
			return c, nil
		}
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if since.IsZero() {
			since = time.Now()
			r.log.Error("cannot accept", "listener", l.Address, "error", err)
		}
		select {
		case <-r.ctx.Done():
			return nil, net.ErrClosed
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, acceptBackoffMax)
	}
}

// accept serves the connections of a FastCGI listener until it is closed.
func (r *Router) accept(l *listener) {
	for {
		c, err := l.next(r)
		if err != nil {
			return
		}
		r.serveFront(newFastCGIFront(r, l, c))
	}
}
