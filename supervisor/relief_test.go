package supervisor

import (
	"testing"
	"time"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/status"
)

// TestReliefWaitsForAnother: a process that is to be relieved serves until
// another one does, also when those that are started first die.
func TestReliefWaitsForAnother(t *testing.T) {
	w := newScriptWorld(t, 1, false)
	w.start()
	pid := w.pid()
	w.write("a", "crash")
	w.command("web", "relieve")
	w.await("two that die", func(s *status.Snapshot) bool {
		g := s.Groups[0]
		if g.Ready != 1 || g.Processes[0].PID != pid || g.Processes[0].State != "ready" {
			t.Errorf("meanwhile %+v", g)
		}
		return g.Restarts["crash"] >= 2
	})
	w.write("a", "good")
	g := w.awaitSuccessor(pid)
	if g.Restarts["maximum_requests"] != 1 || g.LastExit.Reason != "maximum_requests" {
		t.Errorf("restarts %v, last exit %+v", g.Restarts, g.LastExit)
	}
}

// TestRestartIntervalOneByOne: no process is younger than the interval when it
// is replaced, and no two are replaced at once.
func TestRestartIntervalOneByOne(t *testing.T) {
	w := newWorld(t)
	const processes, interval = 3, 500 * time.Millisecond
	w.group("web", "ok", func(p *config.DaemonProcess) { p.Processes, p.RestartInterval = processes, interval })
	w.group("jobs", "scripts", func(p *config.DaemonProcess) { p.Processes, p.RestartInterval = processes, time.Hour })
	begin := time.Now()
	w.start()
	s := w.await("every process replaced", func(s *status.Snapshot) bool {
		starting := 0
		for _, p := range s.Groups[0].Processes {
			if p.State == "starting" {
				starting++
			}
		}
		if starting > 1 || s.Groups[0].Ready < processes {
			t.Errorf("%d are started at once, %d are ready", starting, s.Groups[0].Ready)
		}
		return s.Groups[0].Restarts["restart_interval"] >= processes
	})
	if took := time.Since(begin); took < interval {
		t.Errorf("after %v", took)
	}
	if len(s.Groups[1].Restarts) != 0 {
		t.Errorf("younger than the interval: %v", s.Groups[1].Restarts)
	}
}

// TestRestartIntervalOfService: a service ends before its successor starts.
func TestRestartIntervalOfService(t *testing.T) {
	w := newWorld(t)
	w.group("jobs", "quiet-service", func(p *config.DaemonProcess) { p.Threads, p.RestartInterval = 0, 300*time.Millisecond })
	w.config.ImportScripts = []config.ImportScript{{Path: "/srv/jobs.py", ProcessGroup: "jobs", ApplicationGroup: global}}
	w.start()
	w.await("two replacements", func(s *status.Snapshot) bool {
		if len(s.Groups[0].Processes) > 1 {
			t.Error("the service runs twice")
		}
		return s.Groups[0].Restarts["restart_interval"] >= 2
	})
}
