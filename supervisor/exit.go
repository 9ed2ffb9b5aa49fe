package supervisor

import (
	"bufio"
	"os"
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
	oom     bool              // the kernel's OOM killer has been at work
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
		if f.intent == exitreason.ShutdownTimeout || f.intent == exitreason.StartupTimeout {
			return f.intent
		}
		if f.oom {
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

// oomCounter notices kills of the OOM killer by their counter: that of our
// cgroup when there is one, else that of the whole system.
type oomCounter struct {
	path, key string

	mu   sync.Mutex
	last uint64
}

func newOOMCounter() *oomCounter {
	c := &oomCounter{path: "/proc/vmstat", key: "oom_kill"}
	if data, err := os.ReadFile("/proc/self/cgroup"); err == nil {
		for _, line := range strings.Split(string(data), "\n") {
			if group, ok := strings.CutPrefix(line, "0::"); ok {
				path := "/sys/fs/cgroup" + group + "/memory.events"
				if _, err := os.Stat(path); err == nil {
					c.path = path
				}
			}
		}
	}
	c.last = c.read()
	return c
}

// happened says whether the counter has moved since the last call.
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
	file, err := os.Open(c.path)
	if err != nil {
		return 0
	}
	defer file.Close()
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		if value, ok := strings.CutPrefix(scanner.Text(), c.key+" "); ok {
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}
