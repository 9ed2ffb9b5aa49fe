package supervisor

import (
	"sync"

	"github.com/wsgid/wsgid/systemd"
)

// shutdown ends everything in order: no new process, then the router, which
// finishes what runs, then the workers, each within its shutdown_timeout.
// When it returns no child and no process group of one is left.
func (s *Supervisor) shutdown() {
	s.setPhase(phaseStopping)
	s.log.Info("stopping")
	if err := systemd.Stopping(); err != nil {
		s.log.Warn("service manager not notified", "error", err)
	}
	for _, g := range s.groups {
		close(g.stop)
	}
	for _, g := range s.groups {
		g.slots.Wait()
	}
	close(s.router.stop)
	<-s.router.done
	if s.helper != nil {
		close(s.helper.stop)
		<-s.helper.done
	}
	var wait sync.WaitGroup
	for _, g := range s.groups {
		wait.Go(g.terminateAll)
	}
	wait.Wait()
	s.log.Info("stopped")
}
