package tests

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
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
// is replaced, ignore_activity or not; one that has served nothing that counts,
// is busy or may idle for longer is not.
func TestInactivityTimeout(t *testing.T) {
	w := newWorld(t)
	w.App("overdue.py")
	open := openDirectory(t, w, "open")
	const second = `inactivity_timeout = "1s"`
	w.Configure(group("idle", "#64001", 1, 3, second) + group("busy", "#64001", 1, 3, second, `shutdown_timeout = "300ms"`) + group("fresh", "#64001", 1, 3, second) +
		group("long", "#64001", 1, 3, `inactivity_timeout = "1h"`) +
		mount("/idle/health", "apps/overdue.py", option("process_group", "idle"), "ignore_activity = true") +
		mount("/fresh/health", "apps/overdue.py", option("process_group", "fresh"), "ignore_activity = true") +
		mount("/idle", "apps/overdue.py", option("process_group", "idle")) + mount("/busy", "apps/overdue.py", option("process_group", "busy")) +
		mount("/fresh", "apps/overdue.py", option("process_group", "fresh")) + mount("/long", "apps/overdue.py", option("process_group", "long")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	status := wsgid.AwaitReady("idle", "busy", "fresh", "long")
	pid := status.PIDs("idle")[0]
	busy, leave := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		if got, err := apache.Try(busy, "GET", "/busy/sleeps?for=1000&started="+open+"/busy", nil); err == nil {
			t.Errorf("the request that goes on: %d %q", got.Status, got.Body)
		}
	}()
	awaitFile(t, open+"/busy")
	if got := apache.Get("/long/pid"); got.Status != 200 {
		t.Errorf("%d %q", got.Status, got.Body)
	}
	begin := time.Now()
	if got := apache.Get("/idle/pid"); got.Status != 200 || string(got.Body) != strconv.Itoa(pid) {
		t.Errorf("%d %q", got.Status, got.Body)
	}
	asked := harness.Containing("process is to be replaced", "inactivity_timeout")
	for time.Since(begin) < time.Minute && len(wsgid.Log.Find(asked)) == 0 {
		for _, path := range []string{"/idle/health/pid", "/fresh/health/pid"} {
			if got := apache.Get(path); got.Status != 200 {
				t.Errorf("%s: %d %q", path, got.Status, got.Body)
			}
		}
	}
	wsgid.Log.Await(t, "the idle process", asked)
	if took := time.Since(begin); took < time.Second {
		t.Errorf("after %v", took)
	}
	wantUntouched(t, wsgid, "busy", "fresh", "long")
	awaitReplaced(t, wsgid, apache, "idle", "inactivity_timeout", pid)
	wantUntouched(t, wsgid, "busy", "fresh", "long")
	leave()
	<-left
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

// TestProcessor: display_name and cpu_priority of processes, and what they are
// without these options.
func TestProcessor(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("overdue.py")
	w.Configure(group("named", "#64001", 1, 3, `display_name = "%{GROUP}"`, "cpu_priority = 7") + group("high", "#64001", 1, 3, `display_name = "my own site, with a long name"`, "cpu_priority = -3") +
		group("plain", "#64001", 1, 3) +
		mount("/named", "apps/overdue.py", option("process_group", "named")) + mount("/high", "apps/overdue.py", option("process_group", "high")) + mount("/plain", "apps/overdue.py", option("process_group", "plain")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	own := niceOf(t, wsgid.PID)
	for name, want := range map[string]struct {
		name string
		nice int
	}{"named": {"(wsgi:named)", 7}, "high": {"my own site, with a long name", -3}, "plain": {"wsgid", own}} {
		response := apache.Get("/" + name + "/pid")
		pid, err := strconv.Atoi(string(response.Body))
		if err != nil {
			t.Fatalf("%d %q", response.Status, response.Body)
		}
		if got := readFile(t, fmt.Sprintf("/proc/%d/cmdline", pid)); got != want.name+"\x00" {
			t.Errorf("group %s is called %q", name, got)
		}
		if got := niceOf(t, pid); got != want.nice {
			t.Errorf("group %s has the nice value %d, want %d", name, got, want.nice)
		}
	}
}

func niceOf(t *testing.T, pid int) int {
	t.Helper()
	_, fields, _ := strings.Cut(readFile(t, filepath.Join("/proc", strconv.Itoa(pid), "stat")), ") ")
	nice, err := strconv.Atoi(strings.Fields(fields)[16])
	if err != nil {
		t.Fatal(err)
	}
	return nice
}

// TestCPUTimeLimit: a process that has used its processor time finishes what it
// runs and is replaced, a service as well; one that only waits is not.
func TestCPUTimeLimit(t *testing.T) {
	w := newWorld(t)
	w.App("overdue.py")
	spin := w.Write("apps/spin.py", "while True:\n    pass\n")
	const second = `cpu_time_limit = "1s"`
	w.Configure(group("hard", "#64001", 1, 3, second, `graceful_timeout = "60s"`) + group("waits", "#64001", 1, 3, second) + group("long", "#64001", 1, 3, `cpu_time_limit = "1h"`) +
		group("jobs", "#64001", 1, 0, second) + fmt.Sprintf("import_script %q { process_group = \"jobs\" }\n", spin) +
		mount("/hard", "apps/overdue.py", option("process_group", "hard")) + mount("/waits", "apps/overdue.py", option("process_group", "waits")) +
		mount("/long", "apps/overdue.py", option("process_group", "long")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	pid := wsgid.AwaitReady("hard", "waits", "long").PIDs("hard")[0]
	wsgid.AwaitStatus("the end of the service", func(s harness.Status) error {
		if g := s.Group("jobs"); g.Restarts["cpu_time_limit"] == 0 || len(g.Restarts) != 1 {
			return fmt.Errorf("restarts %v", g.Restarts)
		}
		return nil
	})
	waits := make(chan *harness.Response, 1)
	go func() { waits <- apache.Get("/waits/sleeps?for=3") }()
	long := make(chan *harness.Response, 1)
	go func() { long <- apache.Get("/long/works?for=2") }()
	if got := apache.Get("/hard/burns?for=1.5"); got.Status != 200 || string(got.Body) != strconv.Itoa(pid) {
		t.Errorf("the request that has used it up: %d %q", got.Status, got.Body)
	}
	awaitReplaced(t, wsgid, apache, "hard", "cpu_time_limit", pid)
	for _, done := range []chan *harness.Response{waits, long} {
		if got := <-done; got.Status != 200 {
			t.Errorf("%d %q", got.Status, got.Body)
		}
	}
	wantUntouched(t, wsgid, "waits", "long")
}

// TestEviction: SIGUSR1 to a process has it replaced; what it runs may take
// eviction_timeout, or without that graceful_timeout.
func TestEviction(t *testing.T) {
	w := newWorld(t)
	w.App("overdue.py")
	open := openDirectory(t, w, "open")
	w.Configure(group("patient", "#64001", 1, 3, `graceful_timeout = 0`, `eviction_timeout = "60s"`) +
		group("short", "#64001", 1, 3, `graceful_timeout = "60s"`, `eviction_timeout = "300ms"`, `shutdown_timeout = "300ms"`) + group("other", "#64001", 1, 3) +
		mount("/patient", "apps/overdue.py", option("process_group", "patient")) + mount("/short", "apps/overdue.py", option("process_group", "short")) +
		mount("/other", "apps/overdue.py", option("process_group", "other")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	status := wsgid.AwaitReady("patient", "short", "other")
	for name, row := range map[string]struct {
		seconds string
		status  int
	}{"patient": {"3", 200}, "short": {"1000", 502}} {
		pid := status.PIDs(name)[0]
		running := make(chan *harness.Response, 1)
		go func() {
			response, err := apache.Try(t.Context(), "POST", "/"+name+"/sleeps?for="+row.seconds+"&started="+open+"/"+name, nil)
			if err != nil {
				t.Error(err)
			}
			running <- response
		}()
		awaitFile(t, open+"/"+name)
		if err := syscall.Kill(pid, syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		awaitReplaced(t, wsgid, apache, name, "eviction_signal", pid)
		if got := <-running; got == nil || got.Status != row.status {
			t.Errorf("%s: the running request: %+v", name, got)
		}
	}
	over := harness.Containing("requests still run", "eviction_timeout")
	wsgid.Log.Await(t, "the end of eviction_timeout", over)
	if found := wsgid.Log.Find(over); len(found) != 1 {
		t.Errorf("eviction_timeout was over %d times", len(found))
	}
	wantUntouched(t, wsgid, "other")
}
