package tests

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// awaitReplaced waits until the only process of a group has been replaced, once,
// for that reason, and checks that the new one answers below its path.
func awaitReplaced(t *testing.T, wsgid *harness.Wsgid, apache *harness.Apache, name, reason string, pid int) {
	t.Helper()
	wsgid.AwaitStatus("the replacement", func(s harness.Status) error {
		if g := s.Group(name); g.Restarts[reason] != 1 || g.LastExit.Reason != reason || g.Ready != 1 || len(g.Processes) != 1 {
			return fmt.Errorf("restarts %v, processes %+v", g.Restarts, g.Processes)
		}
		return nil
	})
	if got := apache.Get("/" + name + "/pid"); got.Status != 200 || string(got.Body) == strconv.Itoa(pid) {
		t.Errorf("after the replacement of %d: %d %q", pid, got.Status, got.Body)
	}
}

// wantUntouched checks that no process of a group was replaced.
func wantUntouched(t *testing.T, wsgid *harness.Wsgid, names ...string) {
	t.Helper()
	for _, name := range names {
		if g := wsgid.Status().Group(name); len(g.Restarts) != 0 || g.Ready != g.Wanted {
			t.Errorf("group %s: restarts %v, %d ready", name, g.Restarts, g.Ready)
		}
	}
}

// TestInactivityTimeout: a process that has served something and then nothing
// is replaced; one that has never served, is busy or may idle for longer is not.
func TestInactivityTimeout(t *testing.T) {
	w := newWorld(t)
	w.App("overdue.py")
	const second = `inactivity_timeout = "1s"`
	w.Configure(group("idle", "#64001", 1, 3, second) + group("busy", "#64001", 1, 3, second) + group("fresh", "#64001", 1, 3, second) +
		group("long", "#64001", 1, 3, `inactivity_timeout = "1h"`) +
		mount("/idle", "apps/overdue.py", option("process_group", "idle")) + mount("/busy", "apps/overdue.py", option("process_group", "busy")) +
		mount("/fresh", "apps/overdue.py", option("process_group", "fresh")) + mount("/long", "apps/overdue.py", option("process_group", "long")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	status := wsgid.AwaitReady("idle", "busy", "fresh", "long")
	pid := status.PIDs("idle")[0]
	busy := make(chan *harness.Response, 1)
	go func() { busy <- apache.Get("/busy/sleeps?for=4") }()
	if got := apache.Get("/long/pid"); got.Status != 200 {
		t.Errorf("%d %q", got.Status, got.Body)
	}
	begin := time.Now()
	if got := apache.Get("/idle/pid"); got.Status != 200 || string(got.Body) != strconv.Itoa(pid) {
		t.Errorf("%d %q", got.Status, got.Body)
	}
	wsgid.Log.Await(t, "the idle process", harness.Containing("process is to be replaced", "inactivity_timeout"))
	if took := time.Since(begin); took < time.Second {
		t.Errorf("after %v", took)
	}
	if got := <-busy; got.Status != 200 {
		t.Errorf("%d %q", got.Status, got.Body)
	}
	wantUntouched(t, wsgid, "busy", "fresh", "long")
	awaitReplaced(t, wsgid, apache, "idle", "inactivity_timeout", pid)
}

// TestDeadlockTimeout: a process whose GIL nobody gets is replaced, and the
// request that keeps it is not tried again; one that only works hard is not.
func TestDeadlockTimeout(t *testing.T) {
	w := newWorld(t)
	w.App("overdue.py")
	const options = `deadlock_timeout = "2s"`
	w.Configure(group("stuck", "#64001", 1, 3, options, `shutdown_timeout = "500ms"`) + group("hard", "#64001", 1, 3, options) +
		mount("/stuck", "apps/overdue.py", option("process_group", "stuck")) + mount("/hard", "apps/overdue.py", option("process_group", "hard")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	pid := wsgid.AwaitReady("stuck", "hard").PIDs("stuck")[0]
	hard := make(chan *harness.Response, 1)
	go func() { hard <- apache.Get("/hard/works?for=5") }()
	begin := time.Now()
	stuck := make(chan *harness.Response, 1)
	go func() { stuck <- apache.Get("/stuck/keeps_gil") }()
	wsgid.Log.Await(t, "the process asks", harness.Containing("process asks to be replaced", "deadlock_timeout"))
	if took := time.Since(begin); took < 2*time.Second {
		t.Errorf("after %v", took)
	}
	wantError(t, <-stuck, 504, "WSGID-1029")
	awaitReplaced(t, wsgid, apache, "stuck", "deadlock_timeout", pid)
	if got := <-hard; got.Status != 200 {
		t.Errorf("%d %q", got.Status, got.Body)
	}
	wantUntouched(t, wsgid, "hard")
}
