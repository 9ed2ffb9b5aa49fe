package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/internal/status"
)

// interruptPatience is how long a process may take to get at its Python.
const interruptPatience = 3 * time.Second

// Interrupt raises RequestTimeout in the request with this id.
func (s *Supervisor) Interrupt(ctx context.Context, id string) (status.Interrupt, error) {
	for _, p := range s.processes() {
		if r := p.running(id); r != nil {
			outcome, err := p.interrupt(ctx, id)
			return status.Interrupt{Group: p.group.config.Name, PID: p.child.pid, Request: *r, Outcome: outcome}, err
		}
	}
	return status.Interrupt{}, fmt.Errorf("no request %q runs in a process group; wsgid requests lists them", id)
}

// running is the request with this id, nil: the process does not run it.
func (p *process) running(id string) *status.Request {
	board := p.board.Read()
	for _, r := range runningOf(&board) {
		if r.ID == id && id != "" {
			return &r
		}
	}
	return nil
}

// interrupt asks the process to do it, and says what became of it.
func (p *process) interrupt(ctx context.Context, id string) (string, error) {
	p.stackTurn.Lock()
	defer p.stackTurn.Unlock()
	if p.child.isStopped() {
		return "", fmt.Errorf("process %d is stopped", p.child.pid)
	}
	select {
	case <-p.interrupted: // of somebody who has not waited
	default:
	}
	if err := p.send("event\x00interrupt\x00request\x00"+id+"\x00", -1); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, interruptPatience)
	defer cancel()
	select {
	case raised := <-p.interrupted:
		switch raised {
		case "1":
			return status.Interrupted, nil
		case "0":
			return "", errors.New("the request is not in Python code of its application now, and cannot be interrupted there")
		}
		return "", errors.New("the request has ended meanwhile")
	case <-p.child.exited:
		return "", errors.New("the process has ended")
	case <-ctx.Done():
		return status.InterruptPending, nil
	}
}

// rights are the control message of a descriptor; -1: none.
func rights(fd int) []byte {
	if fd < 0 {
		return nil
	}
	return unix.UnixRights(fd)
}
