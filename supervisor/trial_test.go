package supervisor

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/status"
)

// scriptWorld is a world with a group that imports the scripts a and b from
// files whose content says whether that works.
type scriptWorld struct {
	*world
	files string
}

func newScriptWorld(t *testing.T, processes int, keep bool) *scriptWorld {
	w := &scriptWorld{world: newWorld(t)}
	var err error
	if w.files, err = os.MkdirTemp("/tmp", "wsgid-scripts"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(w.files) })
	if err := os.Chmod(w.files, 0o755); err != nil {
		t.Fatal(err)
	}
	w.group("web", "scripts", func(p *config.DaemonProcess) {
		p.Processes = processes
		if keep {
			p.ReloadOnError = config.ReloadKeep
		}
	})
	for _, name := range []string{"a", "b"} {
		w.config.ScriptAliases = append(w.config.ScriptAliases, config.ScriptAlias{
			Prefix: "/" + name, Target: w.path(name), ProcessGroup: "web", ApplicationGroup: global, Preload: true,
		})
		w.write(name, "good")
	}
	return w
}

func (w *scriptWorld) path(name string) string { return filepath.Join(w.files, name) }

func (w *scriptWorld) write(name, content string) {
	w.t.Helper()
	// At once: a process that imports it just now must not see it empty.
	if err := os.WriteFile(w.path(name)+".new", []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(w.path(name)+".new", w.path(name)); err != nil {
		w.t.Fatal(err)
	}
}

// pid of the only process of the group.
func (w *scriptWorld) pid() int { return w.status().Groups[0].Processes[0].PID }

// awaitErrors waits until exactly these scripts cannot be imported.
func (w *scriptWorld) awaitErrors(names ...string) *status.Group {
	w.t.Helper()
	s := w.await("load errors "+strings.Join(names, " "), func(s *status.Snapshot) bool {
		var got []string
		for _, e := range s.Groups[0].LoadErrors {
			got = append(got, filepath.Base(e.Script))
		}
		return strings.Join(got, " ") == strings.Join(names, " ") && s.Groups[0].Ready == len(s.Groups[0].Processes)
	})
	return &s.Groups[0]
}

// awaitSuccessor waits until another process than pid is the only one, and no
// script is broken.
func (w *scriptWorld) awaitSuccessor(pid int) *status.Group {
	w.t.Helper()
	s := w.await("successor", func(s *status.Snapshot) bool {
		g := s.Groups[0]
		return len(g.LoadErrors) == 0 && len(g.Processes) == 1 && g.Ready == 1 && g.Processes[0].PID != pid
	})
	return &s.Groups[0]
}

// TestBrokenScriptIsTriedInAFreshProcess: beside the old one, and when it
// works the others are replaced.
func TestBrokenScriptIsTriedInAFreshProcess(t *testing.T) {
	w := newScriptWorld(t, 2, false)
	w.write("a", "no module named x")
	w.start()
	g := w.awaitErrors("a")
	e := g.LoadErrors[0]
	if e.Error != "ImportError: no module named x" || e.Traceback != "Traceback\n"+e.Error || e.PID == 0 || time.Since(e.At).Abs() > time.Hour || e.OldCodeServes {
		t.Errorf("unexpected %+v", e)
	}
	if g.State != "ready" || len(g.Restarts) != 0 {
		t.Errorf("unexpected group %+v", g)
	}
	before := g.Processes
	w.command("web", "renew again "+w.path("a"))
	exit := w.log.find(t, "process exited")
	if exit["reason"] != "import_failed" || exit["@level"] != "info" {
		t.Errorf("logged %v", exit)
	}
	if g := w.awaitErrors("a"); g.Processes[0].PID != before[0].PID || g.Processes[1].PID != before[1].PID || len(g.Restarts) != 0 || g.LastExit != nil {
		t.Errorf("a failed trial has changed the group: %+v", g)
	}
	w.write("a", "good")
	w.command("web", "renew again "+w.path("a"))
	w.await("two new processes", func(s *status.Snapshot) bool {
		g := s.Groups[0]
		return len(g.LoadErrors) == 0 && g.Restarts["script_reload"] == 2 && g.Ready == 2 && len(g.Processes) == 2
	})
	w.log.find(t, "script can be imported again")
}

// TestTrialsBackOff: one new process at a time, and ever more rarely.
func TestTrialsBackOff(t *testing.T) {
	w := newScriptWorld(t, 3, false)
	w.write("a", "broken")
	start := time.Now()
	w.start()
	w.awaitErrors("a")
	const trials = 3
	for strings.Count(w.log.String(), `"import_failed"`) < trials {
		mark := w.log.len()
		w.command("web", "renew again "+w.path("a"))
		if n := len(w.status().Groups[0].Processes); n > 4+1 { // one tries, one may still be ending
			t.Errorf("%d processes", n)
		}
		w.log.awaitMore(mark, 50*time.Millisecond)
		if time.Since(start) > patience {
			t.Fatal("no further trials")
		}
	}
	least := time.Duration(0)
	for i := range trials {
		least += (backoffFirst << i) * 3 / 4
	}
	if took := time.Since(start); took < least {
		t.Errorf("%d trials in %s", trials, took)
	}
}

// TestTrialMustNotBeWorse: what could be imported before must be importable,
// what could not may stay so.
func TestTrialMustNotBeWorse(t *testing.T) {
	w := newScriptWorld(t, 1, false)
	w.write("a", "broken")
	w.start()
	w.awaitErrors("a")
	pid := w.pid()
	w.write("a", "good")
	w.write("b", "broken now")
	w.command("web", "renew again "+w.path("a"))
	w.log.find(t, "new process cannot import a script, the old one goes on serving")
	g := w.awaitErrors("a", "b")
	if g.Processes[0].PID != pid || g.LoadErrors[0].OldCodeServes || !g.LoadErrors[1].OldCodeServes {
		t.Errorf("unexpected %+v", g)
	}
	w.write("b", "good")
	w.command("web", "renew changed "+w.path("b"))
	w.awaitSuccessor(pid)
}

// TestImportScriptHoldsNobodyUp: one that cannot run beside itself does not
// keep a mended script out, unless the old code is to be kept.
func TestImportScriptHoldsNobodyUp(t *testing.T) {
	g := &group{groupPlan: groupPlan{config: &config.DaemonProcess{}, preloads: []config.Preload{{Path: "i"}, {Path: "a", Served: true}}}}
	p := &process{broken: map[scriptKey]bool{{"", "a"}: true}}
	if !g.newTrial(p).better(map[scriptKey]bool{{"", "i"}: true}) {
		t.Error("held up")
	}
	g.config.ReloadOnError = config.ReloadKeep
	if g.newTrial(p).better(map[scriptKey]bool{{"", "i"}: true}) {
		t.Error("let in")
	}
}

// TestKeep: the old process serves until another one has imported the new code.
func TestKeep(t *testing.T) {
	w := newScriptWorld(t, 1, true)
	w.start()
	pid := w.pid()
	if got := w.command("web", "block reload_on_error"); got != "keep" {
		t.Errorf("reload_on_error is %q", got)
	}
	for _, content := range []string{"broken", "crash"} {
		mark := len(w.log.all("process exited"))
		w.write("a", content)
		w.command("web", "renew changed "+w.path("a"))
		w.log.awaitCount(t, "process exited", mark+1)
		if g := w.awaitErrors("a"); g.Processes[0].PID != pid || !g.LoadErrors[0].OldCodeServes || g.State != "ready" {
			t.Errorf("%s: unexpected %+v", content, g)
		}
	}
	w.write("a", "good")
	w.command("web", "renew again "+w.path("a"))
	if g := w.awaitSuccessor(pid); g.Restarts["script_reload"] != 1 {
		t.Errorf("unexpected %+v", g)
	}
}

// TestKeepWatched: a trial for a watched file that failed, or died, is repeated
// without any request.
func TestKeepWatched(t *testing.T) {
	w := newScriptWorld(t, 1, true)
	w.start()
	pid := w.pid()
	w.write("b", "broken")
	w.command("web", "renew watched /srv/module.py")
	w.awaitErrors("b")
	w.write("b", "good")
	pid = w.awaitSuccessor(pid).Processes[0].PID
	mark := len(w.log.all("process exited"))
	w.write("b", "crash")
	w.command("web", "renew watched /srv/module.py")
	w.log.awaitCount(t, "process exited", mark+2)
	w.write("b", "good")
	w.awaitSuccessor(pid)
}

// TestPredecessorDiesDuringTrial: the slot never stays empty.
func TestPredecessorDiesDuringTrial(t *testing.T) {
	w := newScriptWorld(t, 1, true)
	w.start()
	w.write("a", "broken")
	w.command("web", "renew changed "+w.path("a"))
	w.command("web", "exit 9")
	w.await("replacement", func(s *status.Snapshot) bool {
		return s.Groups[0].Ready == 1 && s.Groups[0].Restarts["crash"] == 1
	})
	g := w.awaitErrors("a")
	if g.LoadErrors[0].OldCodeServes {
		t.Error("there is no old code any more")
	}
}

func TestBetter(t *testing.T) {
	a, b, c := scriptKey{"", "a"}, scriptKey{"", "b"}, scriptKey{"", "c"}
	set := func(keys ...scriptKey) map[scriptKey]bool {
		m := map[scriptKey]bool{}
		for _, key := range keys {
			m[key] = true
		}
		return m
	}
	for name, test := range map[string]struct {
		t      trial
		broken map[scriptKey]bool
		want   bool
	}{
		"mended":                         {trial{allowed: set(a), broken: set(a)}, set(), true},
		"still broken":                   {trial{allowed: set(a), broken: set(a), changed: set(a)}, set(a), false},
		"another broken":                 {trial{allowed: set(a), broken: set(a)}, set(b), false},
		"one of two mended":              {trial{allowed: set(a, b), broken: set(a, b)}, set(b), true},
		"changed and good":               {trial{allowed: set(b), changed: set(a)}, set(b), true},
		"changed and bad":                {trial{allowed: set(b), changed: set(a)}, set(a), false},
		"watched and good":               {trial{watched: true}, set(), true},
		"watched, broken as before":      {trial{watched: true, allowed: set(a), broken: set(a)}, set(a), true},
		"watched and bad":                {trial{watched: true, allowed: set(a), broken: set(a)}, set(c), false},
		"nothing gained":                 {trial{}, set(), false},
		"mended one, another has fallen": {trial{allowed: set(a), broken: set(a), changed: set(a)}, set(c), false},
	} {
		if got := test.t.better(test.broken); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestServiceGroup: no socket, not for the router, never twice at once.
func TestServiceGroup(t *testing.T) {
	w := newWorld(t)
	w.group("jobs", "service", func(p *config.DaemonProcess) { p.Threads = 0 })
	w.group("web", "ok")
	w.config.ImportScripts = []config.ImportScript{{Path: "/srv/jobs.py", ProcessGroup: "jobs", ApplicationGroup: global}}
	w.start()
	s := w.status()
	if g := s.Groups[0]; !g.Service || g.State != "ready" || g.Ready != 1 || g.Threads != 0 {
		t.Errorf("unexpected %+v", g)
	}
	if len(w.s.current.plan.wire.Groups) != 1 || w.s.current.plan.wire.Groups[0].Name != "web" || w.s.current.plan.wire.Groups[0].Socket == "" {
		t.Errorf("the router knows %+v", w.s.current.plan.wire.Groups)
	}
	entries, err := os.ReadDir(filepath.Join(w.dir, "groups"))
	if err != nil || len(entries) != 1 {
		t.Errorf("sockets %v, %v", entries, err)
	}
	pid := s.Groups[0].Processes[0].PID
	if err := syscall.Kill(pid, syscall.SIGUSR1); err != nil { // it retires on its own
		t.Fatal(err)
	}
	s = w.await("the replacement of a service that asked for it", func(s *status.Snapshot) bool {
		if len(s.Groups[0].Processes) > 1 {
			t.Error("the service runs twice")
		}
		return s.Groups[0].Restarts["script_reload"] > 0 && s.Groups[0].Ready == 1 && s.Groups[0].Processes[0].PID != pid
	})
	if got := s.Groups[0].LastExit.Reason; got != "script_reload" {
		t.Errorf("last exit %q", got)
	}
}
