package supervisor

import (
	"maps"
	"slices"

	"github.com/wsgid/wsgid/internal/exitreason"
	"github.com/wsgid/wsgid/systemd"
)

// shutdown ends everything in order: no new process, then the router, which
// finishes what runs, then the workers, each within its shutdown_timeout. A
// reload under way is given up, and generations that drain do so no longer.
// When it returns no child and no process group of one is left.
func (s *Supervisor) shutdown() {
	s.setPhase(phaseStopping)
	s.log.Info("stopping")
	s.notified(systemd.Stopping())
	close(s.ending)
	for _, group := range s.generation().groups { // whoever has the turn need not wait for them
		group.halt()
	}
	s.turn <- struct{}{} // for good
	g := s.generation()
	stopGroups(g.groups)
	close(g.router.stop)
	<-g.router.done
	s.drains.Wait()
	g.stopHelper()
	endGroups(g.groups, exitreason.ShutdownSignal)
	s.log.Info("stopped")
}

// drained forgets a generation that has ended. Figures of its groups go on in
// those of the same name.
func (s *Supervisor) drained(g *generation, ended []*group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = slices.DeleteFunc(s.draining, func(other *generation) bool { return other == g })
	for _, group := range ended {
		if successor := s.current.find(group.config.Name); successor != nil {
			successor.inherit(group)
		}
	}
}

// inherit adds the figures of a group that has ended.
func (g *group) inherit(from *group) {
	from.mu.Lock()
	ended, restarts, lastExit := from.ended, maps.Clone(from.restarts), from.lastExit
	from.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended.add(&ended)
	addCounts(g.restarts, restarts)
	if g.lastExit == nil {
		g.lastExit = lastExit
	}
}
