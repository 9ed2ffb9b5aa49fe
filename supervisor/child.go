package supervisor

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/internal/exitreason"
)

// child is a running process with the supervisor's ends of its log channels.
type child struct {
	pid     int
	started time.Time
	process *os.Process
	raw     *os.File // read end of the raw log pipe
	records *os.File // framed log records

	mu     sync.Mutex // held over signals to the group and over the reaping
	killed bool       // we have sent SIGKILL
	reaped bool       // the number may be somebody else's by now
	stops  stops
	// unresponsive: it was stopped for too long, and killed.
	unresponsive bool

	// exited is closed when the process has been reaped and its process group
	// killed; state and waitErr are set then.
	exited  chan struct{}
	state   *os.ProcessState
	waitErr error
}

// wait blocks until the process has exited, kills what is left of its process
// group, and reaps it. The group is killed before the reaping: as long as the
// zombie holds the number nobody else can have it.
func (c *child) wait(r *reaper) {
	if awaitExit(c.pid) != nil {
		awaitExitOnThread(c.pid) // Linux before 5.10, or no descriptor left
	}
	c.mu.Lock()
	c.signalGroup()
	r.reap(c.pid, func() { c.state, c.waitErr = c.process.Wait() })
	c.reaped = true
	if c.stops.end != nil {
		c.stops.end.Stop()
	}
	c.mu.Unlock()
	close(c.exited)
}

// signal sends a signal to the process alone.
func (c *child) signal(s syscall.Signal) { _ = c.process.Signal(s) }

// end ends the process: SIGTERM, after grace SIGKILL. It says which it took.
func (c *child) end(grace time.Duration) exitreason.Reason {
	c.signal(syscall.SIGTERM)
	if exitedWithin(c, grace) {
		return exitreason.ShutdownSignal
	}
	c.kill()
	<-c.exited
	return exitreason.ShutdownTimeout
}

func exitedWithin(c *child, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.exited:
		return true
	case <-timer.C:
		return false
	}
}

// kill kills the process and its process group; nothing once it is reaped.
func (c *child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.reaped {
		c.killed = true
		c.signalGroup()
	}
}

// wasKilled says whether kill has been called while the process was there.
func (c *child) wasKilled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.killed
}

// signalGroup needs c.mu and a child that is not reaped.
func (c *child) signalGroup() { _ = syscall.Kill(-c.pid, syscall.SIGKILL) }

// awaitExit waits for the exit of a child without reaping it. It holds a
// descriptor in the runtime's poller and no thread, so that the supervisor of
// a thousand processes needs no thousand threads.
func awaitExit(pid int) error {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("open pidfd: %w", err)
	}
	file := os.NewFile(uintptr(fd), "pidfd")
	defer file.Close()
	raw, err := file.SyscallConn()
	if err != nil {
		return fmt.Errorf("poll pidfd: %w", err)
	}
	var waitErr error
	if err := raw.Read(func(uintptr) bool {
		var exited bool
		exited, waitErr = hasExited(pid)
		return exited || waitErr != nil
	}); err != nil {
		return fmt.Errorf("poll pidfd: %w", err)
	}
	return waitErr
}

// hasExited says whether a child is a zombie, which it stays.
func hasExited(pid int) (bool, error) {
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); err != nil {
		return false, fmt.Errorf("waitid: %w", err)
	}
	return childPID(&info) == pid, nil
}

// awaitExitOnThread is awaitExit at the price of a thread.
func awaitExitOnThread(pid int) {
	for errors.Is(unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
}
