package supervisor

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/exitreason"
	"github.com/wsgid/wsgid/internal/status"
)

// errGone: the process to be replaced has ended, and another one is there.
var errGone = errors.New("it has ended meanwhile")

// restart puts a new process into the place of each, at most max_surge at a time
// beside those that are configured: the new one first, then the old one drains.
// It stops at the first that does not come up or cannot import what the old one
// can. It returns how many were replaced.
func (g *group) restart() (replaced int, err error) {
	g.mu.Lock()
	var before []*process
	for p := range g.processes {
		if s := p.state.get(); s == stateReady || s == stateStarting {
			before = append(before, p)
		}
	}
	g.mu.Unlock()
	work := make(chan *process, len(before))
	for _, p := range before {
		work <- p
	}
	close(work)
	var mu sync.Mutex
	var wait sync.WaitGroup
	for range max(1, g.config.MaxSurge) {
		wait.Go(func() {
			for p := range work {
				mu.Lock()
				failed := err != nil
				mu.Unlock()
				if failed {
					return
				}
				problem := p.restart()
				mu.Lock()
				switch {
				case problem == nil:
					replaced++
				case !errors.Is(problem, errGone) && err == nil:
					err = problem
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return replaced, err
}

// restart asks the slot of p for another process, and waits.
func (p *process) restart() error {
	answer := make(chan error, 1)
	select {
	case p.restarts <- answer:
	case <-p.done:
		return errGone
	case <-p.retiring:
		return errGone
	case <-p.slot.stop:
		return errGone
	}
	return <-answer
}

// renovate puts another process into the place of p, as restart wants it.
func (g *group) renovate(p *process) (*process, error) {
	if g.config.Service() { // not twice at once
		p.retire(exitreason.Restart)
		return nil, nil //nolint:nilnil // its slot starts the next one when it has ended
	}
	t := &trial{allowed: map[scriptKey]bool{}, loaded: make(chan struct{})}
	for _, key := range g.knownBroken() {
		t.allowed[key] = true
	}
	next, err := g.startProcess(p.slot, nil, t)
	if err != nil {
		return nil, err
	}
	if !g.await(next, t.loaded) {
		g.abandon(next)
		if exit := next.exited(); exit != nil {
			return nil, fmt.Errorf("a new process did not come up: %s", exitText(exit))
		}
		return nil, errGone
	}
	for key := range next.brokenKeys() {
		if !t.allowed[key] {
			g.drains.Go(func() { next.terminate(exitreason.ImportFailed) })
			return nil, fmt.Errorf("a new process cannot import %s, which those before can; the log says why", escape.Line(key.path))
		}
	}
	if err := next.admit(); err != nil || !g.await(next, next.serving) {
		g.abandon(next)
		return nil, errors.New("a new process has ended before it served; the log says why")
	}
	p.retire(exitreason.Restart)
	g.drains.Go(func() { g.drain(p) })
	return next, nil
}

// knownBroken are the scripts that the group cannot import.
func (g *group) knownBroken() []scriptKey {
	g.mu.Lock()
	defer g.mu.Unlock()
	var keys []scriptKey
	for key := range g.loadErrors {
		keys = append(keys, key)
	}
	return keys
}

func exitText(exit *status.Exit) string {
	if exit.Error != "" {
		return exit.Reason + ": " + exit.Error
	}
	return exit.Reason
}

// Restart replaces the processes of the groups, one group after the other.
func (s *Supervisor) Restart(names []string) *status.Restart {
	started := time.Now()
	outcome := &status.Restart{Groups: names}
	end, err := s.begin()
	if err != nil {
		outcome.Error = err.Error()
		return outcome
	}
	defer end()
	groups, err := s.generation().named(names)
	if err != nil {
		outcome.Error = err.Error()
		return outcome
	}
	for _, g := range groups {
		if closed := g.closedFor(); closed == closedStopped || closed == closedDrained {
			outcome.Error = fmt.Sprintf("process group %q is %s; start it", g.config.Name, closed)
			break
		}
		n, err := g.restart()
		outcome.Replaced += n
		if err != nil {
			outcome.Error = fmt.Sprintf("process group %q: %v", g.config.Name, err)
			g.log.Error("not restarted", "replaced", n, "error", err)
			break
		}
		g.log.Info("restarted", "processes", n)
	}
	outcome.Seconds = time.Since(started).Seconds()
	return outcome
}

// begin waits for the turn of a command that changes groups.
func (s *Supervisor) begin() (end func(), err error) {
	select {
	case s.turn <- struct{}{}:
	case <-s.ending:
		return nil, errEnding
	}
	if phase := s.currentPhase(); phase != phaseReady {
		<-s.turn
		return nil, fmt.Errorf("wsgid is %s: wait until it is ready", phase)
	}
	return func() { <-s.turn }, nil
}

// named finds groups; none named are all.
func (g *generation) named(names []string) ([]*group, error) {
	if len(names) == 0 {
		return g.groups, nil
	}
	var groups []*group
	for _, name := range names {
		group := g.find(name)
		if group == nil {
			return nil, fmt.Errorf("there is no process group %q; there are %s", name, g.names())
		}
		groups = append(groups, group)
	}
	return groups, nil
}
