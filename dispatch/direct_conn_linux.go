package dispatch

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// directConn reads and writes a socket without telling the scheduler about
// each system call. The descriptor is non-blocking, so no call lasts longer
// than copying; what the ordinary way costs on top is not only its bookkeeping:
// whenever the kernel runs somebody else in the middle of a write that woke
// him, the runtime's monitor takes the processor away from the thread, starts
// another one for it and stays awake for the next such case.
//
// Like every connection of the router it has at most one reader and one writer
// at a time.
type directConn struct {
	net.Conn
	raw    syscall.RawConn
	read   transfer
	write  transfer
	watch  interest
	vector []syscall.Iovec // the parts as the kernel wants them
	// asking: the next read has a write before it.
	asking bool
	// patience is how long a write may wait until the peer takes something; 0:
	// for ever. limited: one waits, or has waited, with that deadline; hurried:
	// somebody has set another.
	patience time.Duration
	limited  bool
	hurried  atomic.Bool
	// ready are made once: a closure for each call would be an allocation.
	readReady, writeReady, takeReady, giveReady, gatherReady func(fd uintptr) bool
}

// transfer is one call under way.
type transfer struct {
	buf   []byte
	n     int
	errno syscall.Errno
	// Of a splice, instead of buf: the pipe, and how much of it at most.
	pipe *pipe
	want int
	// Of a gathering write, instead of buf: what is left of it.
	parts net.Buffers
}

// sendBuffer is asked for how much a unix socket holds that the peer has not
// taken yet; the kernel gives twice that, at most twice net.core.wmem_max. With
// what it gives unasked a large body changes processes every 200 KiB.
const sendBuffer = 512 << 10

// direct wraps c if it is a socket of the system.
func direct(c net.Conn) net.Conn {
	s, ok := c.(syscall.Conn)
	if !ok {
		return c
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return c
	}
	if u, ok := c.(*net.UnixConn); ok { // TCP finds its own size
		_ = u.SetWriteBuffer(sendBuffer) // it works with any
	}
	d := &directConn{Conn: c, raw: raw}
	d.readReady, d.writeReady = d.tryRead, d.tryWrite
	d.takeReady, d.giveReady, d.gatherReady = d.tryTake, d.tryGive, d.tryGather
	return d
}

// quiet tells the connection that it is a lasting one: nobody needs to be woken
// when it can be written to, unless a write waits. Nothing may be written
// meanwhile.
func (c *directConn) quiet() {
	if c.watch.poller == 0 {
		// An error means that it is closed.
		_ = c.raw.Control(c.watch.quiet)
	}
}

// CloseWrite ends our direction of the connection.
func (c *directConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// tryRead reports whether the read is over.
func (c *directConn) tryRead(fd uintptr) bool {
	if c.asking {
		c.asking = false
		if c.tryWrite(fd) && c.write.errno == 0 {
			return false
		}
		return true
	}
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&c.read.buf[0])), uintptr(len(c.read.buf)))
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		case 0:
			c.read.n = int(n)
		default:
			c.read.errno = errno
		}
		return true
	}
}

// Read is that of net.Conn.
func (c *directConn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	c.read = transfer{buf: b}
	err := c.raw.Read(c.readReady)
	n, errno := c.read.n, c.read.errno
	c.read.buf = nil
	switch {
	case err != nil:
		return 0, err
	case errno != 0:
		return 0, &net.OpError{Op: "read", Net: "unix", Err: errno}
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Ask writes b and reads the beginning of the answer into buf. The answer takes
// a while, so that the ordinary way finds nothing at first; here the first read
// comes when the socket says that there is something. With sent < len(b), the
// rest is still to be written unless there is an error.
func (c *directConn) Ask(b, buf []byte) (sent, n int, err error) {
	c.write = transfer{buf: b}
	c.asking = true
	n, err = c.Read(buf)
	c.asking = false
	sent, errno := c.write.n, c.write.errno
	c.write.buf = nil
	if errno != 0 {
		return sent, 0, &net.OpError{Op: "write", Net: "unix", Err: errno}
	}
	if sent < len(b) && errors.Is(err, io.EOF) {
		err = nil // nothing was read
	}
	return sent, n, err
}

// tryWrite reports whether all is written, or nothing more can be.
func (c *directConn) tryWrite(fd uintptr) bool {
	w := &c.write
	for w.n < len(w.buf) {
		rest := w.buf[w.n:]
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(&rest[0])), uintptr(len(rest)))
		switch errno {
		case syscall.EINTR:
		case syscall.EAGAIN:
			return c.cannotWait(fd, w)
		case 0:
			w.n += int(n)
		default:
			w.errno = errno
			return true
		}
	}
	return true
}

// cannotWait lets a write wait until the socket takes more. It reports true if
// that is not possible.
func (c *directConn) cannotWait(fd uintptr, w *transfer) bool {
	if c.watch.poller != 0 && !c.watch.asked {
		w.errno = c.watch.ask(fd, true)
	}
	if w.errno == 0 && c.patience > 0 && !c.hurried.Load() {
		c.limited = true
		// An error means that the connection is closed.
		_ = c.SetWriteDeadline(time.Now().Add(c.patience))
		if c.hurried.Load() {
			_ = c.SetWriteDeadline(past)
		}
	}
	return w.errno != 0
}

// hurry makes writes fail that cannot be done by then.
func (c *directConn) hurry(deadline time.Time) {
	c.hurried.Store(true)
	_ = c.SetWriteDeadline(deadline) // as above
}

// written: no write waits any more.
func (c *directConn) written() {
	if c.watch.asked {
		// An error means that the connection is closed.
		_ = c.raw.Control(func(fd uintptr) { _ = c.watch.ask(fd, false) })
	}
	if c.limited {
		if c.limited = false; !c.hurried.Load() {
			_ = c.SetWriteDeadline(time.Time{})
		}
	}
}

// Write is that of net.Conn.
func (c *directConn) Write(b []byte) (int, error) {
	c.write = transfer{buf: b}
	err := c.raw.Write(c.writeReady)
	n, errno := c.write.n, c.write.errno
	c.write.buf = nil
	c.written()
	if err == nil && errno != 0 {
		err = &net.OpError{Op: "write", Net: "unix", Err: errno}
	}
	return n, err
}

// tryGather is tryWrite for the parts.
func (c *directConn) tryGather(fd uintptr) bool {
	w := &c.write
	for len(w.parts) > 0 {
		c.vector = c.vector[:0]
		for _, part := range w.parts {
			v := syscall.Iovec{Base: &part[0]}
			v.SetLen(len(part))
			c.vector = append(c.vector, v)
		}
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&c.vector[0])), uintptr(len(c.vector)))
		switch errno {
		case syscall.EINTR:
		case syscall.EAGAIN:
			return c.cannotWait(fd, w)
		case 0:
			for n > 0 {
				k := min(int(n), len(w.parts[0]))
				n -= uintptr(k)
				if w.parts[0] = w.parts[0][k:]; len(w.parts[0]) == 0 {
					w.parts = w.parts[1:]
				}
			}
		default:
			w.errno = errno
			return true
		}
	}
	return true
}

// WriteParts writes all parts, none of them empty, with as few system calls as
// possible. It changes them, and returns those that were not written.
func (c *directConn) WriteParts(parts net.Buffers) (rest net.Buffers, err error) {
	c.write = transfer{parts: parts}
	err = c.raw.Write(c.gatherReady)
	rest, errno := c.write.parts, c.write.errno
	c.write.parts = nil
	clear(c.vector)
	c.written()
	if err == nil && errno != 0 {
		err = &net.OpError{Op: "write", Net: "unix", Err: errno}
	}
	return rest, err
}
