package dispatch

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/protocol"
)

const (
	// uploadEnd is how long a worker may take after its answer to drop what is
	// left of the body before its connection is given up.
	uploadEnd = time.Second
	// jamAfter is how long both directions have to stand still before the body
	// goes to a file.
	jamAfter = 100 * time.Millisecond
	// maxSpool bounds that file where max_body_bytes does not.
	maxSpool = 1 << 30
)

// upload streams a body to a worker beside the reading of its answer.
//
// A front server may read nothing before it has sent the whole body (Caddy),
// and an application may write much and read nothing: then each waits for the
// other, through us. The housekeeper sees that neither the answer nor the body
// moves and interrupts the write to the worker; from then on the body goes to a
// file, and another goroutine brings it from there to the worker.
type upload struct {
	x    *exchange
	w    *workerConn
	done chan struct{}
	// failed: the stream to the worker was cut inside a record, or the body is
	// incomplete.
	failed bool
	// writing is since when (Router.clock) a write to the worker is under way, or 0.
	writing atomic.Int64
	spool   *spool

	jammed, stopped bool // under the lock of the exchange
}

// startUpload begins to send rest and then what comes from the front server.
func (x *exchange) startUpload(w *workerConn, rest []byte) *upload {
	u := &upload{x: x, w: w, done: make(chan struct{})}
	x.mu.Lock()
	x.upload, x.reading = u, true
	x.mu.Unlock()
	go u.run(rest)
	return u
}

func (u *upload) run(rest []byte) {
	defer close(u.done)
	defer u.endSpool()
	x := u.x
	var s stdin
	for len(rest) > 0 {
		n := min(len(rest), bufferSize)
		s.reset()
		s.add(rest[:n])
		if !u.write(s.parts) {
			return
		}
		rest = rest[n:]
	}
	for !x.bodyEnded {
		err := x.nextStream(&s)
		// What arrived before an error may still reach the application.
		if !u.write(s.parts) {
			return
		}
		if err != nil {
			u.broken(err)
			return
		}
	}
}

// write sends parts to the worker, or to the file once there is one.
func (u *upload) write(parts net.Buffers) bool {
	if u.spool != nil || len(parts) == 0 {
		return u.keep(parts)
	}
	u.writing.Store(u.x.router.clock())
	parts, err := u.w.WriteParts(parts)
	u.writing.Store(0)
	switch {
	case err == nil:
		return true
	case !errors.Is(err, os.ErrDeadlineExceeded) || !u.resume():
		u.failed = true
		return false
	}
	u.x.router.log.Debug("body goes to a file", u.x.named("received", u.x.bodyRead)...)
	if u.spool, err = newSpool(u.x.target.mount.MaxBodyBytes); err != nil {
		u.x.tell(hclog.Error, "cannot keep a request body", "error", err)
		u.failed = true
		u.x.kill(clientGone)
		return false
	}
	go u.drain(u.spool)
	return u.keep(parts)
}

// keep puts parts into the file.
func (u *upload) keep(parts net.Buffers) bool {
	for _, part := range parts {
		if err := u.spool.add(part); err != nil {
			u.x.tell(hclog.Error, "cannot keep a request body", "error", err)
			u.failed = true
			u.x.kill(clientGone)
			return false
		}
	}
	return true
}

// resume lets writes to the worker wait again after unjam.
func (u *upload) resume() bool {
	u.x.mu.Lock()
	defer u.x.mu.Unlock()
	return u.jammed && !u.stopped && u.x.killed == notKilled && u.w.SetWriteDeadline(time.Time{}) == nil
}

// drain brings the file to the worker.
func (u *upload) drain(s *spool) {
	defer close(s.drained)
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	for at := int64(0); ; {
		n, err := s.next(buf[:], at)
		if n > 0 {
			if _, err := u.w.Write(buf[:n]); err != nil {
				s.fail()
				return
			}
			at += int64(n)
		}
		if err != nil {
			return
		}
	}
}

func (u *upload) endSpool() {
	if u.spool == nil {
		return
	}
	u.spool.end()
	<-u.spool.drained
	u.spool.file.Close()
}

// unjam is the housekeeper's look at an exchange whose two directions may wait
// for each other.
func (x *exchange) unjam(now time.Time) {
	old := func(since *atomic.Int64) bool {
		t := since.Load()
		return t != 0 && x.router.clockAt(now)-t > int64(jamAfter)
	}
	if !old(&x.answering) {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	u := x.upload
	if u == nil || u.jammed || u.stopped || x.killed != notKilled || !old(&u.writing) {
		return
	}
	u.jammed = true
	// An error means that the connection is closed, which ends writing as well.
	_ = u.w.SetWriteDeadline(past)
}

// broken: the body ends early. The worker is told by the end of its
// connection, which makes the application's read raise.
func (u *upload) broken(err error) {
	x := u.x
	if x.ended.Load() || (errors.Is(err, protocol.ErrInterrupted) && x.killedBy() == notKilled) {
		return // the answer was complete before the body; the worker drops the rest
	}
	u.failed = true
	why := clientGone
	switch {
	case errors.Is(err, errShortBody):
		why = bodyCut
	case errors.Is(err, errBodyTooLarge):
		why = bodyOver
	case errors.Is(err, protocol.ErrAbortRecord):
		why = clientAborted
	}
	x.tell(hclog.Warn, "request body broke off", "received", x.bodyRead, "error", err)
	x.kill(why)
}

// stop ends the upload after the answer and reports whether the connection to
// the worker can be used again.
func (u *upload) stop() bool {
	x := u.x
	select {
	case <-u.done:
	default:
		x.front.interrupt()
		t := time.NewTimer(uploadEnd)
		defer t.Stop()
		select {
		case <-u.done:
		case <-t.C:
			x.mu.Lock()
			u.stopped = true
			u.w.interrupt()
			x.mu.Unlock()
			<-u.done
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.upload, x.reading = nil, false
	return !u.failed && !u.jammed && !u.stopped
}

// spool is the part of a body that has no other place, in a file without a
// name. One goroutine adds, one takes.
type spool struct {
	file    *os.File
	limit   int64
	drained chan struct{}

	mu     sync.Mutex
	more   sync.Cond // of mu
	size   int64
	over   bool // nothing more will be added
	failed bool // nobody takes any more
}

// newSpool makes one for a body of at most maxBody bytes, 0: not known.
func newSpool(maxBody int64) (*spool, error) {
	f, err := os.CreateTemp("", "wsgid-body-")
	if err != nil {
		return nil, fmt.Errorf("creating a file for a body: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("creating a file for a body: %w", err)
	}
	s := &spool{file: f, limit: maxSpool, drained: make(chan struct{})}
	if maxBody > 0 {
		s.limit = 2 * maxBody // what else is in it are record headers
	}
	s.more.L = &s.mu
	return s, nil
}

// add appends b. Once nobody takes it, it is dropped: the request goes on
// without its body, as with any worker that reads none.
func (s *spool) add(b []byte) error {
	s.mu.Lock()
	size, failed := s.size, s.failed
	s.mu.Unlock()
	if failed {
		return nil
	}
	if size+int64(len(b)) > s.limit {
		return errBodyTooLarge
	}
	if _, err := s.file.WriteAt(b, size); err != nil {
		return fmt.Errorf("keeping a body: %w", err)
	}
	s.mu.Lock()
	s.size += int64(len(b))
	s.mu.Unlock()
	s.more.Signal()
	return nil
}

// next waits for bytes at offset at and reads some; io.EOF is the end.
func (s *spool) next(p []byte, at int64) (int, error) {
	s.mu.Lock()
	for s.size == at && !s.over {
		s.more.Wait()
	}
	n := min(int64(len(p)), s.size-at)
	s.mu.Unlock()
	if n == 0 {
		return 0, io.EOF
	}
	return s.file.ReadAt(p[:n], at)
}

func (s *spool) end() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.more.Signal()
}

func (s *spool) fail() {
	s.mu.Lock()
	s.failed = true
	s.mu.Unlock()
}
