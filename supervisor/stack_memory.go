package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// stacksSignal is SIGRTMAX-1, for which wsgid's handler is wherever Python is
	// (pyshim/stacks.h).
	stacksSignal = unix.Signal(63)
	// stackPatience is how long one thread has to write its stack: it only has to be given
	// a processor, unless it keeps the signal blocked.
	stackPatience = 200 * time.Millisecond
	// stackTick is how often it is looked whether it has.
	stackTick = time.Millisecond
)

// stackMemory is where the threads of a child write their stacks when the supervisor
// sends them a signal: in a service, the router and the dispatch helper nobody waits to
// be asked.
type stackMemory struct {
	turn sync.Mutex // of who asks
	file *os.File
}

// errNoPython: the process has not said that it would answer.
var errNoPython = errors.New("it runs no Python")

func newStackMemory() (*stackMemory, error) {
	file, err := stacksMemory()
	if err != nil {
		return nil, err
	}
	return &stackMemory{file: file}, nil
}

// close is for when the child has ended: who asks has seen that. It may be nil.
func (m *stackMemory) close() {
	if m != nil {
		m.turn.Lock()
		defer m.turn.Unlock()
		m.file.Close()
	}
}

// ask has each thread of the child write its stack.
func (m *stackMemory) ask(ctx context.Context, c *child) ([]byte, error) {
	m.turn.Lock()
	defer m.turn.Unlock()
	if c.isStopped() {
		return nil, errStopped
	}
	ctx, cancel := context.WithTimeout(ctx, stacksPatience)
	defer cancel()
	// Its offset is the child's, too, which begins with a mark.
	switch at, err := m.file.Seek(0, io.SeekCurrent); {
	case err != nil:
		return nil, fmt.Errorf("reading the stacks: %w", err)
	case at == 0:
		return nil, errNoPython
	}
	if err := m.clear(); err != nil {
		return nil, fmt.Errorf("clearing the stacks: %w", err)
	}
	told := false
	for _, t := range threadsOf(c.pid) {
		// An application may have given the signal another meaning, such as its end.
		if !handles(c.pid, stacksSignal) {
			return nil, errors.New("it does not handle the signal")
		}
		begin, err := m.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, fmt.Errorf("reading the stacks: %w", err)
		}
		if !c.signalThread(t.TID, stacksSignal) {
			continue
		}
		for wait := stackPatience; wait > 0 && ctx.Err() == nil; wait -= stackTick {
			if wrote(m.file, begin) {
				told = true
				break
			}
			time.Sleep(stackTick)
		}
	}
	if !told {
		return nil, errors.New("its threads do not answer")
	}
	text, err := io.ReadAll(io.NewSectionReader(m.file, 0, maxStacks))
	if err != nil {
		return nil, fmt.Errorf("reading the stacks: %w", err)
	}
	return bytes.ReplaceAll(bytes.TrimRight(text, "\x00"), stacksEnd, nil), nil
}

// clear takes everything out but the mark.
func (m *stackMemory) clear() error {
	if err := unix.Fallocate(int(m.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, maxStacks); err != nil {
		return err //nolint:wrapcheck // the caller says what for
	}
	if _, err := m.file.Seek(0, io.SeekStart); err != nil {
		return err //nolint:wrapcheck // likewise
	}
	_, err := m.file.Write(stacksEnd)
	return err //nolint:wrapcheck // likewise
}

// wrote says whether a thread has written its stack behind begin.
func wrote(file *os.File, begin int64) bool {
	last := make([]byte, len(stacksEnd))
	at, err := file.Seek(0, io.SeekCurrent)
	if err != nil || at < begin+int64(len(last)) || at > maxStacks {
		return false
	}
	_, err = file.ReadAt(last, at-int64(len(last)))
	return err == nil && bytes.Equal(last, stacksEnd)
}

// handles says whether a process has a handler for a signal.
func handles(pid int, signal unix.Signal) bool {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(content), "\nSigCgt:\t")
	digits, _, _ := strings.Cut(rest, "\n")
	mask, err := strconv.ParseUint(digits, 16, 64)
	return err == nil && mask&(1<<(signal-1)) != 0
}

// signalThread sends a signal to one thread of a child that has not been reaped.
func (c *child) signalThread(tid int, signal unix.Signal) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.reaped && unix.Tgkill(c.pid, tid, signal) == nil
}
