package dispatch

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

const (
	// pipeSize is asked for each pipe: a record of 64 KiB in any shape fits.
	pipeSize = 256 << 10
	// idlePipes bounds how many are kept for the next large response.
	idlePipes = 32

	setPipeSize    = 1031 // F_SETPIPE_SZ
	spliceMove     = 1    // SPLICE_F_MOVE
	spliceNonblock = 2    // SPLICE_F_NONBLOCK
)

// pipe brings bytes from one socket to another without copying them: what it
// holds are references to the pages in which the sender's bytes lie.
type pipe struct {
	r, w int
	held int // bytes in it
}

var pipes = make(chan *pipe, idlePipes)

// takePipe returns an empty pipe.
func takePipe() (*pipe, error) {
	select {
	case p := <-pipes:
		return p, nil
	default:
	}
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	// A pipe of the ordinary size works too.
	_, _, _ = syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(fds[1]), setPipeSize, pipeSize)
	return &pipe{r: fds[0], w: fds[1]}, nil
}

// release gives a pipe back. One that still holds something is of no use.
func (p *pipe) release() {
	if p.held == 0 {
		select {
		case pipes <- p:
			return
		default:
		}
	}
	_ = syscall.Close(p.r)
	_ = syscall.Close(p.w)
}

// put writes a few bytes into an empty pipe.
func (p *pipe) put(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	n, err := syscall.Write(p.w, b)
	p.held += max(n, 0)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return os.NewSyscallError("write", err)
}

// splice calls splice(2) once it can be done without waiting.
func splice(from, to uintptr, n int) (int, syscall.Errno) {
	for {
		moved, _, errno := syscall.RawSyscall6(syscall.SYS_SPLICE, from, 0, to, 0, uintptr(n), spliceMove|spliceNonblock)
		if errno != syscall.EINTR {
			return int(moved), errno
		}
	}
}

// tryTake reports whether something went into the pipe, or nothing will.
func (c *directConn) tryTake(fd uintptr) bool {
	t := &c.read
	t.n, t.errno = splice(fd, uintptr(t.pipe.w), t.want)
	return t.errno != syscall.EAGAIN
}

// take brings at most n bytes that arrive on c into the empty pipe.
func (c *directConn) take(p *pipe, n int) (int, error) {
	c.read = transfer{pipe: p, want: n}
	err := c.raw.Read(c.takeReady)
	n, errno := c.read.n, c.read.errno
	c.read.pipe = nil
	switch {
	case err != nil:
		return 0, err
	case errno != 0:
		return 0, &net.OpError{Op: "splice", Net: "unix", Err: errno}
	case n == 0:
		return 0, io.EOF
	}
	p.held += n
	return n, nil
}

// tryGive reports whether the pipe is empty, or cannot be emptied.
func (c *directConn) tryGive(fd uintptr) bool {
	t := &c.write
	for t.pipe.held > 0 {
		n, errno := splice(uintptr(t.pipe.r), fd, t.pipe.held)
		switch errno {
		case 0:
			t.pipe.held -= n
		case syscall.EAGAIN:
			return c.cannotWait(fd, t)
		default:
			t.errno = errno
			return true
		}
	}
	return true
}

// give sends all that the pipe holds.
func (c *directConn) give(p *pipe) error {
	c.write = transfer{pipe: p}
	err := c.raw.Write(c.giveReady)
	errno := c.write.errno
	c.write.pipe = nil
	c.written()
	if err == nil && errno != 0 {
		err = &net.OpError{Op: "splice", Net: "unix", Err: errno}
	}
	return err
}

// errSource is wrapped by errors of spliceFrom that are of the sending side.
var errSource = errors.New("cannot read what is to be passed on")

// spliceFrom sends head, a few bytes, and the next n bytes that arrive on from,
// through the empty pipe p.
func (c *directConn) spliceFrom(from *directConn, p *pipe, head []byte, n int) error {
	if err := p.put(head); err != nil {
		return err
	}
	for n > 0 {
		got, err := from.take(p, n)
		if err != nil {
			return fmt.Errorf("%w: %w", errSource, err)
		}
		n -= got
		if err := c.give(p); err != nil {
			return err
		}
	}
	return nil
}
