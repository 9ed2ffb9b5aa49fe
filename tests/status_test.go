package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// object is a part of the JSON of wsgid status; tests of its names look at it
// as a program does that was written by docs/status.md.
type object map[string]any

// get follows names and indexes.
func (o object) get(t *testing.T, path ...any) any {
	t.Helper()
	var at any = map[string]any(o)
	for _, step := range path {
		switch step := step.(type) {
		case string:
			fields, ok := at.(map[string]any)
			if !ok {
				t.Fatalf("%v: no object at %s", path, step)
			}
			if at, ok = fields[step]; !ok {
				t.Fatalf("%v: no %s in %v", path, step, fields)
			}
		case int:
			list, ok := at.([]any)
			if !ok || step >= len(list) {
				t.Fatalf("%v: no element %d in %v", path, step, at)
			}
			at = list[step]
		}
	}
	return at
}

// positive asserts a number above zero and returns it.
func (o object) positive(t *testing.T, path ...any) float64 {
	t.Helper()
	number, ok := o.get(t, path...).(float64)
	if !ok || number <= 0 {
		t.Errorf("%v is %v", path, o.get(t, path...))
	}
	return number
}

// is asserts a value.
func (o object) is(t *testing.T, want any, path ...any) {
	t.Helper()
	if number, ok := want.(int); ok {
		want = float64(number)
	}
	if got := o.get(t, path...); got != want {
		t.Errorf("%v is %v, want %v", path, got, want)
	}
}

// TestStatus: what wsgid status says, as a table and in JSON, while the
// processes of one group are stopped in the middle of their requests, those of
// another are dead, and in the end the router does not answer either.
func TestStatus(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("gate.py")
	w.App("crash_import.py")
	openDirectory(t, w, "apps")
	openDirectory(t, w, "open")
	w.Write("dispatch.py", "def process_group(environ):\n    return None\n")
	w.Configure(group("busy", "#64001", 2, 1) + group("dead", "#64002", 1, 3) + "dispatch_script \"{{.Dir}}/dispatch.py\" {}\n" +
		mount("/dead", "apps/crash_import.py", option("process_group", "dead")) + mount("/", "apps/gate.py", option("process_group", "busy")))
	configuration := w.Path("wsgid.hcl")
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	pids := wsgid.AwaitReady("busy").PIDs("busy")
	answers := make(chan *harness.Response, 3)
	send := func(name string) {
		go func() {
			response, err := apache.Try(t.Context(), "GET", fmt.Sprintf("/page?started=%s&gate=%s", w.Path("open/"+name), w.Path("open/gate")), nil)
			if err != nil {
				t.Error(err)
			}
			answers <- response
		}()
	}
	for _, name := range []string{"one", "two"} {
		send(name)
		awaitFile(t, w.Path("open/"+name))
	}
	send("three")
	router := wsgid.AwaitStatus("one request waits and the other group is dead", func(s harness.Status) error {
		// For some seconds, in which the checks below see it so.
		if dead := s.Group("dead"); s.Group("busy").Queued != 1 || dead.State != "backoff" || len(dead.Processes) != 0 || dead.Backoff < 5 {
			return fmt.Errorf("queued %d, the other group is %s for %v s", s.Group("busy").Queued, dead.State, dead.Backoff)
		}
		return nil
	}).RouterPID
	signal := func(what syscall.Signal, pids ...int) {
		for _, pid := range pids {
			if err := syscall.Kill(pid, what); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, pid := range pids {
		stop(t, wsgid, pid)
	}
	defer func() { // whatever happens, they can end
		for _, pid := range append(pids, router) {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}()
	python := systemPython(t)

	// The router has a second to say its part, which a machine may stand still for.
	answered := func(arguments ...string) (code int, out, errs string) {
		harness.Eventually(t, "the router answers", func() error {
			code, out, errs = w.CLI(append([]string{"status", "--config", configuration}, arguments...)...)
			if strings.Contains(out, "does not answer") || strings.Contains(out, `"answered": false`) || strings.Contains(out, `"answered":false`) {
				return errNotYet
			}
			return nil
		})
		return code, out, errs
	}
	code, out, errs := answered("--json")
	var s object
	if code != 0 || json.Unmarshal([]byte(out), &s) != nil {
		t.Fatalf("status --json: %d %s%s", code, out, errs)
	}
	s.is(t, "ready", "state")
	s.is(t, wsgid.PID, "pid")
	s.is(t, configuration, "config")
	s.positive(t, "uptime_seconds")
	wantTime(t, s.get(t, "started"))
	if s.get(t, "version") == "" {
		t.Error("no version")
	}
	s.is(t, router, "router", "pid")
	s.is(t, routerUID(t), "router", "uid")
	s.is(t, "ready", "router", "state")
	s.is(t, true, "router", "answered")
	s.is(t, python, "router", "python")
	s.is(t, 3, "router", "in_flight")
	s.is(t, 3, "router", "scripts", 0, "calls")
	s.is(t, "dispatch script", "router", "scripts", 0, "kind")
	s.positive(t, "router", "connections")
	s.positive(t, "router", "rss_bytes")
	s.get(t, "router", "user")
	s.get(t, "router", "requests")
	s.get(t, "router", "errors")
	s.get(t, "router", "restarts")
	wantTime(t, s.get(t, "router", "started"))
	cpu := s.get(t, "router", "cpu_seconds").(float64)
	for name, want := range map[string]any{
		"name": "busy", "user": "64001", "uid": 64001, "processes_wanted": 2, "processes_ready": 2, "state": "ready", "threads": 2, "threads_busy": 2,
		"queued": 1, "queue_length": 1024, "queued_total": 1, "queue_timeouts": 0, "rejected": 0, "connections": 2, "requests": 0, "errors": 0, "refused": 0,
	} {
		s.is(t, want, "groups", 0, name)
	}
	s.positive(t, "groups", 0, "longest_wait_seconds")
	var shown []int
	for number := range pids {
		at := func(name ...any) []any { return append([]any{"groups", 0, "processes", number}, name...) }
		for name, want := range map[string]any{
			"user": "64001", "uid": 64001, "python": python, "state": "ready", "stopped": true, "threads": 1, "threads_busy": 1, "requests": 0, "errors": 0, "refused": 0, "log_dropped": 0,
		} {
			s.is(t, want, at(name)...)
		}
		for name, want := range map[string]any{"thread": 0, "state": "application", "method": "GET", "client": "127.0.0.1", "application": ""} {
			s.is(t, want, at("running", 0, name)...)
		}
		if uri, _ := s.get(t, at("running", 0, "uri")...).(string); !strings.HasPrefix(uri, "/page?started=") {
			t.Errorf("uri %q", uri)
		}
		if s.get(t, at("running", 0, "id")...) == "" {
			t.Error("no request id")
		}
		wantTime(t, s.get(t, at("started")...))
		wantTime(t, s.get(t, at("running", 0, "started")...))
		if s.positive(t, at("rss_bytes")...) < 1<<20 {
			t.Error("a Python in less than a mebibyte")
		}
		cpu += s.get(t, at("cpu_seconds")...).(float64)
		shown = append(shown, int(s.positive(t, at("pid")...)))
	}
	slices.Sort(shown)
	slices.Sort(pids)
	if !slices.Equal(shown, pids) {
		t.Errorf("processes %v, want %v", shown, pids)
	}
	if cpu <= 0 {
		t.Error("router and processes have used no CPU time")
	}
	for name, want := range map[string]any{"name": "dead", "state": "backoff", "processes_wanted": 1, "processes_ready": 0, "threads": 0, "threads_busy": 0} {
		s.is(t, want, "groups", 1, name)
	}
	s.positive(t, "groups", 1, "restarts", "crash")
	wsgid.AwaitStatus("the time until the next attempt shows", func(s harness.Status) error {
		if s.Group("dead").Backoff <= 0 {
			return errNotYet
		}
		return nil
	})
	s.positive(t, "groups", 1, "last_exit", "pid")
	s.is(t, "crash", "groups", 1, "last_exit", "reason")
	s.is(t, -1, "groups", 1, "last_exit", "status")
	signalName, _ := s.get(t, "groups", 1, "last_exit", "signal").(string)
	if !strings.HasPrefix(signalName, "SIG") {
		t.Errorf("last exit by %q", signalName)
	}
	wantTime(t, s.get(t, "groups", 1, "last_exit", "at"))

	code, out, errs = answered()
	if code != 0 || errs != "" {
		t.Fatalf("status: %d %s%s", code, out, errs)
	}
	for _, line := range []string{
		fmt.Sprintf(`wsgid \S+ +ready +pid %d +up \S+ +%s`, wsgid.PID, regexp.QuoteMeta(configuration)),
		fmt.Sprintf(`router +ready +pid %d +up \S+ +user \S+ +Python %s`, router, python),
		` +\d+ connections?, 3 in flight, \d+ requests?, 0 errors, CPU \d+\.\ds, [\d.]+MiB`,
		` +dispatch script \S+/dispatch\.py: 3 calls, 0 running`,
		`GROUP +STATE +USER +PROCESSES +THREADS +QUEUE +WAITED +TIMEOUTS +REJECTED +REQUESTS +ERRORS +RESTARTS +LAST EXIT`,
		`busy +ready +64001 +2/2 +2/2 +1/1024 [\d.]+s +1 +0 +0 +0 +0 +0 +-`,
		`dead +(backoff [\d.]+s|starting|backoff) +64002 +0/1 +0/0 +0/1024 +0 +0 +0 +0 +0 +[1-9]\d* +crash \(` + signalName + `\), [\d.]+s ago.*`,
		`GROUP +PID +STATE +USER +PYTHON +THREADS +REQUESTS +ERRORS +CPU +MEMORY +UP +REPLACED`,
		fmt.Sprintf(`busy +%d +ready, stopped +64001 +%s +1/1 +0 +0 +\d+\.\ds +[\d.]+MiB +\S+ +-`, pids[0], python),
		fmt.Sprintf(`busy +%d +ready, stopped +64001 +%s +1/1 +0 +0 +\d+\.\ds +[\d.]+MiB +\S+ +-`, pids[1], python),
		`GROUP +PID +STATE +FOR +CLIENT +ID +REQUEST`,
		fmt.Sprintf(`busy +%d +stopped +\S+ +127\.0\.0\.1 +\S+ +GET /page\?started=.*`, pids[0]),
	} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(out) {
			t.Errorf("no line %s in\n%s", line, out)
		}
	}

	signal(syscall.SIGSTOP, router)
	wsgid.AwaitStatus("the router is silent", func(s harness.Status) error { // a signal takes its time to stop all threads
		if s.Router.Answered || s.RouterPID != router || s.Group("busy").ThreadsBusy != 2 {
			return fmt.Errorf("%+v", s.Router)
		}
		return nil
	})
	if _, out, _ = w.CLI("status", "--config", configuration); !strings.Contains(out, "does not answer") {
		t.Errorf("the table does not say that the router is silent:\n%s", out)
	}
	signal(syscall.SIGCONT, append(pids, router)...)
	w.Write("open/gate", "")
	for range 3 {
		if got := <-answers; got == nil || got.Status != 200 {
			t.Errorf("a request that was running: %+v", got)
		}
	}
	wsgid.AwaitStatus("the requests are counted", func(s harness.Status) error {
		if done := s.Group("busy"); done.Requests != 3 || done.ThreadsBusy != 0 || done.Queued != 0 {
			return fmt.Errorf("%d requests, %d busy, %d queued", done.Requests, done.ThreadsBusy, done.Queued)
		}
		return nil
	})

	wsgid.NoteSessions()
	if code, out, errs := w.CLI("stop", "--config", configuration); code != 0 || !strings.Contains(out, strconv.Itoa(wsgid.PID)) {
		t.Errorf("stop --config: %d %s%s", code, out, errs)
	}
	wsgid.AwaitExit()
	wsgid.AssertGone()
}

// wantTime asserts a time as JSON has it, of this hour.
func wantTime(t *testing.T, value any) {
	t.Helper()
	text, _ := value.(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || time.Since(at).Abs() > time.Hour {
		t.Errorf("time %v: %v", value, err)
	}
}

// systemPython is the version of /usr/bin/python3.
func systemPython(t *testing.T) string {
	t.Helper()
	return harness.PythonVersion(t, harness.SystemPython)
}

// TestDefaultControlSocket: without --config and --control an ordinary user's
// status and stop find the ordinary user's wsgid.
func TestDefaultControlSocket(t *testing.T) {
	harness.NeedRoot(t) // to become somebody else
	const uid = 64010
	w := newWorld(t)
	w.App("hello.py")
	runtimeDir := openDirectory(t, w, "runtime")
	if err := os.Chown(runtimeDir, uid, uid); err != nil {
		t.Fatal(err)
	}
	w.Environment = []string{"XDG_RUNTIME_DIR=" + runtimeDir}
	w.Write("wsgid.hcl", w.Expand("listen \"unix\" {\n  path = \"{{.Socket}}\"\n}\nscript_alias \"/\" {\n  target = \"{{.Dir}}/apps/hello.py\"\n}\ndaemon_process \"mine\" {}\n"))
	wsgid := w.Start(harness.Options{UID: uid, Environment: w.Environment})
	wsgid.NoteSessions()
	if code, out, errs := w.CLIAs(uid, "status"); code != 0 || !strings.Contains(out, "mine") {
		t.Errorf("status: %d %s%s", code, out, errs)
	}
	if code, out, errs := w.CLIAs(uid, "stop"); code != 0 {
		t.Errorf("stop: %d %s%s", code, out, errs)
	}
	wsgid.AwaitExit()
	wsgid.AssertGone()
	if code, _, errs := w.CLIAs(uid, "status"); code != 3 || !strings.Contains(errs, runtimeDir+"/wsgid/control.sock") {
		t.Errorf("status afterwards: %d %s", code, errs)
	}
}
