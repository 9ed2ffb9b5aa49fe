package supervisor

import (
	"context"
	"fmt"
	"time"

	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/systemd"
)

// statusEvery is how often the service manager's line is looked at, and the watchdog pinged:
// within a WatchdogSec= of a minute a router that is starved has six seconds to answer in.
const statusEvery = 10 * time.Second

// keepManager keeps the service manager told how wsgid is, until the returned function is
// called, which waits. Its watchdog is pinged at least twice in its time, each time only if
// a snapshot could be made and the router has answered, or is being replaced: who hangs is
// ended by the manager then.
func (s *Supervisor) keepManager() (stop func()) {
	if !systemd.Managed() {
		return func() {}
	}
	every := statusEvery
	limit, watched := systemd.Watchdog(s.estate != nil)
	if watched {
		every = min(every, limit/2)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		told := ""
		for {
			snapshot := s.Snapshot(ctx)
			if text := managerLine(snapshot); text != told && s.currentPhase() == phaseReady {
				s.notified(systemd.Status(text))
				told = text
			}
			if watched && alive(snapshot) {
				s.notified(systemd.Alive())
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// alive says whether the watchdog may be told that all is well.
func alive(s *status.Snapshot) bool {
	return s.Router.Answered || s.Router.State != stateReady.String()
}

// managerLine is the line of systemctl status.
func managerLine(s *status.Snapshot) string {
	ready, queued := 0, 0
	for i := range s.Groups {
		g := &s.Groups[i]
		if g.State == "ready" || g.State == "idle" {
			ready++
		}
		queued += g.Queued
	}
	text := fmt.Sprintf("%d of %d process groups ready, %d requests in flight, %d queued, generation %d", ready, len(s.Groups), s.Router.InFlight, queued, s.Generation)
	if r := s.LastReload; r != nil && r.Error != "" {
		text += ", the last reload was refused"
	}
	return text
}

// notified logs that the service manager could not be told.
func (s *Supervisor) notified(err error) {
	if err != nil {
		s.log.Warn("service manager not notified", "error", err)
	}
}
