package dispatch

import (
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

// blocking gives handlers that wait, and what lets one of them go on.
func blocking() (handle func(*fakeRequest), release chan struct{}) {
	release = make(chan struct{})
	return func(q *fakeRequest) {
		q.body()
		<-release
		q.reply("done")
	}, release
}

func (f *fakeFront) begin(path string) {
	f.t.Helper()
	if _, err := f.Write(requestBytes(1, protocol.FlagKeepConn, nil, "REQUEST_METHOD", "GET", "PATH_INFO", path, "SCRIPT_NAME", "")); err != nil {
		f.t.Fatal(err)
	}
}

func TestQueueIsBoundedAndFirstInFirstOut(t *testing.T) {
	handle, release := blocking()
	r, _ := oneGroup(t, func(c *wire.RouterConfig) { c.Groups[0].QueueLength = 2 }, handle, 1)
	fronts := make([]*fakeFront, 3)
	for i := range fronts {
		fronts[i] = r.front()
		fronts[i].begin("/")
		r.await("waiting", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 && s.Groups[0].Queued == i })
	}
	a := r.mustGet(r.front(), "/")
	if a.status() != "503 Service Unavailable" || !strings.Contains(a.header, "WSGID-1012") || !strings.Contains(a.header, "Retry-After: 1") {
		t.Errorf("queue full: %+v", a)
	}
	for _, f := range fronts {
		release <- struct{}{}
		if a, err := f.read(); err != nil || a.body != "done" {
			t.Errorf("%+v %v", a, err)
		}
	}
	r.await("counting", func(s *wire.RouterStatus) bool {
		return s.Groups[0].Rejected == 1 && s.Groups[0].Queued == 0 && s.Errors == 1
	})
	r.wantLog("[WARN]  too many requests are waiting: code=WSGID-1012")
}

// TestConnectTimeout: who finds the queue full, or no process, tries for a while.
func TestConnectTimeout(t *testing.T) {
	const limit = 300 * time.Millisecond
	short := func(c *wire.RouterConfig) { c.Groups[0].QueueLength, c.Groups[0].ConnectTimeout = 1, limit }
	t.Run("full", func(t *testing.T) {
		handle, release := blocking()
		r, _ := oneGroup(t, short, handle, 1)
		fronts := make([]*fakeFront, 4)
		began := time.Now()
		for i := range fronts {
			fronts[i] = r.front()
			fronts[i].begin("/")
			if i < 2 { // the others may have been refused already on a slow machine
				r.await("waiting", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 && s.Groups[0].Queued == i })
			}
		}
		for _, f := range fronts[2:] { // one runs, one has the place in the queue
			a, err := f.read()
			if err != nil || a.status() != "503 Service Unavailable" || !strings.Contains(a.header, "WSGID-1012") {
				t.Errorf("%+v %v", a, err)
			}
			if took := time.Since(began); took < limit {
				t.Errorf("refused after %v", took)
			}
		}
		close(release)
		for _, f := range fronts[:2] {
			if a, err := f.read(); err != nil || a.body != "done" {
				t.Errorf("%+v %v", a, err)
			}
		}
		r.await("counting", func(s *wire.RouterStatus) bool { return s.Groups[0].Rejected == 2 && s.Groups[0].Queued == 0 })
	})
	t.Run("a place becomes free", func(t *testing.T) {
		handle, release := blocking()
		r, _ := oneGroup(t, func(c *wire.RouterConfig) { short(c); c.Groups[0].ConnectTimeout = time.Hour }, handle, 1)
		fronts := make([]*fakeFront, 3)
		for i := range fronts {
			fronts[i] = r.front()
			fronts[i].begin("/")
			r.await("waiting", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 && s.Groups[0].Queued == i })
		}
		close(release)
		for _, f := range fronts {
			if a, err := f.read(); err != nil || a.body != "done" {
				t.Errorf("%+v %v", a, err)
			}
		}
	})
	t.Run("no process", func(t *testing.T) {
		r, _ := oneGroup(t, short, echoPath)
		away := &wire.Message{Type: wire.TypeGroup, Group: &wire.GroupState{Name: "web", Reason: "crash loop"}}
		r.send(away)
		f := r.front()
		began := time.Now()
		if a := r.mustGet(f, "/"); !strings.Contains(a.header, "WSGID-1014") || time.Since(began) < limit {
			t.Errorf("after %v: %+v", time.Since(began), a)
		}
	})
	t.Run("no process any more", func(t *testing.T) {
		r, _ := oneGroup(t, func(c *wire.RouterConfig) { short(c); c.Groups[0].QueueLength = 2 }, echoPath)
		f := r.front()
		f.begin("/")
		r.await("having tried", func(s *wire.RouterStatus) bool { return s.Groups[0].LongestWait > limit })
		r.send(&wire.Message{Type: wire.TypeGroup, Group: &wire.GroupState{Name: "web", Reason: "crash loop"}})
		if a, err := f.read(); err != nil || !strings.Contains(a.header, "WSGID-1014") {
			t.Errorf("%+v %v", a, err)
		}
	})
}

func TestQueueTimeout(t *testing.T) {
	handle, release := blocking()
	r, _ := oneGroup(t, func(c *wire.RouterConfig) { c.Groups[0].QueueTimeout = 50 * time.Millisecond }, handle, 1)
	busy := r.front()
	busy.begin("/")
	r.await("running", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 })
	a := r.mustGet(r.front(), "/")
	if a.status() != "504 Gateway Timeout" || !strings.Contains(a.header, "WSGID-1013") {
		t.Errorf("%+v", a)
	}
	if s := r.query().Groups[0]; s.QueueTimeouts != 1 || s.QueuedTotal != 1 || s.Rejected != 0 || s.LongestWait != 0 {
		t.Errorf("%+v", s)
	}
	r.wantLog("[WARN]  waited too long for a free thread: code=WSGID-1013", "waiting=0")
	close(release)
	if a, err := busy.read(); err != nil || a.body != "done" {
		t.Errorf("%+v %v", a, err)
	}
}

func TestWaitingClientGivesUp(t *testing.T) {
	handle, release := blocking()
	r, _ := oneGroup(t, nil, handle, 1)
	busy := r.front()
	busy.begin("/")
	r.await("running", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 })
	gone := r.front()
	gone.begin("/")
	r.await("waiting", func(s *wire.RouterStatus) bool { return s.Groups[0].Queued == 1 })
	gone.Close()
	r.await("giving up", func(s *wire.RouterStatus) bool { return s.Groups[0].Queued == 0 })
	close(release)
	if a, err := busy.read(); err != nil || a.body != "done" {
		t.Errorf("%+v %v", a, err)
	}
}

func TestUnavailableGroup(t *testing.T) {
	r, _ := oneGroup(t, nil, echoPath)
	f := r.front()
	f.begin("/")
	r.await("waiting", func(s *wire.RouterStatus) bool { return s.Groups[0].Queued == 1 })
	r.send(&wire.Message{Type: wire.TypeGroup, Group: &wire.GroupState{Name: "web", RetryAfter: 70 * time.Second, Reason: "crash loop"}})
	a, err := f.read()
	if err != nil || a.status() != "503 Service Unavailable" || !strings.Contains(a.header, "WSGID-1014") || a.retryAfter() < 1 || a.retryAfter() > 70 {
		t.Errorf("who waited: %+v %v", a, err)
	}
	if a := r.mustGet(f, "/"); !strings.Contains(a.header, "WSGID-1014") {
		t.Errorf("who comes later: %+v", a)
	}
	r.wantLog("WSGID-1014")
	for left := a.retryAfter(); left >= a.retryAfter(); time.Sleep(tick) { // until time has passed
		now := r.mustGet(f, "/").retryAfter()
		if now < 1 || now > left {
			t.Fatalf("Retry-After: %d after %d", now, left)
		}
		left = now
	}
	// An error once a change of the state; the requests are warnings.
	if n := strings.Count(r.log.String(), "[ERROR]"); n != 1 || !strings.Contains(r.log.String(), "[ERROR] group is not available: group=web reason=\"crash loop\"") {
		t.Errorf("%d errors", n)
	}
}

func TestFewestInFlightThenLastUsed(t *testing.T) {
	handle, release := blocking()
	pids := make(chan int, 10)
	r, _ := oneGroup(t, nil, func(q *fakeRequest) {
		pids <- q.pid
		handle(q)
	}, 2, 2)
	a, b := r.front(), r.front()
	a.begin("/")
	b.begin("/")
	if first, second := <-pids, <-pids; first == second {
		t.Errorf("both requests went to process %d", first)
	}
	close(release)
	a.read()
	b.read()
	r.await("idle", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 0 })
	r.mustGet(a, "/")
	last := <-pids
	for range 5 {
		r.mustGet(a, "/")
		if pid := <-pids; pid != last {
			t.Errorf("an idle group moved from process %d to %d", last, pid)
		}
	}
}

func TestRetire(t *testing.T) {
	handle, release := blocking()
	r, g := oneGroup(t, nil, handle, 2)
	f := r.front()
	f.begin("/")
	r.await("running", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 })
	g.mu.Lock()
	g.procs[100].dead = true // its threads accept nothing any more
	g.mu.Unlock()
	r.process("web", 100, 0, wire.ProcessRetire)
	r.await("closing idle connections", func(s *wire.RouterStatus) bool { return s.Groups[0].Connections == 1 })
	select {
	case p := <-r.retired:
		t.Errorf("%+v retired while a request runs", p)
	default:
	}
	close(release)
	if a, err := f.read(); err != nil || a.body != "done" {
		t.Errorf("%+v %v", a, err)
	}
	select {
	case p := <-r.retired:
		if p.PID != 100 || p.Group != "web" {
			t.Errorf("%+v", p)
		}
	case <-time.After(longWait):
		t.Error("no answer to retire")
	}
	r.process("web", 999, 0, wire.ProcessRetire)
	select {
	case p := <-r.retired:
		if p.PID != 999 {
			t.Errorf("%+v", p)
		}
	case <-time.After(longWait):
		t.Error("no answer for an unknown process")
	}
}

func TestStopLetsRequestsFinish(t *testing.T) {
	handle, release := blocking()
	r, _ := oneGroup(t, nil, handle, 1)
	idle, f := r.front(), r.front()
	f.begin("/")
	r.await("running", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 && s.Connections == 2 })
	r.send(&wire.Message{Type: wire.TypeStop, Stop: &wire.Stop{Grace: longWait}})
	if _, err := idle.Read(make([]byte, 1)); err == nil {
		t.Error("an idle connection got something")
	}
	close(release)
	if a, err := f.read(); err != nil || a.body != "done" {
		t.Errorf("%+v %v", a, err)
	}
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	r.done <- nil
}

func TestStopEndsWhatDoesNotFinish(t *testing.T) {
	handle, release := blocking()
	defer close(release)
	r, _ := oneGroup(t, nil, handle, 1)
	running, waiting := r.front(), r.front()
	running.begin("/")
	r.await("running", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 })
	waiting.begin("/")
	r.await("waiting", func(s *wire.RouterStatus) bool { return s.Groups[0].Queued == 1 })
	r.send(&wire.Message{Type: wire.TypeStop, Stop: &wire.Stop{Grace: 50 * time.Millisecond}})
	for _, f := range []*fakeFront{running, waiting} {
		if a, err := f.read(); err != nil || !strings.Contains(a.header, "WSGID-1025") {
			t.Errorf("%+v %v", a, err)
		}
	}
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	r.done <- nil
}

// While all processes are being replaced there is nobody to take a request,
// but there will be.
func TestAllRetiringQueues(t *testing.T) {
	r, g := oneGroup(t, nil, func(q *fakeRequest) {
		q.body()
		q.reply("from the new one")
	}, 1, 1)
	g.mu.Lock()
	g.procs[100].dead, g.procs[101].dead = true, true
	g.mu.Unlock()
	r.process("web", 100, 0, wire.ProcessRetire)
	r.process("web", 101, 0, wire.ProcessRetire)
	for range 2 {
		select {
		case <-r.retired:
		case <-time.After(longWait):
			t.Fatal("not retired")
		}
	}
	f := r.front()
	f.begin("/")
	r.await("waiting", func(s *wire.RouterStatus) bool { return s.Groups[0].Queued == 1 })
	g.start(200, 1)
	r.process("web", 200, 1, wire.ProcessReady)
	if a, err := f.read(); err != nil || a.body != "from the new one" {
		t.Errorf("%+v %v", a, err)
	}
}
