package pyshim_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestDeadlock: a process in which nobody gets a GIL any more, of whichever
// interpreter, wants to be replaced and can be ended.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	path := extensions(t)
	rows := []struct{ python, group string }{{"", ""}, {"", "shared"}}
	for _, python := range pythons(t) {
		rows = append(rows, struct{ python, group string }{python, "own"})
	}
	for _, row := range rows {
		t.Run(row.group+" "+row.python, func(t *testing.T) {
			t.Parallel()
			options := workerOptions{python: row.python, shutdown: 200, wantFail: true,
				extra: append([]string{"rule.dir=" + testdata(t), "python_path=" + path, "deadlock_timeout=1000"},
					preloaded(t, "deadline.py", row.group)...)}
			app := "WSGID_APPLICATION_GROUP=" + row.group
			ask := func(pipe string) params { return script(t, "deadline.py", "keeps_gil", app, "QUERY_STRING="+pipe) }
			if row.group == "own" { // which cannot have ctypes
				options.extra = append(append(options.extra, preloaded(t, "interpreters.py", row.group)...), "interpreter==own\town_gil\t1")
				ask = func(pipe string) params { return in(t, row.group, "wait", "QUERY_STRING="+pipe) }
			}
			w := startWorker(t, options)
			if first := <-w.events; first["event"] == "failed" { // before 3.12
				return
			}
			w.event("ready")
			c := w.dial()
			if r := c.do(script(t, "deadline.py", "quick", app), nil); string(r.body) != "quick" {
				t.Fatalf("%q", r.raw)
			}
			begin := time.Now()
			pipe := fifo(t, w)
			c.Write(request(ask(pipe), nil, true))
			if row.group == "own" { // reads with the GIL, once somebody may write
				writer, err := os.OpenFile(pipe, os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer writer.Close()
			}
			if e := w.event("retire"); e["reason"] != "deadlock_timeout" {
				t.Error(e)
			}
			if took := time.Since(begin); took < timeout {
				t.Errorf("after %v", took)
			}
			w.event("drained")
			if r := w.record("nobody has got the GIL"); r["level"] != "error" {
				t.Error(r)
			}
			w.signal(syscall.SIGTERM)
			if status := w.wait(); status != 0 {
				t.Errorf("exit status %d", status)
			}
		})
	}
}

// TestNoDeadlock: Python that works, and a GIL that is kept for less than the
// timeout or while no request runs, are none.
func TestNoDeadlock(t *testing.T) {
	t.Parallel()
	w := startWorker(t, workerOptions{threads: 3, extra: []string{"deadlock_timeout=2000"}})
	gate := filepath.Join(w.dir, "gate")
	c, waits := w.dial(), w.dial()
	waits.Write(request(script(t, "deadline.py", "waits", "QUERY_STRING="+gate), nil, true))
	for range 2 {
		if r := c.do(script(t, "deadline.py", "works", "QUERY_STRING=2.5"), nil); string(r.body) != "done" {
			t.Errorf("%q", r.raw)
		}
	}
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if r, err := waits.response(); err != nil || string(r.body) != "done" {
		t.Errorf("%v %v", r, err)
	}
	w.awaitSleep(2500 * time.Millisecond)
	w.signal(syscall.SIGTERM)
	w.wait()
	for e := range w.events {
		t.Errorf("event %v", e)
	}
}
