package tests

import (
	"os"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestApplicationErrors: what goes wrong in an application is a 500 with its
// code and a traceback in the log, and the process goes on.
func TestApplicationErrors(t *testing.T) {
	w := newWorld(t)
	w.App("errors_in_application.py")
	w.Configure(group("only", "#64001", 1, 2) + mount("/", "apps/errors_in_application.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for _, row := range []struct{ path, code, log string }{
		{"/raise", "WSGID-1105", "ValueError: raised before the headers"},
		{"/exit", "WSGID-1115", "SystemExit"},
		{"/none", "WSGID-110", "TypeError"},
		{"/text", "WSGID-1106", "TypeError"},
		{"/no-start", "WSGID-1106", "response has not been started"},
		{"/bad-status", "WSGID-110", "ValueError"},
		{"/bad-header", "WSGID-110", "ValueError"},
	} {
		mark := wsgid.Log.Mark()
		response := apache.Get(row.path, "Authorization: Basic c2VjcmV0OnNlY3JldA==", "Cookie: session=of-alice")
		wantError(t, response, 500, row.code)
		if response.Header.Get("X-Injected") != "" {
			t.Errorf("%s: a header was injected", row.path)
		}
		if strings.Contains(response.Text(), w.Dir) || strings.Contains(response.Text(), "of-alice") {
			t.Errorf("%s: the error page tells of a path or a request header: %s", row.path, response.Body)
		}
		wsgid.Log.AwaitFrom(t, mark, row.log+" of "+row.path, harness.Containing(row.log))
	}
	wantError(t, apache.Do("POST", "/raise", strings.NewReader("x"), "Authorization: Basic c2VjcmV0OnNlY3JldA==", "Cookie: session=of-alice"), 500, "WSGID-1105")
	// The log is at level debug.
	for _, record := range wsgid.Log.Records() {
		if strings.Contains(record.Line, "c2VjcmV0") || strings.Contains(record.Line, "of-alice") {
			t.Errorf("a credential in the log: %s", record.Line)
		}
	}
	if got := apache.Get("/exc-info"); got.Status != 503 || got.Header.Get("X-First") != "" || got.Header.Get("X-Second") != "2" || got.Text() != "replaced" {
		t.Errorf("exc_info: %d %v %q", got.Status, got.Header, got.Body)
	}
	if got := apache.Get("/no-content"); got.Status != 204 || len(got.Body) != 0 {
		t.Errorf("204: %d %q", got.Status, got.Body)
	}
	if got := apache.Get("/not-modified"); got.Status != 304 || got.Header.Get("ETag") != `"x"` {
		t.Errorf("304: %d %v", got.Status, got.Header)
	}
	// Whether the client can see the cut depends on what Apache has sent by
	// then; TestLateException looks at that.
	mark := wsgid.Log.Mark()
	if got := apache.Get("/late"); got.Status == 200 && got.Text() != "a part of the response\n" {
		t.Errorf("an exception in the middle: status %d, %q, truncated: %v", got.Status, got.Body, got.Truncated)
	}
	wsgid.Log.AwaitFrom(t, mark, "the late exception", harness.Containing("ValueError: raised in the middle"))
	if got := apache.Get("/well"); got.Text() != "well\n" {
		t.Errorf("afterwards: %d %q", got.Status, got.Body)
	}
	if exits := wsgid.Status().Group("only").Restarts; len(exits) != 0 {
		t.Errorf("processes ended: %v", exits)
	}
}

// TestWriteCallable: write(), then an iterable, whose close() is called.
func TestWriteCallable(t *testing.T) {
	w := newWorld(t)
	w.App("write_callable.py")
	if err := os.Mkdir(w.Path("open"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(w.Path("open"), 0o777); err != nil {
		t.Fatal(err)
	}
	w.Configure(group("only", "#64001", 1, 2) + mount("/", "apps/write_callable.py"))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	if got := apache.Get("/?mark=" + w.Path("open/mark")); got.Text() != "one\ntwo\nthree\n" {
		t.Errorf("%d %q", got.Status, got.Body)
	}
	harness.Eventually(t, "close() was called", func() error {
		content, err := os.ReadFile(w.Path("open/mark"))
		if err == nil && string(content) != "closed\n" {
			t.Fatalf("close() was called: %q", content)
		}
		return err
	})
}

// TestImportErrors: a script that raises or exits at import is a 500 and
// leaves the process alone; the repaired one works on the next request, in
// another process.
func TestImportErrors(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.App("raise_import.py")
	w.App("exit_import.py")
	w.Configure(group("only", "#64001", 1, 2) + mount("/raise", "apps/raise_import.py") + mount("/exit", "apps/exit_import.py") +
		mount("/missing", "apps/nothing_here.py") + mount("/", "apps/hello.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	wantError(t, apache.Get("/raise"), 500, "WSGID-1103")
	wantError(t, apache.Get("/exit"), 500, "WSGID-1103")
	wantError(t, apache.Get("/missing"), 404, "WSGID-1")
	wsgid.Log.Await(t, "the traceback", harness.Containing("RuntimeError: this application cannot be imported", "raise_import.py"))
	wsgid.Log.Await(t, "the exit", harness.Containing("SystemExit"))
	if got := apache.Get("/"); got.Status != 200 {
		t.Fatalf("the other script: %d %s", got.Status, got.Body)
	}
	pids := wsgid.Status().PIDs("only")
	w.Write("apps/raise_import.py", "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'mended']\n")
	if got := apache.Get("/raise"); got.Text() != "mended" {
		t.Errorf("mended: %d %s", got.Status, got.Body)
	}
	if got := wsgid.AwaitReady("only").PIDs("only"); got[0] == pids[0] {
		t.Errorf("mended in process %d, where its import had failed", pids[0])
	}
}

// TestHugeHeaders: many and long response headers arrive; one line that Apache
// could not take is our 500 and not its.
func TestHugeHeaders(t *testing.T) {
	w := newWorld(t)
	w.App("huge_headers.py")
	w.Configure(group("only", "#64001", 1, 2) + mount("/", "apps/huge_headers.py"))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	response := apache.Get("/?count=60&size=4000")
	if response.Status != 200 || len(response.Header.Get("X-Huge-59")) != 4000 {
		t.Errorf("60 headers of 4000 bytes: %d, the last has %d", response.Status, len(response.Header.Get("X-Huge-59")))
	}
	if got := apache.Get("/?count=1&size=100000"); got.Status != 500 {
		t.Errorf("a header of 100000 bytes: %d", got.Status)
	}
	long := strings.Repeat("c", 7000)
	if got := apache.Get("/?count=1&size=10", "Cookie: "+long); got.Status != 200 {
		t.Errorf("a long cookie: %d", got.Status)
	}
}

// TestFloodStderr: a flood of log lines from every source neither blocks nor
// loses the response.
func TestFloodStderr(t *testing.T) {
	w := newWorld(t)
	w.App("flood_stderr.py")
	w.Configure(group("only", "#64001", 1, 2) + mount("/", "apps/flood_stderr.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	if got := apache.Get("/?lines=2000"); got.Text() != "flooded\n" {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	for _, text := range []string{"errors 1999 ", "stderr 1999 ", "raw 1999 "} {
		wsgid.Log.Await(t, text, harness.Containing(text))
	}
	if dropped := wsgid.Status().Group("only").Processes[0].LogDropped; dropped != 0 {
		t.Errorf("%d records were dropped", dropped)
	}
	if got := len(wsgid.Log.Find(harness.Containing("errors "))); got != 2000 {
		t.Errorf("%d of 2000 lines of wsgi.errors are in the log", got)
	}
}
