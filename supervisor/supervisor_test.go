package supervisor

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/status"
)

func TestLifeCycle(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok", func(p *config.DaemonProcess) { p.Processes = 2 })
	w.group("admin", "ok", func(p *config.DaemonProcess) {
		if os.Geteuid() == 0 {
			p.User = "#64002"
		}
	})
	w.config.ScriptAliases = []config.ScriptAlias{
		{Prefix: "/admin", Target: "/srv/admin.wsgi", ProcessGroup: "admin", ApplicationGroup: global, CallableObject: "application", Preload: true},
	}
	w.start()

	s := w.answered()
	if s.State != "ready" || s.Version != "1.2.3" || s.PID != os.Getpid() || len(s.Groups) != 2 {
		t.Fatalf("unexpected status %+v", s)
	}
	web := s.Groups[0]
	if web.State != "ready" || web.Ready != 2 || web.Threads != 4 || web.Queued != 4 || web.Processes[0].Python != "3.11.2" {
		t.Errorf("group web is %+v", web)
	}
	if s.Router.Connections != 3 || s.Router.State != "ready" || s.Router.RSSBytes == 0 {
		t.Errorf("router is %+v", s.Router)
	}
	if os.Geteuid() == 0 {
		if got := w.command("web", "groups"); got != "64001 64001 []" {
			t.Errorf("the worker runs as %s", got)
		}
		if s.Groups[1].UID != 64002 {
			t.Errorf("admin is uid %d", s.Groups[1].UID)
		}
	}
	if got := w.command("admin", "block preload"); got != "\t/srv/admin.wsgi" {
		t.Errorf("preload is %q", got)
	}
	if got := w.command("web", "block rule.file"); got != "" {
		t.Errorf("web may run %q", got)
	}
	if data, err := os.ReadFile(w.config.Control.PIDFile); err != nil || strings.TrimSpace(string(data)) != strconv.Itoa(os.Getpid()) {
		t.Errorf("pid file %q, %v", data, err)
	}

	// The front socket is served, and goes on being there over a crash of the
	// router: nobody is refused. Who connects while it dies may be cut off.
	front := w.config.Listeners[0].Path
	if got := talk(t, front, ""); got != strconv.Itoa(s.Router.PID) {
		t.Errorf("router %d, but %s answered", s.Router.PID, got)
	}
	if err := syscall.Kill(s.Router.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	talk(t, front, "")
	s = w.await("new router", func(s *status.Snapshot) bool { return s.Router.Answered && s.Router.LastExit != nil })
	if got := talk(t, front, ""); got != strconv.Itoa(s.Router.PID) {
		t.Errorf("new router %d, but %s answered", s.Router.PID, got)
	}
	if s.Router.LastExit.Signal != "SIGKILL" || s.Router.Restarts["crash"] != 1 || s.Router.Connections != 3 {
		t.Errorf("router is %+v, %+v", s.Router, s.Router.LastExit)
	}

	var answer status.Version
	if code := w.call(http.MethodPost, "/v1/stop", &answer); code != http.StatusAccepted {
		t.Errorf("stop answered %d", code)
	}
	w.cancel()
	w.cancel = nil
	w.ended()
}

func TestCrashedWorkerIsReplaced(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok")
	w.start()
	pid := w.status().Groups[0].Processes[0].PID
	sleeper := w.command("web", "sleeper")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s := w.await("replacement", func(s *status.Snapshot) bool { return s.Groups[0].Ready == 1 && s.Groups[0].Processes[0].PID != pid })
	g := s.Groups[0]
	if g.Restarts["crash"] != 1 || g.LastExit.PID != pid || g.LastExit.Signal != "SIGKILL" || g.Processes[0].LastExit.PID != pid {
		t.Errorf("unexpected group %+v", g)
	}
	awaitDeath(t, sleeper)
	w.command("web", "exit 0")
	w.await("exit", func(s *status.Snapshot) bool { return s.Groups[0].Restarts["exited"] == 1 && s.Groups[0].Ready == 1 })
	w.command("web", "exit 7")
	s = w.await("crash", func(s *status.Snapshot) bool { return s.Groups[0].Restarts["crash"] == 2 && s.Groups[0].Ready == 1 })
	if s.Groups[0].LastExit.Status != 7 {
		t.Errorf("last exit %+v", s.Groups[0].LastExit)
	}
}

// TestEndIsNoRestart: what ends with wsgid is an exit with its reason, but
// nothing takes its place.
func TestEndIsNoRestart(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok")
	w.start()
	w.stop()
	s := w.s.Snapshot(t.Context())
	if g := s.Groups[0]; len(g.Restarts) != 0 || g.LastExit == nil || g.LastExit.Reason != "shutdown_signal" {
		t.Errorf("restarts %v, last exit %+v", g.Restarts, g.LastExit)
	}
	if r := s.Router; len(r.Restarts) != 0 || r.LastExit == nil || r.LastExit.Reason != "shutdown_signal" {
		t.Errorf("router: restarts %v, last exit %+v", r.Restarts, r.LastExit)
	}
}

func TestRetiringWorkerIsReplaced(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok")
	w.start()
	pid := w.status().Groups[0].Processes[0].PID
	w.command("web", "retire")
	s := w.await("replacement", func(s *status.Snapshot) bool {
		return s.Groups[0].Ready == 1 && s.Groups[0].Restarts["script_reload"] == 1
	})
	if s.Groups[0].Processes[0].PID == pid || s.Groups[0].LastExit.Status != 0 {
		t.Errorf("unexpected group %+v", s.Groups[0])
	}
}

// TestOverdueRequestHoldsNothingUp: the process says that nobody need wait, and
// the router that it is a timeout.
func TestOverdueRequestHoldsNothingUp(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok", func(p *config.DaemonProcess) { p.GracefulTimeout = 1000 * patience })
	w.start()
	w.command("web", "overdue")
	w.await("replacement", func(s *status.Snapshot) bool {
		return s.Groups[0].Ready == 1 && s.Groups[0].Restarts["request_timeout"] == 1
	})
	w.log.find(t, "an overdue request is left")
}

// TestRequestLimit: mod_wsgi behaviour 2.4.
func TestRequestLimit(t *testing.T) {
	for threads, want := range map[int]string{0: "10s", 1: "10s", 2: "16.931s", 5: "26.094s", 10: "33.026s", 15: "37.081s", 25: "42.189s"} {
		c := config.DaemonProcess{Threads: threads, RequestTimeout: 10 * time.Second}
		if got := requestLimit(&c).Round(time.Millisecond).String(); got != want {
			t.Errorf("%d threads: %s, want %s", threads, got, want)
		}
	}
}

// TestRetireLoopIsPaced: a process that wants to be replaced as soon as it
// runs, again and again, does not spin.
func TestRetireLoopIsPaced(t *testing.T) {
	w := newWorld(t)
	w.group("web", "retire-at-once")
	start := time.Now()
	w.start()
	const count = 5
	w.await("replacements", func(s *status.Snapshot) bool { return s.Groups[0].Restarts["script_reload"] >= count })
	if took := time.Since(start); took < (count-1)*paceRetire {
		t.Errorf("%d replacements in %s", count, took)
	}
}

func TestCrashLoopBacksOff(t *testing.T) {
	for mode, reason := range map[string]string{"crash": "crash", "failed": "start_failed"} {
		state := map[string]string{"crash": "backoff", "failed": "failed"}[mode]
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t)
			w.group("web", mode, func(p *config.DaemonProcess) { p.Processes = 3 })
			w.group("good", "ok")
			start := time.Now()
			w.start() // a group that gives up does not hold the start up
			s := w.await("backoff", func(s *status.Snapshot) bool {
				return s.Groups[0].State == state && s.Groups[0].Restarts[reason] >= 9
			})
			// Three processes: 100, 200, 400 ms, … at least three quarters of it.
			rounds := int(s.Groups[0].Restarts[reason]+2) / 3
			least := time.Duration(0)
			for i := 0; i < rounds-1; i++ {
				least += (backoffFirst << i) * 3 / 4
			}
			if took := time.Since(start); took < least {
				t.Errorf("%d rounds in %s", rounds, took)
			}
			if s.Groups[1].State != "ready" {
				t.Errorf("the other group is %s", s.Groups[1].State)
			}
			if mode == "failed" && s.Groups[0].LastExit.Error != "no module named nothing" {
				t.Errorf("last exit %+v", s.Groups[0].LastExit)
			}
			if mode == "crash" {
				w.log.find(t, "Traceback (most recent call last):\n  File \"x.py\", line 1\nImportError: no")
			}
			w.log.find(t, "process group backs off")
		})
	}
}

func TestStartupTimeout(t *testing.T) {
	w := newWorld(t)
	w.group("web", "never-ready", func(p *config.DaemonProcess) { p.StartupTimeout = 50 * time.Millisecond })
	w.start()
	w.await("timeout", func(s *status.Snapshot) bool { return s.Groups[0].Restarts["startup_timeout"] >= 2 })
}

func TestStopWhileStarting(t *testing.T) {
	w := newWorld(t)
	w.group("web", "never-ready")
	w.note()
	s, err := New(w.config, Options{Logger: testLogger(w.log), Modules: []byte("modules")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := testContext()
	w.done = make(chan error, 1)
	go func() { w.done <- s.Run(ctx) }()
	w.log.find(t, "process started")
	cancel()
	w.ended()
}

func TestStubbornWorkerIsKilled(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ignore-term", func(p *config.DaemonProcess) { p.ShutdownTimeout = 50 * time.Millisecond })
	w.config.Router.PythonPath = []string{"hang"}
	w.start()
	w.command("web", "sleeper")
	w.stop()
	exit := w.log.find(t, "process exited")
	if exit["reason"] != "shutdown_timeout" {
		t.Errorf("logged %v", exit)
	}
}

func TestStatusNeedsNobody(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok")
	w.config.Router.PythonPath = []string{"mute"}
	w.start()
	w.command("web", "begin")
	pid := w.status().Groups[0].Processes[0].PID
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s := w.status()
	p := s.Groups[0].Processes[0]
	if s.Router.Answered || p.ThreadsBusy != 1 || p.Requests != 3 || p.Errors != 1 || len(p.Running) != 1 {
		t.Fatalf("unexpected status %+v", p)
	}
	want := status.Request{State: "application", ID: "r-7", Method: "GET", URI: "/slow", Client: "192.0.2.9", Application: "app", Started: p.Running[0].Started}
	if diff := cmp.Diff(want, p.Running[0]); diff != "" {
		t.Error(diff)
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	w.command("web", "scribble")
	w.status()
	w.command("web", "exit 9")
	w.await("replacement", func(s *status.Snapshot) bool { return s.Groups[0].Restarts["crash"] == 1 && s.Groups[0].Ready == 1 })
}

func TestLogsOfChildren(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok")
	w.start()
	pid := w.status().Groups[0].Processes[0].PID
	if got := w.command("web", "stderr to descriptor two"); got != "ok" {
		t.Errorf("/dev/stderr: %s", got)
	}
	w.command("web", "record framed\x1b[0m")
	raw := w.log.find(t, "to descriptor two")
	framed := w.log.find(t, `framed\x1b[0m`)
	for _, fields := range []map[string]any{raw, framed} {
		if fields["group"] != "web" || fields["pid"] != float64(pid) {
			t.Errorf("group and pid of %v", fields)
		}
	}
	if framed["@level"] != "warn" || framed["application"] != "app" || framed["request"] != "r-1" || framed["source"] != "logging" {
		t.Errorf("fields of %v", framed)
	}
	router := w.log.find(t, "hello from the router")
	if router["@level"] != "warn" || router["module"] != "dispatch" || fmt.Sprint(router["n"]) != "3" {
		t.Errorf("fields of %v", router)
	}
}

func TestWorkerGetsExactlyItsDescriptors(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok")
	w.start()
	descriptors := w.command("web", "descriptors")
	got := map[string]int{}
	for _, line := range strings.Split(descriptors, "\n") {
		_, target, _ := strings.Cut(line, "=")
		kind, _, _ := strings.Cut(target, ":")
		if name, ok := strings.CutPrefix(target, "/memfd:"); ok {
			kind = strings.TrimSuffix(name, " (deleted)")
		}
		got[kind]++
	}
	for kind := range got { // what the fake's Go runtime opens
		if strings.HasPrefix(kind, "/") || kind == "anon_inode" {
			delete(got, kind)
		}
	}
	// Status, log and listener, of which the fake's net package has a second
	// one, and the connection.
	want := map[string]int{"pipe": 2, "wsgid-boot": 1, "wsgid-modules": 1, "wsgid-scoreboard": 1, "socket": 5}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("descriptors %s: %s", descriptors, diff)
	}
	env := w.command("web", "environment")
	for _, want := range []string{"LANG=C.UTF-8", "EXTRA=x", "PATH=" + childPath} {
		if !strings.Contains(env, want) {
			t.Errorf("%s is not in %q", want, env)
		}
	}
	if n := strings.Count(env, "\n") + 1; n != 8 { // with FAKE and the boot descriptor
		t.Errorf("%d variables: %q", n, env)
	}
}

func TestRouterThatCannotStart(t *testing.T) {
	w := newWorld(t)
	w.config.Router.PythonPath = []string{"failed"}
	s, err := New(w.config, Options{Logger: testLogger(w.log)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := testContext()
	defer cancel()
	if err := s.Run(ctx); err == nil || !strings.Contains(err.Error(), "no library") {
		t.Errorf("Run: %v", err)
	}
	if left := children(t); left != "" {
		t.Errorf("left: %s", left)
	}
}

func TestSecondInstanceIsRefused(t *testing.T) {
	w := newWorld(t)
	w.start()
	other := newWorld(t)
	other.config.Control = w.config.Control
	s, err := New(other.config, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := testContext()
	defer cancel()
	if err := s.Run(ctx); !errors.Is(err, errInUse) {
		t.Errorf("Run: %v", err)
	}
	w.status() // the first is unharmed
}

func TestSocketsAndDirectories(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok")
	w.config.Router.User = ""
	w.start()
	groupDir, socket := os.FileMode(0o700), os.FileMode(0o660)
	if os.Geteuid() == 0 {
		groupDir = 0o750
	}
	for path, want := range map[string]os.FileMode{
		filepath.Join(w.dir, "groups"):             groupDir,
		filepath.Join(w.dir, "groups", "web.sock"): socket,
		w.config.Listeners[0].Path:                 0o660,
		w.config.Control.Path:                      0o666,
	} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
		owner := info.Sys().(*syscall.Stat_t)
		if os.Geteuid() == 0 && path != w.config.Control.Path && (owner.Uid != 0 || int(owner.Gid) != w.s.current.plan.router.GID) {
			t.Errorf("%s belongs to %d:%d", path, owner.Uid, owner.Gid)
		}
	}
}
