package tests

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/tests/internal/harness"
)

// stuck gets stuck as the path says, each in a function of its own.
const stuck = `
import re, threading, time

taken = threading.Lock()
taken.acquire()

def sleeps():
    time.sleep(1000000)

def naps():
    while True:
        time.sleep(0.01)

def spins():
    while True:
        pass

def spins_in_c():
    re.match("(a+)+$", "a" * 60 + "b")

def waits():
    taken.acquire()

def application(environ, start_response):
    globals()[environ["PATH_INFO"][1:]]()
`

// kinds of being stuck: the group, what its threads do, in the order in which the
// requests come, and how that looks.
var kinds = []struct {
	group     string
	does      []string
	lines     []string // of the stacks
	states    []string // of the kernel
	held      bool     // the GIL
	isStopped bool
}{
	{group: "sleeping", does: []string{"sleeps", "sleeps"}, lines: []string{"time.sleep(1000000)", "time.sleep(1000000)"}, states: []string{"sleeping", "sleeping"}},
	{group: "python", does: []string{"spins"}, lines: []string{"in spins\n"}, states: []string{"running"}},
	{group: "c", does: []string{"sleeps", "spins_in_c"}, lines: []string{"in sleeps", "in spins_in_c"}, states: []string{"sleeping", "running"}, held: true},
	{group: "lock", does: []string{"waits", "waits"}, lines: []string{"taken.acquire()", "taken.acquire()"}, states: []string{"sleeping", "sleeping"}},
	{group: "stopped", does: []string{"sleeps"}, lines: []string{""}, states: []string{"stopped"}, isStopped: true},
}

// stuckWorld is a wsgid all whose threads are stuck, and more requests wait behind them.
type stuckWorld struct {
	t       *testing.T
	w       *harness.World
	d       *harness.Wsgid
	monitor *harness.Client
}

// TestAllStuck: every thread of every process is stuck, each group in another way, and
// a queue is full. Everything that looks on answers and tells which is which.
func TestAllStuck(t *testing.T) {
	w := newWorld(t)
	w.Write("apps/stuck.py", stuck)
	address := freeAddress(t)
	configuration := "monitor {\n  listen = \"" + address + "\"\n}\n"
	for _, k := range kinds {
		// Nothing of it ends by itself, and what spins leaves the machine to others.
		configuration += group(k.group, "#64001", 1, len(k.does), "queue_length = 2", option("shutdown_timeout", "1s"), "cpu_priority = 19") +
			mount("/"+k.group, "apps/stuck.py", option("process_group", k.group))
	}
	w.Configure(configuration)
	s := &stuckWorld{t, w, w.Start(harness.Options{}), harness.NewClient(t, "http://"+address)}
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for _, k := range kinds {
		for i, does := range k.does {
			hang(t, s.d, apache.Client, k.group, fmt.Sprintf("/%s/%s?%d", k.group, does, i))
		}
	}
	for range 2 {
		go func() { _, _ = apache.Try(t.Context(), "GET", "/sleeping/sleeps?waits", nil) }()
	}
	s.d.AwaitStatus("the queue is full", func(now harness.Status) error {
		if n := now.Group("sleeping").Queued; n != 2 {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
	wantError(t, apache.Get("/sleeping/sleeps?one-too-many"), 503, "WSGID-1012")

	// The first to end is wsgid: Apache would wait for what hangs.
	defer func() {
		if !t.Failed() {
			s.d.Stop()
		}
	}()

	// A process that is stopped is killed after some seconds, and then its GET runs in
	// another one: what was seen counts if it was there before and after.
	harness.Eventually(t, "all is told", func() error {
		s.d.NoteSessions()
		pid := s.d.AwaitStatus("the process to stop runs its request", func(now harness.Status) error {
			if p := now.Group("stopped").Processes; len(p) != 1 || len(p[0].Running) != 1 {
				return fmt.Errorf("%+v", p)
			}
			return nil
		}).PIDs("stopped")[0]
		mark := s.d.Log.Mark()
		stop(t, s.d, pid)
		err := errors.Join(s.commands(), s.monitoring())
		if killed := syscall.Kill(pid, syscall.SIGCONT); killed != nil {
			return killed
		}
		s.d.Log.AwaitFrom(t, mark, "its end, or that it goes on", func(r harness.Record) bool {
			return harness.Containing("stopped process goes on")(r) || harness.Containing("process exited", "unresponsive")(r)
		})
		return err
	})
}

// commands are those that look on.
func (s *stuckWorld) commands() error {
	var wrong []error
	run := func(arguments ...string) string {
		code, out, errs := s.w.CLI(append(arguments, "--control", s.w.Control)...)
		if code != 0 {
			wrong = append(wrong, fmt.Errorf("%v: %d: %s", arguments, code, errs))
		}
		return out
	}
	// want is that a text has a line with all the words in their order.
	want := func(out string, words ...string) {
		if !slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool {
			for _, word := range words {
				_, rest, found := strings.Cut(line, word)
				if !found {
					return false
				}
				line = rest
			}
			return true
		}) {
			wrong = append(wrong, fmt.Errorf("no line with %q in\n%s", words, out))
		}
	}
	now := s.d.Status()
	table, full, requests, top := run("status"), run("status", "--full"), run("requests"), run("top", "--rounds", "1")
	if out := run("healthcheck"); out != "ok\n" {
		wrong = append(wrong, fmt.Errorf("healthcheck: %s", out))
	}
	for _, k := range kinds {
		g, n := now.Group(k.group), len(k.does)
		if g.ThreadsBusy != n || g.Threads != n || len(g.Processes) != 1 || g.Processes[0].Stopped != k.isStopped {
			wrong = append(wrong, fmt.Errorf("%+v", g))
			continue
		}
		pid, busy := strconv.Itoa(g.Processes[0].PID), fmt.Sprintf("%d/%d", n, n)
		state, requestState, topState := "ready ", "application", "ready"
		if k.isStopped {
			state, requestState, topState = "ready, stopped ", "stopped", "stopped"
		}
		want(table, k.group, "ready", busy)
		want(table, k.group, pid, state, busy)

		want(full, "process ", pid)
		want(top, k.group, pid, topState, busy)
		for i, does := range k.does {
			uri := fmt.Sprintf("/%s/%s?%d", k.group, does, i)
			at := slices.IndexFunc(g.Processes[0].Running, func(r status.Request) bool { return r.URI == uri })
			if at < 0 {
				wrong = append(wrong, fmt.Errorf("no %s: %+v", uri, g))
				continue
			}
			id := g.Processes[0].Running[at].ID
			want(full, "thread", "application", "request "+id+" of 127.0.0.1")
			want(full, "GET "+uri)
			want(requests, "s ", k.group, pid, requestState, id, "GET "+uri)

		}
		wrong = append(wrong, s.stacks(k.group, pid, k.does, k.lines, k.states, k.held)...)
	}
	want(full, "state", "ready, stopped, up")
	want(table, "sleeping", "2/2", "2/2") // the queue behind the threads
	return errors.Join(wrong...)
}

// stacks are those of a group.
func (s *stuckWorld) stacks(group, pid string, does, lines, states []string, held bool) (wrong []error) {
	code, out, errs := s.w.CLI("stacks", "--control", s.w.Control, "--json", group)
	if code != 0 {
		return []error{errors.New(errs)}
	}
	var answers []status.Stacks
	fromJSON(s.t, out, &answers)
	if len(answers) != 1 || strconv.Itoa(answers[0].PID) != pid {
		return []error{fmt.Errorf("%s: %s", group, out)}
	}
	for i, what := range does {
		uri := fmt.Sprintf("/%s/%s?%d", group, what, i)
		at := slices.IndexFunc(answers[0].Threads, func(t status.Thread) bool { return t.Request != nil && t.Request.URI == uri })
		if lines[i] == "" { // it cannot tell
			if len(answers[0].Threads) == 0 || answers[0].Threads[0].State != states[i] || answers[0].Answered {
				wrong = append(wrong, fmt.Errorf("%s: %s", group, out))
			}
			continue
		}
		if at < 0 {
			wrong = append(wrong, fmt.Errorf("no thread serves %s: %s", uri, out))
			continue
		}
		if t := answers[0].Threads[at]; t.State != states[i] || t.Interrupted != held || !strings.Contains(t.Stack, s.w.Path("apps/stuck.py")) || !strings.Contains(t.Stack, lines[i]) {
			wrong = append(wrong, fmt.Errorf("%s: %+v", uri, t))
		}
	}
	return wrong
}

// monitoring is what the control socket and the monitor process answer.
func (s *stuckWorld) monitoring() error {
	control := controlClient(s.t, s.w)
	onTCP := func(path string) (int, string) {
		response := s.monitor.Get(path)
		return response.Status, response.Text()
	}
	var wrong []error
	for _, ask := range []func(string) (int, string){control, onTCP} {
		for path, text := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
			if code, got := ask(path); code != 200 || got != text {
				wrong = append(wrong, fmt.Errorf("%s: %d %s", path, code, got))
			}
		}
		code, text := ask("/")
		if code != 200 || !strings.Contains(text, "<h1>wsgid</h1>") {
			wrong = append(wrong, fmt.Errorf("/: %d %s", code, text))
		}
		code, text = ask("/status")
		var snapshot status.Snapshot
		if fromJSON(s.t, text, &snapshot); code != 200 || len(snapshot.Groups) != len(kinds) {
			wrong = append(wrong, fmt.Errorf("/status: %d %s", code, text))
		}
		code, text = ask("/metrics")
		got := samples(s.t, text)
		want := map[string]float64{
			"wsgid_ready": 1, "wsgid_router_up": 1, `wsgid_group_queued{group="sleeping"}`: 2, `wsgid_group_queue_limit{group="sleeping"}`: 2,
			`wsgid_group_rejected_total{group="sleeping"}`: 1, "wsgid_router_in_flight": 2,
		}
		for _, k := range kinds {
			stopped := 0.0
			if k.isStopped {
				stopped = 1
			}
			n := float64(len(k.does))
			want["wsgid_router_in_flight"] += n
			want[`wsgid_group_threads{group="`+k.group+`"}`], want[`wsgid_group_threads_busy{group="`+k.group+`"}`] = n, n
			want[`wsgid_group_processes_stopped{group="`+k.group+`"}`] = stopped
			if got[`wsgid_group_oldest_request_seconds{group="`+k.group+`"}`] <= 0 {
				wrong = append(wrong, fmt.Errorf("%s: no oldest request", k.group))
			}
		}
		for name, value := range want {
			if there, ok := got[name]; code != 200 || !ok || there != value {
				wrong = append(wrong, fmt.Errorf("%d: %s is %v, not %v", code, name, there, value))
			}
		}
	}
	return errors.Join(wrong...)
}
