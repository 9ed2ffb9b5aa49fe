package tests

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/tests/internal/harness"
)

// waiter has requests wait for a file of their own, each in a function of its name.
const waiter = `
import os, threading, time

def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.01)

def in_the_background():
    wait_for("%[1]s/background")

threading.Thread(target=in_the_background, name="a background thread", daemon=True).start()

def application(environ, start_response):
    wait_for("%[1]s/" + environ["QUERY_STRING"])
    start_response("200 OK", [])
    return [b"done"]
`

// hang sends a request that does not end by itself, and waits until it runs.
func hang(t *testing.T, d *harness.Wsgid, client *harness.Client, group, path string) <-chan *harness.Response {
	t.Helper()
	done := make(chan *harness.Response, 1)
	go func() {
		response, err := client.Try(t.Context(), "GET", path, nil)
		if err != nil {
			response = nil
		}
		done <- response
	}()
	d.AwaitStatus(path+" runs", func(s harness.Status) error {
		for _, p := range s.Group(group).Processes {
			for _, r := range p.Running {
				if r.URI == path && r.State == "application" {
					return nil
				}
			}
		}
		return fmt.Errorf("%+v", s.Group(group))
	})
	return done
}

// stacksOf is what wsgid stacks --json says.
func stacksOf(t *testing.T, w *harness.World, of string) []status.Stacks {
	t.Helper()
	code, out, errs := w.CLI("stacks", "--control", w.Control, "--json", of)
	if code != 0 {
		t.Fatalf("%d: %s", code, errs)
	}
	var answer []status.Stacks
	fromJSON(t, out, &answer)
	return answer
}

// threadOf is the thread that serves a URI.
func threadOf(t *testing.T, s []status.Stacks, uri string) status.Thread {
	t.Helper()
	for _, p := range s {
		for _, thread := range p.Threads {
			if thread.Request != nil && thread.Request.URI == uri {
				return thread
			}
		}
	}
	t.Fatalf("no thread serves %s: %+v", uri, s)
	return status.Thread{}
}

// TestStacks: every thread of a group tells where it is, in whichever interpreter, and
// requests go on.
func TestStacks(t *testing.T) {
	w := newWorld(t)
	w.Write("open/there", "")
	source := fmt.Sprintf(waiter, w.Path("open"))
	w.Write("apps/one.py", source)
	w.Write("apps/two.py", strings.ReplaceAll(source, "wait_for", "wait_elsewhere"))
	in := func(application string) string { return option("application_group", application) }
	w.Configure(group("web", "#64001", 1, 4) + group("other", "#64002", 2, 1) +
		mount("/one", "apps/one.py", option("process_group", "web"), in("%{GLOBAL}")) + mount("/two", "apps/two.py", option("process_group", "web"), in("two")))
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	one, two := hang(t, d, apache.Client, "web", "/one?first"), hang(t, d, apache.Client, "web", "/two?second")

	s := stacksOf(t, w, "web")
	if len(s) != 1 || !s[0].Answered || s[0].Group != "web" {
		t.Fatalf("%+v", s)
	}
	for uri, want := range map[string][2]string{"/one?first": {"", "in wait_for\n"}, "/two?second": {"two", "in wait_elsewhere\n"}} {
		thread := threadOf(t, s, uri)
		if thread.Application != want[0] || !strings.Contains(thread.Stack, want[1]) || !strings.Contains(thread.Stack, "in application\n") || thread.Interrupted || thread.State != "sleeping" && thread.State != "running" { // it wakes up now and then
			t.Errorf("%s: %+v", uri, thread)
		}
	}
	background := 0
	for _, thread := range s[0].Threads {
		if thread.Name == "a background thread" && strings.Contains(thread.Stack, "in in_the_background\n") && thread.TID > 0 {
			background++
		}
	}
	if background != 2 {
		t.Errorf("%d background threads: %+v", background, s[0].Threads)
	}
	if got := stacksOf(t, w, strconv.Itoa(s[0].PID)); len(got) != 1 || got[0].PID != s[0].PID {
		t.Errorf("by number: %+v", got)
	}
	if got := stacksOf(t, w, "other"); len(got) != 2 || !got[0].Answered {
		t.Errorf("an idle group: %+v", got)
	}

	code, out, errs := w.CLI("stacks", "--control", w.Control, "web")
	for _, text := range []string{fmt.Sprintf("web, process %d\n", s[0].PID), " a background thread: ", "/two?second\n", ", application two\n", "in wait_elsewhere\n"} {
		if code != 0 || !strings.Contains(out, text) {
			t.Errorf("%d: no %q in %s%s", code, text, out, errs)
		}
	}
	if code, _, errs := w.CLI("stacks", "--control", w.Control, "nothing"); code != 1 || !strings.Contains(errs, `no process group and no process of one called "nothing"`) {
		t.Errorf("%d: %s", code, errs)
	}
	code, out, errs = w.CLI("requests", "--control", w.Control)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 3 || !strings.Contains(lines[1], "GET /one?first") || !strings.Contains(lines[2], "GET /two?second") || !strings.HasPrefix(lines[0], "FOR") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	if code, out, _ := w.CLI("requests", "--control", w.Control, "other"); code != 0 || out != "no request runs\n" {
		t.Errorf("%d: %s", code, out)
	}
	w.Write("open/first", "")
	w.Write("open/second", "")
	w.Write("open/background", "")
	// Processes that end are no place to look at, and are not hurt by it.
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for range 30 {
			_, _, _ = w.CLI("stacks", "--control", w.Control, "other") // between two processes there is none
		}
	}()
	for range 3 {
		if code, _, errs := w.CLI("restart", "--control", w.Control, "other"); code != 0 {
			t.Error(errs)
		}
	}
	<-asked
	if restarts := d.AwaitReady("web", "other").Group("other").Restarts; len(restarts) != 1 || restarts["restart"] != 6 {
		t.Errorf("%v", restarts)
	}
	for _, done := range []<-chan *harness.Response{one, two} {
		if got := <-done; got == nil || got.Status != 200 {
			t.Errorf("%+v", got)
		}
	}
}

// TestStacksOfStuck: while an extension holds the GIL the threads are interrupted and
// tell where they are, also in sub-interpreters; of a process that is stopped there
// is what the kernel says.
func TestStacksOfStuck(t *testing.T) {
	w := newWorld(t)
	w.Write("open/there", "")
	w.App("hold_gil.py")
	w.Write("apps/one.py", fmt.Sprintf(waiter, w.Path("open")))
	in := func(application string) string { return option("application_group", application) }
	w.Configure(group("stuck", "#64001", 1, 3) + group("stopped", "#64002", 1, 1) +
		mount("/hold", "apps/hold_gil.py", option("process_group", "stuck"), in("%{GLOBAL}")) +
		mount("/sub", "apps/one.py", option("process_group", "stuck"), in("sub")) +
		mount("/stopped", "apps/one.py", option("process_group", "stopped")))
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	hang(t, d, apache.Client, "stuck", "/sub?never")
	if err := syscall.Mkfifo(w.Path("open/gate"), 0o644); err != nil {
		t.Fatal(err)
	}
	openDirectory(t, w, "open")
	hold := "/hold?started=" + w.Path("open/started") + "&gate=" + w.Path("open/gate")
	hang(t, d, apache.Client, "stuck", hold)
	harness.Eventually(t, "the GIL is held", func() error { _, err := os.Stat(w.Path("open/started")); return err })
	hang(t, d, apache.Client, "stopped", "/stopped?never")
	defer func() { // what hangs can end
		w.Write("open/never", "")
		if gate, err := os.OpenFile(w.Path("open/gate"), os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			gate.Close()
		}
	}()

	s := stacksOf(t, w, "stuck")
	holder := threadOf(t, s, hold)
	if !holder.Interrupted || !strings.Contains(holder.Stack, "in application") {
		t.Errorf("who holds the GIL: %+v", holder)
	}
	other := threadOf(t, s, "/sub?never")
	if !other.Interrupted || !strings.Contains(other.Stack, "in wait_for") {
		t.Errorf("who waits in a sub-interpreter: %+v", other)
	}
	pid := d.Status().PIDs("stopped")[0]
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	awaitLine(t, d, "process was stopped")
	s = stacksOf(t, w, "stopped")
	if s[0].Answered || len(s[0].Threads) == 0 || s[0].Threads[0].State != "stopped" {
		t.Errorf("a stopped process: %+v", s)
	}
	code, out, errs := w.CLI("stacks", "--control", w.Control, strconv.Itoa(pid))
	if code != 0 || !strings.Contains(out, "does not answer: only what the kernel says") || !strings.Contains(out, ": stopped") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
}

// TestInterrupt: an administrator ends a request that hangs, in a group without any
// time-out, and the others go on.
func TestInterrupt(t *testing.T) {
	w := newWorld(t)
	w.Write("open/there", "")
	w.Write("apps/one.py", fmt.Sprintf(waiter, w.Path("open")))
	w.Configure(group("web", "#64001", 1, 3, "deadlock_timeout = 0") + mount("/one", "apps/one.py", option("application_group", "one")))
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	done, stays := hang(t, d, apache.Client, "web", "/one?never"), hang(t, d, apache.Client, "web", "/one?second")
	before := d.Status().PIDs("web")
	id := threadOf(t, stacksOf(t, w, "web"), "/one?never").Request.ID
	code, out, errs := w.CLI("interrupt", "--control", w.Control, id)
	if want := fmt.Sprintf("RequestTimeout is raised in GET /one?never of web, process %d\n", before[0]); code != 0 || out != want {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	if got := <-done; got == nil || got.Status != 504 || got.Header.Get("X-Wsgid-Error") != "WSGID-1120" {
		t.Errorf("%+v", got)
	}
	d.Log.Await(t, "who and where", harness.Containing("request is interrupted by an administrator", "in wait_for", `"request":"`+id+`"`))
	if code, _, errs := w.CLI("interrupt", "--control", w.Control, id); code != 1 || !strings.Contains(errs, "runs in a process group; wsgid requests lists them") {
		t.Errorf("one that has ended: %d: %s", code, errs)
	}
	w.Write("open/second", "")
	w.Write("open/background", "")
	if got := <-stays; got == nil || got.Status != 200 {
		t.Errorf("another request: %+v", got)
	}
	if after := d.AwaitReady("web").PIDs("web"); after[0] != before[0] {
		t.Errorf("the process was replaced: %v, %v", before, after)
	}
}

// TestSlowRequest: a request that runs for longer than slow_request is told once, with
// what it is and where it is; one that is over is not.
func TestSlowRequest(t *testing.T) {
	w := newWorld(t)
	w.Write("open/there", "")
	w.Write("apps/one.py", fmt.Sprintf(waiter, w.Path("open")))
	w.Configure(group("web", "#64001", 1, 3, option("slow_request", "200ms"), option("request_timeout", "2s"), option("interrupt_timeout", "2s")) +
		mount("/one", "apps/one.py", option("application_group", "one")))
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	wantStatus(t, "one that is fast", apache.Get("/one?there"), 200)
	done := hang(t, d, apache.Client, "web", "/one?never")
	isSlow := harness.Containing("request runs for longer than slow_request")
	slow := d.Log.Await(t, "the slow request", isSlow)
	for name, want := range map[string]string{"method": "GET", "uri": "/one?never", "client": "127.0.0.1", "application": "one", "group": "web"} {
		if got := fmt.Sprint(slow.Fields[name]); got != want {
			t.Errorf("%s is %q, not %q: %s", name, got, want, slow.Line)
		}
	}
	if stack := fmt.Sprint(slow.Fields["stack"]); !strings.Contains(stack, "in application\n") || !strings.Contains(stack, "in wait_for\n") || slow.Fields["elapsed"] == nil || slow.Fields["state"] == nil || slow.Fields["pid"] == nil {
		t.Errorf("%s", slow.Line)
	}
	late := d.Log.Await(t, "the time-out", harness.Containing("request has run for longer than request_timeout"))
	if late.Fields["uri"] != "/one?never" || late.Fields["method"] != "GET" || late.Fields["client"] != "127.0.0.1" || late.Fields["elapsed"] == nil {
		t.Errorf("%s", late.Line)
	}
	if got := <-done; got == nil || got.Status != 504 {
		t.Errorf("%+v", got)
	}
	told := 0
	for _, r := range d.Log.Records() {
		if isSlow(r) {
			told++
		}
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}
