package dispatch

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/wsgid/wsgid/internal/wire"
)

// listener is one inherited listening socket.
type listener struct {
	wire.Listener
	socket  net.Listener
	clients []netip.Prefix
	sawHTTP atomic.Bool // somebody spoke HTTP to a FastCGI listener
	// withoutCredentials counts requests of Apache that wsgid asks for a
	// password, until one has an Authorization header; then it is negative.
	withoutCredentials atomic.Int32
}

func openListener(c wire.Listener) (*listener, error) {
	f := os.NewFile(uintptr(c.FD), c.Address)
	if f == nil {
		return nil, fmt.Errorf("listening on %s: descriptor %d is not valid", c.Address, c.FD)
	}
	defer f.Close()
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", c.Address, err)
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // the path is the supervisor's
	}
	l := &listener{Listener: c, socket: ln}
	for _, p := range c.AllowedClients {
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			ln.Close()
			return nil, fmt.Errorf("listening on %s: allowed_clients: %w", c.Address, err)
		}
		l.clients = append(l.clients, prefix)
	}
	return l, nil
}

// allows checks who connected.
func (l *listener) allows(c net.Conn) error {
	switch c := c.(type) {
	case *net.UnixConn:
		if len(l.AllowedUIDs) == 0 {
			return nil
		}
		uid, err := peerUID(c)
		if err != nil {
			return err
		}
		if !slices.Contains(l.AllowedUIDs, uid) {
			return fmt.Errorf("uid %d is not in allowed_uids", uid)
		}
	case *net.TCPConn:
		if len(l.clients) == 0 {
			return nil
		}
		addr, err := netip.ParseAddrPort(c.RemoteAddr().String())
		if err != nil {
			return fmt.Errorf("reading the peer's address: %w", err)
		}
		ip := addr.Addr().Unmap()
		if !slices.ContainsFunc(l.clients, func(p netip.Prefix) bool { return p.Contains(ip) }) {
			return fmt.Errorf("%s is not in allowed_clients", ip)
		}
	}
	return nil
}

func peerName(c net.Conn) string {
	if u, ok := c.(*net.UnixConn); ok {
		if uid, err := peerUID(u); err == nil {
			return fmt.Sprintf("uid %d", uid)
		}
		return "unix"
	}
	return c.RemoteAddr().String()
}

// key names the listener for a successor of this router.
func (l *listener) key() string { return string(l.Kind) + ":" + l.Address }

// serveFront runs one connection in its own goroutine.
func (r *Router) serveFront(f *fastcgiFront) {
	r.fronts.add(&f.x)
	if r.handing.Load() { // looked at after add: handOver has seen it there, or we see this
		f.sc.Release()
	}
	r.frontWait.Add(1)
	go func() {
		defer r.frontWait.Done()
		defer r.fronts.leave()
		defer r.fronts.drop(&f.x)
		f.run()
	}()
}

// frontSet is the open exchanges, for the housekeeper, and the count of
// connections.
type frontSet struct {
	slots chan struct{} // one element a connection, capacity max_connections
	freed chan struct{} // of capacity 1: holds an element when one has ended since somebody looked
	held  atomic.Int64  // connections; of HTTP an idle one has no exchange

	mu  sync.Mutex
	all map[*exchange]struct{}
}

func newFrontSet(limit int) *frontSet {
	if limit <= 0 {
		limit = 16384
	}
	return &frontSet{slots: make(chan struct{}, limit), freed: make(chan struct{}, 1), all: make(map[*exchange]struct{})}
}

// admit waits until another connection may be open.
func (s *frontSet) admit(ctx interface{ Done() <-chan struct{} }) bool {
	select {
	case s.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// accepted is that there is a connection in the place that was admitted.
func (s *frontSet) accepted() { s.held.Add(1) }

// leave is the end of a connection.
func (s *frontSet) leave() {
	s.held.Add(-1)
	s.free()
}

// free gives a place back in which there has been no connection.
func (s *frontSet) free() {
	<-s.slots
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

// open counts connections, those that are about to be accepted among them.
func (s *frontSet) open() int { return len(s.slots) }

func (s *frontSet) add(x *exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[x] = struct{}{}
}

func (s *frontSet) drop(x *exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, x)
}

// each calls fn for every open exchange.
func (s *frontSet) each(fn func(*exchange)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := range s.all {
		fn(x)
	}
}

// connections counts them, idle ones among them.
func (s *frontSet) connections() int { return int(s.held.Load()) }

// count counts exchanges.
func (s *frontSet) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}
