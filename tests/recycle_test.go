package tests

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// recycleLoad sends requests until enough is true or, without it, so many a client, and
// checks that each is answered and has run once. It returns how often each
// process has answered.
func recycleLoad(t *testing.T, apache *harness.Apache, path, ran string, each int, enough func() bool) map[string]int {
	t.Helper()
	var mu sync.Mutex
	pids := map[string]int{}
	sent := 0
	var wait sync.WaitGroup
	for client := range 6 {
		wait.Go(func() {
			for n := 0; enough != nil && !enough() || enough == nil && n < each; n++ {
				method, body := "GET", ""
				if (client+n)%2 == 0 {
					method, body = "POST", "some body"
				}
				response, err := apache.Try(t.Context(), method, path+"/pid?started="+ran, strings.NewReader(body))
				mu.Lock()
				sent++
				if err != nil || response.Status != 200 {
					t.Errorf("%s: %v %+v", method, err, response)
				} else {
					pids[string(response.Body)]++
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	if lines := strings.Count(awaitFile(t, ran), "\n"); lines != sent {
		t.Errorf("%d requests were sent, the application ran %d times", sent, lines)
	}
	return pids
}

// TestMaximumRequests: processes that have served so many requests are replaced,
// and no request is lost or runs twice; others stay.
func TestMaximumRequests(t *testing.T) {
	w := newWorld(t)
	w.App("overdue.py")
	open := openDirectory(t, w, "open")
	w.Configure(group("few", "#64001", 2, 3, "maximum_requests = 20") + group("many", "#64001", 2, 3, "maximum_requests = 100000", "maximum_requests_jitter = 100") +
		mount("/few", "apps/overdue.py", option("process_group", "few")) + mount("/many", "apps/overdue.py", option("process_group", "many")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	pids := recycleLoad(t, apache, "/few", open+"/few", 0, func() bool {
		return wsgid.Status().Group("few").Restarts["maximum_requests"] >= 4
	})
	if len(pids) < 4 {
		t.Errorf("answered by %v", pids)
	}
	recycleLoad(t, apache, "/many", open+"/many", 40, nil)
	if g := wsgid.Status().Group("few"); len(g.Restarts) != 1 || g.LastExit.Reason != "maximum_requests" {
		t.Errorf("restarts %v, last exit %+v", g.Restarts, g.LastExit)
	}
	if g := wsgid.Status().Group("many"); len(g.Restarts) != 0 {
		t.Errorf("below maximum_requests: %v", g.Restarts)
	}
	wantNoComplaint(t, wsgid)
}

// wantNoComplaint checks that nothing went wrong. That requests have waited long
// says only how fast the machine is.
func wantNoComplaint(t *testing.T, wsgid *harness.Wsgid) {
	t.Helper()
	for _, r := range wsgid.Log.Records() {
		if (r.Level() == "warn" || r.Level() == "error") && r.Message() != "requests wait long for a thread" {
			t.Errorf("%v", r)
		}
	}
}

// TestRunOnce: with one thread and maximum_requests = 1 no process serves twice.
func TestRunOnce(t *testing.T) {
	w := newWorld(t)
	w.App("overdue.py")
	open := openDirectory(t, w, "open")
	w.Configure(group("once", "#64001", 1, 1, "maximum_requests = 1") + mount("/", "apps/overdue.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for pid, count := range recycleLoad(t, apache, "", open+"/once", 3, nil) {
		if count != 1 {
			t.Errorf("process %s has served %d requests", pid, count)
		}
	}
	wsgid.AwaitStatus("the replacements", func(s harness.Status) error {
		if g := s.Group("once"); g.Restarts["maximum_requests"] != 18 {
			return fmt.Errorf("restarts %v", g.Restarts)
		}
		return nil
	})
}

// TestRestartInterval: processes are replaced by their age, one after another,
// without a request noticing; a long request finishes.
func TestRestartInterval(t *testing.T) {
	w := newWorld(t)
	w.App("overdue.py")
	open := openDirectory(t, w, "open")
	w.Configure(group("short", "#64001", 2, 3, `restart_interval = "1s"`) + group("long", "#64001", 2, 3, `restart_interval = "1h"`) +
		mount("/short", "apps/overdue.py", option("process_group", "short")) + mount("/long", "apps/overdue.py", option("process_group", "long")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	begin := time.Now()
	slow := make(chan *harness.Response, 1)
	go func() { slow <- apache.Get("/short/sleeps?for=2") }()
	recycleLoad(t, apache, "/short", open+"/short", 0, func() bool {
		return wsgid.Status().Group("short").Restarts["restart_interval"] >= 4
	})
	if took := time.Since(begin); took < 2*time.Second {
		t.Errorf("4 of 2 processes were replaced after %v", took)
	}
	if got := <-slow; got.Status != 200 {
		t.Errorf("the request that began before: %d %q", got.Status, got.Body)
	}
	status := wsgid.Status()
	if g := status.Group("short"); len(g.Restarts) != 1 || g.LastExit.Reason != "restart_interval" {
		t.Errorf("restarts %v, last exit %+v", g.Restarts, g.LastExit)
	}
	if g := status.Group("long"); len(g.Restarts) != 0 {
		t.Errorf("younger than restart_interval: %v", g.Restarts)
	}
	wantNoComplaint(t, wsgid)
}
