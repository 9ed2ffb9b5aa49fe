package tests

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// helperBlock is dispatch { } with a user of its own.
const helperBlock = "dispatch {\n  isolation = \"process\"\n  user = \"#64005\"\n}\n"

// awaitHelper waits until the dispatch helper is ready and has been restarted
// so many times for a reason.
func awaitHelper(wsgid *harness.Wsgid, restarts uint64, reason string) harness.Status {
	return wsgid.AwaitStatus(fmt.Sprintf("%d restarts of the helper by %s", restarts, reason), func(s harness.Status) error {
		if h := s.DispatchHelper; h == nil || h.State != "ready" || h.Restarts[reason] != restarts {
			return fmt.Errorf("helper is %+v", h)
		}
		return nil
	})
}

// TestDispatchHelper: the script runs in a process of its own, with its own
// user, which can reach neither the router nor the workers.
func TestDispatchHelper(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	twoGroups(w, helperBlock)
	w.Write("dispatch.py", `
import os
import socket

def process_group(environ):
    return environ.get("HTTP_X_GROUP")

def application_group(environ):
    if "HTTP_X_CONNECT" in environ:
        try:
            socket.socket(socket.AF_UNIX).connect(environ["HTTP_X_CONNECT"])
            return "connected"
        except OSError as error:
            return type(error).__name__
    if "HTTP_X_KILL" in environ:
        try:
            os.kill(int(environ["HTTP_X_KILL"]), 9)
            return "killed"
        except OSError as error:
            return type(error).__name__
    return "%d:%d:%d:%s" % (os.getpid(), os.getuid(), os.getgid(), os.getgroups())
`)
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	says := func(headers ...string) string {
		t.Helper()
		return look(t, apache.Get("/", headers...)).env("mod_wsgi.application_group")
	}
	status := wsgid.Status()
	h := status.DispatchHelper
	if h == nil || h.State != "ready" || h.UID != 64005 || h.Python == "" || status.Router.Python != "" {
		t.Fatalf("helper is %+v, Python of the router %q", h, status.Router.Python)
	}
	if got, want := says(), fmt.Sprintf("%d:64005:64005:[]", h.PID); got != want {
		t.Errorf("the script runs as %s, want %s", got, want)
	}
	for number, path := range []string{groupSocket(t, w, "a"), groupSocket(t, w, ".dispatch"), w.Control, w.Socket} {
		if got := says("X-Connect: " + path); got != "PermissionError" {
			t.Errorf("connecting to socket %d: %s", number, got)
		}
	}
	for _, pid := range []int{wsgid.PID, status.RouterPID, status.PIDs("a")[0]} {
		if got := says("X-Kill: " + strconv.Itoa(pid)); got != "PermissionError" {
			t.Errorf("killing %d: %s", pid, got)
		}
	}
	if got := wsgid.Status().DispatchHelper; got.Calls != 8 || len(got.Restarts) != 0 {
		t.Errorf("after 8 calls %+v", got)
	}
	code, out, _ := w.CLI("status", "--control", w.Control)
	if code != 0 || !strings.Contains(out, "\ndispatch") || !strings.Contains(out, fmt.Sprintf("pid %d", h.PID)) || !strings.Contains(out, "8 calls") {
		t.Errorf("wsgid status: %d\n%s", code, out)
	}
	// A script must not bring its tenant's application into the router.
	wantError(t, apache.Get("/", "X-Group: %{GLOBAL}"), 500, "WSGID-1005")
	wantError(t, apache.Get("/", "X-Group: nobody"), 500, "WSGID-1006")
	if v := look(t, apache.Get("/", "X-Group: b")); v.UID != 64002 {
		t.Errorf("group b runs as %d", v.UID)
	}
}

// TestDispatchHelperCrashes: what ends the helper costs the request that did
// it; the router and its workers live on.
func TestDispatchHelperCrashes(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, how, signal string
		status            int
	}{
		{"exit", "os._exit(3)", "", 3},
		{"fault", "ctypes.string_at(0)", "", 2}, // reported by the Go runtime
		{"killed", "os.kill(os.getpid(), 9)\n        time.sleep(3600)", "SIGKILL", -1},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			twoGroups(w, helperBlock)
			w.Write("dispatch.py", "import ctypes, os, time\ndef process_group(environ):\n    if 'end' in environ['REQUEST_URI']:\n        "+row.how+"\n    return 'b'\n")
			wsgid := w.Start(harness.Options{Crashes: true})
			apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
			look(t, apache.Get("/"))
			before := wsgid.Status()
			wsgid.NoteSessions()
			wantError(t, apache.Get("/end"), 500, "WSGID-1035")
			if got := look(t, apache.Get("/")).env("mod_wsgi.process_group"); got != "b" {
				t.Errorf("afterwards: group %s", got)
			}
			after := awaitHelper(wsgid, 2, "crash") // it was tried in two
			if exit := after.DispatchHelper.LastExit; exit == nil || exit.Signal != row.signal || exit.Status != row.status {
				t.Errorf("last exit %+v", exit)
			}
			if after.RouterPID != before.RouterPID || len(after.Router.Restarts) != 0 {
				t.Errorf("router %d, before %d, restarts %v", after.RouterPID, before.RouterPID, after.Router.Restarts)
			}
			wsgid.Log.Await(t, "the refusal", harness.Containing("WSGID-1035", w.Path("dispatch.py"), "/end"))
		})
	}
}

// TestDispatchHelperHangs: a helper that does not return its calls is killed
// and replaced, not the router.
func TestDispatchHelperHangs(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, how string }{
		{"without the lock", "time.sleep(3600)"},
		{"with the lock", "while True: ctypes.PyDLL(None).sleep(3600)"},
		{"stopped", "os.kill(os.getpid(), 19)\n        time.sleep(3600)"},
		{"catches the interrupt", "\n        while True:\n            try: time.sleep(0.01)\n            except BaseException: pass"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			twoGroups(w, helperBlock, `dispatch_timeout = "3s"`, "concurrency = 2")
			w.Write("dispatch.py", "import ctypes, os, time\ndef process_group(environ):\n    if 'stuck' in environ['REQUEST_URI']:\n        "+row.how+"\n    return 'b'\n")
			wsgid := w.Start(harness.Options{})
			apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
			look(t, apache.Get("/"))
			before := wsgid.Status()
			wsgid.NoteSessions()
			wantError(t, apache.Get("/stuck"), 504, "WSGID-1020")
			after := awaitHelper(wsgid, 1, "unresponsive")
			if got := look(t, apache.Get("/")).env("mod_wsgi.process_group"); got != "b" {
				t.Errorf("afterwards: group %s", got)
			}
			if after.RouterPID != before.RouterPID || after.DispatchHelper.PID == before.DispatchHelper.PID {
				t.Errorf("router %d, before %d; helper %d, before %d", after.RouterPID, before.RouterPID, after.DispatchHelper.PID, before.DispatchHelper.PID)
			}
			wsgid.Log.Await(t, "the reason", harness.Containing("1 of 2 calls of dispatch script", w.Path("dispatch.py")))
			wsgid.AwaitIdle()
		})
	}
}

// TestDispatchHelperLock: the lock of its Python, held for deadlock_timeout, is
// the helper's end, whether its call is over its time or not.
func TestDispatchHelperLock(t *testing.T) {
	w := newWorld(t)
	twoGroups(w, helperBlock, `deadlock_timeout = "1s"`)
	w.Write("dispatch.py", `
import ctypes

def process_group(environ):
    while "stuck" in environ["REQUEST_URI"]:
        ctypes.PyDLL(None).sleep(3600)
    return "b"
`)
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	before := wsgid.Status()
	wsgid.NoteSessions()
	response := apache.Get("/stuck") // ends two helpers, or its time is over before
	if response.Status != 500 && response.Status != 504 {
		t.Errorf("%d %s", response.Status, response.Body)
	}
	wsgid.Log.Await(t, "the reason", harness.Containing("interpreter lock could not be had"))
	if v := look(t, apache.Get("/")); v.env("mod_wsgi.process_group") != "b" {
		t.Errorf("afterwards: group %s", v.env("mod_wsgi.process_group"))
	}
	after := wsgid.Status()
	if after.RouterPID != before.RouterPID || after.DispatchHelper.Restarts["unresponsive"] == 0 {
		t.Errorf("router %d, before %d; helper %+v", after.RouterPID, before.RouterPID, after.DispatchHelper)
	}
}

// TestKillDispatchHelperUnderLoad: calls that a killed helper had are made in
// the next one.
func TestKillDispatchHelperUnderLoad(t *testing.T) {
	w := newWorld(t)
	twoGroups(w, helperBlock)
	w.Write("dispatch.py", "import time\ndef process_group(environ):\n    time.sleep(0.002)\n    return 'b'\n")
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	before := wsgid.Status()
	const clients = 8
	load := startBackground(t, apache.Client, clients, "/")
	kills := rounds(3, 4) // the next one would be in a back-off that no call waits for
	for kill := range kills {
		helper := awaitHelper(wsgid, uint64(kill), "crash").DispatchHelper.PID
		load.more(t, 10*clients) // no call that saw the kill before runs any more
		wsgid.NoteSessions()
		if err := syscall.Kill(helper, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	awaitHelper(wsgid, uint64(kills), "crash")
	load.more(t, 10*clients)
	if counts := load.finish(); len(counts) != 1 || counts[200] == 0 {
		t.Errorf("answers by status: %v", counts)
	}
	if after := wsgid.Status(); after.RouterPID != before.RouterPID {
		t.Errorf("router %d, before %d", after.RouterPID, before.RouterPID)
	}
	wsgid.AwaitIdle()
}

// TestDispatchHelperBacksOff: while helpers keep ending, requests are refused
// at once; mending the script ends it.
func TestDispatchHelperBacksOff(t *testing.T) {
	w := newWorld(t)
	twoGroups(w, helperBlock)
	w.Write("dispatch.py", "import os\nos._exit(4)\n")
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	router := wsgid.Status().RouterPID
	var refused *harness.Response
	harness.Eventually(t, "a refusal for a while", func() error {
		response := apache.Get("/")
		if response.Status == 503 {
			refused = response
			return nil
		}
		wantError(t, response, 500, "WSGID-1035")
		return errNotYet
	})
	wantError(t, refused, 503, "WSGID-1036")
	if seconds, err := strconv.Atoi(refused.Header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 30 {
		t.Errorf("Retry-After %q", refused.Header.Get("Retry-After"))
	}
	if h := wsgid.Status().DispatchHelper; h.Restarts["crash"] < 4 || h.LastExit.Status != 4 {
		t.Errorf("helper is %+v", h)
	}
	w.Write("dispatch.py", "def process_group(environ):\n    return 'b'\n")
	harness.Eventually(t, "the mended script decides", func() error {
		if response := apache.Get("/"); response.Status != 200 {
			return fmt.Errorf("%d", response.Status)
		}
		return nil
	})
	if got := wsgid.Status().RouterPID; got != router {
		t.Errorf("router %d, before %d", got, router)
	}
}

// TestDispatchHelperCannotStart: a Python that is not there ends the start with
// its reason.
func TestDispatchHelperCannotStart(t *testing.T) {
	w := newWorld(t)
	twoGroups(w, helperBlock+"router { python_home = \"{{.Dir}}/no-such-venv\" }\n")
	w.Write("dispatch.py", "")
	code, out, errs := w.CLI("run", "--config", w.Path("wsgid.hcl"))
	if code != 1 || !strings.Contains(errs, "dispatch helper cannot start") || !strings.Contains(errs, "no-such-venv") {
		t.Errorf("%d %s%s", code, out, errs)
	}
}

// TestDispatchHelperIsTried: check --apps and dispatch test run scripts as the
// helper's user, not as the router's.
func TestDispatchHelperIsTried(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	twoGroups(w, helperBlock+"auth_user_script \"{{.Dir}}/auth.py\" {}\n")
	w.Write("dispatch.py", "import os\ndef process_group(environ):\n    return environ.get('HTTP_X_GROUP')\ndef application_group(environ):\n    return str(os.getuid())\n")
	w.Write("auth.py", "def check_password(environ, user, password):\n    return True\n")
	code, reports := checkAppsOf(t, w)
	for _, script := range []string{"dispatch.py", "auth.py"} {
		if r := reports[script]; r.UID != 64005 || r.Error != "" {
			t.Errorf("%s: %+v", script, r)
		}
	}
	if code != 0 || reports["apps/environ.py"].UID != 64001 {
		t.Errorf("status %d, %+v", code, reports)
	}
	d := dispatchTest(t, w, false, "--uri", "/")
	if d.Dispatch == nil || d.Dispatch.User != "64005" || d.Decision == nil || d.Decision.ApplicationGroup != "64005" {
		t.Errorf("dispatch test: %+v, %+v", d.Dispatch, d.Decision)
	}
	if d := dispatchTest(t, w, true, "--uri", "/", "--header", "X-Group: %{GLOBAL}"); d.Refusal == nil || d.Refusal.Code != "WSGID-1005" {
		t.Errorf("into the router: %+v", d.Refusal)
	}
	code, out, _ := w.CLI("dispatch", "test", "--config", w.Path("wsgid.hcl"), "--uri", "/")
	if code != 0 || !strings.Contains(out, "of the dispatch helper, user 64005") {
		t.Errorf("%d %s", code, out)
	}
}
