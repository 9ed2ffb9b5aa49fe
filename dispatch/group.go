package dispatch

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/internal/histogram"
	"github.com/wsgid/wsgid/internal/wire"
)

// process is one worker process of a group, as far as it has said or shown
// that it lives.
type process struct {
	pid      int
	threads  int  // as announced, 0 until then
	retiring bool // gets no new request
	overdue  bool // what it is ended with has run for longer than request_timeout
	refusing bool // has refused a request; until the supervisor says more
	idle     []*workerConn
	conns    int // open, idle or busy
}

func (p *process) busy() int { return p.conns - len(p.idle) }

// group is a process group: its processes, the connections to them, and the
// requests that wait for one. All of it is under one lock that is held for a
// few instructions.
type group struct {
	router   *Router
	config   wire.Group
	label    string // name in the log
	embedded bool
	log      hclog.Logger

	mu        sync.Mutex
	processes []*process
	last      *process // the connection used last was to it
	queue     waitQueue
	dials     []*dial
	lost      int       // embedded threads that ended with a request
	busySince time.Time // of an embedded group; see busyFor
	filled    bool
	closed    bool

	unavailable bool
	asked       bool      // for further processes, and none has come or gone since
	closedFor   string    // why an administrator has closed it; empty: it is open
	retryAt     time.Time // when the next attempt to start a process is made
	reason      string

	requests    uint64 // given to a thread
	queuedTotal uint64 // had to wait
	waits       histogram.Histogram
	timeouts    uint64 // waited for queue_timeout
	rejected    uint64 // got 503: the queue was full, or no process was there

	longWaits    int       // since longWaitTold
	longWaitTold time.Time // when the log told of them
}

func newGroup(r *Router, config wire.Group, embedded bool) *group {
	label := config.Name
	if embedded {
		label = "%{GLOBAL}"
	}
	return &group{router: r, config: config, label: label, embedded: embedded, log: r.log.With("group", label)}
}

// errRetiring: a connection was accepted by a process that ends soon.
var errRetiring = errors.New("worker process retires")

// errNoSocket: a worker's connection is none of the system.
var errNoSocket = errors.New("connection of a worker is not a socket")

// find returns the process with that pid, or nil. Called with the lock held.
func (g *group) find(pid int) *process {
	for _, p := range g.processes {
		if p.pid == pid {
			return p
		}
	}
	return nil
}

// idleConn takes the idle connection of the process with the fewest requests
// in flight: the last used of it, whose thread is still warm, and on ties the
// process used last. Process avoid is the last choice. Called with the lock held.
func (g *group) idleConn(avoid int) *workerConn {
	var best, second *process
	for _, p := range g.processes {
		if len(p.idle) == 0 || p.retiring || p.refusing {
			continue
		}
		if p.pid == avoid {
			second = p
			continue
		}
		if best == nil || p.busy() < best.busy() || (p.busy() == best.busy() && p == g.last) {
			best = p
		}
	}
	if best == nil {
		if best = second; best == nil {
			return nil
		}
	}
	g.last = best
	w := best.idle[len(best.idle)-1]
	best.idle[len(best.idle)-1] = nil
	best.idle = best.idle[:len(best.idle)-1]
	return w
}

// serveQueue hands idle connections to those who wait. Called with the lock
// held.
func (g *group) serveQueue() { g.queue.serve(g.idleConn) }

// release gives back a connection whose request has ended.
func (g *group) release(w *workerConn) {
	g.mu.Lock()
	p := w.process
	if p.retiring || g.closed {
		g.forget(w)
		retired := p.retiring && p.conns == 0
		g.mu.Unlock()
		w.Close()
		if retired {
			g.router.sendRetired(g, p.pid)
		}
		return
	}
	p.idle = append(p.idle, w)
	g.serveQueue()
	g.mu.Unlock()
}

// discard drops a connection that cannot be used any more. With dead, the
// process broke it, which it does only by dying: its idle ones go too.
func (g *group) discard(w *workerConn, dead bool) {
	g.mu.Lock()
	p := w.process
	g.forget(w)
	closing := []*workerConn{w}
	if dead && !g.embedded {
		closing = append(closing, g.dropIdle(p)...)
	}
	if g.embedded {
		g.lost++
	}
	retired := p.retiring && p.conns == 0
	g.reconcile()
	refill := g.lost
	if g.closed {
		refill = 0
	}
	g.lost -= refill
	g.mu.Unlock()
	for _, w := range closing {
		w.Close()
	}
	if retired {
		g.router.sendRetired(g, p.pid)
	}
	if refill > 0 {
		g.router.background(func() {
			if err := g.startEmbedded(refill); err != nil && g.router.ctx.Err() == nil {
				g.log.Error("cannot replace an embedded thread", "error", err)
			}
		})
	}
}

// forget uncounts a connection that is not idle. Called with the lock held.
func (g *group) forget(w *workerConn) {
	p := w.process
	p.conns--
	if p.conns == 0 && p.threads == 0 {
		g.remove(p)
	}
}

// remove takes p off the list. Called with the lock held.
func (g *group) remove(p *process) {
	for i, q := range g.processes {
		if q == p {
			g.processes = append(g.processes[:i:i], g.processes[i+1:]...)
		}
	}
	if g.last == p {
		g.last = nil
	}
}

// dropIdle uncounts and returns the idle connections of p. Called with the lock held.
func (g *group) dropIdle(p *process) []*workerConn {
	idle := p.idle
	p.idle = nil
	p.conns -= len(idle)
	if p.conns == 0 && p.threads == 0 {
		g.remove(p)
	}
	return idle
}

// adopt takes over a connection that process pid accepted.
func (g *group) adopt(d *dial, c net.Conn, pid int) error {
	fast, ok := direct(c).(*directConn)
	if !ok {
		return errNoSocket
	}
	fast.quiet()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return context.Canceled
	}
	p := g.find(pid)
	if p != nil && p.retiring {
		return errRetiring
	}
	if p == nil {
		// The process says that it lives before the supervisor does: its
		// threads accept only once it is ready.
		p = &process{pid: pid}
		g.processes = append(g.processes, p)
	}
	p.conns++
	p.idle = append(p.idle, &workerConn{directConn: fast, group: g, process: p})
	g.dropDial(d)
	g.serveQueue()
	return nil
}

func (g *group) dropDial(d *dial) {
	for i := range g.dials {
		if g.dials[i] == d {
			g.dials = append(g.dials[:i:i], g.dials[i+1:]...)
			return
		}
	}
}

func (g *group) dialEnded(d *dial) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dropDial(d)
	g.reconcile()
}

// reconcile starts as many connections as there are threads of ready processes
// without one. Called with the lock held.
func (g *group) reconcile() {
	if g.closed || g.embedded {
		return
	}
	want := -len(g.dials)
	for _, p := range g.processes {
		if !p.retiring {
			want += p.threads - p.conns
		}
	}
	for ; want > 0; want-- {
		ctx, cancel := context.WithCancel(g.router.ctx)
		d := &dial{cancel: cancel}
		g.dials = append(g.dials, d)
		g.router.wait.Add(1)
		go d.run(ctx, g)
	}
	for ; want < 0 && len(g.dials) > 0; want++ {
		last := len(g.dials) - 1
		g.dials[last].cancel()
		g.dials = g.dials[:last]
	}
}

// update is a message of the supervisor about a process.
func (g *group) update(m *wire.Process) {
	g.mu.Lock()
	p := g.find(m.PID)
	var closing []*workerConn
	retired := false
	switch m.State {
	case wire.ProcessReady:
		if p == nil {
			p = &process{pid: m.PID}
			g.processes = append(g.processes, p)
		}
		p.threads, p.retiring, p.refusing = m.Threads, false, false
		g.unavailable = false
		g.serveQueue()
	case wire.ProcessRetire:
		retired = p == nil
		if p != nil {
			p.retiring, p.overdue = true, m.Overdue
			closing = g.dropIdle(p)
			retired = p.conns == 0
		}
	case wire.ProcessGone:
		if p != nil {
			p.threads = 0
			p.retiring = true
			closing = g.dropIdle(p)
			g.remove(p)
		}
	}
	g.reconcile()
	g.failClosed()
	g.asked = false
	if m.State != wire.ProcessReady || g.queue.length > m.Threads {
		g.ask()
	}
	g.mu.Unlock()
	for _, w := range closing {
		w.Close()
	}
	if retired {
		g.router.sendRetired(g, m.PID)
	}
}

// failClosed refuses what waits for a closed group whose last process has gone.
// Called with the lock held.
func (g *group) failClosed() bool {
	if g.closedFor == "" || g.queue.length == 0 || g.alive() {
		return false
	}
	g.rejected += uint64(g.queue.length) - 1
	g.queue.failAll(g.closedRefusal())
	return true
}

// ask tells the supervisor that threads are missing, once until something
// changes. Called with the lock held.
func (g *group) ask() {
	if !g.config.Elastic || g.asked {
		return
	}
	missing := g.missing()
	if missing == 0 {
		return
	}
	g.asked = true
	m := &wire.Message{Type: wire.TypeWanted, Wanted: &wire.Wanted{Group: g.config.Name, Waiting: missing}}
	g.router.background(func() { g.router.send(m) })
}

// missing is how many threads more there should be: for those who wait, and to
// spare. Threads that are about to connect count. Called with the lock held.
func (g *group) missing() int {
	free := 0
	for _, p := range g.processes {
		if !p.retiring && !p.refusing {
			free += max(p.threads, p.conns) - p.busy()
		}
	}
	return g.queue.length + max(0, g.config.SpareThreads-free)
}

// setState is a message of the supervisor about the group. While it is not
// available, and no process is left, requests do not wait.
func (g *group) setState(s *wire.GroupState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.unavailable == s.Available { // changes
		if s.Available {
			g.log.Info("group is available again")
		} else {
			g.log.Error("group is not available", "reason", s.Reason, "retry_after", s.RetryAfter.String())
		}
	}
	if g.closedFor != s.Closed {
		g.log.Info("group is open or closed", "state", s.Closed)
	}
	g.asked = g.asked && !s.Available
	g.unavailable, g.retryAt, g.reason, g.closedFor = !s.Available, time.Now().Add(s.RetryAfter), s.Reason, s.Closed
	switch {
	case g.queue.length == 0:
	case g.failClosed():
	case g.unavailable && !g.alive():
		g.rejected += g.queue.failSince(time.Now().Add(-g.config.ConnectTimeout), g.unavailableRefusal())
	}
}

// alive reports whether a process is there that takes requests. Called with
// the lock held.
func (g *group) alive() bool {
	for _, p := range g.processes {
		if !p.retiring && (p.threads > 0 || p.conns > 0) {
			return true
		}
	}
	return false
}

// refused notes that p takes no request any more; it has told the supervisor,
// which will send a replacement.
func (g *group) refused(p *process) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.refusing = !g.embedded
}

// isOverdue: a request that p is ended with is a timeout.
func (g *group) isOverdue(p *process) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return p.overdue
}

// close ends the group; busy connections are closed when they come back.
func (g *group) close() {
	g.mu.Lock()
	g.closed = true
	var closing []*workerConn
	for _, p := range append([]*process(nil), g.processes...) {
		closing = append(closing, g.dropIdle(p)...)
	}
	for _, d := range g.dials {
		d.cancel()
	}
	g.queue.failAll(refuse(errcode.RouterStopping))
	g.mu.Unlock()
	for _, w := range closing {
		w.Close()
	}
}

// status is the group's part of the answer to a query.
func (g *group) status() wire.GroupStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := wire.GroupStatus{
		Name: g.config.Name, Requests: g.requests, Queued: g.queue.length,
		QueuedTotal: g.queuedTotal, QueueTimeouts: g.timeouts, Rejected: g.rejected, Waits: g.waits.Snapshot(),
	}
	if _, oldest := g.queue.heads(); oldest != nil {
		s.LongestWait = time.Since(oldest.since)
	}
	for _, p := range g.processes {
		s.Connections += p.conns
		s.Busy += p.busy()
	}
	return s
}
