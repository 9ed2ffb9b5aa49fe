package dispatch

import (
	"sync/atomic"
	"time"
)

const (
	// tick is how finely timeouts are kept.
	tick = 100 * time.Millisecond
	// hurryFor is how long the housekeeper waits for a client that does not take
	// the few bytes of an error: they fit into any socket's buffer, and a busy
	// machine may take its time to get as far as the write.
	hurryFor = 2 * time.Second
	// lookAfter is how long a request runs before the housekeeper asks whether
	// the client is still there: short ones pay nothing for it. Of one that
	// waits for a thread it asks at once, for its place in the queue.
	lookAfter = 100 * time.Millisecond
)

// keeper is the housekeeping of the router: it ticks only while requests are
// in flight, so that an idle router never wakes up.
type keeper struct {
	router *Router
	active atomic.Int64
	asleep atomic.Bool
	wake   chan struct{}

	patience patience
}

func newKeeper(r *Router) *keeper {
	return &keeper{router: r, wake: make(chan struct{}, 1)}
}

// begin and end count requests in flight.
func (k *keeper) begin() {
	k.active.Add(1)
	if k.asleep.Load() {
		select {
		case k.wake <- struct{}{}:
		default:
		}
	}
}

func (k *keeper) end() { k.active.Add(-1) }

// run ticks until the router ends.
func (k *keeper) run() {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		if k.active.Load() == 0 {
			t.Stop()
			k.asleep.Store(true)
			if k.active.Load() == 0 { // none began before it could see that we sleep
				select {
				case <-k.wake:
				case <-k.router.ctx.Done():
					return
				}
			}
			k.asleep.Store(false)
			t.Reset(tick)
		}
		select {
		case now := <-t.C:
			k.router.fronts.each(func(x *exchange) { k.look(x, now) })
			k.router.lookAtPython(now)
			k.patience.look(now)
		case <-k.router.ctx.Done():
			return
		}
	}
}

// look ends an exchange that has run out of time or whose client is gone.
func (k *keeper) look(x *exchange, now time.Time) {
	p := x.phase.Load()
	if p == phaseIdle {
		return
	}
	lasted := time.Duration(k.router.clockAt(now) - x.since.Load())
	l := x.listener
	switch p {
	case phaseHead:
		if l.HeaderTimeout > 0 && lasted > l.HeaderTimeout {
			x.kill(headTimeout)
		}
	case phaseBody:
		if l.BodyTimeout > 0 && lasted > l.BodyTimeout {
			x.kill(bodyTimeout)
		}
	case phaseWaiting, phaseRunning:
		if p == phaseWaiting || lasted > lookAfter {
			if why := x.front.gone(); why != notKilled {
				x.kill(why)
			}
		}
	}
	x.unjam(now)
}
