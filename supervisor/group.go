package supervisor

import (
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/internal/exitreason"
	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/internal/wire"
)

// group is the set of processes of one daemon_process. It keeps so many of
// them alive; each place in the set (a slot) has one goroutine.
type group struct {
	groupPlan
	router   identity // whose connections are served
	launcher *launcher
	feed     *feed
	pumps    *pumps
	oom      *oomCounter
	log      hclog.Logger
	socket   *os.File // the listening socket; set before run

	backoff backoff
	stop    chan struct{}  // closed: start nothing any more
	end     chan struct{}  // closed: draining processes end now
	slots   sync.WaitGroup // slot goroutines
	drains  sync.WaitGroup // replacements under way

	mu          sync.Mutex
	processes   map[*process]struct{}
	restarts    map[string]uint64 // by the reason of the exit before
	lastExit    *status.Exit
	ended       totals // of processes that are gone
	startFailed bool   // the last process that ended had not been ready
	crashed     bool   // the last process that ended was not meant to
	announced   wire.GroupState
}

// totals are counters of scoreboards.
type totals struct{ requests, errors, refused uint64 }

// run starts the slots. settled is called once for each slot when its first
// process is ready, which the router then has been told, or has failed.
func (g *group) run(settled func()) {
	for range g.config.Processes {
		g.slots.Go(func() { g.keep(settled) })
	}
}

// keep is one slot: it starts a process, watches it, and replaces it.
func (g *group) keep(settled func()) {
	settle := sync.OnceFunc(settled)
	defer settle()
	var last *status.Exit
	for g.pause() {
		p, err := g.startProcess(last)
		if err != nil {
			last = g.cannotStart(err)
			settle()
			continue
		}
		if !g.awaitReady(p) {
			return
		}
		settle()
		if !g.watch(p) {
			return
		}
		last = p.exited()
	}
}

// pause waits out the back-off; false: the group stops.
func (g *group) pause() bool {
	for {
		delay := g.backoff.delay(time.Now())
		select {
		case <-g.stop:
			return false
		default:
		}
		if delay <= 0 {
			return true
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-g.stop:
			timer.Stop()
			return false
		}
	}
}

// awaitReady waits for the handshake, at most startup_timeout; false: the
// group stops, and the process is left to the shutdown.
func (g *group) awaitReady(p *process) bool {
	var expired <-chan time.Time
	if g.config.StartupTimeout > 0 {
		timer := time.NewTimer(g.config.StartupTimeout)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-p.serving:
	case <-p.done:
	case <-expired:
		p.kill(exitreason.StartupTimeout)
	case <-g.stop:
		return false
	}
	return true
}

// watch waits until the slot needs another process; false: the group stops.
func (g *group) watch(p *process) bool {
	timer := time.NewTimer(goodLife)
	defer timer.Stop()
	for {
		select {
		case <-p.done:
			return true
		case <-p.retiring:
			if time.Since(p.child.started) < time.Second {
				// A process that retires at once, again and again, must not
				// spin. Said here, before the slot looks how long to wait.
				g.backoff.pace(time.Now())
			}
			g.drains.Go(func() { g.drain(p) })
			return true
		case <-timer.C:
			g.backoff.good()
		case <-g.stop:
			return false
		}
	}
}

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
	g.feed.ready(g.config.Name, p.child.pid, g.config.Threads)
	g.changed()
	// Last: who waits for it may announce that the start is complete.
	close(p.serving)
}

// drain takes a process out of service: the router first, then SIGTERM. Its
// slot starts the replacement meanwhile.
func (g *group) drain(p *process) {
	p.mu.Lock()
	reason := p.retireReason
	p.mu.Unlock()
	if p.state.to(stateDraining) != nil {
		<-p.done
		return
	}
	p.intend(reason)
	g.changed()
	retired := g.feed.retire(g.config.Name, p.child.pid)
	timer := time.NewTimer(g.config.GracefulTimeout)
	defer timer.Stop()
	select {
	case <-retired:
	case <-timer.C:
		p.log.Warn("requests still run, ending the process", "graceful_timeout", g.config.GracefulTimeout.String())
	case <-p.done:
		return
	case <-g.end:
	}
	p.terminate(reason)
}

func (g *group) add(p *process) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.processes[p] = struct{}{}
}

// gone records the exit of a process.
func (g *group) gone(p *process, exit status.Exit, planned, wasReady bool) {
	if !planned || exit.Reason == exitreason.StartupTimeout.String() {
		g.backoff.failed(p.child.started, time.Now(), wasReady)
	}
	g.mu.Lock()
	delete(g.processes, p)
	if !g.stopped() { // else nothing takes its place
		g.restarts[exit.Reason]++
	}
	g.lastExit = &exit
	g.ended.requests += p.final.Finished
	g.ended.errors += p.final.Failed
	g.ended.refused += p.final.Refused
	g.crashed = !planned
	if !wasReady && !g.stopped() {
		g.startFailed = true
	}
	g.mu.Unlock()
	g.feed.gone(g.config.Name, p.child.pid)
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
	now := wire.GroupState{Name: g.config.Name, Available: ready > 0 || !g.startFailed && (delay <= 0 || !g.crashed)}
	if !now.Available {
		// A client asked to come back at once would only be refused again.
		now.RetryAfter = max(delay, time.Second).Round(time.Second)
		if g.lastExit != nil {
			now.Reason = g.lastExit.Reason
		}
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
func (g *group) terminateAll() {
	close(g.end)
	g.mu.Lock()
	all := make([]*process, 0, len(g.processes))
	for p := range g.processes {
		all = append(all, p)
	}
	g.mu.Unlock()
	var wait sync.WaitGroup
	for _, p := range all {
		wait.Go(func() { p.terminate(exitreason.ShutdownSignal) })
	}
	wait.Wait()
	g.drains.Wait()
}

// exited is how the process ended; nil while it lives.
func (p *process) exited() *status.Exit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exit
}
