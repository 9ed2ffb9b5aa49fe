package tests

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/tests/internal/harness"
)

// asking is a dispatch script that waits for a file in some requests.
const asking = `
import os, time

def wait_in_the_script():
    while not os.path.exists("%[1]s/scripts"):
        time.sleep(0.01)

def process_group(environ):
    if environ["QUERY_STRING"] == "script":
        wait_in_the_script()
`

// TestStacksOfRouter: the router and the dispatch helper tell where their applications
// and scripts are, also while one holds the GIL.
func TestStacksOfRouter(t *testing.T) {
	for _, isolation := range []string{"none", "process"} {
		t.Run(isolation, func(t *testing.T) {
			w := newWorld(t)
			checkRouterStacks(t, w, w.Pythons()[0], isolation)
		})
	}
}

// checkRouterStacks has scripts and applications wait, and looks where they are.
func checkRouterStacks(t *testing.T, w *harness.World, python harness.Python, isolation string) {
	openDirectory(t, w, "open")
	w.App("hold_gil.py")
	w.App("hello.py")
	w.Write("apps/one.py", fmt.Sprintf(waiter, w.Path("open")))
	w.Write("dispatch.py", fmt.Sprintf(asking, w.Path("open")))
	inside := option("process_group", "%{GLOBAL}")
	w.Configure("router {\n  threads = 3\n  " + python.Option() + "\n}\ndispatch {\n  isolation = \"" + isolation + "\"\n}\n" +
		"dispatch_script \"{{.Dir}}/dispatch.py\" {\n  dispatch_timeout = \"1h\"\n}\n" + group("web", "#64001", 1, 1) +
		mount("/sub", "apps/one.py", inside, option("application_group", "sub")) + mount("/hold", "apps/hold_gil.py", inside, option("application_group", "%{GLOBAL}")) +
		mount("/", "apps/hello.py", option("process_group", "web")))
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	if got := apache.Get("/"); got.Status != 200 { // asks the script, so that Python is there
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	router := d.Status().RouterPID
	scripts := router
	if isolation == "process" {
		scripts = d.Status().DispatchHelper.PID
	}
	done := make(chan *harness.Response, 2)
	for _, path := range []string{"/?script", "/sub?application"} {
		go func() {
			response, err := apache.Try(t.Context(), "GET", path, nil)
			if err != nil {
				t.Error(err)
			}
			done <- response
		}()
	}
	// in waits until a thread of a process is in a function.
	in := func(of, function string) (found status.Thread) {
		t.Helper()
		harness.Eventually(t, of+" tells of "+function, func() error {
			stacks := stacksOf(t, w, of)
			if len(stacks) != 1 || !stacks[0].Answered || !stacks[0].BySignal {
				return fmt.Errorf("%+v", stacks)
			}
			for _, thread := range stacks[0].Threads {
				if strings.Contains(thread.Stack+"\n", "in "+function+"\n") {
					found = thread
					return nil
				}
			}
			return fmt.Errorf("%+v", stacks)
		})
		return found
	}
	if thread := in(strconv.Itoa(scripts), "wait_in_the_script"); !strings.Contains(thread.Stack, w.Path("dispatch.py")) {
		t.Errorf("%+v", thread)
	}
	if thread := in("%{GLOBAL}", "wait_for"); !strings.Contains(thread.Stack, w.Path("apps/one.py")) || thread.Application != "sub" {
		t.Errorf("%+v", thread)
	}
	hold := "/hold?started=" + w.Path("open/started") + "&gate=" + mkfifo(t, w)
	go func() { _, _ = apache.Try(t.Context(), "GET", hold, nil) }()
	awaitFile(t, w.Path("open/started"))
	in(strconv.Itoa(router), "wait_for")
	if thread := in("%{GLOBAL}", "application"); thread.Request != nil {
		t.Errorf("%+v", thread)
	}
	if code, out, errs := w.CLI("stacks", "--control", w.Control, "%{GLOBAL}"); code != 0 || !strings.Contains(out, "the newest call first:\n") || strings.Contains(out, "GIL") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	gate, err := os.OpenFile(w.Path("gate.fifo"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	gate.Close()
	for _, name := range []string{"open/scripts", "open/application", "open/background"} {
		w.Write(name, "")
	}
	for range cap(done) {
		if got := <-done; got == nil || got.Status != 200 {
			t.Errorf("%+v", got)
		}
	}
	if now := d.Status(); now.RouterPID != router || isolation == "process" && now.DispatchHelper.PID != scripts {
		t.Errorf("they are others now: %+v", now)
	}
}

// TestStacksWithoutPython: a router that evaluates nothing has no Python.
func TestStacksWithoutPython(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.Configure(group("web", "#64001", 1, 1) + mount("/", "apps/hello.py", option("process_group", "web")))
	w.Start(harness.Options{})
	if s := stacksOf(t, w, "%{GLOBAL}"); len(s) != 1 || !s[0].Answered || len(s[0].Threads) == 0 {
		t.Errorf("%+v", s)
	}
	if code, out, errs := w.CLI("stacks", "--control", w.Control, "%{GLOBAL}"); code != 0 || !strings.Contains(out, "  no thread runs Python; ") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
}
