package tests

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// limitOf is request_timeout × (1 + ln threads).
func limitOf(requestTimeout time.Duration, factor float64) time.Duration {
	return time.Duration(float64(requestTimeout) * factor)
}

// ln2 is the natural logarithm of 2 threads.
const ln2 = 0.693147

// TestRequestTimeout: acceptance statement 40. A busy request gets 504 after
// request_timeout × (1 + ln threads), also if it raises again what it catches;
// the other thread answers meanwhile and the process stays.
func TestRequestTimeout(t *testing.T) {
	w := newWorld(t)
	w.App("overdue.py")
	w.Configure(group("web", "#64001", 1, 2, `request_timeout = "3s"`, `interrupt_timeout = "5s"`) + mount("/", "apps/overdue.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	pid := wsgid.AwaitReady("web").PIDs("web")[0]
	answers := func() {
		t.Helper()
		if got := apache.Get("/pid"); got.Status != 200 || string(got.Body) != strconv.Itoa(pid) {
			t.Fatalf("beside it: %d %q, the process is %d", got.Status, got.Body, pid)
		}
	}
	for _, path := range []string{"/busy", "/reraises"} {
		mark := wsgid.Log.Mark()
		begin := time.Now()
		done := make(chan *harness.Response, 1)
		go func() { done <- apache.Get(path) }()
		for r := (*harness.Response)(nil); r == nil; {
			answers()
			select {
			case r = <-done:
				wantError(t, r, 504, "WSGID-1120")
			default:
			}
		}
		if took := time.Since(begin); took < limitOf(3*time.Second, 1+ln2) {
			t.Errorf("%s: after %v", path, took)
		}
		warning := wsgid.Log.AwaitFrom(t, mark, "the stack", harness.Containing("RequestTimeout is raised in it", "in spin"))
		if warning.Level() != "warn" || warning.Text("code") != "WSGID-1120" || warning.Text("group") != "web" {
			t.Errorf("%v", warning)
		}
	}
	// What takes longer than request_timeout, and less than it may, goes on.
	mark := wsgid.Log.Mark()
	if got := apache.Get("/sleeps?for=3.2"); got.Status != 200 {
		t.Errorf("3.2 s: %d %q", got.Status, got.Body)
	}
	answers()
	for _, r := range wsgid.Log.Records()[mark:] {
		if r.Level() == "warn" || r.Level() == "error" {
			t.Errorf("%v", r)
		}
	}
	// After the headers the client sees a response that is cut.
	if got, err := apache.Try(t.Context(), "GET", "/streams", nil); err == nil && string(got.Body) == "beginning" && got.Truncated == nil {
		t.Errorf("a response that was cut looks whole: %d %q", got.Status, got.Body)
	}
	answers()
	if got := wsgid.Status().Group("web"); got.Processes[0].PID != pid || len(got.Restarts) != 0 {
		t.Errorf("the process was replaced: %+v", got)
	}
}

// TestRequestTimeoutReplaces: without interrupt_timeout, or when a request does
// not end within it, the process is replaced; what else runs there ends well,
// and the overdue request is a 504 that is not tried again.
func TestRequestTimeoutReplaces(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, path, interrupt string }{
		{"at once", "/busy", "0s"},
		{"not interrupted", "/never", "500ms"},
		{"with the GIL", "/keeps_gil", "500ms"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.App("overdue.py")
			open := openDirectory(t, w, "open")
			w.Configure(group("web", "#64001", 1, 3, `request_timeout = "1s"`, option("interrupt_timeout", row.interrupt), `shutdown_timeout = "1s"`) +
				mount("/", "apps/overdue.py"))
			wsgid := w.Start(harness.Options{})
			apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
			pid := wsgid.AwaitReady("web").PIDs("web")[0]
			late := make(chan *harness.Response, 1)
			stuck := make(chan *harness.Response, 1)
			begin := time.Now()
			go func() { stuck <- apache.Get(row.path + "?started=" + open + "/started") }()
			awaitFile(t, open+"/started")
			wsgid.Log.Await(t, "the overdue request", harness.Containing("it is written off"))
			if took := time.Since(begin); took < limitOf(time.Second, 1+1.0986) {
				t.Errorf("written off after %v", took)
			}
			go func() { late <- apache.Get("/pid") }() // refused there
			retired := wsgid.Log.Await(t, "the process asks", harness.Containing("process asks to be replaced"))
			if retired.Text("reason") != "request_timeout" {
				t.Errorf("%v", retired)
			}
			if got := <-late; got.Status != 200 || string(got.Body) == strconv.Itoa(pid) {
				t.Errorf("a request after it: %d %q", got.Status, got.Body)
			}
			wantError(t, <-stuck, 504, "WSGID-1029")
			status := wsgid.AwaitStatus("the exit", func(s harness.Status) error {
				if g := s.Group("web"); g.Restarts["request_timeout"] != 1 || g.LastExit == nil || g.LastExit.Reason != "request_timeout" {
					return fmt.Errorf("restarts %v, last exit %+v", g.Restarts, g.LastExit)
				}
				return nil
			})
			if now := status.PIDs("web"); len(now) != 1 || now[0] == pid {
				t.Errorf("processes %v, it was %d", now, pid)
			}
			if runs := awaitFile(t, open+"/started"); runs != "started\n" {
				t.Errorf("the overdue request ran %q", runs)
			}
		})
	}
}

// TestRequestTimeoutSpares: the requests that run beside the overdue one end.
func TestRequestTimeoutSpares(t *testing.T) {
	w := newWorld(t)
	w.App("overdue.py")
	open := openDirectory(t, w, "open")
	// The process is replaced after 6 s × (1 + ln 2) = 10.2 s. The other request
	// begins so late that it runs then, and ends before its own 6 s are over.
	w.Configure(group("web", "#64001", 1, 2, `request_timeout = "6s"`, `shutdown_timeout = "500ms"`) + mount("/", "apps/overdue.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	pid := wsgid.AwaitReady("web").PIDs("web")[0]
	stuck, spared := make(chan *harness.Response, 1), make(chan *harness.Response, 1)
	go func() { stuck <- apache.Get("/sleeps?for=1000&started=" + open + "/started") }()
	awaitFile(t, open+"/started")
	time.Sleep(6 * time.Second)
	go func() {
		response, err := apache.Try(t.Context(), "POST", "/sleeps?for=4.6&started="+open+"/spared", nil)
		if err != nil {
			t.Error(err)
		}
		spared <- response
	}()
	wsgid.Log.Await(t, "the process asks", harness.Containing("process asks to be replaced", "request_timeout"))
	if got := <-spared; got == nil || got.Status != 200 || string(got.Body) != strconv.Itoa(pid) {
		t.Errorf("the request beside it: %+v", got)
	}
	wantError(t, <-stuck, 504, "WSGID-1029")
}
