package dispatch

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/internal/wire"
)

const (
	// accessChunk of lines are written at once, what there is of them accessDelay
	// after the first.
	accessChunk = 64 << 10
	accessDelay = 100 * time.Millisecond
	// accessLimit bounds what waits while the supervisor does not read: many
	// thousand lines.
	accessLimit = 4 << 20
	// accessEnd is how long it gets to read the rest when the router ends.
	accessEnd = time.Second
)

// accessFile gathers lines and writes them into the pipe to the supervisor. Requests
// are never held up: what finds no room is dropped and counted.
type accessFile struct {
	path string
	pipe *os.File
	log  hclog.Logger
	lost func(path string, lines uint64) // tells the supervisor

	timer *time.Timer // runs when something waits
	full  chan struct{}
	done  chan struct{} // closed by close
	ended chan struct{} // closed when run has ended

	mu      sync.Mutex
	waiting []byte
	dropped uint64 // lines since it was told
	closed  bool

	// of run
	spare   []byte // what was written last
	missing uint64 // lines that were lost in a row
}

func openAccessFile(c wire.AccessFile, log hclog.Logger, lost func(string, uint64)) (*accessFile, error) {
	if err := unix.SetNonblock(c.FD, true); err != nil {
		return nil, fmt.Errorf("opening the pipe of access log %s: %w", c.Path, err)
	}
	f := &accessFile{
		path: c.Path, pipe: os.NewFile(uintptr(c.FD), c.Path), log: log, lost: lost, timer: time.NewTimer(time.Hour),
		full: make(chan struct{}, 1), done: make(chan struct{}), ended: make(chan struct{}),
	}
	f.timer.Stop()
	go f.run() // until close
	return f, nil
}

// add takes a line.
func (f *accessFile) add(line []byte) {
	f.mu.Lock()
	before := len(f.waiting)
	if f.closed || len(line) > wire.MaxAccessLine || before+len(line) > accessLimit {
		f.dropped++
		f.mu.Unlock()
		return
	}
	f.waiting = append(f.waiting, line...)
	now := len(f.waiting)
	f.mu.Unlock()
	if before == 0 {
		f.timer.Reset(accessDelay)
	}
	if before < accessChunk && now >= accessChunk {
		select {
		case f.full <- struct{}{}:
		default:
		}
	}
}

func (f *accessFile) run() {
	defer close(f.ended)
	for {
		select {
		case <-f.timer.C:
		case <-f.full:
		case <-f.done:
			f.flush()
			f.tell()
			return
		}
		f.flush()
	}
}

// flush writes what waits.
func (f *accessFile) flush() {
	f.mu.Lock()
	lines := f.waiting
	f.waiting, f.spare = f.spare[:0], nil
	f.mu.Unlock()
	missing := uint64(0)
	if len(lines) > 0 {
		if n, err := f.pipe.Write(lines); err != nil { // there is nobody any more, or close has waited
			missing = uint64(bytes.Count(lines[n:], []byte{'\n'}))
		}
	}
	if cap(lines) <= 2*accessChunk {
		f.spare = lines // else a flood is no reason to keep its size
	}
	f.mu.Lock()
	missing += f.dropped
	f.dropped = 0
	f.mu.Unlock()
	if missing == 0 {
		f.tell()
		return
	}
	f.missing += missing
	f.lost(f.path, missing)
	f.timer.Reset(accessDelay) // to see whether that was all
}

// tell says once how many lines were lost in a row.
func (f *accessFile) tell() {
	if f.missing > 0 {
		f.log.Warn("access log lines are missing: the supervisor has not read them in time", "access_log", f.path, "lines", f.missing)
		f.missing = 0
	}
}

// close writes what is left.
func (f *accessFile) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	_ = f.pipe.SetWriteDeadline(time.Now().Add(accessEnd)) // it is a pipe
	close(f.done)
	<-f.ended
	f.timer.Stop()
	_ = f.pipe.Close() // all is written
}
