package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/status"
)

// reloadable makes reloads read what the function gives.
func (w *world) reloadable(load func() (*config.Config, error)) {
	w.load = load
}

// copyOf is the configuration as it would be read again.
func copyOf(c *config.Config, change func(*config.Config)) func() (*config.Config, error) {
	return func() (*config.Config, error) {
		again := *c
		again.DaemonProcesses = append([]config.DaemonProcess(nil), c.DaemonProcesses...)
		again.Listeners = append([]config.Listener(nil), c.Listeners...)
		if change != nil {
			change(&again)
		}
		return &again, nil
	}
}

func pids(s *status.Snapshot, group int) string {
	var all []int
	for _, p := range s.Groups[group].Processes {
		all = append(all, p.PID)
	}
	return fmt.Sprint(all)
}

// awaitDescriptors waits until no more than held are open: an answered connection
// of the control socket takes a moment to end.
func awaitDescriptors(t *testing.T, held int) {
	t.Helper()
	for deadline := time.Now().Add(patience); openDescriptors(t) > held; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors, %d before", openDescriptors(t), held)
		}
	}
}

// TestReload: every process is another one, and nothing of the old generation is
// left: no process, no socket, no descriptor.
func TestReload(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok", func(p *config.DaemonProcess) { p.Processes = 2 })
	w.group("job", "quiet-service", func(p *config.DaemonProcess) { p.Threads = 0 })
	w.reloadable(copyOf(w.config, nil))
	w.start()
	before, held := w.status(), openDescriptors(t)
	var outcome status.Reload
	for n := range 3 {
		outcome = status.Reload{}
		if code := w.call("POST", "/v1/reload", &outcome); code != 200 || outcome.Error != "" || outcome.Generation != n+2 {
			t.Fatalf("%d %+v", code, outcome)
		}
	}
	s := w.await("the end of the generations before", func(s *status.Snapshot) bool {
		return len(s.Draining) == 0 && len(s.Groups[0].Processes) == 2 && s.Groups[1].State == "ready"
	})
	if pids(s, 0) == pids(before, 0) || pids(s, 1) == pids(before, 1) || s.Router.PID == before.Router.PID {
		t.Errorf("%+v", s)
	}
	if s.Groups[0].Restarts["reload"] != 6 || s.Groups[1].Restarts["reload"] != 3 || s.LastReload == nil {
		t.Errorf("exits %v and %v", s.Groups[0].Restarts, s.Groups[1].Restarts)
	}
	awaitDescriptors(t, held)
	if entries, _ := os.ReadDir(filepath.Join(w.dir, "groups")); len(entries) != 1 {
		t.Errorf("%v in the directory of the sockets", entries)
	}
}

// TestReloadOfAGroup: others keep their processes, which the new router is told of.
func TestReloadOfAGroup(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok")
	w.group("api", "ok")
	changed := func(c *config.Config) { c.DaemonProcesses[0].Threads = 3 }
	w.reloadable(copyOf(w.config, changed))
	w.start()
	before := w.status()
	var outcome status.Reload
	w.call("POST", "/v1/reload?group=api", &outcome)
	if !strings.Contains(outcome.Error, `daemon_process "web" would change as well`) {
		t.Errorf("%+v", outcome)
	}
	outcome = status.Reload{}
	w.call("POST", "/v1/reload?group=web", &outcome)
	s := w.await("the new router", func(s *status.Snapshot) bool {
		return s.Router.Answered && s.Router.Connections == 2 && len(s.Draining) == 0 // the fake one counts processes
	})
	if outcome.Error != "" || pids(s, 0) == pids(before, 0) || pids(s, 1) != pids(before, 1) || s.Groups[0].Processes[0].Threads != 3 {
		t.Errorf("%+v %+v", outcome, s.Groups)
	}
	// Carried over, it is still watched and replaced.
	w.command("api", "exit 4")
	w.await("a replacement", func(s *status.Snapshot) bool {
		return s.Groups[1].Ready == 1 && pids(s, 1) != pids(before, 1) && s.Router.Connections == 2
	})
}

// TestReloadThatFails: the old generation serves on, and nothing of the new one
// is left.
func TestReloadThatFails(t *testing.T) {
	mode := func(mode string) func(*config.Config) {
		return func(c *config.Config) {
			c.DaemonProcesses[0].Environment = map[string]string{"FAKE": mode, "EXTRA": "x"}
		}
	}
	for name, row := range map[string]struct {
		change func(*config.Config)
		err    error
		want   string
	}{
		"configuration": {err: errors.New("line 3 is wrong"), want: "line 3 is wrong"},
		"start":         {change: mode("failed"), want: "no module named nothing"},
		"crash":         {change: mode("crash"), want: "did not come up: crash"},
		"startup_timeout": {change: func(c *config.Config) {
			mode("never-ready")(c)
			c.DaemonProcesses[0].StartupTimeout = 50 * time.Millisecond
		}, want: "startup_timeout"},
		"router": {change: func(c *config.Config) { c.Router.PythonPath = []string{"failed"} }, want: "no library"},
		"user":   {change: func(c *config.Config) { c.DaemonProcesses[0].User = "nobody-knows" }, want: "nobody-knows"},
		"listener": {change: func(c *config.Config) {
			c.Listeners = append(c.Listeners, config.Listener{Kind: config.ListenTCP, Address: "256.0.0.1:1"})
		}, want: "256.0.0.1"},
		"control": {change: func(c *config.Config) { c.Control.Path += "x" }, want: "control block has changed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.group("web", "ok")
			load := copyOf(w.config, row.change)
			if row.err != nil {
				load = func() (*config.Config, error) { return nil, row.err }
			}
			w.reloadable(load)
			w.start()
			before, held := w.status(), openDescriptors(t)
			var outcome status.Reload
			w.call("POST", "/v1/reload", &outcome)
			if !strings.Contains(outcome.Error, row.want) {
				t.Errorf("%+v, want %q", outcome, row.want)
			}
			s := w.status()
			if pids(s, 0) != pids(before, 0) || s.Router.PID != before.Router.PID || s.Generation != 1 || len(s.Draining) != 0 ||
				s.LastReload == nil || s.LastReload.Error != outcome.Error {
				t.Errorf("%+v", s)
			}
			awaitDescriptors(t, held)
		})
	}
}

// TestReloadsOfMany wait for each other.
func TestReloadsOfMany(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok")
	w.reloadable(copyOf(w.config, nil))
	w.start()
	var wait sync.WaitGroup
	for range 5 {
		wait.Go(func() {
			if outcome := w.s.Reload(nil); outcome.Error != "" {
				t.Errorf("%+v", outcome)
			}
		})
	}
	wait.Wait()
	if s := w.status(); s.Generation != 6 {
		t.Errorf("generation %d", s.Generation)
	}
}

// TestStopDuringReload: the end does not wait for a process that never becomes
// ready, nor for requests of a generation before.
func TestStopDuringReload(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok", func(p *config.DaemonProcess) { p.ShutdownTimeout = 50 * time.Millisecond })
	w.config.Router.PythonPath = []string{"busy"} // its router never ends handing over
	again := 0
	w.reloadable(func() (*config.Config, error) {
		again++
		return copyOf(w.config, func(c *config.Config) {
			if again == 2 {
				c.DaemonProcesses[0].Environment = map[string]string{"FAKE": "never-ready"}
			}
		})()
	})
	w.start()
	if outcome := w.s.Reload(nil); outcome.Error != "" {
		t.Fatalf("%+v", outcome)
	}
	var outcome *status.Reload
	ended, started := make(chan struct{}), len(w.log.all("process started"))
	go func() { defer close(ended); outcome = w.s.Reload(nil) }()
	w.log.awaitCount(t, "process started", started+1) // of the third generation
	w.stopDuring(ended)
	if outcome.Error == "" {
		t.Errorf("%+v", outcome)
	}
}

// TestStopDuringCommands: neither a drain nor a restart keeps wsgid from ending.
func TestStopDuringCommands(t *testing.T) {
	for name, command := range map[string]func(*Supervisor){
		"drain":   func(s *Supervisor) { _ = s.StopGroups([]string{"web"}, true) },
		"restart": func(s *Supervisor) { s.Restart(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.group("web", "ok") // a trial of it never says that it has loaded
			w.start()
			if name == "drain" {
				w.command("web", "begin 1 GET /")
			}
			ended := make(chan struct{})
			go func() { defer close(ended); command(w.s) }()
			if name == "restart" {
				w.await("another process", func(s *status.Snapshot) bool { return len(s.Groups[0].Processes) == 2 })
			}
			w.stopDuring(ended)
		})
	}
}

// TestLetGo: a group that two generations share which have drained at the same time is
// ended by the second of them, whichever it is, and by nobody while a third has it.
func TestLetGo(t *testing.T) {
	groupOf := func(name string) *group {
		return &group{groupPlan: groupPlan{config: &config.DaemonProcess{Name: name}}, feed: newGroupFeed(name)}
	}
	names := func(groups []*group) (all string) {
		for _, g := range groups {
			all += g.config.Name + " "
		}
		return all
	}
	for _, order := range [][2]int{{0, 1}, {1, 0}} {
		kept, shared := groupOf("kept"), groupOf("shared")
		old := []*generation{
			{number: 1, groups: []*group{groupOf("a1"), shared, kept}, feed: newFeed()},
			{number: 2, groups: []*group{groupOf("a2"), shared, kept}, feed: newFeed()},
		}
		s := &Supervisor{current: &generation{number: 3, groups: []*group{groupOf("a3"), kept}, feed: newFeed()}, draining: old}
		first, _ := s.letGo(old[order[0]])
		second, _ := s.letGo(old[order[1]]) // the first one is not forgotten yet
		if got, want := names(first)+"| "+names(second), fmt.Sprintf("a%d | a%d shared ", order[0]+1, order[1]+1); got != want {
			t.Errorf("%v: %q, want %q", order, got, want)
		}
	}
}

// TestRestartsOverReload: the restarts of router and dispatch helper go on over a reload.
func TestRestartsOverReload(t *testing.T) {
	exit := &status.Exit{PID: 7, Reason: "crash"}
	old := &router{restarts: map[string]uint64{"crash": 2, "unresponsive": 1}, lastExit: exit}
	next := &router{restarts: map[string]uint64{"crash": 1}}
	next.inherit(old)
	if next.restarts["crash"] != 3 || next.restarts["unresponsive"] != 1 || next.lastExit != exit {
		t.Errorf("%v, %+v", next.restarts, next.lastExit)
	}
	before := &dispatchHelper{restarts: map[string]uint64{"crash": 2}, lastExit: exit}
	after := &dispatchHelper{restarts: map[string]uint64{}}
	after.inherit(before)
	if after.restarts["crash"] != 2 || after.lastExit != exit {
		t.Errorf("%v, %+v", after.restarts, after.lastExit)
	}
}
