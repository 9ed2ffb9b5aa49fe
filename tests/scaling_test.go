package tests

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// processes waits until a group has so many that are ready.
func processes(wsgid *harness.Wsgid, group string, want int) harness.Status {
	return wsgid.AwaitStatus(fmt.Sprintf("%d processes", want), func(s harness.Status) error {
		if got := len(s.PIDs(group)); got != want || len(s.Group(group).Processes) != want {
			return fmt.Errorf("%d are ready, of %d", got, len(s.Group(group).Processes))
		}
		return nil
	})
}

// TestOnDemand: no process until somebody asks, and none again when nobody does;
// of many who ask at once nobody is refused, and kill -9 costs nobody but who was
// in that process.
func TestOnDemand(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.App("slow.py")
	w.Configure(group("web", "#64001", 3, 2, `scaling = "on_demand"`, `idle_timeout = "1s"`) + mount("/slow", "apps/slow.py") + mount("/", "apps/hello.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	if got := wsgid.Status().Group("web"); got.State != "idle" || len(got.Processes) != 0 || got.Most != 3 || got.Scaling != "on_demand" {
		t.Errorf("%+v", got)
	}
	for round := range 2 {
		mark := wsgid.Log.Mark()
		var wait sync.WaitGroup
		for range 24 {
			wait.Go(func() {
				if response := apache.Get("/slow?for=0.3"); response.Status != 200 {
					t.Errorf("round %d: status %d", round, response.Status)
				}
			})
		}
		wait.Wait()
		// They may have gone again.
		wsgid.Log.AwaitFrom(t, mark, "growth under load", func(r harness.Record) bool {
			return r.Message() == "group grows" && (r.Text("processes") == "2" || r.Text("processes") == "3")
		})
		s := processes(wsgid, "web", 0)
		if got := s.Group("web"); got.State != "idle" || got.Restarts["crash"] != 0 {
			t.Errorf("%+v", got)
		}
	}
	for _, r := range wsgid.Log.Find(harness.Containing("group grows")) {
		if n := r.Text("processes"); n != "1" && n != "2" && n != "3" {
			t.Errorf("%s processes", n)
		}
	}
	harness.Eventually(t, "its process is killed before it goes by itself", func() error {
		wantStatus(t, "one request", apache.Get("/"), 200)
		pids := wsgid.Status().PIDs("web")
		if len(pids) == 0 {
			return errNotYet
		}
		return syscall.Kill(pids[0], syscall.SIGKILL)
	})
	wantStatus(t, "after the death of the only process", apache.Get("/"), 200)
	wsgid.NoteDescriptors()
}

// TestOnDemandThatCannotStart: who waits is answered, and so is who comes later.
func TestOnDemandThatCannotStart(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.Configure(group("web", "#64001", 1, 2, `scaling = "on_demand"`, `python_home = "/nonexistent"`) + mount("/", "apps/hello.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for range 2 {
		response := apache.Get("/")
		wantError(t, response, 503, "WSGID-1014")
		if response.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	if got := wsgid.Status().Group("web"); got.State != "failed" || !strings.Contains(got.LastExit.Error, "/nonexistent") {
		t.Errorf("%+v", got)
	}
}

// TestDynamic: the group grows under load to its maximum, what is more waits,
// and shrinks again to what it keeps. A reload under load keeps its size.
func TestDynamic(t *testing.T) {
	w := newWorld(t)
	w.App("counted.py")
	openDirectory(t, w, "open")
	notes := w.Path("open/notes")
	w.Configure(group("web", "#64001", 4, 2, `scaling = "dynamic"`, "max_spare = 0", `idle_timeout = "1s"`, environmentOf("COUNTED="+notes)) +
		mount("/", "apps/counted.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	if got := wsgid.AwaitReady("web").Group("web"); len(got.Processes) != 1 || got.Least != 1 || got.Most != 4 {
		t.Errorf("%+v", got)
	}
	load := startLoad(t, notes, 30, apache.Client)
	processes(wsgid, "web", 4)
	load.more(50)
	if status, _, stderr := reload(w); status != 0 {
		t.Error(stderr)
	}
	processes(wsgid, "web", 4)
	load.more(50)
	load.end()
	processes(wsgid, "web", 1)
	if got := wsgid.Status().Group("web"); got.Restarts["scaled_down"] != 0 || got.Restarts["crash"] != 0 {
		t.Errorf("exits %v", got.Restarts)
	}
	wsgid.NoteDescriptors()
}

// TestMinSpare: another process is started before a request has to wait for one,
// and none when enough threads are free.
func TestMinSpare(t *testing.T) {
	w := newWorld(t)
	w.App("gate.py")
	openDirectory(t, w, "open")
	w.Configure(group("web", "#64001", 4, 2, `scaling = "dynamic"`, "min_spare = 1", `idle_timeout = "1h"`) + mount("/", "apps/gate.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	if got := wsgid.AwaitReady("web").Group("web"); len(got.Processes) != 1 || got.Least != 1 {
		t.Errorf("%+v", got)
	}
	q := &queueWorld{World: w, t: t, wsgid: wsgid}
	var running []<-chan *harness.Response
	for i, want := range []int{2, 2, 3} { // with one busy thread of two fewer than two are free, and so on
		running = append(running, q.send(apache.Client, q.gate(fmt.Sprint(i))))
		awaitFile(t, w.Path(fmt.Sprintf("open/%d", i)))
		processes(wsgid, "web", want)
	}
	w.Write("open/gate", "")
	for _, answer := range running {
		if got := <-answer; got.Status != 200 {
			t.Errorf("%d", got.Status)
		}
	}
	if got := wsgid.Status().Group("web"); got.QueuedTotal != 0 {
		t.Errorf("%d had to wait", got.QueuedTotal)
	}
	wsgid.NoteDescriptors() // there are more processes now
}

// TestScale: a group has as many processes as somebody says, until a reload.
func TestScale(t *testing.T) {
	w, notes := countedWorld(t, "")
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	load := startLoad(t, notes, 10, apache.Client)
	for _, n := range []int{4, 1, 3} {
		if got := command(t, w, "scale", "web", fmt.Sprint(n)); got != fmt.Sprintf("web scaled to %d\n", n) {
			t.Errorf("%q", got)
		}
		processes(wsgid, "web", n)
		load.more(20)
	}
	load.end()
	for _, row := range [][]string{{"web", "0"}, {"web", "1001"}, {"nobody", "2"}} {
		if status, _, stderr := w.CLI("scale", "--control", w.Control, row[0], row[1]); status != 1 || stderr == "" {
			t.Errorf("%v: %d %q", row, status, stderr)
		}
	}
	if status, _, stderr := reload(w); status != 0 {
		t.Error(stderr)
	}
	processes(wsgid, "web", 2)
}
