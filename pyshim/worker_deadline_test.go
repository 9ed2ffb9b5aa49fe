package pyshim_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// deadlines are the options of a worker whose requests may take half a second.
func deadlines(interrupt string, more ...string) []string {
	return append([]string{"request_timeout=300", "request_limit=500", "interrupt_timeout=" + interrupt}, more...)
}

const limit = 500 * time.Millisecond

// quickly wants the answer to a request that needs no time. When the machine
// stands still it may be interrupted with good reason, no sooner than others.
func quickly(t *testing.T, c *conn, more ...string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		begin := time.Now()
		r := c.do(script(t, "deadline.py", "quick", more...), nil)
		took := time.Since(begin)
		if string(r.body) == "quick" {
			return
		}
		if r.status != "504 Gateway Timeout" || took < limit || time.Now().After(deadline) {
			t.Fatalf("quick after %v: %q", took, r.raw)
		}
	}
}

// overdue sends a request that takes too long and returns its response, which
// came no sooner than that.
func overdue(t *testing.T, c *conn, p params) *response {
	t.Helper()
	begin := time.Now()
	r := c.do(p, nil)
	if took := time.Since(begin); took < limit {
		t.Errorf("%s was interrupted after %v", p["WSGID_CALLABLE"], took)
	}
	return r
}

// wantInterrupted checks the answer to an interrupted request.
func wantInterrupted(t *testing.T, r *response) {
	t.Helper()
	if r.status != "504 Gateway Timeout" || r.get("X-WSGID-Error") != "WSGID-1120" || r.appStatus != 0 {
		t.Errorf("%q, application status %x", r.raw, r.appStatus)
	}
}

// fifo makes one that everybody may open.
func fifo(t *testing.T, w *worker) string {
	t.Helper()
	path := filepath.Join(w.dir, "fifo")
	if err := unix.Mkfifo(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDeadlineInterrupts: an overdue request gets RequestTimeout, in every kind
// of interpreter of every Python, and another one goes on beside it.
func TestDeadlineInterrupts(t *testing.T) {
	t.Parallel()
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			t.Parallel()
			groups := []string{"", "shared", "own"}
			options := workerOptions{python: python, wantFail: true,
				extra: deadlines("60000", append(preloaded(t, "deadline.py", groups...), "interpreter==own\town_gil\t1")...)}
			w := startWorker(t, options)
			if first := <-w.events; first["event"] == "failed" { // before 3.12
				groups = groups[:2]
				options.extra = deadlines("60000", preloaded(t, "deadline.py", groups...)...)
				w = startWorker(t, options)
			}
			w.event("ready")
			c, beside := w.dial(), w.dial()
			for _, group := range groups {
				app := "WSGID_APPLICATION_GROUP=" + group
				for _, callable := range []string{"busy", "reraises"} {
					done := make(chan *response, 1)
					id := group + "-" + callable
					go func() { done <- overdue(t, c, script(t, "deadline.py", callable, app, "WSGID_REQUEST_ID="+id)) }()
					for r := (*response)(nil); r == nil; {
						quickly(t, beside, app)
						select {
						case r = <-done:
							wantInterrupted(t, r)
						default:
						}
					}
					warning := w.recordOf(id, "RequestTimeout is raised in it")
					if warning["level"] != "warn" || warning["code"] != "WSGID-1120" ||
						warning["application"] != group || !strings.Contains(warning["message"], "in "+callable) || !strings.Contains(warning["message"], "in _spin") {
						t.Error(warning)
					}
				}
				if r := overdue(t, c, script(t, "deadline.py", "streams", app)); string(r.body) != "beginning" || r.appStatus != truncated {
					t.Errorf("after the headers: %q %q %x", r.raw, r.body, r.appStatus)
				}
				quickly(t, c, app)
			}
			if r := overdue(t, c, script(t, "deadline.py", "stubborn")); string(r.body) != "interrupted 3 times" {
				t.Errorf("who catches the exception: %q %q", r.raw, r.body)
			}
			w.signal(syscall.SIGTERM)
			if status := w.wait(); status != 0 {
				t.Errorf("exit status %d", status)
			}
			for e := range w.events {
				t.Errorf("event %v", e)
			}
		})
	}
}

// TestDeadlineOfTheNext: an exception that did not come out in its request does
// not come out in the next one.
func TestDeadlineOfTheNext(t *testing.T) {
	t.Parallel()
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			t.Parallel()
			w := startWorker(t, workerOptions{python: python, threads: 1, extra: deadlines("60000", preloaded(t, "deadline.py", "")...)})
			path := fifo(t, w)
			c := w.dial()
			for round := range 3 {
				id := fmt.Sprint("reads-", round)
				c.Write(request(script(t, "deadline.py", "reads", "QUERY_STRING="+path, "WSGID_REQUEST_ID="+id), nil, true))
				writer, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				w.recordOf(id, "RequestTimeout is raised in it")
				if _, err := writer.WriteString("all of it"); err != nil {
					t.Fatal(err)
				}
				writer.Close()
				if r, err := c.response(); err != nil || r.status != "200 OK" || string(r.body) != "all of it" {
					t.Fatalf("%+v %v", r, err)
				}
				for range 3 {
					quickly(t, c)
				}
			}
		})
	}
}

// TestDeadlineNotYet: nothing happens to a request that takes as long as it may,
// which is longer than request_timeout.
func TestDeadlineNotYet(t *testing.T) {
	w := startWorker(t, workerOptions{extra: []string{"request_timeout=200", "request_limit=60000", "interrupt_timeout=1"}})
	if r := w.dial().do(script(t, "deadline.py", "sleeps", "QUERY_STRING=0.7"), nil); string(r.body) != "done" {
		t.Errorf("%q", r.raw)
	}
	w.signal(syscall.SIGTERM)
	w.wait()
	w.drained()
	for e := range w.events {
		t.Errorf("event %v", e)
	}
	for _, r := range w.log() {
		if r["level"] == "warn" {
			t.Error(r)
		}
	}
}

// TestDeadlineWritesOff: a request that cannot be interrupted, or shall not be,
// has the process replaced; what else runs there ends first.
func TestDeadlineWritesOff(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, callable, interrupt, message string }{
		{"at once", "busy", "0", "longer than request_timeout, it is written off"},
		{"goes on", "never", "1500", "not ended within interrupt_timeout"},
		{"in C", "sleeps", "400", "not ended within interrupt_timeout"},
		{"with the GIL", "keeps_gil", "400", "not ended within interrupt_timeout"},
		{"with the GIL at once", "keeps_gil", "0", "longer than request_timeout, it is written off"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := startWorker(t, workerOptions{shutdown: 300, extra: deadlines(row.interrupt, preloaded(t, "deadline.py", "")...)})
			query := "QUERY_STRING=1000"
			if row.callable == "keeps_gil" {
				query = "QUERY_STRING=" + fifo(t, w)
			}
			stuck := w.dial()
			begin := time.Now()
			stuck.Write(request(script(t, "deadline.py", row.callable, query, "WSGID_REQUEST_ID=stuck", "WSGID_TRACE=0af7651916cd43dd8448eb211c80319c"), nil, true))
			if e := w.event("retire"); e["reason"] != "request_timeout" {
				t.Error(e)
			}
			if took := time.Since(begin); took < limit {
				t.Errorf("after %v", took)
			}
			if r := w.record(row.message); r["level"] != "warn" || r["request"] != "stuck" || r["trace"] != "0af7651916cd43dd8448eb211c80319c" || r["code"] != "WSGID-1120" || !strings.HasSuffix(r["script"], "/deadline.py") {
				t.Error(r)
			}
			w.event("drained")
			if row.callable == "busy" {
				if r := w.record("where the request is:"); !strings.Contains(r["message"], "in _spin") {
					t.Error(r)
				}
			}
			w.signal(syscall.SIGTERM)
			if status := w.wait(); status != 0 {
				t.Errorf("exit status %d", status)
			}
			board := make([]byte, 256)
			w.scoreboard.ReadAt(board, 0)
			if reason := binary.LittleEndian.Uint32(board[12:]); reason != 11 {
				t.Errorf("exit reason %d", reason)
			}
		})
	}
}

// TestDeadlineDrains: the process is drained when the requests that have not
// taken too long have ended, and takes no others meanwhile.
func TestDeadlineDrains(t *testing.T) {
	t.Parallel()
	w := startWorker(t, workerOptions{threads: 3, shutdown: 300, extra: []string{"request_timeout=6000", "request_limit=6000", "interrupt_timeout=0"}})
	gate := filepath.Join(w.dir, "gate")
	stuck, late, c := w.dial(), w.dial(), w.dial()
	stuck.Write(request(script(t, "deadline.py", "sleeps", "QUERY_STRING=1000"), nil, true))
	if r := c.do(script(t, "deadline.py", "sleeps", "QUERY_STRING=3"), nil); string(r.body) != "done" {
		t.Fatalf("%q", r.raw)
	}
	late.Write(request(script(t, "deadline.py", "waits", "QUERY_STRING="+gate), nil, true))
	w.event("retire")
	if r := c.do(script(t, "deadline.py", "quick"), nil); r.protocol != overloaded {
		t.Errorf("a new request: %q", r.raw)
	}
	select {
	case e := <-w.events:
		t.Errorf("while a request runs: %v", e)
	default:
	}
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if r, err := late.response(); err != nil || string(r.body) != "done" {
		t.Errorf("%v %v", r, err)
	}
	w.event("drained")
}

// TestDeadlineOfFile: a file that is sent for too long is cut, in whatever C
// loop it is; the process goes on.
func TestDeadlineOfFile(t *testing.T) {
	w := startWorker(t, workerOptions{threads: 1, extra: deadlines("60000", preloaded(t, "deadline.py", "")...)})
	path := filepath.Join(w.dir, "large")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 64<<20); err != nil {
		t.Fatal(err)
	}
	c := w.dial()
	c.Write(request(script(t, "deadline.py", "file", "QUERY_STRING="+path), nil, true))
	w.record("RequestTimeout is raised in it") // nothing is read before
	r, err := c.response()
	if err != nil || r.appStatus != truncated || len(r.body) == 64<<20 {
		t.Fatalf("%v, %d bytes, application status %x", err, len(r.body), r.appStatus)
	}
	w.record("request interrupted by RequestTimeout")
	quickly(t, c)
}

// TestDeadlineIdle: nobody wakes up in a worker without requests, once the timer
// of the last one has been.
func TestDeadlineIdle(t *testing.T) {
	t.Parallel()
	w := startWorker(t, workerOptions{extra: deadlines("1000", preloaded(t, "deadline.py", "")...)})
	c := w.dial()
	for range 2 {
		quickly(t, c)
		w.awaitSleep(4 * limit)
	}
}
