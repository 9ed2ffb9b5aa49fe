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
	"time"

	"golang.org/x/sys/unix"
)

const (
	// stacksSignal is SIGRTMAX-1, for which wsgid's handler is in every worker
	// (pyshim/stacks.h).
	stacksSignal = unix.Signal(63)
	// stackPatience is how long one thread of a service has to write its stack: it only
	// has to be given a processor, unless it keeps the signal blocked.
	stackPatience = 200 * time.Millisecond
	// stackTick is how often it is looked whether it has.
	stackTick = time.Millisecond
)

// signalStacks has each thread of a service write its stack: nobody in it waits to be
// asked.
func (p *process) signalStacks(ctx context.Context) ([]byte, error) {
	file := p.stacksMemory
	if err := unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, maxStacks); err != nil {
		return nil, fmt.Errorf("clearing the stacks: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil { // its offset is the service's, too
		return nil, fmt.Errorf("clearing the stacks: %w", err)
	}
	told := false
	for _, t := range threadsOf(p.child.pid) {
		// The service may have given the signal another meaning, such as its end.
		if !handles(p.child.pid, stacksSignal) {
			return nil, errors.New("it does not handle the signal")
		}
		begin, err := file.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, fmt.Errorf("reading the stacks: %w", err)
		}
		if !p.child.signalThread(t.TID, stacksSignal) {
			continue
		}
		for wait := stackPatience; wait > 0 && ctx.Err() == nil; wait -= stackTick {
			if wrote(file, begin) {
				told = true
				break
			}
			time.Sleep(stackTick)
		}
	}
	if !told {
		return nil, errors.New("its threads do not answer")
	}
	text, err := io.ReadAll(io.NewSectionReader(file, 0, maxStacks))
	if err != nil {
		return nil, fmt.Errorf("reading the stacks: %w", err)
	}
	return bytes.ReplaceAll(bytes.TrimRight(text, "\x00"), stacksEnd, nil), nil
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
