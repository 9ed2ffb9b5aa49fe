package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/status"
)

// fakeDaemon serves a control socket whose supervisor is the process pid.
// stop is called for POST /v1/stop.
func fakeDaemon(t *testing.T, pid int, snapshot status.Snapshot, stop func()) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wsgid")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "control.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(w http.ResponseWriter, value any) {
		if err := json.NewEncoder(w).Encode(value); err != nil {
			t.Error(err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/version", func(w http.ResponseWriter, _ *http.Request) { answer(w, status.Version{Version: "1", PID: pid}) })
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { answer(w, snapshot) })
	mux.HandleFunc("POST /v1/stop", func(w http.ResponseWriter, _ *http.Request) {
		if stop == nil {
			w.WriteHeader(http.StatusForbidden)
			answer(w, status.Error{Error: "only root may\x1b[2J"})
			return
		}
		w.WriteHeader(http.StatusAccepted)
		stop()
	})
	server := httptest.NewUnstartedServer(mux)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return path
}

// runVerb runs the command line and gives output, errors and exit code.
func runVerb(arguments ...string) (string, string, int) {
	var out, errors bytes.Buffer
	root := newRoot()
	root.SetArgs(arguments)
	root.SetOut(&out)
	root.SetErr(&errors)
	err := root.Execute()
	if err != nil {
		errors.WriteString(err.Error())
	}
	return out.String(), errors.String(), codeOf(err)
}

// sleeper starts a process that ends only when it is killed, and whose end is
// collected.
func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	process := exec.Command("sleep", "3600")
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		_ = process.Wait() // killed: always an error
	}()
	t.Cleanup(func() {
		_ = process.Process.Kill() // already gone in most tests
		<-collected
	})
	return process
}

func TestStop(t *testing.T) {
	process := sleeper(t)
	path := fakeDaemon(t, process.Process.Pid, status.Snapshot{}, func() { _ = process.Process.Kill() })
	out, errors, code := runVerb("stop", "--control", path)
	if code != exitOK || out != "wsgid (pid "+strconv.Itoa(process.Process.Pid)+") has stopped\n" {
		t.Errorf("code %d, output %q, errors %q", code, out, errors)
	}
}

func TestStopTimeout(t *testing.T) {
	process := sleeper(t)
	path := fakeDaemon(t, process.Process.Pid, status.Snapshot{}, func() {})
	_, errors, code := runVerb("stop", "--control", path, "--timeout", "20ms")
	if code != exitTimeout || !strings.Contains(errors, "is still finishing requests after 20ms") {
		t.Errorf("code %d, errors %q", code, errors)
	}
}

func TestStopRefused(t *testing.T) {
	path := fakeDaemon(t, os.Getpid(), status.Snapshot{}, nil)
	_, errors, code := runVerb("stop", "--control", path)
	if code != exitFailed || !strings.HasSuffix(errors, `refused: only root may\x1b[2J`) {
		t.Errorf("code %d, errors %q", code, errors)
	}
}

func TestUnreachable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gone.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	listener.Close()
	_, errors, code := runVerb("status", "--control", path)
	if code != exitUnreachable || !strings.Contains(errors, "nobody listens there") {
		t.Errorf("code %d, errors %q", code, errors)
	}
}

func TestStatusJSON(t *testing.T) {
	path := fakeDaemon(t, 1, exampleSnapshot(), nil)
	out, errors, code := runVerb("status", "--json", "--control", path)
	if code != exitOK {
		t.Fatalf("code %d, errors %q", code, errors)
	}
	var got status.Snapshot
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if got.Groups[0].Processes[0].PID != 102 {
		t.Errorf("snapshot: %+v", got)
	}
}

// exampleSnapshot has a busy group, one that backs off, and hostile text.
func exampleSnapshot() status.Snapshot {
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	return status.Snapshot{
		Version: "1.2", PID: 100, State: "ready", Started: ago(26 * time.Hour), Uptime: 93600, Config: "/etc/wsgid/wsgid.hcl",
		Router: status.Router{
			PID: 101, User: "www-data", State: "ready", Started: ago(90 * time.Second), Python: "3.11.2", Answered: true,
			CPUSeconds: 1.25, RSSBytes: 30 << 20, Connections: 12, Requests: 1, Errors: 2, InFlight: 3,
			Scripts: []status.Script{
				{Kind: "dispatch script", Path: "/etc/wsgid/dispatch.py", Calls: 4, Running: 1},
				{Kind: "dispatch script", Path: "/etc/wsgid/b\x1b.py", Calls: 1, Lost: 2, LoadError: "SyntaxError: invalid\x1b[31m syntax"},
			},
			Embedded:   &status.Embedded{Threads: 25, ThreadsBusy: 2, Requests: 9, Queue: status.Queue{QueueLength: 7, Rejected: 1}},
			LoadErrors: []status.LoadError{{Script: "/srv/embedded.wsgi", Application: "", At: ago(3 * time.Second), PID: 101, Error: "NameError: name"}},
		},
		DispatchHelper: &status.DispatchHelper{
			PID: 103, User: "nobody", UID: 65534, State: "ready", Started: ago(time.Minute), Python: "3.11.2", CPUSeconds: 0.25, RSSBytes: 20 << 20,
			Calls: 5, Restarts: map[string]uint64{"crash": 1, "unresponsive": 1},
			LastExit: &status.Exit{PID: 98, At: ago(time.Minute), Reason: "unresponsive", Status: -1, Signal: "SIGKILL"},
		},
		Groups: []status.Group{
			{
				Name: "web", User: "wsgid-web", Wanted: 2, Ready: 1, State: "degraded", Threads: 15, ThreadsBusy: 1,
				Queue:    status.Queue{QueueLength: 1024, Queued: 2, LongestWait: 1.25, QueuedTotal: 40, QueueTimeouts: 3, Rejected: 4},
				Requests: 5, Errors: 1, Restarts: map[string]uint64{"crash": 2, "script_reload": 1},
				LastExit: &status.Exit{PID: 99, At: ago(5 * time.Minute), Reason: "crash", Status: -1, Signal: "SIGSEGV"},
				Processes: []status.Process{{
					PID: 102, User: "wsgid-web", Python: "3.11.2", State: "ready", Started: ago(8500 * time.Millisecond), Threads: 15, ThreadsBusy: 1,
					Requests: 5, Errors: 1, CPUSeconds: 0.5, RSSBytes: 12345678,
					Running: []status.Request{{State: "application", ID: "abc", Method: "GET", URI: "/slow\x1b]0;title\x07", Client: "192.0.2.1", Started: ago(1500 * time.Millisecond)}},
				}},
			},
			{
				Name: "jobs", User: "wsgid-web", Wanted: 1, Ready: 1, State: "ready", Service: true,
				LoadErrors: []status.LoadError{
					{Script: "/srv/a.wsgi", Application: "", At: ago(12 * time.Second), PID: 7, Error: "ImportError: no \x1b[1m", Traceback: "Traceback\nImportError"},
					{Script: "/srv/b.wsgi", Application: "sub", At: ago(2 * time.Minute), OldCodeServes: true, Error: "SyntaxError: invalid syntax"},
				},
			},
			{Name: "api", User: "wsgid-api", Wanted: 1, State: "backoff", Backoff: 3.2, Queue: status.Queue{QueueLength: 10}, LastExit: &status.Exit{At: ago(time.Second), Reason: "start_failed", Status: 1, Error: "no libpython"}},
		},
		Logs: []status.Log{{Destination: "stderr", Lines: 9}, {Destination: "/var/log/\x1b.log", Lines: 7, Lost: 1, Error: "no space"}},
	}
}

func TestStatusTable(t *testing.T) {
	snapshot := exampleSnapshot()
	var out strings.Builder
	if err := writeStatus(&out, &snapshot, time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC), 0); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/status.txt", out.String())
}
