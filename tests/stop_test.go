package tests

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestStop: `wsgid stop` lets the running request finish and leaves no process
// of its own or of an application, no socket and no pid file.
func TestStop(t *testing.T) {
	w := newWorld(t)
	w.App("gate.py")
	w.App("fork_children.py")
	openDirectory(t, w, "open")
	w.Write("dispatch.py", "def process_group(environ):\n    return 'only'\n")
	w.Configure(group("only", "#64001", 2, 3, `shutdown_timeout = "50s"`) + "dispatch_script \"{{.Dir}}/dispatch.py\" {}\n" +
		mount("/fork", "apps/fork_children.py") + mount("/", "apps/gate.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	var children map[string]int
	response := apache.Get("/fork")
	if response.Status != 200 {
		t.Fatalf("%d %s", response.Status, response.Body)
	}
	response.JSON(t, &children)
	for name, pid := range children {
		if !harness.Alive(pid) {
			t.Errorf("%s, pid %d, does not run", name, pid)
		}
	}
	if !harness.Exists(w.PIDFile) || strings.TrimSpace(awaitFile(t, w.PIDFile)) != fmt.Sprint(wsgid.PID) {
		t.Errorf("the pid file does not hold %d", wsgid.PID)
	}
	done := make(chan *harness.Response, 1)
	go func() {
		response, err := apache.Try(t.Context(), "POST", fmt.Sprintf("/?started=%s&gate=%s", w.Path("open/started"), w.Path("open/gate")), nil)
		if err != nil {
			t.Error(err)
		}
		done <- response
	}()
	awaitFile(t, w.Path("open/started"))
	wsgid.NoteSessions()
	type result struct {
		code      int
		out, errs string
	}
	stopped := make(chan result, 1)
	go func() {
		code, out, errs := w.CLI("stop", "--control", w.Control)
		stopped <- result{code, out, errs}
	}()
	harness.Eventually(t, "systemd is told", func() error {
		if messages := wsgid.NotifyMessages(); !slices.Contains(messages, "STOPPING=1") {
			return fmt.Errorf("messages %q", messages)
		}
		return nil
	})
	w.Write("open/gate", "")
	if got := <-done; got == nil || got.Status != 200 {
		t.Errorf("the running request: %+v", got)
	}
	if code := wsgid.AwaitExit(); code != 0 {
		t.Errorf("wsgid ended with %d", code)
	}
	if got := <-stopped; got.code != 0 {
		t.Errorf("wsgid stop ended with %d: %s%s", got.code, got.out, got.errs)
	}
	wsgid.AssertGone()
	for name, pid := range children {
		if harness.Alive(pid) {
			t.Errorf("%s, pid %d, is left", name, pid)
		}
	}
	if code, _, errs := w.CLI("status", "--control", w.Control); code == 0 || errs == "" {
		t.Errorf("status of a stopped wsgid: %d %q", code, errs)
	}
}

// TestStopIgnored: a process that ignores SIGTERM is killed after shutdown_timeout.
func TestStopIgnored(t *testing.T) {
	w := newWorld(t)
	w.App("ignore_sigterm.py")
	openDirectory(t, w, "open")
	w.Configure(group("only", "#64001", 1, 3, `shutdown_timeout = "300ms"`) + mount("/", "apps/ignore_sigterm.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = apache.Try(t.Context(), "POST", "/stuck?started="+w.Path("open/started"), nil)
	}()
	awaitFile(t, w.Path("open/started"))
	wsgid.Stop()
	<-done
	wsgid.Log.Await(t, "the reason", harness.Containing("shutdown_timeout"))
}

// TestStopAtOnce: SIGTERM and SIGINT right after the start.
func TestStopAtOnce(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			w := newWorld(t)
			w.App("hello.py")
			w.Configure(group("only", "#64001", 4, 3) + mount("/", "apps/hello.py"))
			wsgid := w.Launch(harness.Options{})
			wsgid.Log.Await(t, "the first line of the log", func(harness.Record) bool { return true })
			if err := syscall.Kill(wsgid.PID, signal); err != nil {
				t.Fatal(err)
			}
			if code := wsgid.AwaitExit(); code != 0 {
				t.Errorf("it ended with %d\n%s", code, wsgid.Log.Tail(30))
			}
			wsgid.AssertGone()
		})
	}
}

// TestStopWhileStarting: wsgid stop while a process is still importing its
// script; systemd hears of the end and never of a start.
func TestStopWhileStarting(t *testing.T) {
	w := newWorld(t)
	open := openDirectory(t, w, "open")
	w.Write("apps/never.py", "import time\nopen("+fmt.Sprintf("%q", open+"/importing")+", 'w').write('yes')\ntime.sleep(1000)\n")
	w.Configure(group("only", "#64001", 2, 3, `shutdown_timeout = "300ms"`) + mount("/", "apps/never.py"))
	wsgid := w.Launch(harness.Options{})
	awaitFile(t, w.Path("open/importing"))
	wsgid.NoteSessions()
	if state := wsgid.Status().State; state != "starting" {
		t.Errorf("it is %s", state)
	}
	if code, out, errs := w.CLI("stop", "--control", w.Control); code != 0 {
		t.Errorf("wsgid stop ended with %d: %s%s", code, out, errs)
	}
	if code := wsgid.AwaitExit(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	if messages := wsgid.NotifyMessages(); !slices.Contains(messages, "STOPPING=1") || slices.Contains(messages, "READY=1") {
		t.Errorf("systemd was told %q", messages)
	}
	wsgid.AssertGone()
}

// TestSupervisorKilled: after kill -9 of the supervisor neither router nor
// worker lives on, and the next start cleans up what is left.
func TestSupervisorKilled(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.Configure(group("only", "#64001", 2, 3) + mount("/", "apps/hello.py"))
	first := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	if got := apache.Get("/"); got.Status != 200 {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	first.NoteSessions()
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	first.AwaitExit()
	harness.Eventually(t, "router and workers are gone", func() error {
		if left := first.Mine(); len(left) != 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
	first.Abandon()
	for _, path := range []string{w.Socket, w.Control, w.PIDFile, w.Path("run/groups/only.sock")} {
		if !harness.Exists(path) {
			t.Errorf("%s is gone: nothing is left to clean up", path)
		}
	}
	second := w.Start(harness.Options{})
	if pid := strings.TrimSpace(awaitFile(t, w.PIDFile)); pid != fmt.Sprint(second.PID) {
		t.Errorf("the pid file holds %s, wsgid is %d", pid, second.PID)
	}
	if got := apache.Get("/"); got.Status != 200 {
		t.Errorf("after the second start: %d %s", got.Status, got.Body)
	}
}

// TestSupervisorKilledWithChildren: neither what applications and services have
// started lives on, nor the dispatch helper.
func TestSupervisorKilledWithChildren(t *testing.T) {
	w := newWorld(t)
	w.App("fork_children.py")
	open := openDirectory(t, w, "open")
	w.Write("dispatch.py", "def process_group(environ):\n    return 'only'\n")
	job := w.Write("apps/job.py", fmt.Sprintf("import subprocess\nchild = subprocess.Popen(['sleep', '3600'])\n"+
		"open(%q, 'w').write(str(child.pid))\nchild.wait()\n", open+"/job"))
	w.Configure("dispatch {\n  isolation = \"process\"\n}\n" + group("only", "#64001", 1, 3) + group("jobs", "#64002", 1, 0) +
		fmt.Sprintf("import_script %q { process_group = \"jobs\" }\n", job) +
		"dispatch_script \"{{.Dir}}/dispatch.py\" {}\n" + mount("/", "apps/fork_children.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	children := map[string]int{}
	apache.Get("/").JSON(t, &children)
	harness.Eventually(t, "the service has started its child", func() error {
		_, err := fmt.Sscan(awaitFile(t, open+"/job"), new(int))
		return err
	})
	children["job"] = numbers(t, awaitFile(t, open+"/job"))[0]
	s := wsgid.AwaitReady("only")
	children["helper"], children["router"] = s.DispatchHelper.PID, s.RouterPID
	for name, pid := range children {
		if !harness.Alive(pid) {
			t.Errorf("%s, pid %d, does not run", name, pid)
		}
	}
	wsgid.NoteSessions()
	if err := syscall.Kill(wsgid.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wsgid.AwaitExit()
	harness.Eventually(t, "nothing is left", func() error {
		for name, pid := range children {
			if harness.Alive(pid) {
				return fmt.Errorf("%s, pid %d, is left", name, pid)
			}
		}
		if left := wsgid.Mine(); len(left) != 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
	wsgid.Abandon()
}

// TestLogReaderGone: when nobody reads standard error any more, service and
// orderly shutdown go on.
func TestLogReaderGone(t *testing.T) {
	w := newWorld(t)
	w.App("fork_children.py")
	w.App("flood_stderr.py")
	w.Configure(group("only", "#64001", 1, 3) + mount("/fork", "apps/fork_children.py") + mount("/", "apps/flood_stderr.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	wsgid.Log.HangUp()
	for range 3 {
		if got := apache.Get("/?lines=50"); got.Status != 200 {
			t.Errorf("%d %s", got.Status, got.Body)
		}
	}
	if got := apache.Get("/fork"); got.Status != 200 {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	if state := wsgid.Status().State; state != "ready" {
		t.Errorf("wsgid is %s", state)
	}
	wsgid.Stop()
}

// TestSecondInstance: a second wsgid with the same configuration does not take
// the sockets of a running one away.
func TestSecondInstance(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.Configure(group("only", "#64001", 1, 3) + mount("/", "apps/hello.py"))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	if code, _, errs := w.CLI("run", "--config", w.Path("wsgid.hcl")); code != 1 || !strings.Contains(errs, "already running with this control socket") || !strings.Contains(errs, w.Control) {
		t.Errorf("the second one ended with %d: %s", code, errs)
	}
	if got := apache.Get("/"); got.Status != 200 {
		t.Errorf("the first one: %d %s", got.Status, got.Body)
	}
}
