package tests

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestImportErrorIsMended: while a script cannot be imported requests get 500
// at once, also while the process tries that in a fresh process; status and log
// have the traceback; when a module that it needs is mended, it serves, on
// every process. Another script of the group never notices.
func TestImportErrorIsMended(t *testing.T) {
	w := reloadWorld(t, 2)
	w.App("hello.py")
	w.Write("lib/dependency.py", "raise ImportError('broken on purpose')\n")
	w.Write("wsgid.hcl", strings.Replace(readFile(t, w.Path("wsgid.hcl")), `script_alias "/"`, w.Expand(mount("/hello", "apps/hello.py"))+`script_alias "/"`, 1))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	record := wsgid.Log.Await(t, "the traceback", harness.Containing("broken on purpose", "Traceback"))
	if record.Text("code") != "WSGID-1103" || record.Text("script") != w.Path("apps/reload.py") || record.Text("group") != "only" {
		t.Errorf("logged %s", record.Line)
	}
	trials := func() int {
		return len(wsgid.Log.Find(harness.Containing("process exited", "import_failed")))
	}
	for trials() < 2 {
		wantError(t, apache.Get("/"), 500, "WSGID-1103")
		if got := apache.Get("/hello"); got.Status != 200 {
			t.Fatalf("another script: %d", got.Status)
		}
	}
	status := wsgid.Status()
	only := status.Group("only")
	if len(only.LoadErrors) != 1 || only.State != "ready" || only.Queued != 0 {
		t.Fatalf("status %+v", only)
	}
	e := only.LoadErrors[0]
	if e.Script != w.Path("apps/reload.py") || e.Application != "" || e.Error != "ImportError: broken on purpose" ||
		!strings.Contains(e.Traceback, "dependency.py") || e.OldCodeServes || e.At.IsZero() {
		t.Errorf("load error %+v", e)
	}
	if _, table, _ := w.CLI("status", "--control", w.Control); !strings.Contains(table, "ImportError: broken on purpose") || !strings.Contains(table, "SCRIPT THAT CANNOT BE IMPORTED") {
		t.Errorf("the table does not tell:\n%s", table)
	}
	w.Write("lib/dependency.py", "VERSION = 7\n")
	harness.Eventually(t, "the mended module serves", func() error {
		if got := apache.Get("/"); got.Status != 200 {
			wantError(t, got, 500, "WSGID-1103")
			return errNotYet
		}
		return nil
	})
	wsgid.AwaitStatus("the error is forgotten and no process with it is left", func(s harness.Status) error {
		if only := s.Group("only"); len(only.LoadErrors) != 0 || len(only.Processes) != 2 || only.Ready != 2 {
			return fmt.Errorf("%+v", only)
		}
		return nil
	})
	pids := map[int]bool{}
	for range 20 {
		var now loaded
		if now.get(t, apache.Client, "/"); now.Dependency != 7 {
			t.Errorf("%+v", now)
		}
		pids[now.PID] = true
	}
	for _, pid := range status.PIDs("only") {
		if pids[pid] {
			t.Errorf("process %d, which could not import the script, serves", pid)
		}
	}

	// A script that is itself broken is never answered by older code, and
	// mended it serves with the very next request.
	source := readFile(t, w.Path("apps/reload.py"))
	w.Write("apps/reload.py", "this is no Python\n")
	for range 5 {
		wantError(t, apache.Get("/"), 500, "WSGID-1103")
	}
	w.Write("apps/reload.py", source)
	var now loaded
	for range 5 {
		now.get(t, apache.Client, "/")
	}
}

// TestBrokenScriptOfADirectory: what no process preloads is tried by the new
// process all the same.
func TestBrokenScriptOfADirectory(t *testing.T) {
	w := reloadWorld(t, 1)
	w.Configure(group("only", "#64001", 1, 2, `python_path = ["{{.Dir}}/lib"]`, `environment = { STATE = "{{.Dir}}/state", PYTHONDONTWRITEBYTECODE = "1" }`) +
		mount("/", "apps/", option("application_group", "%{RESOURCE}")))
	w.Write("lib/dependency.py", "1 / 0\n")
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	if e := wsgid.Status().Group("only").LoadErrors; len(e) != 0 {
		t.Errorf("imported before a request: %+v", e)
	}
	for range 3 {
		wantError(t, apache.Get("/reload.py"), 500, "WSGID-1103")
	}
	if e := awaitLoadErrors(wsgid, 1); e[0].Script != w.Path("apps/reload.py") || !strings.HasSuffix(e[0].Application, "|/reload.py") {
		t.Errorf("%+v", e)
	}
	w.Write("lib/dependency.py", "VERSION = 3\n")
	harness.Eventually(t, "the mended module serves", func() error {
		if got := apache.Get("/reload.py"); got.Status != 200 {
			return errNotYet
		}
		return nil
	})
	var now loaded
	if now.get(t, apache.Client, "/reload.py"); now.Dependency != 3 || !now.MainThread {
		t.Errorf("%+v", now)
	}
	awaitLoadErrors(wsgid, 0)
}

// awaitLoadErrors waits until so many scripts of group only cannot be imported;
// requests are answered before the supervisor has heard of that.
func awaitLoadErrors(wsgid *harness.Wsgid, count int) []status.LoadError {
	return wsgid.AwaitStatus(fmt.Sprintf("%d load errors", count), func(s harness.Status) error {
		if e := s.Group("only").LoadErrors; len(e) != count {
			return fmt.Errorf("%+v", e)
		}
		return nil
	}).Group("only").LoadErrors
}

// TestExitAtImport: sys.exit() in a script is an import that failed.
func TestExitAtImport(t *testing.T) {
	w := newWorld(t)
	w.App("exit_import.py")
	w.Configure(group("only", "#64001", 1, 2) + mount("/", "apps/exit_import.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	pids := wsgid.AwaitReady("only").PIDs("only")
	for range 3 {
		wantError(t, apache.Get("/"), 500, "WSGID-1103")
	}
	status := wsgid.Status()
	if got := status.PIDs("only"); len(got) != 1 || got[0] != pids[0] {
		t.Errorf("processes %v became %v", pids, got)
	}
	if only := status.Group("only"); len(only.LoadErrors) != 1 || !strings.HasPrefix(only.LoadErrors[0].Error, "SystemExit") {
		t.Errorf("%+v", only.LoadErrors)
	}
}

// TestKeepOldCode: with reload_on_error = "keep" nobody sees that the new code
// is broken, and once the mended one answers, the old one never does again.
func TestKeepOldCode(t *testing.T) {
	w := reloadWorld(t, 1, option("reload_on_error", "keep"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	source := readFile(t, w.Path("apps/reload.py"))
	content := payload(100000)
	want := digest(content)
	var latest, answered atomic.Int64
	done := make(chan struct{})
	var wait sync.WaitGroup
	for client := range 4 {
		wait.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				least := latest.Load()
				method, body, sum := "GET", []byte(nil), digest(nil)
				if client%2 == 0 {
					method, body, sum = "POST", content, want
				}
				response, err := apache.Try(t.Context(), method, "/", bytes.NewReader(body))
				if err != nil || response.Status != 200 {
					t.Errorf("%s: %v %+v", method, err, response)
					return
				}
				var now loaded
				fromJSON(t, response.Text(), &now)
				if now.SHA256 != sum || int64(now.Version) < least {
					t.Errorf("%s: %+v after version %d", method, now, least)
					return
				}
				for seen := latest.Load(); int64(now.Version) > seen && !latest.CompareAndSwap(seen, int64(now.Version)); seen = latest.Load() {
				}
				answered.Add(1)
			}
		})
	}
	version := 1
	for range rounds(3, 20) {
		w.Write("apps/reload.py", "1 / 0\n")
		pid := wsgid.AwaitStatus("the error shows, the old code serves", func(s harness.Status) error {
			only := s.Group("only")
			if len(only.LoadErrors) != 1 || !only.LoadErrors[0].OldCodeServes || only.LoadErrors[0].Error != "ZeroDivisionError: division by zero" {
				return fmt.Errorf("%+v", only.LoadErrors)
			}
			return nil
		}).PIDs("only")
		until := answered.Load() + 20
		harness.Eventually(t, "further requests are answered", func() error {
			if answered.Load() < until && !t.Failed() {
				return errNotYet
			}
			return nil
		})
		if now := wsgid.Status().PIDs("only"); len(now) != 1 || len(pid) != 1 || now[0] != pid[0] {
			t.Errorf("process %v became %v with code that cannot be imported", pid, now)
		}
		version++
		w.Write("apps/reload.py", strings.Replace(source, "VERSION = 1", fmt.Sprintf("VERSION = %d", version), 1))
		harness.Eventually(t, "the mended code answers", func() error {
			if latest.Load() < int64(version) && !t.Failed() {
				return errNotYet
			}
			return nil
		})
	}
	close(done)
	wait.Wait()
	wsgid.AwaitStatus("no error is left", func(s harness.Status) error {
		if only := s.Group("only"); len(only.LoadErrors) != 0 || only.Restarts["script_reload"] != uint64(version-1) || only.Refused != 0 {
			return fmt.Errorf("%+v", only)
		}
		return nil
	})
}

// TestKeepTellsSubscribers: of a process whose new code is not let in the
// subscribers are told import_failed, and of the old one nothing; when it has been
// replaced, script_reload. Requests are observed all the time.
func TestKeepTellsSubscribers(t *testing.T) {
	w := newWorld(t)
	source := `import os, mod_wsgi
finished = 0
def told(name, shutdown_reason, **payload):
    with open(os.path.join(os.environ["STATE"], str(os.getpid())), "a") as file: file.write(shutdown_reason + "\n")
mod_wsgi.subscribe_shutdown(told)
@mod_wsgi.subscribe_events
def count(name, **payload):
    global finished
    finished += name == "request_finished"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [("%d %d VERSION" % (os.getpid(), finished)).encode()]
`
	w.Write("apps/app.py", source)
	state := openDirectory(t, w, "state")
	w.Configure(group("only", "#64001", 1, 1, option("reload_on_error", "keep"), `environment = { STATE = "{{.Dir}}/state" }`) + mount("/", "apps/app.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	old := wsgid.AwaitReady("only").PIDs("only")[0]
	want := func(count int) {
		t.Helper()
		if got := apache.Get("/"); got.Text() != fmt.Sprintf("%d %d VERSION", old, count) {
			t.Errorf("%d %s", got.Status, got.Body)
		}
	}
	want(0)
	w.Write("apps/app.py", source+"1 / 0\n")
	want(1)
	var failed int
	wsgid.AwaitStatus("the error shows", func(s harness.Status) error {
		e := s.Group("only").LoadErrors
		if len(e) != 1 || !e[0].OldCodeServes {
			return errNotYet
		}
		failed = e[0].PID
		return nil
	})
	if got := awaitFile(t, filepath.Join(state, fmt.Sprint(failed))); got != "import_failed\n" {
		t.Errorf("the process that was not let in was told %q", got)
	}
	want(2)
	if harness.Exists(filepath.Join(state, fmt.Sprint(old))) {
		t.Error("the process that goes on was told that it ends")
	}
	w.Write("apps/app.py", strings.ReplaceAll(source, "VERSION", "NEW"))
	harness.Eventually(t, "the new code serves", func() error {
		if got := apache.Get("/"); !strings.HasSuffix(got.Text(), "NEW") {
			return errNotYet
		}
		return nil
	})
	if got := awaitFile(t, filepath.Join(state, fmt.Sprint(old))); got != "script_reload\n" {
		t.Errorf("the old process was told %q", got)
	}
}
