package pyshim_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// extensions compiles the extension modules of testdata/extensions and returns
// the directory they are in.
func extensions(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wsgid-ext")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob("testdata/extensions/*.c")
	if err != nil || len(sources) == 0 {
		t.Fatal("no extension modules", err)
	}
	for _, source := range sources {
		target := filepath.Join(dir, strings.TrimSuffix(filepath.Base(source), ".c")+".so")
		out, err := exec.Command("gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared", "-o", target, source).CombinedOutput()
		if err != nil {
			t.Fatalf("compile %s: %v\n%s", source, err, out)
		}
	}
	return dir
}

// minorOfPath finds the 11 of Python 3.11 in what the worker said at its start.
func (w *worker) minor() int {
	w.t.Helper()
	version, err := os.ReadFile("/proc/self/fd/" + strconv.Itoa(int(w.scoreboard.Fd())))
	if err != nil {
		w.t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(version[64:96]), "\x00")
	minor, err := strconv.Atoi(minorOf(text))
	if err != nil {
		w.t.Fatal(err)
	}
	return minor
}

// in gives the parameters for a callable of testdata/interpreters.py in an
// application group.
func in(t testing.TB, group, callable string, more ...string) params {
	t.Helper()
	return script(t, "interpreters.py", callable, append(more, "WSGID_APPLICATION_GROUP="+group)...)
}

// TestExtensionsInSubInterpreters: an extension that refuses sub-interpreters
// works in the main one; elsewhere log and answer name it and the remedy.
func TestExtensionsInSubInterpreters(t *testing.T) {
	path := extensions(t)
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			w := startWorker(t, workerOptions{python: python, extra: []string{"rule.dir=" + testdata(t), "rule.dir=" + path, "python_path=" + path}})
			write := func(name, text string) string {
				file := filepath.Join(path, name)
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				return file
			}
			c := w.dial()
			if r := c.do(in(t, "", "refuser"), nil); string(r.body) != "refuser" {
				t.Errorf("main interpreter: %q %q", r.status, r.body)
			}
			importing := write("importing.py", "from refuser import *\nimport mod_wsgi\ndef application(e, s): pass\n")
			r := c.do(script(t, importing, "application", "WSGID_APPLICATION_GROUP=sub"), nil)
			if !strings.HasPrefix(r.status, "500") || r.get("X-WSGID-Error") != "WSGID-1143" {
				t.Errorf("import in a sub-interpreter: %q %v", r.status, r.header)
			}
			got := w.record("extension module refuser does not support sub-interpreters")
			if got["code"] != "WSGID-1143" || got["level"] != "error" || got["application"] != "sub" || got["request"] != "req-1" ||
				!strings.Contains(got["message"], `application group "sub": set application_group = "%{GLOBAL}"`) || strings.Contains(got["message"], "\n") {
				t.Error(got)
			}
			if r := c.do(in(t, "late", "refuser", "WSGID_REQUEST_ID=late"), nil); r.get("X-WSGID-Error") != "WSGID-1105" {
				t.Errorf("import while serving: %q %v", r.status, r.header)
			}
			if got := w.record(`module refuser does not support sub-interpreters; this is application group "late"`); got["request"] != "late" {
				t.Error(got)
			}
			if r := c.do(in(t, "warned", "numpy_warning"), nil); string(r.body) != "ok" {
				t.Errorf("warning: %q", r.status)
			}
			if got := w.record("extension module numpy does not support"); got["level"] != "warn" || got["code"] != "WSGID-1143" || got["application"] != "warned" {
				t.Error(got)
			}
		})
	}
}

// TestExtensionWithThreads: an extension that enters Python from a thread of
// its own works in the main interpreter; elsewhere a warning names it, and
// nothing hangs or crashes.
func TestExtensionWithThreads(t *testing.T) {
	path := extensions(t)
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			w := startWorker(t, workerOptions{python: python, extra: []string{"rule.dir=" + testdata(t), "python_path=" + path}})
			c := w.dial()
			for range 3 {
				if r := c.do(in(t, "", "foreign"), nil); string(r.body) != "from the thread" {
					t.Errorf("main interpreter: %q", r.raw)
				}
			}
			for range 3 {
				if r := c.do(in(t, "sub", "foreign"), nil); string(r.body) != "from the thread" {
					t.Errorf("sub-interpreter: %q", r.raw)
				}
			}
			got := w.record("extension module foreign enters Python from threads of its own")
			if got["level"] != "warn" || got["code"] != "WSGID-1143" || !strings.Contains(got["message"], `set application_group = "%{GLOBAL}"`) {
				t.Error(got)
			}
			for _, record := range w.wholeLog() {
				if record["code"] != "" && record["application"] != "sub" {
					t.Errorf("in the main interpreter: %v", record)
				}
			}
		})
	}
}

// TestThreadLocalStays: threading.local data lasts from request to request of a
// thread, in each interpreter for itself.
func TestThreadLocalStays(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			c := startWorker(t, workerOptions{python: python, threads: 1}).dial()
			for want := 1; want <= 3; want++ {
				for _, group := range []string{"", "sub"} {
					if r := c.do(in(t, group, "counts"), nil); string(r.body) != strconv.Itoa(want) {
						t.Errorf("request %d in %q: %q", want, group, r.body)
					}
				}
			}
		})
	}
}

// TestInterpreterLimit: no more interpreters than max_interpreters, whatever
// names clients make up; those that are there go on.
func TestInterpreterLimit(t *testing.T) {
	w := startWorker(t, workerOptions{extra: []string{"rule.dir=" + testdata(t), "max_interpreters=2"}})
	c := w.dial()
	for _, row := range []struct{ group, code string }{
		{"a", ""}, {"", ""}, {"b", ""}, {"c", "WSGID-1142"}, {"d", "WSGID-1142"}, {"a", ""}, {"", ""}, {"c", "WSGID-1142"},
	} {
		r := c.do(in(t, row.group, "name"), nil)
		if r.get("X-WSGID-Error") != row.code || row.code == "" && string(r.body) != row.group {
			t.Errorf("%q: %q %q", row.group, r.raw, r.body)
		}
		if row.code != "" && (r.status != "503 Service Unavailable" || r.get("Retry-After") != "60") {
			t.Errorf("%q: status %q, Retry-After %q", row.group, r.status, r.get("Retry-After"))
		}
	}
	if got := w.record("max_interpreters is 2"); got["code"] != "WSGID-1142" || got["application"] != "c" {
		t.Error(got)
	}
}

// TestOwnGIL: while an extension keeps the GIL of one interpreter others go on;
// extensions that do not say they can do that are refused by name.
func TestOwnGIL(t *testing.T) {
	path := extensions(t)
	fifo := filepath.Join(path, "fifo")
	if err := unix.Mkfifo(fifo, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(fifo, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			options := workerOptions{python: python, threads: 3, wantFail: true,
				extra: []string{"rule.dir=" + testdata(t), "python_path=" + path, "interpreter==own1\town_gil\t1", "interpreter==own2\town_gil\t1"}}
			w := startWorker(t, options)
			first := <-w.events
			if first["event"] == "failed" {
				if !strings.Contains(first["error"], "per_interpreter_gil needs Python 3.12 or later") || strings.Contains(first["error"], "3.12.") {
					t.Error(first)
				}
				return
			}
			w.event("ready")
			if w.minor() < 12 {
				t.Fatalf("Python 3.%d has started with per_interpreter_gil", w.minor())
			}
			waiting := w.dial()
			waiting.Write(request(in(t, "own1", "wait", "QUERY_STRING="+fifo), nil, true))
			writer, err := os.OpenFile(fifo, os.O_WRONLY, 0) // returns when the application has opened it
			if err != nil {
				t.Fatal(err)
			}
			defer writer.Close()
			c := w.dial()
			for _, group := range []string{"own2", "", "shared", "own2"} {
				if r := c.do(in(t, group, "name"), nil); string(r.body) != group {
					t.Errorf("while own1 waits %q answers %q", group, r.raw)
				}
			}
			if _, err := writer.WriteString("x"); err != nil {
				t.Fatal(err)
			}
			if r, err := waiting.response(); err != nil || string(r.body) != "1" {
				t.Errorf("the waiting request: %v %v", r, err)
			}
			if r := c.do(in(t, "own2", "foreign"), nil); r.get("X-WSGID-Error") != "WSGID-1105" {
				t.Errorf("an extension without support: %q", r.raw)
			}
			w.record(`extension module foreign does not support sub-interpreters; this is application group "own2": ` +
				`set application_group = "%{GLOBAL}" for its mount, or take per_interpreter_gil out`)
			w.signal(15)
			if status := w.wait(); status != 0 {
				t.Errorf("exit status %d", status)
			}
			for _, group := range []string{"own1", "own2", "shared", ""} {
				w.record("exit of '" + group + "'")
			}
		})
	}
}

// TestFreeThreadingNeedsABuild: asking a Python with GIL to do without is an
// error that says which Python can.
func TestFreeThreadingNeedsABuild(t *testing.T) {
	w := startWorker(t, workerOptions{wantFail: true, extra: []string{"rule.dir=" + testdata(t), "free_threading=1"}})
	if e := <-w.events; e["event"] != "failed" || !strings.Contains(e["error"], "free_threading needs a free-threaded build of Python (python3.13t or later)") {
		t.Error(e)
	}
}

// TestDestroyInterpreter: exit functions run unless destroy_interpreter is false.
func TestDestroyInterpreter(t *testing.T) {
	for _, value := range []string{"1", "0"} {
		w := startWorker(t, workerOptions{extra: []string{"rule.dir=" + testdata(t), "destroy_interpreter=" + value}})
		c := w.dial()
		c.do(in(t, "", "name"), nil)
		c.do(in(t, "a", "name"), nil)
		w.signal(15)
		if status := w.wait(); status != 0 {
			t.Errorf("exit status %d", status)
		}
		if value == "1" {
			w.record("exit of ''")
			w.record("exit of 'a'")
			continue
		}
		w.drained()
		for _, r := range w.log() {
			if strings.Contains(r["message"], "exit of") {
				t.Errorf("destroy_interpreter = false: %v", r)
			}
		}
	}
}
