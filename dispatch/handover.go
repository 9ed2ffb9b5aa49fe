package dispatch

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/internal/wire"
)

// maxHandoverKey bounds the text that goes with a connection: the kind and
// address of its listener.
const maxHandoverKey = 1 << 10

// handoverRetry is the pause after the kernel has refused to carry another
// descriptor: too many are on their way (unix(7), ETOOMANYREFS).
const handoverRetry = 5 * time.Millisecond

// handover is this router's hold on the handover pair (docs/internals.md
// section 10), by which a router gives its front connections to its successor.
// The other routers hold the same two sockets.
type handover struct {
	send, receive *net.UnixConn
	until         time.Time // for sending; set before anything is sent
}

// openHandover takes both files over; nil if there are none.
func openHandover(send, receive *os.File) (*handover, error) {
	if send == nil || receive == nil {
		return nil, nil //nolint:nilnil // a router without is one of a test, or of the command that asks for routes
	}
	h := &handover{}
	for _, end := range []struct {
		file *os.File
		conn **net.UnixConn
	}{{send, &h.send}, {receive, &h.receive}} {
		c, err := net.FileConn(end.file)
		end.file.Close()
		if err != nil {
			h.close()
			return nil, fmt.Errorf("opening the handover pair: %w", err)
		}
		u, ok := c.(*net.UnixConn)
		if !ok {
			c.Close()
			h.close()
			return nil, errors.New("opening the handover pair: no unix socket")
		}
		*end.conn = u
	}
	return h, nil
}

func (h *handover) close() {
	if h == nil {
		return
	}
	for _, c := range []*net.UnixConn{h.send, h.receive} {
		if c != nil {
			_ = c.Close() // what was to be closed is closed
		}
	}
}

// stopTaking ends takeOver. What is in the pair stays there for a successor.
func (h *handover) stopTaking() {
	if h != nil {
		_ = h.receive.Close() // it may be closed already
	}
}

// give sends a connection, which stays open here as well.
func (h *handover) give(key string, c net.Conn) error {
	s, ok := c.(syscall.Conn)
	if !ok {
		return fmt.Errorf("%T has no descriptor", c)
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	err = raw.Control(func(fd uintptr) {
		rights := unix.UnixRights(int(fd))
		for {
			_, _, err = h.send.WriteMsgUnix([]byte(key), rights, nil)
			if !errors.Is(err, unix.ETOOMANYREFS) || !time.Now().Before(h.until) {
				return
			}
			time.Sleep(handoverRetry)
		}
	})
	return err
}

// take waits for a connection and the key of its listener.
func (h *handover) take() (key string, c net.Conn, err error) {
	text, rights := make([]byte, maxHandoverKey), make([]byte, unix.CmsgSpace(4))
	n, m, flags, _, err := h.receive.ReadMsgUnix(text, rights)
	if err != nil {
		return "", nil, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:m])
	if err != nil || len(messages) != 1 || flags&unix.MSG_CTRUNC != 0 {
		// The kernel has closed what did not fit: no descriptor was free.
		return string(text[:n]), nil, fmt.Errorf("no descriptor came with it (flags %#x): %w", flags, errors.Join(err, unix.EMFILE))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return string(text[:n]), nil, err
	}
	f := os.NewFile(uintptr(fds[0]), "front")
	c, err = net.FileConn(f)
	f.Close()
	return string(text[:n]), c, err
}

// takeOver serves the connections of predecessors until stopTaking.
func (r *Router) takeOver() {
	defer close(r.taken)
	if r.handover == nil {
		return
	}
	for {
		key, c, err := r.handover.take()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil && c == nil && key == "":
			if r.ctx.Err() == nil {
				r.log.Error("cannot take connections over", "error", err)
			}
			return
		case err != nil:
			r.log.Error("a connection of the router before is lost", "listener", key, "error", err)
			continue
		}
		r.takeFront(key, c)
	}
}

// takeFront serves a connection as if it had just been accepted.
func (r *Router) takeFront(key string, c net.Conn) {
	for _, l := range r.listeners {
		if l.key() != key {
			continue
		}
		if err := l.allows(c); err != nil {
			r.log.Warn(entries[errcode.PeerForbidden].Title, "code", errcode.PeerForbidden.String(),
				"listener", l.Address, "peer", peerName(c), "error", err)
			break
		}
		if !r.fronts.admit(r.ctx) {
			break
		}
		r.fronts.accepted()
		if l.Kind == wire.ListenHTTP {
			r.https[slices.IndexFunc(r.https, func(h *httpListener) bool { return h.l == l })].adopt(c)
		} else {
			r.serveFront(newFastCGIFront(r, l, c))
		}
		return
	}
	c.Close()
}

// passOn gives a connection that is between two requests to the successor. The
// caller closes our copy.
func (r *Router) passOn(l *listener, c net.Conn) {
	if err := r.handover.give(l.key(), c); err != nil {
		r.log.Error("cannot hand a connection over", "listener", l.Address, "peer", peerName(c), "error", err)
	}
}

// handOver gives every front connection to the successor and then ends the
// router: idle ones at once, the others when their request has ended.
func (r *Router) handOver(grace time.Duration) {
	if r.handover == nil {
		r.stop(grace)
		return
	}
	r.stopOnce.Do(func() {
		r.handover.until = time.Now().Add(grace)
		// An error means that it is closed.
		_ = r.handover.send.SetWriteDeadline(r.handover.until)
		r.handing.Store(true)
		r.closeListeners()
		r.handover.stopTaking()
		r.log.Info("router hands over", "connections", r.fronts.open(), "in_flight", r.inFlight(), "grace", grace.String())
		r.fronts.each(func(x *exchange) {
			if f, ok := x.front.(*fastcgiFront); ok {
				f.sc.Release()
			}
		})
		for _, h := range r.https {
			h.release()
		}
		r.background(func() { r.awaitEmpty(grace) })
	})
}

// awaitEmpty ends the router when no connection is left, or grace is over.
func (r *Router) awaitEmpty(grace time.Duration) {
	limit := time.NewTimer(grace)
	defer limit.Stop()
	taken := r.taken
	for taken != nil || r.fronts.open() > int(r.left.Load()) {
		select {
		case <-taken: // and the last connection that was taken over is counted
			taken = nil
		case <-r.fronts.freed:
		case <-limit.C:
			r.log.Warn("requests did not end in time", "in_flight", r.inFlight())
			r.finished()
			return
		case <-r.ctx.Done():
			return
		}
	}
	r.finished()
}
