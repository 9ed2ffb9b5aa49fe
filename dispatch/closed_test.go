package dispatch

import (
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/wire"
)

func (r *running) state(s wire.GroupState) {
	r.t.Helper()
	s.Name, s.Available = "web", true
	r.send(&wire.Message{Type: wire.TypeGroup, Group: &s})
	r.query() // it has acted on it
}

// TestClosedGroup: further requests are refused, those that run or wait are
// served; with its last process those that wait are refused, too.
func TestClosedGroup(t *testing.T) {
	handle, release := blocking()
	r, _ := oneGroup(t, nil, handle, 1)
	busy, waiting := r.front(), r.front()
	busy.begin("/busy")
	r.await("running", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 })
	waiting.begin("/waiting")
	r.await("waiting", func(s *wire.RouterStatus) bool { return s.Groups[0].Queued == 1 })
	r.state(wire.GroupState{Closed: "in maintenance", RetryAfter: 90 * time.Second})
	f := r.front()
	a := r.mustGet(f, "/more")
	if a.status() != "503 Service Unavailable" || a.retryAfter() < 1 || a.retryAfter() > 90 || !strings.Contains(a.header, "WSGID-1038") {
		t.Errorf("%+v", a)
	}
	release <- struct{}{}
	release <- struct{}{}
	for _, f := range []*fakeFront{busy, waiting} {
		if a, err := f.read(); err != nil || a.body != "done" {
			t.Errorf("%+v %v", a, err)
		}
	}
	r.await("idle", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 0 })
	r.state(wire.GroupState{})
	busy.begin("/busy")
	r.await("running", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 })
	waiting.begin("/waiting")
	r.await("waiting", func(s *wire.RouterStatus) bool { return s.Groups[0].Queued == 1 })
	r.state(wire.GroupState{Closed: "stopped"})
	r.process("web", 100, 1, wire.ProcessRetire)
	if a, err := waiting.read(); err != nil || !strings.Contains(a.header, "WSGID-1038") {
		t.Errorf("%+v %v", a, err)
	}
	release <- struct{}{}
	if a, err := busy.read(); err != nil || a.body != "done" {
		t.Errorf("%+v %v", a, err)
	}
}

// TestWantedSpare: a group asks before anybody has to wait, as soon as fewer
// threads than it shall have are free.
func TestWantedSpare(t *testing.T) {
	handle, release := blocking()
	defer close(release)
	r, g := oneGroup(t, func(c *wire.RouterConfig) { c.Groups[0].Elastic, c.Groups[0].SpareThreads = true, 2 }, handle, 3)
	for i := range 2 {
		r.front().begin("/")
		r.await("running", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == i+1 })
		if i == 0 && len(r.wanted) != 0 {
			t.Errorf("asked for %+v while two are free", <-r.wanted)
		}
	}
	if got := <-r.wanted; got.Group != "web" || got.Waiting != 1 {
		t.Errorf("%+v", got)
	}
	g.start(200, 3)
	r.process("web", 200, 3, wire.ProcessReady)
	r.await("connections", func(s *wire.RouterStatus) bool { return s.Groups[0].Connections == 6 })
	r.front().begin("/")
	r.await("running", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 3 })
	if s := r.query().Groups[0]; s.QueuedTotal != 0 || len(r.wanted) != 0 {
		t.Errorf("%+v, asked %d times more", s, len(r.wanted))
	}
}

// TestWanted: a group that may grow asks when a request has to wait, and again
// only when one of its processes has come or gone.
func TestWanted(t *testing.T) {
	handle, release := blocking()
	defer close(release)
	r, g := oneGroup(t, func(c *wire.RouterConfig) { c.Groups[0].Elastic = true }, handle)
	fronts := make([]*fakeFront, 4)
	for i := range fronts {
		fronts[i] = r.front()
		fronts[i].begin("/")
		r.await("waiting", func(s *wire.RouterStatus) bool { return s.Groups[0].Queued == i+1 })
	}
	if got := <-r.wanted; got.Group != "web" || got.Waiting != 1 {
		t.Errorf("%+v", got)
	}
	g.start(100, 1)
	r.process("web", 100, 1, wire.ProcessReady)
	if got := <-r.wanted; got.Waiting < 3 {
		t.Errorf("%+v", got)
	}
	r.await("running", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 })
	if len(r.wanted) != 0 {
		t.Errorf("asked again: %+v", <-r.wanted)
	}
}
