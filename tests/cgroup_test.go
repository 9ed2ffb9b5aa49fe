package tests

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/internal/cgroup"
	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/tests/internal/harness"
)

// cgroupWorld has a group with limits and one without. Where this machine does
// not give wsgid what limits need, it checks that this is said and that the other
// group serves, and returns nil: there is nothing more to see.
func cgroupWorld(t *testing.T, limits cgroup.Limits, options ...string) (*harness.Wsgid, *harness.Apache) {
	t.Helper()
	w := newWorld(t)
	w.App("limits.py")
	w.Configure(group("bound", "#64001", 1, 3, options...) + group("free", "#64001", 1, 3) +
		mount("/bound", "apps/limits.py", option("process_group", "bound")) + mount("/free", "apps/limits.py", option("process_group", "free")))
	tree, err := cgroup.Current()
	if err != nil {
		t.Fatal(err)
	}
	refusal := tree.Refuse(limits)
	wsgid := w.Launch(harness.Options{})
	wsgid.AwaitControl()
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	if refusal == nil {
		wsgid.AwaitReady("bound", "free")
		t.Logf("limited by %s", cgroupOf(t, wsgid).Path)
		return wsgid, apache
	}
	t.Logf("refused on this machine: %v", refusal)
	wsgid.AwaitReady("free")
	wsgid.AwaitStatus("the refusal", func(s harness.Status) error {
		if g := s.Group("bound"); g.State != "failed" || g.LastExit == nil || !strings.Contains(g.LastExit.Error, refusal.Error()) {
			return fmt.Errorf("it is %s: %+v", g.State, g.LastExit)
		}
		return nil
	})
	if got := apache.Get("/free?what=pid"); got.Status != 200 {
		t.Errorf("the other group: %d", got.Status)
	}
	wantError(t, apache.Get("/bound?what=pid"), 503, "WSGID-1014")
	return nil, nil
}

func cgroupOf(t *testing.T, wsgid *harness.Wsgid) *status.Cgroup {
	t.Helper()
	c := wsgid.Status().Group("bound").Cgroup
	if c == nil {
		t.Fatal("no cgroup")
	}
	return c
}

// TestMemoryMax: the kernel kills a process whose group takes more, which is
// said; below the limit and in other groups nobody notices.
func TestMemoryMax(t *testing.T) {
	limit := int64(200 << 20)
	if built.Sanitized {
		limit = 2 << 30
	}
	wsgid, apache := cgroupWorld(t, cgroup.Limits{MemoryMax: limit}, fmt.Sprintf("memory_max = %d", limit))
	if wsgid == nil {
		return
	}
	free := apache.Get("/free?what=grow&mib=300").Text()
	pid := apache.Get("/bound?what=grow&mib=50").Text()
	if c := cgroupOf(t, wsgid); c.MemoryMax != limit || c.MemoryBytes < 50<<20 || c.MemoryBytes > limit || c.OOMKills != 0 {
		t.Errorf("%+v", c)
	}
	wantError(t, apache.Get(fmt.Sprintf("/bound?what=grow&mib=%d", limit>>20)), 502, "")
	s := wsgid.AwaitStatus("both are replaced", func(s harness.Status) error { // a GET is tried twice
		if g := s.Group("bound"); g.Ready != 1 || g.Restarts["out_of_memory"] != 2 {
			return fmt.Errorf("%d ready, %v, %+v", g.Ready, g.Restarts, g.LastExit)
		}
		return nil
	})
	if c := s.Group("bound").Cgroup; c.OOMKills == 0 {
		t.Errorf("%+v", c)
	}
	if got := apache.Get("/bound?what=grow&mib=50"); got.Status != 200 || got.Text() == pid {
		t.Errorf("afterwards: %d %s, before %s", got.Status, got.Text(), pid)
	}
	if got := apache.Get("/free?what=pid").Text(); got != free {
		t.Errorf("the other group: process %s, before %s", got, free)
	}
	wantUntouched(t, wsgid, "free")
}

// TestPidsMax: no more threads and processes than that.
func TestPidsMax(t *testing.T) {
	wsgid, apache := cgroupWorld(t, cgroup.Limits{PidsMax: 30}, "pids_max = 30")
	if wsgid == nil {
		return
	}
	if got := apache.Get("/bound?what=threads&n=10").Text(); got != "10" {
		t.Errorf("10 threads: %s", got)
	}
	var started int
	if _, err := fmt.Sscan(apache.Get("/bound?what=threads&n=60").Text(), &started); err != nil || started < 10 || started >= 30 {
		t.Errorf("%d of 60 threads, %v", started, err)
	}
	if got := apache.Get("/free?what=threads&n=60").Text(); got != "60" {
		t.Errorf("the other group: %s of 60 threads", got)
	}
	if c := cgroupOf(t, wsgid); c.PidsMax != 30 || c.Pids < 4 || c.Pids > 30 {
		t.Errorf("%+v", c)
	}
	wantUntouched(t, wsgid, "bound", "free")
}

// TestCPUMax: a group that wants more than its part of a processor waits.
func TestCPUMax(t *testing.T) {
	wsgid, apache := cgroupWorld(t, cgroup.Limits{CPUMax: 0.1, CPUWeight: 50}, "cpu_max = 0.1", "cpu_weight = 50")
	if wsgid == nil {
		return
	}
	if got := apache.Get("/bound?what=burn&seconds=1"); got.Status != 200 {
		t.Errorf("%d", got.Status)
	}
	if c := cgroupOf(t, wsgid); c.CPUMax != 0.1 || c.CPUWeight != 50 || c.ThrottledSeconds == 0 {
		t.Errorf("%+v", c)
	}
}

// TestCgroupsAreRemoved: at a reload the new generation has one of its own, and
// when wsgid ends, or the next one starts after it was killed, none is left.
func TestCgroupsAreRemoved(t *testing.T) {
	w := newWorld(t)
	w.App("limits.py")
	w.Configure(group("bound", "#64001", 1, 3, "pids_max = 100") + mount("/", "apps/limits.py"))
	tree, err := cgroup.Current()
	if err != nil {
		t.Fatal(err)
	}
	if refusal := tree.Refuse(cgroup.Limits{PidsMax: 100}); refusal != nil {
		t.Logf("refused on this machine, see TestPidsMax: %v", refusal)
		return
	}
	wsgid := w.Start(harness.Options{})
	first := cgroupOf(t, wsgid).Path
	if status, _, stderr := reload(w); status != 0 {
		t.Fatal(stderr)
	}
	second := cgroupOf(t, wsgid).Path
	wsgid.AwaitStatus("the old generation is gone", func(s harness.Status) error {
		if len(s.Draining) > 0 {
			return fmt.Errorf("%+v", s.Draining)
		}
		return nil
	})
	if first == second || harness.Exists(first) || !harness.Exists(second) {
		t.Errorf("before %s, after %s", first, second)
	}
	wsgid.NoteSessions()
	if err := syscall.Kill(wsgid.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wsgid.AwaitExit()
	harness.Eventually(t, "router and workers are gone", func() error {
		if left := wsgid.Mine(); len(left) != 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
	wsgid.Abandon()
	// Any wsgid of this machine that starts removes it; this one at the latest.
	next := w.Start(harness.Options{})
	third := cgroupOf(t, next).Path
	if harness.Exists(second) || third == second {
		t.Errorf("left by the one that was killed: %s", second)
	}
	next.Stop()
	if _, err := os.Stat(third); err == nil {
		t.Errorf("left: %s", third)
	}
}

// TestCgroupsOfAnUpgrade: the wsgid that takes over makes its own, and those of the
// one before go with it.
func TestCgroupsOfAnUpgrade(t *testing.T) {
	w := newWorld(t)
	w.App("limits.py")
	w.Configure(group("bound", "#64001", 1, 3, "pids_max = 100") + mount("/", "apps/limits.py"))
	tree, err := cgroup.Current()
	if err != nil {
		t.Fatal(err)
	}
	if refusal := tree.Refuse(cgroup.Limits{PidsMax: 100}); refusal != nil {
		t.Logf("refused on this machine, see TestPidsMax: %v", refusal)
		return
	}
	wsgid := w.Start(harness.Options{})
	first := cgroupOf(t, wsgid).Path
	if code, _, errs := w.CLI("upgrade", "--control", w.Control); code != 0 {
		t.Fatal(errs)
	}
	second := cgroupOf(t, wsgid).Path
	gone := func(path string) {
		t.Helper()
		harness.Eventually(t, path+" is gone", func() error {
			if harness.Exists(path) {
				return errNotYet
			}
			return nil
		})
	}
	gone(first)
	if first == second || !harness.Exists(second) {
		t.Errorf("before %s, after %s", first, second)
	}
	if code, _, errs := w.CLI("stop", "--control", w.Control); code != 0 {
		t.Error(errs)
	}
	gone(second)
}
