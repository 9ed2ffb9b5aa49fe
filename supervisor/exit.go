package supervisor

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/wsgid/wsgid/internal/exitreason"
)

// exitFacts is what is known when a process has ended.
type exitFacts struct {
	state   *os.ProcessState  // nil when waiting failed
	intent  exitreason.Reason // why we ended it, None: we did not
	failed  bool              // it said that it cannot start
	claimed exitreason.Reason // what the scoreboard says
	killed  bool              // we sent SIGKILL
	stopped bool              // because it was stopped for too long
	oom     bool              // the kernel's OOM killer has been at work in our cgroup
}

// exitReason decides why a process ended. What it says itself is only
// believed when it exited voluntarily, with status 0.
func exitReason(f exitFacts) exitreason.Reason {
	if f.state == nil {
		return exitreason.Crash
	}
	wait := f.state.Sys().(syscall.WaitStatus)
	switch {
	case wait.Signaled() && wait.Signal() == syscall.SIGKILL:
		switch f.intent {
		case exitreason.ShutdownTimeout, exitreason.StartupTimeout, exitreason.Unresponsive,
			exitreason.CPUTimeLimit: // the kernel's end of it
			return f.intent
		}
		if f.stopped {
			return exitreason.Unresponsive
		}
		if f.oom && !f.killed {
			return exitreason.OutOfMemory
		}
		return exitreason.Crash
	case wait.Signaled() && wait.Signal() == syscall.SIGTERM:
		// Python's default, before the worker has taken the signal over.
		if f.intent != exitreason.None {
			return f.intent
		}
		return exitreason.ShutdownSignal
	case wait.Signaled():
		return exitreason.Crash
	case f.failed:
		return exitreason.StartFailed
	case wait.ExitStatus() != 0:
		return exitreason.Crash
	case f.intent != exitreason.None:
		return f.intent
	case f.claimed == exitreason.ScriptReload, f.claimed == exitreason.ShutdownSignal:
		return f.claimed
	default:
		return exitreason.Exited
	}
}

// oomCounter notices kills of the kernel's OOM killer by the counter of our
// cgroup, which the children share: it counts the cgroup's own limit and a
// shortage of the whole machine. The counters of the whole machine are no
// evidence, they count processes of others; where there is no cgroup v2 with
// the memory controller, such a death is a crash with SIGKILL and no more.
type oomCounter struct {
	path  string        // empty: nothing can be known
	kills func() uint64 // asked instead, of a cgroup that wsgid has made; nil: path counts

	mu   sync.Mutex
	last uint64
}

func newOOMCounter() *oomCounter {
	c := &oomCounter{}
	if data, err := os.ReadFile("/proc/self/cgroup"); err == nil {
		c.path = memoryEvents(string(data), "/sys/fs/cgroup")
	}
	c.last = c.read()
	return c
}

// memoryEvents is the path of memory.events of the cgroup v2 that a
// /proc/self/cgroup names; empty when it has none (the root cgroup never has).
func memoryEvents(cgroups, mount string) string {
	for line := range strings.Lines(cgroups) {
		group, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::")
		if !ok {
			continue
		}
		path := filepath.Join(mount, group, "memory.events")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// happened says whether the counter has moved since the last call. It is asked
// at every exit, so that an old move is not charged to a later one.
func (c *oomCounter) happened() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.read()
	moved := now > c.last
	c.last = now
	return moved
}

// read is 0 when nothing can be known.
func (c *oomCounter) read() uint64 {
	if c.kills != nil {
		return c.kills()
	}
	if c.path == "" {
		return 0
	}
	file, err := os.Open(c.path)
	if err != nil {
		return 0
	}
	defer file.Close()
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		if value, ok := strings.CutPrefix(scanner.Text(), "oom_kill "); ok {
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}
