package supervisor

import (
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/status"
)

// TestOnDemandGroup: nothing runs until the router wants it; then as many as
// needed, at most processes; and nothing again.
func TestOnDemandGroup(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok", func(p *config.DaemonProcess) {
		p.Processes, p.Scaling, p.IdleTimeout = 3, config.ScalingOnDemand, time.Hour
	})
	w.reloadable(idleSoon(w))
	w.start()
	if s := w.status(); s.Groups[0].State != "idle" || len(s.Groups[0].Processes) != 0 {
		t.Errorf("%+v", s.Groups[0])
	}
	g := w.s.generation().find("web")
	for _, waiting := range []int{1, 100, 100} { // 1, then 2 more, then no more
		g.want(waiting)
		w.await("growth", func(*status.Snapshot) bool { return len(g.demand) == 0 })
	}
	w.await("three processes", func(s *status.Snapshot) bool { return s.Groups[0].Ready == 3 })
	if outcome := w.s.Reload(nil); outcome.Error != "" {
		t.Fatalf("%+v", outcome)
	}
	w.await("none", func(s *status.Snapshot) bool { return s.Groups[0].State == "idle" && len(s.Groups[0].Processes) == 0 })
	ready := len(w.log.all("process ready")) // it will not stay for long
	w.s.generation().find("web").want(1)
	w.log.awaitCount(t, "process ready", ready+1)
}

// idleSoon is the configuration with an idle_timeout that is over at once.
func idleSoon(w *world) func() (*config.Config, error) {
	return copyOf(w.config, func(c *config.Config) { c.DaemonProcesses[0].IdleTimeout = time.Millisecond })
}

// TestReloadedGroupShrinks: it begins as large as it was, and is looked at though
// nobody has asked for anything yet.
func TestReloadedGroupShrinks(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok", func(p *config.DaemonProcess) {
		p.Processes, p.Scaling, p.IdleTimeout = 3, config.ScalingOnDemand, time.Hour
	})
	w.reloadable(idleSoon(w))
	w.start()
	w.s.generation().find("web").want(1)
	w.log.awaitCount(t, "process ready", 1)
	if outcome := w.s.Reload(nil); outcome.Error != "" {
		t.Fatalf("%+v", outcome)
	}
	if s, ready := w.status(), len(w.log.all("process ready")); ready != 2 || s.Generation != 2 {
		t.Errorf("%d processes became ready: %+v", ready, s.Groups[0])
	}
	w.await("none", func(s *status.Snapshot) bool { return s.Groups[0].State == "idle" && len(s.Groups[0].Processes) == 0 })
}

// TestReloadWaitsForIdleGroups: a group that nobody asks for does not shrink
// while another one keeps its generation from serving.
func TestReloadWaitsForIdleGroups(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok")
	w.reloadable(copyOf(w.config, func(c *config.Config) {
		c.DaemonProcesses[0].Scaling, c.DaemonProcesses[0].IdleTimeout = config.ScalingOnDemand, time.Millisecond
		late := c.DaemonProcesses[0]
		late.Name, late.Scaling, late.Environment = "late", config.ScalingStatic, map[string]string{"FAKE": "never-ready"}
		late.StartupTimeout = 2*lookEvery + lookEvery/2
		c.DaemonProcesses = append(c.DaemonProcesses, late)
	}))
	w.start()
	outcome := w.s.Reload(nil)
	if outcome.Error != "" || len(outcome.Problems) != 1 || !strings.Contains(outcome.Problems[0], "late") {
		t.Errorf("%+v", outcome)
	}
	w.await("none", func(s *status.Snapshot) bool { return s.Groups[0].State == "idle" && len(s.Groups[0].Processes) == 0 })
}

// TestDynamicGroup keeps what it must have, and those that are busy.
func TestDynamicGroup(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok", func(p *config.DaemonProcess) {
		p.Processes, p.Scaling, p.MinProcesses, p.IdleTimeout = 4, config.ScalingDynamic, 2, time.Millisecond
	})
	w.start()
	g := w.s.generation().find("web")
	g.want(100)
	w.log.awaitCount(t, "process ready", 3) // the third one may have gone again
	w.await("two", func(s *status.Snapshot) bool { return len(s.Groups[0].Processes) == 2 && s.Groups[0].Ready == 2 })
	if s := w.status().Groups[0]; s.Wanted != 2 || s.Least != 2 || s.Most != 4 || len(s.Restarts) != 0 {
		t.Errorf("%+v", s)
	}
}

// TestScaleGroup: places come and go; who asks for nonsense hears of it.
func TestScaleGroup(t *testing.T) {
	w := newWorld(t)
	w.group("web", "ok")
	w.start()
	for _, n := range []int{3, 1, 2} {
		if err := w.s.Scale("web", n); err != nil {
			t.Fatal(err)
		}
		w.await("the number", func(s *status.Snapshot) bool {
			return s.Groups[0].Ready == n && len(s.Groups[0].Processes) == n && s.Groups[0].State == "ready"
		})
	}
	if w.s.Scale("web", 0) == nil || w.s.Scale("nobody", 1) == nil || w.s.Scale("web", config.MaxProcesses+1) == nil {
		t.Error("nonsense is taken")
	}
	if err := w.s.StopGroups([]string{"web"}, false); err != nil {
		t.Fatal(err)
	}
	if s := w.status().Groups[0]; s.State != closedStopped || len(s.Processes) != 0 || len(s.Restarts) != 0 {
		t.Errorf("%+v", s)
	}
	if w.s.Scale("web", 2) == nil {
		t.Error("a stopped group is scaled")
	}
	if err := w.s.StartGroups([]string{"web"}); err != nil {
		t.Fatal(err)
	}
	if s := w.status().Groups[0]; s.Ready != 2 {
		t.Errorf("%+v", s)
	}
}

// TestRestartGroup: each process is another one, in a service as well.
func TestRestartGroup(t *testing.T) {
	w := newWorld(t)
	w.group("web", "scripts", func(p *config.DaemonProcess) { p.Processes, p.MaxSurge = 3, 2 })
	w.group("job", "quiet-service", func(p *config.DaemonProcess) { p.Threads = 0 })
	w.start()
	before := w.status()
	if outcome := w.s.Restart(nil); outcome.Error != "" || outcome.Replaced != 4 {
		t.Fatalf("%+v", outcome)
	}
	s := w.await("the others", func(s *status.Snapshot) bool {
		return s.Groups[0].Ready == 3 && len(s.Groups[0].Processes) == 3 && s.Groups[1].Ready == 1 && pids(s, 1) != pids(before, 1)
	})
	for _, p := range s.Groups[0].Processes {
		for _, old := range before.Groups[0].Processes {
			if p.PID == old.PID {
				t.Errorf("%d is left", p.PID)
			}
		}
	}
	if s.Groups[0].Restarts["restart"] != 3 {
		t.Errorf("%v", s.Groups[0].Restarts)
	}
}
