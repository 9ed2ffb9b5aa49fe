package supervisor

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/cgroup"
	"github.com/wsgid/wsgid/internal/exitreason"
	"github.com/wsgid/wsgid/internal/histogram"
	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/internal/wire"
)

// group is the set of processes of one daemon_process. It keeps so many of
// them alive; each place in the set (a slot) has one goroutine.
type group struct {
	groupPlan
	router    identity // whose connections are served
	launcher  *launcher
	feed      *groupFeed
	pumps     *pumps
	cgroups   *cgroups
	log       hclog.Logger
	errorLogs *errorLogs
	globalLog *config.Log
	socket    *unixSocket // the listening socket; set before run, nil in a service

	backoff   backoff
	trials    backoff       // between processes that try what others could not import
	trying    chan struct{} // of capacity 1: holds an element while one does
	relieving chan struct{} // of capacity 1: holds an element while a process is relieved
	demand    chan int      // of capacity 1: so many requests wait
	rescaled  chan struct{} // of capacity 1: limit has changed
	serves    atomic.Bool   // its generation does
	stop      chan struct{} // closed: start nothing any more
	endOnce   sync.Once
	end       chan struct{}  // closed: draining processes end now
	slots     sync.WaitGroup // slot goroutines
	drains    sync.WaitGroup // replacements under way

	mu          sync.Mutex
	oom         *oomCounter
	cgroup      *cgroup.Group // nil: it has no limits, or no process yet
	places      []*slot
	wanted      int  // places
	limit       int  // of places
	initial     int  // places to begin with, if that is more than it must have
	halted      bool // stop is closed
	closing     closing
	processes   map[*process]struct{}
	loadErrors  map[scriptKey]loadError
	restarts    map[string]uint64 // by the reason of the exit before
	lastExit    *status.Exit
	ended       totals // of processes that are gone
	startFailed bool   // the last process that ended had not been ready
	crashed     bool   // the last process that ended was not meant to
	announced   wire.GroupState
}

// totals are counters of scoreboards.
type totals struct {
	requests, errors, refused, dropped uint64
	latency                            histogram.Counts
	cpu                                float64 // seconds
}

func (t *totals) add(other *totals) {
	t.requests += other.requests
	t.errors += other.errors
	t.refused += other.refused
	t.dropped += other.dropped
	t.latency.Add(&other.latency)
	t.cpu = histogram.AddSeconds(t.cpu, other.cpu)
}

// run starts the slots. settled is called once for each slot when its first
// process is ready, which the router then has been told, or has failed.
func (g *group) run(settled func()) {
	if g.impossible != nil {
		g.cannotRun()
		return
	}
	if g.unprotected {
		g.log.Warn("this kernel has no Landlock: the group runs without it, as best_effort wants")
	}
	g.changed() // it may be closed
	if g.config.MemorySoftLimit > 0 {
		g.slots.Go(g.weigh)
	}
	g.resize(g.atStart(), exitreason.None, false, settled)
	if g.elastic() {
		g.slots.Go(g.scale)
	}
}

// atStart is how many processes the group starts with.
func (g *group) atStart() int {
	closed := g.closedFor()
	if g.impossible != nil || closed == closedStopped || closed == closedDrained {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return min(max(g.floor(), g.initial), g.limit)
}

// keep is one slot: it starts a process, watches it, and replaces it.
func (g *group) keep(s *slot, settled func()) {
	settle := sync.OnceFunc(settled)
	defer settle()
	var last *status.Exit
	for g.pause(s) {
		p, err := g.startProcess(s, last, nil)
		if err != nil {
			last = g.cannotStart(err)
			settle()
			continue
		}
		if !g.awaitReady(p) {
			g.vacate(s, p)
			return
		}
		settle()
		for next := p; next != nil; {
			p = next
			var stays bool
			if next, stays = g.watch(p); !stays {
				g.vacate(s, p)
				return
			}
		}
		last = p.exited()
	}
}

// pause waits out the back-off; false: the slot ends.
func (g *group) pause(s *slot) bool {
	for {
		delay := g.backoff.delay(time.Now())
		select {
		case <-s.stop:
			return false
		default:
		}
		if delay <= 0 {
			return true
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-s.stop:
			timer.Stop()
			return false
		}
	}
}

// awaitReady waits for the handshake, at most startup_timeout; false: the slot
// ends.
func (g *group) awaitReady(p *process) bool {
	return g.await(p, p.serving) || !p.slot.ended()
}

// watch waits until the slot needs another process, or has one: next is it.
// False: the slot ends.
func (g *group) watch(p *process) (next *process, goOn bool) {
	timer := time.NewTimer(goodLife)
	defer timer.Stop()
	aged, stopAging := p.aged()
	defer stopAging()
	relief := p.relief
	for {
		select {
		case <-p.done:
			return nil, true
		case <-p.renew:
			if next := g.succeed(p); next != nil {
				return next, true
			}
		case <-aged:
			if g.config.Service() {
				p.retire(exitreason.RestartInterval)
			} else {
				p.askRelief(exitreason.RestartInterval)
			}
		case <-relief:
			relief = nil
			if next := g.relieve(p); next != nil {
				return next, true
			}
		case <-p.retiring:
			if time.Since(p.child.started) < time.Second && !g.oneRequestEach() {
				// A process that retires at once, again and again, must not
				// spin. Said here, before the slot looks how long to wait.
				g.backoff.pace(time.Now())
			}
			if g.config.Service() { // not twice at once
				p.terminate(p.retireReason)
			} else {
				g.drains.Go(func() { g.drain(p) })
			}
			return nil, true
		case <-timer.C:
			g.backoff.good()
			if g.config.Service() {
				g.forgetLoadErrors()
			}
		case answer := <-p.restarts:
			next, err := g.renovate(p)
			answer <- err
			if next != nil {
				return next, true
			}
		case <-p.slot.stop:
			return nil, false
		}
	}
}

// oneRequestEach: a new process for each request is what was asked for.
func (g *group) oneRequestEach() bool { return g.config.MaximumRequests == 1 && g.config.Threads == 1 }

// ready is the ready event of a process.
func (g *group) ready(p *process) {
	if err := p.state.to(stateReady); err != nil {
		p.log.Debug("ready event out of turn", "error", err)
		return
	}
	g.mu.Lock()
	g.startFailed = false
	g.mu.Unlock()
	p.log.Info("process ready", "after", time.Since(p.child.started).Round(time.Millisecond).String())
	g.feed.ready(p.child.pid, g.config.Threads)
	g.changed()
	if !g.config.Service() { // a service is ready before its scripts run
		g.loadsSettled(p)
	}
	// Last: who waits for it may announce that the start is complete.
	close(p.serving)
}

// drain takes a process out of service: the router first, then SIGTERM. Its
// slot starts the replacement meanwhile.
func (g *group) drain(p *process) {
	if retired := g.beginDrain(p); retired != nil {
		g.endDrain(p, retired)
	} else {
		<-p.done
	}
}

// beginDrain tells the router, whose answer the channel is; nil: the process
// ends already.
func (g *group) beginDrain(p *process) (retired <-chan struct{}) {
	p.mu.Lock()
	reason := p.retireReason
	p.mu.Unlock()
	if p.state.to(stateDraining) != nil {
		return nil
	}
	p.intend(reason)
	g.changed()
	overdue := reason == exitreason.RequestTimeout || reason == exitreason.DeadlockTimeout
	return g.feed.retire(p.child.pid, overdue)
}

func (g *group) endDrain(p *process, retired <-chan struct{}) {
	option, grace := "graceful_timeout", g.config.GracefulTimeout
	p.mu.Lock()
	if p.retireReason == exitreason.EvictionSignal && g.config.EvictionTimeout > 0 {
		option, grace = "eviction_timeout", g.config.EvictionTimeout
	}
	p.mu.Unlock()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-retired:
	case <-p.drained:
	case <-timer.C:
		p.log.Warn("requests still run, ending the process", option, grace.String())
	case <-p.done:
		return
	case <-g.end:
	}
	p.terminate(p.retireReason)
}

func (g *group) add(p *process) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.processes[p] = struct{}{}
}

// gone records the exit of a process.
func (g *group) gone(p *process, exit status.Exit, planned, wasReady bool) {
	onTrial := p.trial != nil && !wasReady // the group has lost nothing
	failed := !planned || exit.Reason == exitreason.StartupTimeout.String()
	switch {
	case failed && onTrial:
		g.trials.failed(p.child.started, time.Now(), false)
	case failed:
		g.backoff.failed(p.child.started, time.Now(), wasReady)
	}
	g.mu.Lock()
	delete(g.processes, p)
	if onTrial {
		g.mu.Unlock()
		return
	}
	if p.replaced() || exit.Reason == exitreason.Reload.String() { // else nothing takes its place
		g.restarts[exit.Reason]++
	}
	g.lastExit = &exit
	p.mu.Lock()
	used := p.usedCPU
	p.mu.Unlock()
	if state := p.child.state; state != nil {
		used = max(used, (state.UserTime() + state.SystemTime()).Seconds())
	}
	g.ended.add(&totals{p.final.Finished, p.final.Failed, p.final.Refused, p.final.Dropped, p.final.Latency, used})
	g.crashed = !planned
	if !wasReady && p.replaced() {
		g.startFailed = true
	}
	g.mu.Unlock()
	g.feed.gone(p.child.pid)
	g.changed()
}

// cannotStart records a start that did not even give a process.
func (g *group) cannotStart(err error) *status.Exit {
	now := time.Now()
	g.backoff.failed(now, now, false)
	exit := &status.Exit{At: now, Reason: exitreason.StartFailed.String(), Status: -1, Error: err.Error()}
	g.mu.Lock()
	g.restarts[exit.Reason]++
	g.lastExit = exit
	g.startFailed = true
	g.mu.Unlock()
	g.log.Error("process cannot be started", "error", err)
	g.changed()
	return exit
}

// cannotRun says of a group that this machine cannot run at all; the others do.
func (g *group) cannotRun() {
	g.mu.Lock()
	g.lastExit = &status.Exit{At: time.Now(), Reason: exitreason.StartFailed.String(), Status: -1, Error: g.impossible.Error()}
	g.startFailed = true
	g.mu.Unlock()
	g.log.Error("process group cannot run here", "error", g.impossible)
	g.changed()
}

func (g *group) stopped() bool {
	select {
	case <-g.stop:
		return true
	default:
		return false
	}
}

// changed tells the router when the availability of the group has changed.
func (g *group) changed() {
	if g.stopped() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	ready := g.countReady()
	delay := g.backoff.delay(time.Now())
	now := wire.GroupState{Name: g.config.Name, Closed: g.closing.why, Available: ready > 0 || !g.startFailed && (delay <= 0 || !g.crashed)}
	if !now.Available {
		// A client asked to come back at once would only be refused again.
		now.RetryAfter = max(delay, time.Second).Round(time.Second)
		if g.lastExit != nil {
			now.Reason = g.lastExit.Reason
		}
	}
	if now.Closed != "" {
		now.RetryAfter = g.closing.retryAfter
	}
	if now == g.announced {
		return
	}
	if now.Available != g.announced.Available {
		if now.Available {
			g.log.Info("process group available")
		} else {
			g.log.Error("process group backs off", "reason", now.Reason, "retry_after", now.RetryAfter.String())
		}
	}
	g.announced = now
	g.feed.group(now)
}

// countReady needs g.mu.
func (g *group) countReady() int {
	ready := 0
	for p := range g.processes {
		if p.state.get() == stateReady {
			ready++
		}
	}
	return ready
}

// terminateAll ends every process and waits until none is left. The slots
// have to be stopped before.
func (g *group) terminateAll(reason exitreason.Reason) {
	g.endOnce.Do(func() { close(g.end) })
	g.mu.Lock()
	all := make([]*process, 0, len(g.processes))
	for p := range g.processes {
		all = append(all, p)
	}
	g.mu.Unlock()
	var wait sync.WaitGroup
	for _, p := range all {
		wait.Go(func() { p.terminate(reason) })
	}
	wait.Wait()
	g.drains.Wait()
	g.closeCgroup()
}

// replaced says whether another process takes the place of one that has ended.
func (p *process) replaced() bool {
	reason, _ := p.slot.givenUp()
	return reason == exitreason.None && !p.group.stopped()
}

// exited is how the process ended; nil while it lives.
func (p *process) exited() *status.Exit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exit
}
