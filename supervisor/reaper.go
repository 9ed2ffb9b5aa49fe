package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"
	"unsafe"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// reaper makes this process the one that inherits orphans of its descendants
// and reaps them, but never a child that an owner waits for.
type reaper struct {
	log hclog.Logger

	mu    sync.Mutex     // held over fork and registration, so that no child is seen unowned
	owned map[int]*child // nil: the heir of an upgrade
	// killed are process groups that were killed and may have members yet.
	killed map[int]bool

	signals chan os.Signal
	wake    chan struct{}
	quit    chan struct{}
	done    chan struct{}
}

func newReaper(log hclog.Logger) (*reaper, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become child subreaper: %w", err)
	}
	r := &reaper{
		log:     log,
		owned:   map[int]*child{},
		killed:  map[int]bool{},
		signals: make(chan os.Signal, 1),
		wake:    make(chan struct{}, 1),
		quit:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	signal.Notify(r.signals, unix.SIGCHLD)
	go r.run()
	return r, nil
}

// starting runs the fork of a child and registers its pid as owned before
// anybody looks.
func (r *reaper) starting(c *child, fork func() (int, error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := fork()
	if err == nil {
		r.owned[pid] = c
	}
	return err
}

// reap runs an owner's wait for its child, which must be a zombie whose process
// group was killed. No fork can come in between and get the number that has
// just become free.
func (r *reaper) reap(pid int, wait func()) {
	r.mu.Lock()
	wait()
	delete(r.owned, pid)
	r.killed[pid] = true
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// close ends the reaper when nothing is left of the process groups that were
// killed. No owner may be left.
func (r *reaper) close() {
	close(r.quit)
	<-r.done
	signal.Stop(r.signals)
}

func (r *reaper) run() {
	defer close(r.done)
	for {
		for r.reapOne() {
		}
		r.noticeStops()
		r.killedLeft()
		select {
		case <-r.signals:
		case <-r.wake:
		case <-r.quit:
			r.awaitKilled()
			return
		}
	}
}

// deathOfKilled bounds the wait for processes that have been sent SIGKILL: they
// need a processor once more, unless the kernel is stuck in one of them.
const deathOfKilled = 2 * time.Second

// awaitKilled reaps until the killed process groups are empty.
func (r *reaper) awaitKilled() {
	timer := time.NewTimer(deathOfKilled)
	defer timer.Stop()
	for {
		for r.reapOne() {
		}
		if !r.killedLeft() {
			return
		}
		select {
		case <-r.signals:
		case <-timer.C:
			r.log.Warn("killed processes are left")
			return
		}
	}
}

// killedLeft says whether a killed process group has members yet, dead ones
// that nobody has reaped included, and forgets those that have none.
func (r *reaper) killedLeft() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for group := range r.killed {
		if errors.Is(unix.Kill(-group, 0), unix.ESRCH) {
			delete(r.killed, group)
		}
	}
	return len(r.killed) > 0
}

// reapOne looks at one zombie without reaping it. An owned one hides those
// behind it until its owner has been there, who then wakes us.
func (r *reaper) reapOne() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); err != nil {
		return false
	}
	pid := childPID(&info)
	if _, owned := r.owned[pid]; pid == 0 || owned {
		return false
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, unix.WNOHANG, nil); err != nil {
		return false
	}
	r.log.Debug("orphan reaped", "pid", pid, "status", status.ExitStatus())
	return true
}

// childPID is si_pid, which follows the three numbers and, on 64-bit systems,
// a gap that aligns the union.
func childPID(info *unix.Siginfo) int {
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), childOffset())))
}

func childOffset() uintptr {
	if unsafe.Sizeof(uintptr(0)) == 8 {
		return 16
	}
	return 3 * unsafe.Sizeof(int32(0))
}
