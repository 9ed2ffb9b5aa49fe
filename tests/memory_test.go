package tests

import (
	"fmt"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// memoryWorld has one process with options and an application that grows.
func memoryWorld(t *testing.T, options ...string) (*harness.Wsgid, *harness.Apache) {
	t.Helper()
	w := newWorld(t)
	w.App("memory.py")
	w.Configure(group("web", "#64001", 1, 2, options...) + mount("/", "apps/memory.py"))
	return w.Start(harness.Options{}), w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
}

// TestMemoryLimits: an application that wants more than there is gets a
// MemoryError, and the process goes on; with less it does not notice.
func TestMemoryLimits(t *testing.T) {
	t.Parallel()
	if built.Sanitized {
		t.Log("the sanitizer itself maps terabytes: no process of its would start")
		return
	}
	for _, option := range []string{`memory_limit = "300MiB"`, `virtual_memory_limit = "600MiB"`} {
		t.Run(option, func(t *testing.T) {
			wsgid, apache := memoryWorld(t, option)
			pid := apache.Get("/?mib=50").Text()
			if got := apache.Get("/?mib=700").Text(); got != "MemoryError" {
				t.Errorf("700 MiB: %s", got)
			}
			if got := apache.Get("/?mib=50").Text(); got != pid {
				t.Errorf("50 MiB more: %s, before %s", got, pid)
			}
			if got := wsgid.Status().Group("web").Restarts; len(got) != 0 {
				t.Errorf("exits %v", got)
			}
		})
	}
}

// TestMemoryLimitTooSmall: a process cannot even start; the group backs off.
func TestMemoryLimitTooSmall(t *testing.T) {
	w := newWorld(t)
	w.App("memory.py")
	w.Configure(group("web", "#64001", 1, 2, `memory_limit = 1`) + mount("/", "apps/memory.py"))
	wsgid := w.Start(harness.Options{Crashes: true})
	wsgid.AwaitStatus("the group gives up", func(s harness.Status) error {
		if got := s.Group("web"); got.LastExit == nil || got.State != "backoff" && got.State != "failed" {
			return fmt.Errorf("it is %s", got.State)
		}
		return nil
	})
}

// TestMemorySoftLimit: a process that has grown over it is replaced, one that has
// not is not; nobody who asks notices.
func TestMemorySoftLimit(t *testing.T) {
	limit := 150
	if built.Sanitized {
		limit = 1500
	}
	wsgid, apache := memoryWorld(t, fmt.Sprintf(`memory_soft_limit = "%dMiB"`, limit))
	pid := apache.Get("/?mib=20").Text()
	wsgid.AwaitStatus("two looks have passed", func(s harness.Status) error {
		if s.Group("web").Processes[0].CPUSeconds < 0 || s.Uptime < 4 {
			return fmt.Errorf("up for %.1f s", s.Uptime)
		}
		return nil
	})
	if got := apache.Get("/?mib=1").Text(); got != pid {
		t.Errorf("process %s was replaced by %s below the limit", pid, got)
	}
	if got := apache.Get(fmt.Sprintf("/?mib=%d", limit)).Text(); got != pid {
		t.Errorf("%s", got)
	}
	s := wsgid.AwaitStatus("it is replaced", func(s harness.Status) error {
		if got := s.Group("web"); got.Restarts["memory_soft_limit"] != 1 || got.Ready != 1 {
			return fmt.Errorf("exits %v", got.Restarts)
		}
		return nil
	})
	if got := apache.Get("/?mib=1").Text(); got == pid || s.Group("web").LastExit.Reason != "memory_soft_limit" {
		t.Errorf("served by %s, before %s; %+v", got, pid, s.Group("web").LastExit)
	}
}
