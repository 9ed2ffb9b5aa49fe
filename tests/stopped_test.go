package tests

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// stop stops a process, and waits until the supervisor and, for a worker, the
// router know. Whatever happens it can end.
func stop(t *testing.T, wsgid *harness.Wsgid, pid int) {
	t.Helper()
	mark := wsgid.Log.Mark()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	})
	wsgid.Log.AwaitFrom(t, mark, "the stop", harness.Containing("process was stopped", fmt.Sprintf(`"pid":%d,`, pid), "SIGSTOP"))
	wsgid.Status() // asks the router, behind what it was told
}

// TestStoppedWorker: a stopped process gets no further requests; it serves again
// when it goes on, and is replaced when it does not. Of what it was running a GET
// is answered by another process and a POST gets 502.
func TestStoppedWorker(t *testing.T) {
	w := newWorld(t)
	w.App("gate.py")
	w.App("slow.py")
	openDirectory(t, w, "open")
	w.Configure(group("only", "#64001", 2, 3) + mount("/slow", "apps/slow.py") + mount("/", "apps/gate.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	pids := wsgid.AwaitReady("only").PIDs("only")
	requests := func(round, method string) (victim int, answer <-chan *harness.Response) {
		started, done := w.Path("open/started-"+round+method), make(chan *harness.Response, 1)
		go func() {
			response, err := apache.Try(t.Context(), method, fmt.Sprintf("/?started=%s&gate=%s", started, w.Path("open/gate-"+round)), nil)
			if err != nil {
				t.Error(err)
			}
			done <- response
		}()
		return numbers(t, awaitFile(t, started))[0], done
	}
	others := func(victim int) {
		for range 20 { // more than it has threads
			if got := apache.Do("POST", "/slow?for=0", nil); got.Status != 200 || got.Text() == fmt.Sprint(victim) {
				t.Fatalf("while %d is stopped: %d %s", victim, got.Status, got.Body)
			}
		}
	}

	victim, first := requests("1", "POST")
	stop(t, wsgid, victim)
	others(victim)
	if err := syscall.Kill(victim, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	w.Write("open/gate-1", "")
	if got := <-first; got == nil || got.Status != 200 || got.Text() != fmt.Sprint(victim) {
		t.Errorf("the request that ran: %+v", got)
	}
	other := pids[0] + pids[1] - victim
	stop(t, wsgid, other)
	if got := apache.Do("POST", "/slow?for=0", nil); got.Status != 200 || got.Text() != fmt.Sprint(victim) {
		t.Errorf("%d goes on: %d %s", victim, got.Status, got.Body)
	}
	mark := wsgid.Log.Mark()
	if err := syscall.Kill(other, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	wsgid.Log.AwaitFrom(t, mark, "that it goes on", harness.Containing("stopped process goes on"))
	wsgid.Status() // asks the router, behind what it was told

	victim, get := requests("2", "GET")
	second, post := requests("2", "POST")
	if second == victim { // the other has to run it
		t.Fatalf("both run in %d: the requests are not spread", victim)
	}
	wsgid.NoteSessions()
	for _, pid := range pids {
		stop(t, wsgid, pid)
	}
	waiting := make(chan *harness.Response, 1)
	go func() { waiting <- apache.Do("POST", "/slow?for=0", nil) }()
	wantError(t, <-post, 502, "WSGID-1015")
	w.Write("open/gate-2", "")
	if got := <-get; got == nil || got.Status != 200 || slices.Contains(pids, numbers(t, got.Text())[0]) {
		t.Errorf("the GET: %+v", got)
	}
	if got := <-waiting; got.Status != 200 {
		t.Errorf("the request that had no process: %d %s", got.Status, got.Body)
	}
	only := wsgid.AwaitReady("only").Group("only")
	if only.Restarts["unresponsive"] != 2 || len(only.Restarts) != 1 || only.LastExit.Reason != "unresponsive" {
		t.Errorf("restarts %v, last exit %+v", only.Restarts, only.LastExit)
	}
	wsgid.AwaitIdle()
}

// TestStoppedRouter: a router that is stopped is replaced; the workers stay.
func TestStoppedRouter(t *testing.T) {
	w := newWorld(t)
	w.App("slow.py")
	w.Configure(group("only", "#64001", 2, 3) + mount("/", "apps/slow.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	before := wsgid.AwaitReady("only")
	wantStatus(t, "before", apache.Get("/?for=0"), 200)
	wsgid.NoteSessions()
	stop(t, wsgid, before.RouterPID)
	meanwhile := make(chan *harness.Response, 1)
	go func() { meanwhile <- apache.Get("/?for=0") }()
	after := awaitOtherRouter(wsgid, before.RouterPID)
	if after.Router.Restarts["unresponsive"] != 1 || after.Router.LastExit.Reason != "unresponsive" {
		t.Errorf("restarts %v, last exit %+v", after.Router.Restarts, after.Router.LastExit)
	}
	if got := <-meanwhile; got.Status != 200 && got.Status < 500 {
		t.Errorf("the request meanwhile: %d %s", got.Status, got.Body)
	}
	harness.Eventually(t, "requests are served again", func() error {
		if got := apache.Get("/?for=0"); got.Status != 200 {
			return fmt.Errorf("status %d", got.Status)
		}
		return nil
	})
	if now := wsgid.AwaitReady("only"); !slices.Equal(before.PIDs("only"), now.PIDs("only")) {
		t.Errorf("workers %v before, %v after", before.PIDs("only"), now.PIDs("only"))
	}
}

// TestStoppedDispatchHelper: a helper that is stopped is replaced before its calls
// are over their time, and they are made in the next one; router and workers stay.
func TestStoppedDispatchHelper(t *testing.T) {
	w := newWorld(t)
	w.App("slow.py")
	w.Write("dispatch.py", "def process_group(environ):\n    return 'only'\n")
	w.Configure("dispatch {\n  isolation = \"process\"\n}\n" + group("only", "#64001", 2, 3) +
		"dispatch_script \"{{.Dir}}/dispatch.py\" { dispatch_timeout = \"60s\" }\n" + mount("/", "apps/slow.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	before := wsgid.AwaitReady("only")
	wantStatus(t, "before", apache.Get("/?for=0"), 200)
	wsgid.NoteSessions()
	stop(t, wsgid, before.DispatchHelper.PID)
	wantStatus(t, "meanwhile", apache.Get("/?for=0"), 200)
	after := wsgid.AwaitStatus("there is another helper", func(s harness.Status) error {
		if h := s.DispatchHelper; h.PID == before.DispatchHelper.PID || h.State != "ready" {
			return fmt.Errorf("helper %d is %s", h.PID, h.State)
		}
		return nil
	})
	if after.DispatchHelper.Restarts["unresponsive"] != 1 {
		t.Errorf("restarts %v", after.DispatchHelper.Restarts)
	}
	wantStatus(t, "after", apache.Get("/?for=0"), 200)
	if now := wsgid.AwaitReady("only"); now.RouterPID != before.RouterPID || !slices.Equal(before.PIDs("only"), now.PIDs("only")) {
		t.Errorf("router %d, workers %v before; %d, %v after", before.RouterPID, before.PIDs("only"), now.RouterPID, now.PIDs("only"))
	}
}
