package dispatch

import (
	"testing"
	"time"
	"unsafe"

	"github.com/wsgid/wsgid/internal/wire"
)

// jumped is t after somebody has set the clock of the machine by seconds: the
// monotonic reading goes on, the wall clock, which time.Time keeps above bit 30
// of its first word, does not.
func jumped(t *testing.T, at time.Time, seconds int64) time.Time {
	t.Helper()
	after := at
	*(*uint64)(unsafe.Pointer(&after)) += uint64(seconds) << 30 //nolint:gosec // both ways
	if d := time.Duration(seconds) * time.Second; after.Sub(at) != 0 || after.Round(0).Sub(at.Round(0)) != d {
		t.Fatalf("time.Time is made otherwise: %v, %v", after.Sub(at), after.Round(0).Sub(at.Round(0)))
	}
	return after
}

// timedFront is all that a timeout needs of a front.
type timedFront struct{ front }

func (timedFront) interrupt() {}

// TestClockJump: no timeout of the router looks at the wall clock.
func TestClockJump(t *testing.T) {
	for _, seconds := range []int64{3600, -3600} {
		now := time.Now()
		r := &Router{epoch: now.Add(-time.Hour)}
		x := &exchange{router: r, front: timedFront{}, listener: &listener{Listener: wire.Listener{HeaderTimeout: time.Minute, BodyTimeout: time.Minute}}}
		k := newKeeper(r)
		for _, p := range []phase{phaseHead, phaseBody} {
			x.enter(p)
			k.look(x, jumped(t, time.Now(), seconds))
			if why := x.killedBy(); why != notKilled {
				t.Errorf("phase %d ended with %d when the clock was set by %d s", p, why, seconds)
			}
			k.look(x, jumped(t, time.Now().Add(2*time.Minute), seconds))
			if why := x.killedBy(); why == notKilled {
				t.Errorf("phase %d goes on for ever when the clock was set by %d s", p, seconds)
			}
			x.killed = notKilled
		}
		x.answering.Store(r.clock())
		u := &upload{x: x}
		u.writing.Store(r.clock())
		x.upload = u
		if x.unjam(jumped(t, time.Now(), seconds)); u.jammed {
			t.Errorf("a body is jammed when the clock was set by %d s", seconds)
		}
		p := &prober{}
		start := time.Now()
		p.since.Store(&start)
		if err := p.look(jumped(t, start, seconds), time.Hour, time.Minute, nil); err != nil {
			t.Errorf("clock set by %d s: %v", seconds, err)
		}
		if err := p.look(jumped(t, start.Add(2*time.Minute), seconds), time.Hour, time.Minute, nil); err == nil {
			t.Errorf("the lock is waited for without end when the clock was set by %d s", seconds)
		}
	}
}
