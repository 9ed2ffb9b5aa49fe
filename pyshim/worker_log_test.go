package pyshim_test

import (
	"strings"
	"testing"
	"time"
)

// TestWorkerLogs checks how output of the application becomes records.
func TestWorkerLogs(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			w := startWorker(t, workerOptions{python: python})
			c := w.dial()
			for _, callable := range []string{"errors", "prints", "log_exception", "print_exc", "thread", "long"} {
				p := script(t, "logs.py", callable, "WSGID_REQUEST_ID=id-"+callable, "WSGID_APPLICATION_GROUP=blog")
				if r := c.do(p, nil); string(r.body) != "ok" {
					t.Fatalf("%s: %q", callable, r.raw)
				}
			}
			type want struct{ message, source, request string }
			for _, wanted := range []want{
				{"one line", "wsgi.errors", "id-errors"},
				{"partial", "wsgi.errors", "id-errors"},
				{"held", "wsgi.errors", "id-errors"},
				{"w1", "wsgi.errors", "id-errors"},
				{"bytes é", "wsgi.errors", "id-errors"},
				{"at the end", "wsgi.errors", "id-errors"},
				{"printed 1 café ?", "stdout", "id-prints"},
				{"to stderr", "stderr", "id-prints"},
				{"without end", "stdout", "id-prints"},
				{"INFO:root:an info", "logging", "id-log_exception"},
				{"after it", "stderr", "id-print_exc"},
				{"from a thread", "stdout", ""},
				{"thread without end", "stdout", ""},
			} {
				got := w.record(wanted.message)
				if got["message"] != wanted.message || got["source"] != wanted.source || got["request"] != wanted.request {
					t.Errorf("want %v, got %v", wanted, got)
				}
				if wanted.request != "" && (got["application"] != "blog" || !strings.HasSuffix(got["script"], "logs.py")) {
					t.Errorf("%v", got)
				}
			}
			logged := w.record("something failed")["message"]
			if !strings.HasPrefix(logged, "ERROR:root:something failed\nTraceback") || !strings.HasSuffix(logged, "ValueError: logged\nin two lines") {
				t.Errorf("logging.exception: %q", logged)
			}
			printed := w.record("KeyError")["message"]
			if !strings.HasPrefix(printed, "Traceback") || !strings.HasSuffix(printed, "KeyError: 'missing'") {
				t.Errorf("print_exc: %q", printed)
			}
			total, parts := 0, map[string]bool{}
			for deadline := time.Now().Add(patience); total < 200000 && time.Now().Before(deadline); {
				w.mu.Lock()
				changed := w.changed
				w.mu.Unlock()
				total = 0
				for _, r := range w.log() {
					if r["request"] == "id-long" && r["source"] == "wsgi.errors" {
						total += len(r["message"])
						parts[r["part"]] = true
					}
				}
				if total < 200000 {
					select {
					case <-changed:
					case <-time.After(patience):
					}
				}
			}
			if total != 200000 || len(parts) != 1 || parts[""] {
				t.Errorf("long line: %d bytes, of the records %v", total, parts)
			}
		})
	}
}
