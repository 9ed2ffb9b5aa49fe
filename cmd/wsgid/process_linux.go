package main

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// heldProcess is a process that is no child of ours, held by a descriptor.
type heldProcess struct{ fd int }

// holdProcess takes hold of a process by its number.
func holdProcess(pid int) (*heldProcess, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("taking hold of process %d: %w", pid, err)
	}
	return &heldProcess{fd}, nil
}

// wait waits for the end of the process, at most timeout unless that is 0.
func (p *heldProcess) wait(timeout time.Duration) (bool, error) {
	deadline := time.Now().Add(timeout)
	for {
		milliseconds := -1
		if timeout > 0 {
			milliseconds = int(max(0, time.Until(deadline).Milliseconds()))
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, milliseconds)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("waiting for a process: %w", err)
		}
		return n > 0, nil
	}
}

// release lets go of it.
func (p *heldProcess) release() { unix.Close(p.fd) }
