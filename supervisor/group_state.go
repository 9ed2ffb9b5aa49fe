package supervisor

import (
	"fmt"
	"sync"
	"time"

	"github.com/wsgid/wsgid/internal/exitreason"
	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/internal/wire"
)

// Why an administrator has closed a group; empty: it is open. A reload keeps it.
const (
	closedMaintenance = "in maintenance" // requests are refused, processes stay
	closedDrained     = "drained"        // what ran has ended, no process is left
	closedStopped     = "stopped"        // no process is left
)

// closing is the state that an administrator has put a group into.
type closing struct {
	why        string
	since      time.Time
	retryAfter time.Duration
}

// defaultRetryAfter is what clients of a closed group are told.
const defaultRetryAfter = time.Minute

// closedFor is why the group is closed; empty: it is not.
func (g *group) closedFor() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closing.why
}

func (g *group) close(c closing) {
	g.mu.Lock()
	g.closing = c
	g.mu.Unlock()
	g.changed()
}

// Maintenance has requests of a group refused, or served again. The name
// %{GLOBAL} is that of the applications in the router.
func (s *Supervisor) Maintenance(name string, on bool, retryAfter time.Duration) error {
	end, err := s.begin()
	if err != nil {
		return err
	}
	defer end()
	if retryAfter <= 0 {
		retryAfter = defaultRetryAfter
	}
	c := closing{why: closedMaintenance, since: time.Now(), retryAfter: retryAfter}
	if !on {
		c = closing{}
	}
	g := s.generation()
	if name == global && g.plan.wire.Embedded.Needed {
		s.embedded = c
		g.feed.group(embeddedState(c))
		g.router.told()
		s.log.Info("embedded applications", "state", orOpen(c.why))
		return nil
	}
	groups, err := g.named([]string{name})
	if err != nil {
		return err
	}
	group := groups[0]
	switch closed := group.closedFor(); {
	case group.config.Service():
		return fmt.Errorf("process group %q takes no requests (threads = 0): stop it instead", name)
	case closed != "" && closed != closedMaintenance:
		return fmt.Errorf("process group %q is %s; start it", name, closed)
	}
	group.close(c)
	g.router.told()
	group.log.Info("process group", "state", orOpen(c.why))
	return nil
}

// embeddedState is what the router is told of its own applications.
func embeddedState(c closing) wire.GroupState {
	return wire.GroupState{Available: true, Closed: c.why, RetryAfter: c.retryAfter}
}

func orOpen(why string) string {
	if why == "" {
		return "open"
	}
	return why
}

// StopGroups ends the processes of groups: with drain when what runs has ended,
// at most graceful_timeout, else within shutdown_timeout. It returns when none
// is left. Requests are refused from the beginning on.
func (s *Supervisor) StopGroups(names []string, drain bool) error {
	end, err := s.begin()
	if err != nil {
		return err
	}
	defer end()
	groups, err := s.generation().named(names)
	if err != nil {
		return err
	}
	why, reason := closedStopped, exitreason.Stopped
	if drain {
		why = closedDrained
	}
	var wait sync.WaitGroup
	for _, g := range groups {
		g.close(closing{why: why, since: time.Now(), retryAfter: defaultRetryAfter})
		wait.Go(func() {
			g.resize(0, reason, !drain, nil)
			if g.awaitEmpty(s.ending) {
				g.log.Info("process group", "state", why)
			}
		})
	}
	wait.Wait()
	select {
	case <-s.ending:
		return errEnding
	default:
		return nil
	}
}

// awaitEmpty waits until no process is left; false: it was given up.
func (g *group) awaitEmpty(ending <-chan struct{}) bool {
	for {
		g.mu.Lock()
		var one *process
		for p := range g.processes {
			one = p
			break
		}
		g.mu.Unlock()
		if one == nil {
			return true
		}
		select {
		case <-one.done:
		case <-ending:
			return false
		}
	}
}

// StartGroups undoes StopGroups and Maintenance, and waits until the groups serve.
func (s *Supervisor) StartGroups(names []string) error {
	end, err := s.begin()
	if err != nil {
		return err
	}
	defer end()
	groups, err := s.generation().named(names)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if g.impossible != nil {
			return g.impossible
		}
		if g.closedFor() == "" {
			continue
		}
		g.backoff.reset()
		g.close(closing{})
		if err := s.awaitStart(g); err != nil {
			return err
		}
		s.generation().router.told()
		g.log.Info("process group", "state", "open")
	}
	return nil
}

// awaitStart gives a group its processes and waits until they are ready.
func (s *Supervisor) awaitStart(g *group) error {
	var settled sync.WaitGroup
	n := g.atStart()
	g.mu.Lock()
	missing := max(0, n-len(g.places))
	g.mu.Unlock()
	settled.Add(missing)
	g.resize(n, exitreason.ScaledDown, false, settled.Done)
	g.look()
	all := make(chan struct{})
	go func() { settled.Wait(); close(all) }()
	select {
	case <-all:
	case <-s.ending:
		return errEnding
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.countReady() < n && !g.config.Service() {
		why := ""
		if g.lastExit != nil {
			why = ": " + exitText(g.lastExit)
		}
		return fmt.Errorf("process group %q: a process did not come up%s; it is tried again", g.config.Name, why)
	}
	return nil
}

// keepClosed gives a group the state and size that the one before has, in a reload.
func (g *group) keepClosed(before *group) {
	before.mu.Lock()
	c, size := before.closing, len(before.places)
	before.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closing = c
	if g.elastic() { // it has the same load
		g.initial = size
	}
}

// shownState is the state of a closed group for status.
func (c *closing) show(out *status.Group) {
	if c.why == "" {
		return
	}
	out.State, out.ClosedSince = c.why, c.since
}
