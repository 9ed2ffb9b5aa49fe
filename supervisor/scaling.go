package supervisor

import (
	"fmt"
	"time"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/exitreason"
)

const (
	// lookEvery is how often a group that has more processes than it must have
	// is looked at. One that has not is not looked at at all.
	lookEvery = time.Second
	// rushTime: who wants more processes again so soon gets twice as many.
	rushTime = 2 * time.Second
	// largestRush bounds how many processes are started at once.
	largestRush = 32
)

// scaler is what a group that grows and shrinks remembers. Its goroutine alone
// uses it.
type scaler struct {
	rush     int       // processes that were started last
	grown    time.Time // when
	finished uint64    // requests
	active   time.Time // when that changed, or a request ran
	surplus  time.Time // since when there are more processes than needed; zero: there are not
}

// elastic says whether the group grows and shrinks by itself.
func (g *group) elastic() bool { return g.config.Elastic() }

// floor is how many processes the group always has. g.mu is held.
func (g *group) floor() int {
	switch g.config.Scaling {
	case config.ScalingDynamic:
		return min(max(g.config.MinProcesses, g.config.MinSpare), g.limit)
	case config.ScalingOnDemand:
		return 0
	}
	return g.limit
}

// atMost is how many processes the group may have.
func (g *group) atMost() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limit
}

// want is the router's word that so many threads are missing: requests wait for
// them, or there are fewer spare ones than min_spare.
func (g *group) want(waiting int) {
	select {
	case g.demand <- waiting:
	default: // it is known already
	}
}

// scale grows the group when requests wait, and lets it shrink when processes
// have had nothing to do for idle_timeout, until the group stops.
func (g *group) scale() {
	var s scaler
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	ticker.Stop()
	looking := false
	for {
		g.mu.Lock()
		// While a generation comes up each of its processes is waited for.
		more := len(g.places) > g.floor() && g.serves.Load()
		g.mu.Unlock()
		switch {
		case more && !looking:
			s.surplus, s.active = time.Time{}, time.Now()
			ticker.Reset(lookEvery)
		case !more && looking:
			ticker.Stop()
		}
		looking = more
		select {
		case <-g.stop:
			return
		case waiting := <-g.demand:
			g.grow(&s, waiting)
		case <-g.rescaled:
		case now := <-ticker.C:
			g.shrink(&s, now)
		}
	}
}

// grow starts processes for requests that wait: one, and twice as many as before
// if that was not enough.
func (g *group) grow(s *scaler, waiting int) {
	now := time.Now()
	if now.Sub(s.grown) < rushTime {
		s.rush = min(2*s.rush, largestRush)
	} else {
		s.rush = 1
	}
	needed := (waiting + g.config.Threads - 1) / g.config.Threads
	g.mu.Lock()
	have, closed := len(g.places), g.closing.why
	n := min(have+max(1, min(needed, s.rush)), g.limit)
	g.mu.Unlock()
	if n <= have || closed == closedStopped || closed == closedDrained {
		return
	}
	g.log.Debug("group grows", "processes", n, "waiting", waiting)
	s.grown = now
	g.resize(n, exitreason.None, false, nil)
}

// shrink gives up one place when there are more than the load needs and
// max_spare, and that has been so for idle_timeout.
func (g *group) shrink(s *scaler, now time.Time) {
	busy, finished, ready := g.load()
	if finished != s.finished || busy > 0 {
		s.finished, s.active = finished, now
	}
	needed := (busy+g.config.Threads-1)/g.config.Threads + g.config.MaxSpare
	if g.config.Scaling == config.ScalingOnDemand && now.Sub(s.active) >= g.config.IdleTimeout {
		needed = 0
	} else {
		needed = max(needed, 1)
	}
	g.mu.Lock()
	needed = max(needed, g.floor())
	g.mu.Unlock()
	if ready <= needed {
		s.surplus = time.Time{}
		return
	}
	if s.surplus.IsZero() {
		s.surplus = now
	}
	idle := now.Sub(s.surplus) >= g.config.IdleTimeout || needed == 0
	if !idle {
		return
	}
	g.mu.Lock()
	n := len(g.places) - 1
	g.mu.Unlock()
	g.log.Debug("group shrinks", "processes", n)
	g.resize(max(n, needed), exitreason.ScaledDown, false, nil)
}

// load reads the scoreboards: threads that run something, requests ever served,
// processes that are ready.
func (g *group) load() (busy int, finished uint64, ready int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	finished = g.ended.requests
	for p := range g.processes {
		board := p.board.Read()
		finished += board.Finished
		if p.state.get() == stateReady {
			ready++
			busy += board.Busy()
		}
	}
	return busy, finished, ready
}

// idlest moves the place that has least to do to the end of places. g.mu is held.
func (g *group) idlest() {
	busy := map[*slot]int{}
	for p := range g.processes {
		if p.state.get() == stateReady {
			board := p.board.Read()
			busy[p.slot] += board.Busy()
		}
	}
	last := len(g.places) - 1
	for i, s := range g.places {
		if busy[s] < busy[g.places[last]] {
			g.places[i], g.places[last] = g.places[last], s
		}
	}
}

// Scale sets how many processes a group has, or, if it grows and shrinks by
// itself, how many at most, until the next reload.
func (s *Supervisor) Scale(name string, n int) error {
	end, err := s.begin()
	if err != nil {
		return err
	}
	defer end()
	groups, err := s.generation().named([]string{name})
	if err != nil {
		return err
	}
	g := groups[0]
	closed := g.closedFor()
	switch {
	case n < 1 || n > config.MaxProcesses:
		return fmt.Errorf("a process group has 1 to %d processes; stop it to have none", config.MaxProcesses)
	case g.impossible != nil:
		return g.impossible
	case closed == closedStopped || closed == closedDrained:
		return fmt.Errorf("process group %q is %s; start it", name, closed)
	}
	g.mu.Lock()
	g.limit = n
	have := len(g.places)
	g.mu.Unlock()
	if !g.elastic() {
		err = s.awaitStart(g)
	} else if have > n {
		g.resize(n, exitreason.ScaledDown, false, nil)
	}
	g.look()
	g.log.Info("scaled", "processes", n)
	return err
}

// serve: requests come to the group.
func (g *group) serve() {
	g.serves.Store(true)
	g.look()
}

// look has scale see that the group has another size.
func (g *group) look() {
	select {
	case g.rescaled <- struct{}{}:
	default:
	}
}
