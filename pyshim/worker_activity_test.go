package pyshim_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestInactivity: a process that has served nothing, or is busy, or does
// something again and again, does not idle out; one that has served and then
// does nothing asks once to be relieved, and serves on.
func TestInactivity(t *testing.T) {
	t.Parallel()
	const idle = 500 * time.Millisecond
	w := startWorker(t, workerOptions{extra: []string{"inactivity_timeout=500"}})
	quiet := func(what string) {
		t.Helper()
		select {
		case e := <-w.events:
			t.Fatalf("%s: %v", what, e)
		default:
		}
	}
	time.Sleep(3 * idle)
	quiet("before the first request")
	c, beside := w.dial(), w.dial()
	hello := func(more ...string) {
		t.Helper()
		if r := c.do(script(t, "hello.py", "application", more...), nil); r.status != "200 OK" {
			t.Fatalf("%q", r.raw)
		}
	}
	hello("WSGID_IGNORE_ACTIVITY=1")
	time.Sleep(3 * idle)
	quiet("after a request that does not count")
	gate := filepath.Join(w.dir, "gate")
	beside.Write(request(script(t, "deadline.py", "waits", "QUERY_STRING="+gate), nil, true))
	time.Sleep(3 * idle)
	quiet("while a request runs")
	last := time.Now() // the end of that request is the last activity
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if r, err := beside.response(); err != nil || r.status != "200 OK" {
		t.Fatalf("%v %v", r, err)
	}
	for relieved := false; !relieved; { // these keep nobody busy
		hello("WSGID_IGNORE_ACTIVITY=1")
		select {
		case e := <-w.events:
			if e["event"] != "relieve" || e["reason"] != "inactivity_timeout" {
				t.Error(e)
			}
			relieved = true
		default:
			if time.Since(last) > patience {
				t.Fatal("requests that do not count keep it busy")
			}
		}
	}
	const tick = 10 * time.Millisecond // the worker's clock is coarser
	if took := time.Since(last); took < idle-tick {
		t.Errorf("after %v", took)
	}
	hello()
	time.Sleep(3 * idle)
	quiet("once more")
}
