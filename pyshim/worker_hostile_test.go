package pyshim_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWorkerHostileRequests: objects of a request in the hands of other
// threads, objects that are not what they seem, exceptions that are.
func TestWorkerHostileRequests(t *testing.T) {
	w := startWorker(t, workerOptions{threads: 2})
	c := w.dial()
	get := func(callable string, more ...string) *response {
		t.Helper()
		return c.do(script(t, "hostile.py", callable, more...), nil)
	}
	// reload_required raises SystemExit: no reason to reload, none to end.
	for range 2 {
		if r := get("application"); string(r.body) != "ran" {
			t.Fatalf("%q %q", r.raw, r.body)
		}
	}
	w.record("SystemExit: 9")
	if r := get("fake_exc_info"); string(r.body) != "out RuntimeError RuntimeError RuntimeError RuntimeError ValueError RuntimeError" {
		t.Errorf("exc_info: %q", r.body)
	}
	for range 10 {
		r := get("writes_in_thread")
		if n := bytes.Count(r.body, []byte("m")); n != 1000000 {
			t.Errorf("%d bytes of the application's main thread", n)
		}
		if n := bytes.Count(r.body, []byte("t")); n%70000 != 0 || n == 0 || len(r.body) != 1000000+n {
			t.Errorf("%d bytes of the other thread in %d", n, len(r.body))
		}
	}
	for range 10 {
		if r := get("logs_in_thread"); string(r.body) != "logged" {
			t.Errorf("%q", r.body)
		}
	}
	if r := get("late_close"); r.status[:3] != "500" || bytes.Contains(r.body, []byte("late")) || strings.Count(string(r.body), "Status:") != 0 {
		t.Errorf("close() wrote into the error page: %q %q", r.raw, r.body)
	}
	if r := get("kept"); string(r.body) != "RuntimeError|RuntimeError" {
		t.Errorf("write and start_response after the failure: %q", r.body)
	}
	for _, what := range []string{"broken", "exit", "interrupt", "generator", "base", "recursion", "memory"} {
		want := "WSGID-1105"
		if what == "exit" {
			want = "WSGID-1115"
		}
		if r := get("raises", "QUERY_STRING="+what); r.get("X-WSGID-Error") != want {
			t.Errorf("%s: %q", what, r.raw)
		}
	}
	for _, what := range []string{"", "base"} {
		if r := get("generator", "QUERY_STRING="+what); r.appStatus != truncated || string(r.body) != "a" {
			t.Errorf("generator: %+v", r)
		}
	}
	for what, want := range map[string]string{"list": "ab", "piece": "piece", "late": "late start", "dict": "key",
		"str": "500", "strs": "500", "bytes": "500", "array": "500", "int": "500"} {
		if r := get("result", "QUERY_STRING="+what); string(r.body) != want && !strings.HasPrefix(r.status, want) {
			t.Errorf("%s: %q %q", what, r.status, r.body)
		}
	}
	if r := get("grows"); len(r.body)%100000 != 0 {
		t.Errorf("%d bytes", len(r.body))
	}
	if r := get("own_types"); string(r.body) != "RuntimeError|RuntimeError|RuntimeError|none|TypeError|none|TypeError" {
		t.Errorf("%q", r.body)
	}
	if r := get("mutates"); string(r.body) != "cleared" {
		t.Errorf("%q", r.body)
	}
	if r := get("application"); string(r.body) != "ran" {
		t.Errorf("%q", r.body)
	}
}

// TestWorkerForkWithThreads: the child does not wait for threads that it does
// not have, and does not answer.
func TestWorkerForkWithThreads(t *testing.T) {
	w := startWorker(t, workerOptions{})
	for range 3 {
		c := w.dial()
		c.Write(head(script(t, "hostile.py", "fork_falls_out")))
		r, err := c.response()
		if err == nil && string(r.body) != "parent 0" {
			t.Errorf("%q", r.body)
		}
		if err != nil { // the thread that still reads costs the connection
			w.record("child prints")
		}
	}
	if r := w.dial().do(script(t, "hello.py", "application"), nil); r.status != "200 OK" {
		t.Errorf("%+v", r)
	}
}

// TestWorkerPreload: a forked child of a preloaded script is no second worker,
// and its signal handlers do not replace the worker's.
func TestWorkerPreload(t *testing.T) {
	dir := scripts(t, map[string]string{"app.py": `import os, signal
if os.fork() == 0:
    print("in the child")
    raise RuntimeError
os.wait()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]
`})
	w := startWorker(t, workerOptions{extra: []string{"rule.dir=" + dir, "preload=\t" + dir + "/app.py"}})
	w.record("in the child")
	if r := w.dial().do(script(t, dir+"/app.py", "application"), nil); string(r.body) != "ok" {
		t.Errorf("%q", r.raw)
	}
	w.signal(syscall.SIGTERM)
	if status := w.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// scripts writes files into a new directory that the worker may read.
func scripts(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wsgid")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestWorkerOddScripts: what is at a path need not be a readable file, and
// what it leaves in sys.modules need not be a module.
func TestWorkerOddScripts(t *testing.T) {
	const app = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ok']\n"
	dir := scripts(t, map[string]string{
		"object.py":  "import sys\nclass C:\n    pass\nsys.modules[__name__] = C()\n",
		"lazy.py":    "import sys, types\nclass M(types.ModuleType):\n    pass\nsys.modules[__name__].__class__ = M\nloads = []\n" + app,
		"secret.py":  app,
		"removed.py": "import sys\ndel sys.modules[__name__]\n" + app,
	})
	if err := os.Chmod(dir+"/secret.py", 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/directory.py", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(dir+"/fifo.py", 0o644); err != nil {
		t.Fatal(err)
	}
	w := startWorker(t, workerOptions{extra: []string{"rule.dir=" + dir, "rule.file=/dev/zero"}})
	c := w.dial()
	for range 2 {
		for name, want := range map[string]string{"object.py": "500", "lazy.py": "200", "secret.py": "500",
			"removed.py": "500", "directory.py": "500", "fifo.py": "500", "/dev/zero": "500"} {
			if name[0] != '/' {
				name = filepath.Join(dir, name)
			}
			if r := c.do(script(t, name, "application"), nil); r.status[:3] != want {
				t.Errorf("%s: %q", name, r.raw)
			}
		}
	}
	loaded := 0
	for _, r := range w.wholeLog() {
		if r["message"] == "loading script" && strings.HasSuffix(r["script"], "lazy.py") {
			loaded++
		}
	}
	if loaded != 1 {
		t.Errorf("a module of a subclass was loaded %d times", loaded)
	}
}

// TestWorkerLoggingLevels: records of the logging module keep level and unity.
func TestWorkerLoggingLevels(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			w := startWorker(t, workerOptions{python: python})
			if r := w.dial().do(script(t, "hostile.py", "logging_levels", "WSGID_APPLICATION_GROUP=g"), nil); string(r.body) != "ok" {
				t.Fatalf("%q", r.raw)
			}
			for message, level := range map[string]string{"level 5\nsecond line": "trace", "level 10\nsecond line": "debug",
				"level 20\nsecond line": "info", "level 30\nsecond line": "warn", "level 40\nsecond line": "error",
				"level 50\nsecond line": "error", "to wsgi.errors ?": "warn", "last resort": "warn"} {
				if r := w.record(message); r["message"] != message || r["level"] != level || r["source"] != "logging" || r["request"] != "req-1" {
					t.Errorf("%q at %s: %v", message, level, r)
				}
			}
			if r := w.record("unfinished"); r["source"] != "stderr" || r["message"] != "unfinished" {
				t.Errorf("%v", r)
			}
		})
	}
}

// TestWorkerEnds: daemon threads, exit functions that exit, sub-interpreters:
// every Python ends with status 0.
func TestWorkerEnds(t *testing.T) {
	for _, python := range pythons(t) {
		for _, groups := range [][]string{{""}, {"one", "", "two"}} {
			t.Run(python+strings.Join(groups, "+"), func(t *testing.T) {
				w := startWorker(t, workerOptions{python: python})
				c := w.dial()
				for _, group := range groups {
					for callable, want := range map[string]string{"daemon_threads": "started", "application": "ran"} {
						if r := c.do(script(t, "hostile.py", callable, "WSGID_APPLICATION_GROUP="+group), nil); string(r.body) != want {
							t.Fatalf("%s: %q %q", callable, r.raw, r.body)
						}
					}
				}
				w.signal(syscall.SIGTERM)
				if status := w.wait(); status != 0 {
					t.Errorf("exit status %d", status)
				}
				for _, group := range groups {
					if group == "" {
						group = "main"
					}
					w.record("exit function ran in " + group)
				}
			})
		}
	}
}

// TestWorkerCallbacks: PyGILState_Ensure on a thread of the server, in the
// main interpreter and in the only sub-interpreter that the thread serves.
func TestWorkerCallbacks(t *testing.T) {
	for _, python := range pythons(t) {
		for _, group := range []string{"", "sub"} {
			t.Run(python+group, func(t *testing.T) {
				w := startWorker(t, workerOptions{python: python, threads: 1})
				if r := w.dial().do(script(t, "hostile.py", "callback", "WSGID_APPLICATION_GROUP="+group), nil); string(r.body) != "True" {
					t.Errorf("%q %q", r.raw, r.body)
				}
			})
		}
	}
}
