package dispatch

import (
	"time"

	"github.com/wsgid/wsgid/internal/errcode"
)

// waiter is a request that waits for a connection.
type waiter struct {
	got        chan *workerConn // of capacity 1; nil: the group gives up
	avoid      int
	prev, next *waiter
	queued     bool
}

// waitQueue is a list in order of arrival, from which a waiter that gives up
// can be taken at once. Its owner's lock protects it.
type waitQueue struct {
	first, last *waiter
	length      int
}

func (q *waitQueue) push(w *waiter) {
	w.prev, w.queued = q.last, true
	if q.last != nil {
		q.last.next = w
	} else {
		q.first = w
	}
	q.last = w
	q.length++
}

func (q *waitQueue) remove(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		q.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		q.last = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
	q.length--
}

// failAll tells every waiter that there will be no connection.
func (q *waitQueue) failAll() {
	for q.first != nil {
		w := q.first
		q.remove(w)
		w.got <- nil
	}
}

// serveQueue hands idle connections to those who wait longest. Called with the
// group's lock held.
func (g *group) serveQueue() {
	for g.queue.first != nil {
		w := g.idleConn(g.queue.first.avoid)
		if w == nil {
			return
		}
		first := g.queue.first
		g.queue.remove(first)
		first.got <- w
	}
}

// acquire takes a connection of the group for x, waiting in its queue if all
// threads are busy. Process avoid is taken only if there is no other.
func (g *group) acquire(x *exchange, avoid int, deadline time.Time) (*workerConn, *refusal, outcome) {
	g.mu.Lock()
	if g.embedded && !g.filled && !g.closed {
		g.filled = true
		g.mu.Unlock()
		if r := g.fill(g.startEmbedded); r != nil {
			return nil, r, answered
		}
		g.mu.Lock()
	}
	if g.queue.first == nil {
		if w := g.idleConn(avoid); w != nil {
			w.served++
			g.requests++
			g.mu.Unlock()
			return w, nil, answered
		}
	}
	if g.closed {
		g.mu.Unlock()
		return nil, refuse(errcode.RouterStopping), answered
	}
	if g.unavailable && !g.alive() {
		r := g.unavailableRefusal()
		g.mu.Unlock()
		return nil, r, answered
	}
	if g.queue.length >= g.config.QueueLength {
		g.rejected++
		n := g.queue.length
		g.mu.Unlock()
		return nil, refuse(errcode.QueueFull, "group", g.config.Name, "waiting", n), answered
	}
	w := &waiter{got: make(chan *workerConn, 1), avoid: avoid}
	g.queue.push(w)
	g.mu.Unlock()
	return g.await(x, w, deadline)
}

// fill starts the embedded threads with the first request for them.
func (g *group) fill(start func(threads int) error) *refusal {
	err := start(max(1, g.router.config.Embedded.Threads))
	if err == nil {
		return nil
	}
	g.mu.Lock()
	g.filled = false
	g.reason = "embedded Python not available"
	g.queue.failAll() // those who waited for the threads
	g.mu.Unlock()
	return refuse(errcode.EmbeddedMissing, "error", err)
}

// preload imports what embedded applications need before they get a request:
// those wait in the queue meanwhile, the requests of other groups do not.
func (g *group) preload() {
	start := g.startPreloaded
	if len(g.router.config.Embedded.Scripts) == 0 { // no request can come
		start = func(int) error { return g.importScripts() }
	}
	if r := g.fill(start); r != nil && g.router.ctx.Err() == nil {
		g.log.Error("embedded applications are not preloaded", r.args...)
	}
}

// unavailableRefusal is called with the lock held.
func (g *group) unavailableRefusal() *refusal {
	r := refuse(errcode.GroupUnavailable, "group", g.config.Name, "reason", g.reason)
	r.retryAfter = max(g.retryAfter, time.Second)
	g.rejected++
	return r
}

// await waits for a connection, the end of queue_timeout, or the client giving
// up. The timer exists only for those who wait.
func (g *group) await(x *exchange, w *waiter, deadline time.Time) (*workerConn, *refusal, outcome) {
	cancel := make(chan struct{})
	x.mu.Lock()
	if x.killed == notKilled {
		x.cancel = cancel
	} else {
		close(cancel)
	}
	x.mu.Unlock()
	x.enter(phaseWaiting)
	var expired <-chan time.Time
	if !deadline.IsZero() {
		t := time.NewTimer(time.Until(deadline))
		defer t.Stop()
		expired = t.C
	}
	var c *workerConn
	timeout := false
	select {
	case c = <-w.got:
	case <-expired:
		timeout = true
	case <-cancel:
	}
	x.mu.Lock()
	x.cancel = nil
	killed := x.killed
	x.mu.Unlock()

	g.mu.Lock()
	given := c != nil
	if w.queued {
		g.queue.remove(w)
	} else if !given {
		select {
		case c = <-w.got: // at the same moment
			given = c != nil
		default:
		}
	}
	if given && killed == notKilled {
		c.served++
		g.requests++
		g.mu.Unlock()
		return c, nil, answered
	}
	closed := g.closed
	if timeout && !given {
		g.rejected++
	}
	g.mu.Unlock()
	if given {
		g.release(c)
	}
	switch {
	case killed == graceOver, killed == notKilled && closed:
		return nil, refuse(errcode.RouterStopping), answered
	case killed == clientAborted:
		return nil, nil, x.aborted()
	case killed != notKilled:
		g.log.Debug("client gave up while waiting", "request", string(x.requestID))
		return nil, nil, broken
	case timeout:
		return nil, refuse(errcode.QueueTimeout, "group", g.config.Name, "waited", time.Since(x.start).Round(time.Millisecond)), answered
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return nil, g.unavailableRefusal(), answered
}
