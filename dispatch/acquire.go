package dispatch

import (
	"time"

	"github.com/wsgid/wsgid/internal/errcode"
)

const (
	// goneWait is a wait after which the client is looked for once more when its
	// request gets a thread: the housekeeper looks every tick only, and no request
	// of a client that has gone may get to an application. Who has waited less has
	// hardly had the time to leave, and is spared the system call.
	goneWait = time.Millisecond
	// noticeableWait is a wait that the log tells of: whoever uses the site notices it.
	noticeableWait = time.Second
	// noticeEvery is how often it does. Where one request waits long, most do.
	noticeEvery = time.Minute
)

// acquire takes a connection of the group for x, waiting in its queue if all
// threads are busy. Process avoid is taken only if there is no other.
func (g *group) acquire(x *exchange, avoid int) (*workerConn, *refusal, outcome) {
	g.mu.Lock()
	if g.closedFor != "" && x.ticket == 0 {
		r := g.closedRefusal()
		g.mu.Unlock()
		return nil, r, answered
	}
	if g.embedded && !g.filled && !g.closed {
		g.filled = true
		g.router.background(func() { g.fill(g.startEmbedded) })
	}
	if g.queue.length == 0 {
		if w := g.idleConn(avoid); w != nil {
			if x.ticket == 0 {
				x.ticket = g.queue.ticket(false)
			}
			w.served++
			g.requests++
			if g.config.SpareThreads > 0 {
				g.ask()
			}
			g.mu.Unlock()
			return w, nil, answered
		}
	}
	w, r := g.enqueue(x, avoid)
	g.mu.Unlock()
	if r != nil {
		return nil, r, answered
	}
	return g.await(x, w)
}

// enqueue puts x into the queue. One that has had its turn before, at a process
// that did not take it, is never turned away because others fill the queue.
// Called with the lock held.
func (g *group) enqueue(x *exchange, avoid int) (*waiter, *refusal) {
	if g.closed {
		return nil, refuse(errcode.RouterStopping)
	}
	if g.closedFor != "" && !g.alive() { // its process has just ended
		return nil, g.closedRefusal()
	}
	if g.unavailable && !g.alive() && g.config.ConnectTimeout == 0 {
		g.rejected++
		return nil, g.unavailableRefusal()
	}
	if x.ticket == 0 {
		if n := g.queue.length; n >= g.config.QueueLength && g.config.ConnectTimeout == 0 {
			g.rejected++
			return nil, refuse(errcode.QueueFull, "group", g.label, "waiting", n)
		}
		x.ticket = g.queue.ticket(true)
		g.queuedTotal++
	}
	w := &waiter{got: make(chan *workerConn, 1), avoid: avoid, priority: x.target.mount.Priority,
		ticket: x.ticket, since: x.queueStart}
	g.queue.push(w)
	g.ask()
	return w, nil
}

// closedRefusal is called with the lock held.
func (g *group) closedRefusal() *refusal {
	g.rejected++
	r := refuse(errcode.GroupClosed, "group", g.label, "state", g.closedFor)
	r.retryAfter = max(time.Until(g.retryAt), r.retryAfter)
	return r
}

// unavailableRefusal is called with the lock held.
func (g *group) unavailableRefusal() *refusal {
	r := refuse(errcode.GroupUnavailable, "group", g.label, "reason", g.reason)
	r.retryAfter = max(time.Until(g.retryAt), r.retryAfter)
	return r
}

// giveUp ends the wait of one that has tried for connect_timeout and has no
// place in the queue, or no process to wait for; else it returns nil.
func (g *group) giveUp(w *waiter) (r *refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !w.queued {
		return nil
	}
	if g.unavailable && !g.alive() {
		r = g.unavailableRefusal()
	} else if n := g.queue.ahead(w); n >= g.config.QueueLength {
		r = refuse(errcode.QueueFull, "group", g.label, "waiting", n)
	} else {
		return nil
	}
	g.rejected++
	g.queue.remove(w)
	w.refused = r
	return r
}

// await waits for a connection, the end of queue_timeout, or the client giving
// up. The timers exist only for those who wait.
func (g *group) await(x *exchange, w *waiter) (*workerConn, *refusal, outcome) {
	begun := x.span.now()
	defer x.queueSpan(begun)
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
	if limit := g.config.QueueTimeout; limit > 0 {
		t := time.NewTimer(time.Until(x.queueStart.Add(limit)))
		defer t.Stop()
		expired = t.C
	}
	var tried <-chan time.Time
	if limit := g.config.ConnectTimeout; limit > 0 {
		t := time.NewTimer(time.Until(x.queueStart.Add(limit)))
		defer t.Stop()
		tried = t.C
	}
	var c *workerConn
	for waiting := true; waiting; {
		select {
		case c = <-w.got:
			waiting = false
		case <-tried:
			waiting = g.giveUp(w) == nil
		case <-expired:
			waiting = false
		case <-cancel:
			waiting = false
		}
	}
	c, waits := g.leaveQueue(w, c)
	waited := time.Since(x.queueStart)
	g.waits.Observe(waited)
	x.account.waited = waited
	if c != nil && waited >= goneWait {
		if why := x.front.gone(); why != notKilled {
			x.kill(why)
		}
	}
	x.mu.Lock()
	x.cancel = nil
	killed := x.killed
	x.mu.Unlock()
	if killed == notKilled && c != nil {
		g.taken(x, c, waited)
		return c, nil, answered
	}
	if c != nil {
		g.release(c)
	}
	switch {
	case killed == graceOver:
		return nil, refuse(errcode.RouterStopping), answered
	case killed == clientAborted:
		return nil, nil, x.aborted()
	case killed != notKilled:
		g.log.Debug("client gave up while waiting", x.named()...)
		return nil, nil, broken
	case w.refused != nil:
		return nil, w.refused, answered
	}
	return nil, g.timedOut(x, waits), answered
}

// leaveQueue takes w off the queue, or else the connection that it was given
// at the same moment. It returns how many others wait.
func (g *group) leaveQueue(w *waiter, c *workerConn) (*workerConn, int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.queued {
		g.queue.remove(w)
	} else if c == nil && w.refused == nil {
		c = <-w.got
	}
	return c, g.queue.length
}

// taken counts a request that has waited, and tells of a long wait.
func (g *group) taken(x *exchange, c *workerConn, waited time.Duration) {
	g.mu.Lock()
	c.served++
	g.requests++
	waits, requests := g.queue.length, 0
	if waited >= noticeableWait {
		g.longWaits++
		if now := time.Now(); now.Sub(g.longWaitTold) >= noticeEvery {
			requests, g.longWaits, g.longWaitTold = g.longWaits, 0, now
		}
	}
	g.mu.Unlock()
	if requests > 0 {
		g.log.Warn("requests wait long for a thread", x.named("waited", waited.Round(time.Millisecond).String(),
			"waiting", waits, "requests", requests)...)
	}
}

// timedOut is the answer to a request that has waited for queue_timeout.
func (g *group) timedOut(x *exchange, waits int) *refusal {
	g.mu.Lock()
	g.timeouts++
	g.mu.Unlock()
	return refuse(errcode.QueueTimeout, "group", g.label,
		"waited", time.Since(x.queueStart).Round(time.Millisecond).String(), "waiting", waits)
}
