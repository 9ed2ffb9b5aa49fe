package tests

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// faultWorld has /plain without a dispatch script and everything else with one,
// on two groups.
func faultWorld(t *testing.T, script string, options ...string) (*harness.World, *harness.Wsgid, *harness.Apache) {
	w := newWorld(t)
	w.App("environ.py")
	openDirectory(t, w, "open")
	w.Write("dispatch.py", "OPEN = "+fmt.Sprintf("%q", w.Path("open"))+"\n"+script)
	w.Configure(group("a", "#64001", 1, 4) + group("b", "#64002", 1, 4) +
		"dispatch_script \"{{.Dir}}/dispatch.py\" {\n  " + strings.Join(options, "\n  ") + "\n}\n" +
		mount("/plain", "apps/environ.py", option("process_group", "a"), option("dispatch_script", "")) +
		mount("/", "apps/environ.py", option("process_group", "a")))
	wsgid := w.Start(harness.Options{Crashes: true})
	return w, wsgid, w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
}

// awaitOtherRouter waits for a router in the place of one that has ended.
func awaitOtherRouter(wsgid *harness.Wsgid, before int) harness.Status {
	return wsgid.AwaitStatus("there is a new router", func(s harness.Status) error {
		if s.RouterPID == before || s.Router.State != "ready" || !s.Router.Answered {
			return fmt.Errorf("router %d is %s", s.RouterPID, s.Router.State)
		}
		return nil
	})
}

// TestDispatchScriptEndsTheRouter: a script that ends or crashes the process
// costs what was in flight, and nothing else: the workers stay, and the next
// request is served by a new router.
func TestDispatchScriptEndsTheRouter(t *testing.T) {
	_, wsgid, apache := faultWorld(t, `
import ctypes, os

def process_group(environ):
    how = environ["PATH_INFO"]
    if how == "/exit":
        os._exit(0)
    if how == "/abort":
        os.abort()
    if how == "/null":
        ctypes.string_at(0)
    return "b"
`)
	before := wsgid.AwaitReady("a", "b")
	router, restarts := before.RouterPID, uint64(0)
	for _, how := range []string{"/exit", "/null", "/abort"} {
		if got := look(t, apache.Get("/")).env("mod_wsgi.process_group"); got != "b" {
			t.Errorf("before %s: group %s", how, got)
		}
		wsgid.NoteSessions()
		if got := apache.Get(how); got.Status != 502 && got.Status != 503 {
			t.Errorf("%s: status %d", how, got.Status)
		}
		s := awaitOtherRouter(wsgid, router)
		router = s.RouterPID
		ended := uint64(0)
		for _, n := range s.Router.Restarts {
			ended += n
		}
		if restarts++; ended != restarts {
			t.Errorf("%s: %d routers have ended: %v", how, ended, s.Router.Restarts)
		}
		if exit := s.Router.LastExit; exit == nil || how != "/exit" && exit.Signal == "" && exit.Status == 0 {
			t.Errorf("%s: last exit %+v", how, exit)
		}
		// Connections that Apache kept to the one that has gone may cost it an answer.
		harness.Eventually(t, "requests are served again", func() error {
			if got := apache.Get("/"); got.Status != 200 {
				return fmt.Errorf("status %d", got.Status)
			}
			return nil
		})
	}
	after := wsgid.AwaitReady("a", "b")
	for _, name := range []string{"a", "b"} {
		if !slices.Equal(before.PIDs(name), after.PIDs(name)) {
			t.Errorf("workers of %s: %v before, %v after", name, before.PIDs(name), after.PIDs(name))
		}
	}
}

// TestDispatchScriptNeverReturns: calls that sit in C code, where no exception
// reaches them, are answered with 504 and written off; others are served
// meanwhile; with half of them lost the router is replaced.
func TestDispatchScriptNeverReturns(t *testing.T) {
	w, wsgid, apache := faultWorld(t, `
import os

def process_group(environ):
    if environ["PATH_INFO"] == "/stuck":
        open(OPEN + "/never")  # a fifo without a writer: it waits in the kernel
    return "b"
`, "concurrency = 4", `dispatch_timeout = "2s"`)
	if err := syscall.Mkfifo(w.Path("open/never"), 0o644); err != nil {
		t.Fatal(err)
	}
	wsgid.NoteSessions()
	before := wsgid.AwaitReady("a", "b")
	wantError(t, apache.Get("/stuck"), 504, "WSGID-1020")
	s := wsgid.AwaitIdle()
	if s.RouterPID != before.RouterPID || s.Router.Scripts[0].Lost != 1 || s.Router.Scripts[0].Running != 0 {
		t.Errorf("after one lost call: %+v", s.Router)
	}
	for path, group := range map[string]string{"/": "b", "/plain": "a"} {
		if got := look(t, apache.Get(path)).env("mod_wsgi.process_group"); got != group {
			t.Errorf("%s: group %s, want %s", path, got, group)
		}
	}
	wantError(t, apache.Get("/stuck"), 504, "WSGID-1020")
	awaitOtherRouter(wsgid, before.RouterPID)
	wsgid.Log.Await(t, "the reason", harness.Containing("2 of 4 calls of dispatch script "+w.Path("dispatch.py")+" do not come back"))
	harness.Eventually(t, "the new router serves", func() error {
		if got := apache.Get("/"); got.Status != 200 {
			return fmt.Errorf("status %d", got.Status)
		}
		return nil
	})
	if after := wsgid.AwaitReady("a", "b"); !slices.Equal(before.PIDs("b"), after.PIDs("b")) {
		t.Errorf("workers: %v before, %v after", before.PIDs("b"), after.PIDs("b"))
	}
}

// TestDispatchScriptHoldsTheLock: while a script holds Python's lock in C code,
// requests that need no script are served; its own gets 504, and after
// deadlock_timeout the router is replaced.
func TestDispatchScriptHoldsTheLock(t *testing.T) {
	w, wsgid, apache := faultWorld(t, `
import ctypes, os

def process_group(environ):
    if environ["PATH_INFO"] == "/hold":
        libc = ctypes.PyDLL(None)  # PyDLL keeps the lock
        libc.open((OPEN + "/never").encode(), os.O_RDONLY)
    return "b"
`, `dispatch_timeout = "2s"`, `deadlock_timeout = "10s"`)
	if err := syscall.Mkfifo(w.Path("open/never"), 0o644); err != nil {
		t.Fatal(err)
	}
	look(t, apache.Get("/"))
	wsgid.NoteSessions()
	before := wsgid.AwaitReady("a", "b")
	wantError(t, apache.Get("/hold"), 504, "WSGID-1020")
	if got := look(t, apache.Get("/plain")).env("mod_wsgi.process_group"); got != "a" {
		t.Errorf("without a script: group %s", got)
	}
	awaitOtherRouter(wsgid, before.RouterPID)
	wsgid.Log.Await(t, "the reason", harness.Containing("interpreter lock could not be had"))
	harness.Eventually(t, "the new router serves", func() error {
		if got := apache.Get("/"); got.Status != 200 {
			return fmt.Errorf("status %d", got.Status)
		}
		return nil
	})
	if after := wsgid.AwaitReady("a", "b"); !slices.Equal(before.PIDs("b"), after.PIDs("b")) {
		t.Errorf("workers: %v before, %v after", before.PIDs("b"), after.PIDs("b"))
	}
}

// TestDispatchImportLock: one import at a time in the router: it holds up the
// import of another script, but no call of one that is loaded.
func TestDispatchImportLock(t *testing.T) {
	w := newWorld(t)
	levels(w, "1m")
	openDirectory(t, w, "open")
	order := fmt.Sprintf("def note(text):\n    with open(%q, 'a') as file:\n        file.write(text + '\\n')\n", w.Path("open/order"))
	w.Write("host.py", "")
	w.Write("dispatch.py", "def process_group(environ):\n    return 'b'\n")
	w.Write("own.py", order+fmt.Sprintf("note('first begins')\nopen(%q).read()\nnote('first ends')\n", w.Path("open/gate")))
	if err := syscall.Mkfifo(w.Path("open/gate"), 0o644); err != nil {
		t.Fatal(err)
	}
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	look(t, apache.Get("/"))
	type answer struct {
		response *harness.Response
		err      error
	}
	send := func(path string) <-chan answer {
		done := make(chan answer, 1)
		go func() {
			response, err := apache.Try(t.Context(), "GET", path, nil)
			done <- answer{response, err}
		}()
		return done
	}
	running := func(number int) {
		wsgid.AwaitStatus("the call is inside Python", func(s harness.Status) error {
			if s.Router.Scripts[number].Running != 1 {
				return fmt.Errorf("%+v", s.Router.Scripts)
			}
			return nil
		})
	}
	own := send("/own")
	running(1)
	awaitFile(t, w.Path("open/order"))
	for path, want := range map[string]string{"/": "b", "/none": "a"} { // loaded, and no script
		if got := look(t, apache.Get(path)).env("mod_wsgi.process_group"); got != want {
			t.Errorf("%s: group %s", path, got)
		}
	}
	w.Write("dispatch.py", order+"note('second begins')\ndef process_group(environ):\n    return 'b'\n")
	changed := send("/")
	running(0)
	gate, err := os.OpenFile(w.Path("open/gate"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := gate.Close(); err != nil {
		t.Fatal(err)
	}
	for _, done := range []<-chan answer{own, changed} {
		if got := <-done; got.err != nil || got.response.Status != 200 {
			t.Errorf("%+v, %v", got.response, got.err)
		}
	}
	content, err := os.ReadFile(w.Path("open/order"))
	if err != nil || string(content) != "first begins\nfirst ends\nsecond begins\n" {
		t.Errorf("%v, imports:\n%s", err, content)
	}
}
