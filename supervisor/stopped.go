package supervisor

import (
	"cmp"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stopGrace is how long a child may be stopped (SIGSTOP) until it is killed and
// replaced: enough to look at it by hand, little enough for those who wait for
// what it has. A debugger's stops are not told to a parent.
const stopGrace = 10 * time.Second

// helperStopGrace is that of the dispatch helper: calls that it has are made
// again in the next one, if that comes within dispatch_timeout, 10 s by default.
const helperStopGrace = 5 * time.Second

// stops follows the stops of one child.
type stops struct {
	grace   time.Duration // 0: stopGrace
	stopped bool
	end     *time.Timer
	// notice tells the owner; nil: there is none, or not yet.
	notice func(stopped bool)
}

func (s *stops) patience() time.Duration { return cmp.Or(s.grace, stopGrace) }

// onStop has f told of every stop and of its end, of one under way at once. f is
// not called twice at a time, and must neither block nor wait for the child.
func (c *child) onStop(f func(stopped bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stops.notice = f
	if c.stops.stopped {
		f(true)
	}
}

// isStopped says whether the child is stopped now.
func (c *child) isStopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stops.stopped
}

// stopped is the news that the child was stopped or goes on. late is called when
// it has been stopped for too long.
func (c *child) stopped(now bool, late func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.stops
	if c.reaped || s.stopped == now {
		return
	}
	s.stopped = now
	if now {
		s.end = time.AfterFunc(s.patience(), late)
	} else {
		s.end.Stop()
	}
	if s.notice != nil {
		s.notice(now)
	}
}

// killStopped kills a child that is still stopped.
func (c *child) killStopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reaped || !c.stops.stopped {
		return false
	}
	c.killed, c.unresponsive = true, true
	c.signalGroup()
	return true
}

// wasUnresponsive says whether it was killed for that.
func (c *child) wasUnresponsive() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unresponsive
}

// noticeStops takes the news of stopped children, which come with SIGCHLD, so
// that nobody has to ask each of them again and again.
func (r *reaper) noticeStops() {
	for {
		var info unix.Siginfo
		if err := unix.Waitid(unix.P_ALL, 0, &info, unix.WSTOPPED|unix.WCONTINUED|unix.WNOHANG, nil); err != nil {
			return
		}
		pid := childPID(&info)
		if pid == 0 {
			return
		}
		r.mu.Lock()
		c := r.owned[pid]
		r.mu.Unlock()
		if c == nil {
			continue // an orphan or an heir: nobody waits for it
		}
		now := info.Code != cldContinued
		c.stopped(now, func() {
			if c.killStopped() {
				r.log.Error("process is stopped and does not go on: killed", "pid", pid, "stopped_for", c.stops.patience().String())
			}
		})
		if now {
			r.log.Warn("process was stopped", "pid", pid, "signal", unix.SignalName(childSignal(&info)), "killed_after", c.stops.patience().String())
		} else {
			r.log.Info("stopped process goes on", "pid", pid)
		}
	}
}

// cldContinued is si_code of a child that goes on (CLD_CONTINUED).
const cldContinued = 6

// childSignal is si_status, behind si_pid and si_uid.
func childSignal(info *unix.Siginfo) unix.Signal {
	return unix.Signal(*(*int32)(unsafe.Add(unsafe.Pointer(info), childOffset()+2*unsafe.Sizeof(int32(0)))))
}
