package dispatch

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/internal/wire"
)

// drain serves the queue and names who got a turn, in order.
func (q *waitQueue) drain(names map[*waiter]string) string {
	var order []string
	for q.length > 0 {
		before := map[*waiter]bool{}
		for i := range q.lists {
			for w := q.lists[i].first; w != nil; w = w.next {
				before[w] = true
			}
		}
		one := &workerConn{}
		q.serve(func(int) *workerConn {
			c := one
			one = nil
			return c
		})
		for w := range before {
			if !w.queued {
				order = append(order, names[w])
			}
		}
	}
	return strings.Join(order, " ")
}

// TestQueueOrder: each row is who arrives, as priority and name.
func TestQueueOrder(t *testing.T) {
	for _, row := range []struct{ arrive, want string }{
		{"5a 5b 5c 5d 5e", "a b c d e"},
		{"5a 9b 0c 5d", "b a d c"},
		{"0a 9b 9c 9d 9e 9f 9g 9h 0i", "b c d a e f g h i"},
		{"0a 9b 9c 9d 9e 0f 9g 9h 9i", "b c d a e g h i f"},
		// The oldest has the highest priority: nobody is overtaken.
		{"9a 9b 9c 9d 9e 0f", "a b c d e f"},
	} {
		var q waitQueue
		names := map[*waiter]string{}
		for _, who := range strings.Fields(row.arrive) {
			w := &waiter{got: make(chan *workerConn, 1), priority: int(who[0] - '0'), ticket: q.ticket(true)}
			names[w] = who[1:]
			q.push(w)
		}
		if got := q.drain(names); got != row.want {
			t.Errorf("%s: served %s, want %s", row.arrive, got, row.want)
		}
	}
}

// TestQueueGivesPlacesBack: whoever comes back stands where he stood, wherever
// that is, and leaving from anywhere keeps the order of the others.
func TestQueueGivesPlacesBack(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var q waitQueue
	names := map[*waiter]string{}
	var all, away []*waiter
	early := q.ticket(false) // was given a thread when nobody waited
	for i := range 50 {
		w := &waiter{got: make(chan *workerConn, 1), ticket: q.ticket(true)}
		names[w] = strconv.Itoa(i)
		all = append(all, w)
		q.push(w)
	}
	for _, w := range all {
		if random.IntN(2) == 0 {
			q.remove(w)
			away = append(away, w)
		}
	}
	random.Shuffle(len(away), func(i, j int) { away[i], away[j] = away[j], away[i] })
	for _, w := range away {
		q.push(w)
	}
	first := &waiter{got: make(chan *workerConn, 1), ticket: early}
	names[first] = "early"
	q.push(first)
	want := "early"
	for _, w := range all {
		want += " " + names[w]
	}
	if got := q.drain(names); got != want {
		t.Errorf("served %s", got)
	}
}

// TestQueueOrderUnderLoad: many clients of three mounts wait for one thread;
// those of a mount are served as they came, and the others as the rule says.
func TestQueueOrderUnderLoad(t *testing.T) {
	const clients = 60
	served := make(chan string, clients+1)
	release := make(chan struct{})
	r, _ := oneGroup(t, func(c *wire.RouterConfig) {
		for i, prefix := range []string{"/low", "/high"} {
			m := fileMount(prefix, "/srv/site.wsgi", "web")
			m.Priority = 9 * i
			c.Mounts = append([]wire.Mount{m}, c.Mounts...)
		}
	}, func(q *fakeRequest) {
		q.body()
		if q.env["SCRIPT_NAME"] == "" {
			<-release
		}
		served <- q.env["SCRIPT_NAME"] + q.env["PATH_INFO"]
		q.reply("done")
	}, 1)
	busy := r.front()
	busy.begin("/")
	r.await("running", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 })
	fronts := make([]*fakeFront, clients)
	var low, high []string
	for i := range fronts {
		fronts[i] = r.front()
		path := "/low/" + strconv.Itoa(i)
		if i%2 == 1 {
			path = "/high/" + strconv.Itoa(i)
			high = append(high, path)
		} else {
			low = append(low, path)
		}
		fronts[i].begin(path)
		r.await("waiting", func(s *wire.RouterStatus) bool { return s.Groups[0].Queued == i+1 })
	}
	if s := r.query().Groups[0]; s.QueuedTotal != clients || s.LongestWait <= 0 || s.Rejected != 0 {
		t.Errorf("%+v", s)
	}
	close(release)
	<-served
	overtaking := 0
	for range fronts {
		got := <-served
		next := &low
		if strings.HasPrefix(got, "/high") {
			next = &high
		}
		if len(*next) == 0 || (*next)[0] != got {
			t.Fatalf("served %s; low %v, high %v", got, low, high)
		}
		*next = (*next)[1:]
		if next == &low {
			overtaking = 0
		} else if overtaking++; overtaking > maxOvertaking && len(low) > 0 {
			t.Errorf("%d requests in a row before %s", overtaking, low[0])
		}
	}
	for _, f := range append(fronts, busy) {
		if a, err := f.read(); err != nil || a.body != "done" {
			t.Errorf("%+v %v", a, err)
		}
	}
}

// TestRefusedRequestKeepsItsPlace: a request that its process does not take
// comes before those that waited meanwhile, though the queue is full.
func TestRefusedRequestKeepsItsPlace(t *testing.T) {
	refuse, release := make(chan struct{}), make(chan struct{})
	served := make(chan string, 10)
	r, g := oneGroup(t, func(c *wire.RouterConfig) { c.Groups[0].QueueLength = 2 }, func(q *fakeRequest) {
		q.body()
		if q.pid == 100 {
			<-refuse
			q.refuse()
			return
		}
		<-release
		served <- q.env["PATH_INFO"]
		q.reply("done")
	}, 1)
	fronts := make([]*fakeFront, 3)
	for i := range fronts {
		fronts[i] = r.front()
		fronts[i].begin("/" + strconv.Itoa(i))
		r.await("waiting", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 && s.Groups[0].Queued == i })
	}
	close(refuse)
	r.await("waiting again", func(s *wire.RouterStatus) bool { return s.Groups[0].Queued == 3 })
	close(release)
	g.start(200, 1)
	r.process("web", 200, 1, wire.ProcessReady)
	for i, f := range fronts {
		if got := <-served; got != "/"+strconv.Itoa(i) {
			t.Errorf("served %s, want /%d", got, i)
		}
		if a, err := f.read(); err != nil || a.body != "done" {
			t.Errorf("%+v %v", a, err)
		}
	}
	if s := r.query().Groups[0]; s.QueuedTotal != 2 || s.Rejected != 0 { // the first found a thread at once
		t.Errorf("%+v", s)
	}
}

// TestDepartedClientIsNotServed: the thread becomes free before the housekeeper
// has looked; the request of a client that has gone does not get it.
func TestDepartedClientIsNotServed(t *testing.T) {
	paths := make(chan string, 3)
	handle, release := blocking()
	r, _ := oneGroup(t, nil, func(q *fakeRequest) {
		paths <- q.env["PATH_INFO"]
		handle(q)
	}, 1)
	busy := r.front()
	busy.begin("/busy")
	<-paths
	gone, stays := r.front(), r.front()
	gone.begin("/gone")
	r.await("waiting", func(s *wire.RouterStatus) bool { return s.Groups[0].Queued == 1 })
	stays.begin("/stays")
	r.await("waiting", func(s *wire.RouterStatus) bool { return s.Groups[0].Queued == 2 })
	r.await("a wait long enough to have left", func(s *wire.RouterStatus) bool { return s.Groups[0].LongestWait > goneWait })
	gone.Close()
	release <- struct{}{}
	if got := <-paths; got != "/stays" {
		t.Errorf("%s reached the application", got)
	}
	close(release)
	for _, f := range []*fakeFront{busy, stays} {
		if a, err := f.read(); err != nil || a.body != "done" {
			t.Errorf("%+v %v", a, err)
		}
	}
}

// TestLongWaitIsLogged: once for many.
func TestLongWaitIsLogged(t *testing.T) {
	handle, release := blocking()
	r, _ := oneGroup(t, nil, handle, 1)
	fronts := make([]*fakeFront, 4)
	for i := range fronts {
		fronts[i] = r.front()
		fronts[i].begin("/")
		r.await("waiting", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 && s.Groups[0].Queued == i })
	}
	r.await("a long wait", func(s *wire.RouterStatus) bool { return s.Groups[0].LongestWait > noticeableWait })
	close(release)
	for _, f := range fronts {
		if a, err := f.read(); err != nil || a.body != "done" {
			t.Errorf("%+v %v", a, err)
		}
	}
	if n := strings.Count(r.log.String(), "requests wait long for a thread: group=web waited="); n != 1 {
		t.Errorf("%d lines", n)
	}
}
