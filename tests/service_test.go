package tests

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// serviceWorld has a group "web" and a service "jobs" that runs apps/service.py.
func serviceWorld(t *testing.T, options ...string) *harness.World {
	t.Helper()
	w := newWorld(t)
	w.App("hello.py")
	w.App("service.py")
	openDirectory(t, w, "state")
	w.Configure(group("web", "#64001", 1, 2) +
		group("jobs", "#64002", 1, 0, append(options, `environment = { STATE = "{{.Dir}}/state" }`)...) +
		"import_script \"{{.Dir}}/apps/service.py\" {\n  process_group = \"jobs\"\n}\n" + mount("/", "apps/hello.py"))
	return w
}

// TestServiceProcess: it runs while its script never returns, is restarted
// when it dies, backs off when it ends at once, and is stopped by SystemExit.
func TestServiceProcess(t *testing.T) {
	w := serviceWorld(t)
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	if got := apache.Get("/"); got.Status != 200 { // "web" is the only group that serves
		t.Errorf("%d", got.Status)
	}
	running := func() int {
		t.Helper()
		pid, err := strconv.Atoi(awaitFile(t, w.Path("state/running")))
		if err != nil {
			t.Fatal(err)
		}
		return pid
	}
	first := running()
	jobs := wsgid.AwaitReady("web", "jobs").Group("jobs")
	if !jobs.Service || jobs.Threads != 0 || len(jobs.Processes) != 1 || jobs.Processes[0].PID != first || jobs.Processes[0].Python == "" {
		t.Errorf("status %+v", jobs)
	}
	if _, table, _ := w.CLI("status", "--control", w.Control); !strings.Contains(table, " service ") {
		t.Errorf("the table does not say that it is a service:\n%s", table)
	}
	wsgid.NoteSessions()
	restarted := func(what string) {
		t.Helper()
		before := running()
		if err := os.Remove(w.Path("state/running")); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if running() == before {
			t.Errorf("%s: the same process", what)
		}
	}
	restarted("killed")
	if got := wsgid.AwaitReady("jobs").Group("jobs").Restarts["crash"]; got != 1 {
		t.Errorf("%d restarts by a crash", got)
	}
	w.Write("state/mode", "end")
	restarted("killed, and ends by itself from now on")
	status := wsgid.AwaitStatus("it backs off", func(s harness.Status) error {
		if jobs := s.Group("jobs"); jobs.Restarts["exited"] < 3 || jobs.Backoff <= 0 {
			return fmt.Errorf("%+v", jobs)
		}
		return nil
	})
	if status.Group("web").State != "ready" {
		t.Errorf("the other group is %s", status.Group("web").State)
	}
	w.Write("state/mode", "")
	harness.Eventually(t, "it runs again", func() error {
		if len(wsgid.Status().PIDs("jobs")) != 1 || syscall.Kill(running(), 0) != nil {
			return errNotYet
		}
		return nil
	})
	last := running()
	wsgid.Stop()
	if got := readFile(t, w.Path("state/stopped")); got != strconv.Itoa(last) {
		t.Errorf("SystemExit was raised in process %q, want %d", got, last)
	}
	if !harness.Exists(w.Path("state/atexit")) {
		t.Error("exit functions did not run")
	}
	if exits := wsgid.Log.Find(harness.Containing("process exited", `"jobs"`, `"shutdown_signal"`)); len(exits) != 1 {
		t.Errorf("%d exits by SIGTERM", len(exits))
	}
}

// TestStubbornService: after shutdown_timeout it is killed.
func TestStubbornService(t *testing.T) {
	w := serviceWorld(t, `shutdown_timeout = "100ms"`)
	w.Write("state/mode", "stubborn")
	wsgid := w.Start(harness.Options{})
	awaitFile(t, w.Path("state/running"))
	wsgid.Stop()
	awaitFile(t, w.Path("state/stopped"))
	if exits := wsgid.Log.Find(harness.Containing("process exited", `"jobs"`, `"shutdown_timeout"`)); len(exits) != 1 {
		t.Errorf("%d were killed", len(exits))
	}
}

// TestServiceThatRaises: the traceback shows in status over its restarts.
func TestServiceThatRaises(t *testing.T) {
	w := serviceWorld(t)
	w.Write("state/mode", "raise")
	wsgid := w.Start(harness.Options{})
	for restarts := range uint64(3) {
		wsgid.AwaitStatus("the error shows", func(s harness.Status) error {
			jobs := s.Group("jobs")
			if len(jobs.LoadErrors) != 1 || jobs.LoadErrors[0].Error != "LookupError: no such queue" || jobs.Restarts["exited"] < restarts {
				return fmt.Errorf("%+v", jobs)
			}
			return nil
		})
	}
	if again := wsgid.Log.Find(harness.Containing("can be imported again")); len(again) != 0 {
		t.Errorf("logged %s", again[0].Line)
	}
}

// TestWatchedService: a change replaces it, and there are never two.
func TestWatchedService(t *testing.T) {
	w := serviceWorld(t, `watch = ["*.py"]`)
	wsgid := w.Start(harness.Options{})
	first := awaitFile(t, w.Path("state/running"))
	w.Write("apps/service.py", readFile(t, w.Path("apps/service.py"))+"\n# changed\n")
	harness.Eventually(t, "another process runs", func() error {
		if awaitFile(t, w.Path("state/running")) == first {
			return errNotYet
		}
		return nil
	})
	if got := readFile(t, w.Path("state/stopped")); got != first {
		t.Errorf("the first was %s, stopped before the second began: %q", first, got)
	}
	if got := wsgid.AwaitReady("jobs").Group("jobs").Restarts["script_reload"]; got != 1 {
		t.Errorf("%d restarts", got)
	}
}

// TestServiceCannotBeChosen: a dispatch script that names a service is wrong.
func TestServiceCannotBeChosen(t *testing.T) {
	w := serviceWorld(t)
	w.Write("dispatch.py", "def process_group(environ):\n    return 'jobs'\n")
	w.Write("wsgid.hcl", readFile(t, w.Path("wsgid.hcl"))+w.Expand("dispatch_script \"{{.Dir}}/dispatch.py\" {}\n"))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	wantError(t, apache.Get("/"), 500, "WSGID-1006")
}
