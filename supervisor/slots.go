package supervisor

import (
	"sync"

	"github.com/wsgid/wsgid/internal/exitreason"
)

// slot is one place in a group, for one process after the other. It has one
// goroutine.
type slot struct {
	once sync.Once
	stop chan struct{} // closed: the group stops, or the place is given up

	mu     sync.Mutex
	reason exitreason.Reason // why the place is given up; None: the group stops, and ends the process itself
	hurry  bool              // end the process within shutdown_timeout, do not drain it
}

func newSlot() *slot { return &slot{stop: make(chan struct{})} }

func (s *slot) end() { s.once.Do(func() { close(s.stop) }) }

func (s *slot) ended() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// giveUp empties the place.
func (s *slot) giveUp(reason exitreason.Reason, hurry bool) {
	s.mu.Lock()
	s.reason, s.hurry = reason, hurry
	s.mu.Unlock()
	s.end()
}

func (s *slot) givenUp() (reason exitreason.Reason, hurry bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason, s.hurry
}

// resize makes the group one of n places. settled is called once for each new
// one when its first process is ready, which the router then has been told, or
// has failed; nil: nobody waits. Processes of places that are given up drain, or
// end at once.
func (g *group) resize(n int, reason exitreason.Reason, hurry bool, settled func()) {
	if settled == nil {
		settled = func() {}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.halted {
		n = 0
	}
	g.wanted = n
	for len(g.places) > n {
		g.idlest()
		last := len(g.places) - 1
		g.places[last].giveUp(reason, hurry)
		g.places = g.places[:last]
	}
	for len(g.places) < n {
		s := newSlot()
		g.places = append(g.places, s)
		g.slots.Go(func() { g.keep(s, settled) })
	}
}

// halt stops every slot: nothing is started any more. The processes go on.
func (g *group) halt() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.halted {
		return
	}
	g.halted = true
	close(g.stop)
	for _, s := range g.places {
		s.end()
	}
}

// vacate ends the process of a place that was given up. When the group stops
// that is not the slot's business.
func (g *group) vacate(s *slot, p *process) {
	reason, hurry := s.givenUp()
	switch {
	case reason == exitreason.None:
	case hurry:
		g.drains.Go(func() { p.terminate(reason) })
	default:
		p.retire(reason)
		g.drains.Go(func() { g.drain(p) })
	}
}

// abandon ends a process that was to take a place which was given up meanwhile.
func (g *group) abandon(p *process) {
	if !g.stopped() {
		g.drains.Go(func() { p.terminate(exitreason.ShutdownSignal) })
	}
}
