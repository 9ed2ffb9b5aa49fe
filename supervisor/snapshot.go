package supervisor

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/wsgid/wsgid/internal/exitreason"
	"github.com/wsgid/wsgid/internal/histogram"
	"github.com/wsgid/wsgid/internal/scoreboard"
	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/internal/wire"
)

// Snapshot is wsgid at this moment. It asks no worker, and the router at most
// a second.
func (s *Supervisor) Snapshot(ctx context.Context) *status.Snapshot {
	s.mu.Lock()
	g, lastReload := s.current, s.lastReload
	s.mu.Unlock()
	answer := g.router.query(ctx)
	snapshot := &status.Snapshot{
		Version:    s.options.Version,
		PID:        s.pid,
		State:      s.currentPhase().String(),
		Started:    s.started,
		Uptime:     time.Since(s.started).Seconds(),
		Config:     g.config.File,
		Generation: g.number,
		Loaded:     g.loaded,
		LastReload: lastReload,
		Router:     g.router.snapshot(answer),
		AccessLogs: shownLogs(&s.access.set),
		Logs:       shownLogs(&s.errorLogs.set),
	}
	if g.helper != nil {
		snapshot.DispatchHelper = g.helper.snapshot(answer)
	}
	if s.monitor != nil {
		snapshot.Monitor = s.monitor.snapshot()
	}
	queues := map[string]wire.GroupStatus{}
	if answer != nil {
		for _, group := range answer.Groups {
			queues[group.Name] = group
		}
	}
	// Figures pass from a group that has drained to its successor: never are they
	// in none, or in both.
	for range maxSnapshots {
		s.mu.Lock()
		draining := slices.Clone(s.draining)
		s.mu.Unlock()
		snapshot.Groups, snapshot.Draining = []status.Group{}, nil
		for _, group := range g.groups {
			snapshot.Groups = append(snapshot.Groups, group.snapshot(queues[group.config.Name]))
		}
		for i, other := range draining { // what two of them share counts once
			shown := append([]*generation{g}, draining[:i]...)
			snapshot.Draining = append(snapshot.Draining, other.draining(ctx, shown, snapshot.Groups))
		}
		s.mu.Lock()
		settled := slices.Equal(draining, s.draining)
		s.mu.Unlock()
		if settled {
			break
		}
	}
	return snapshot
}

// maxSnapshots is how often one is begun again because a generation has ended
// meanwhile.
const maxSnapshots = 5

// draining is a generation that another one has succeeded, without the groups of those
// that are shown already. What its groups have counted is added to their successors.
func (g *generation) draining(ctx context.Context, before []*generation, successors []status.Group) status.Draining {
	shown := status.Draining{Generation: g.number, Processes: []status.Process{}}
	g.router.mu.Lock()
	if s := g.router.session; s != nil {
		shown.Router = s.child.pid
	}
	g.router.mu.Unlock()
	if answer := g.router.query(ctx); answer != nil {
		shown.Connections = answer.Connections
	}
	for _, group := range g.without(before) {
		own := group.snapshot(wire.GroupStatus{})
		for i := range successors {
			if successors[i].Name == own.Name {
				successors[i].Inherit(&own)
			}
		}
		for _, p := range own.Processes {
			if p.State == stateReady.String() {
				p.State = stateDraining.String()
			}
			shown.Processes = append(shown.Processes, p)
		}
	}
	return shown
}

func (r *router) snapshot(answer *wire.RouterStatus) status.Router {
	var running *child
	r.mu.Lock()
	out := status.Router{
		User: r.identity.User, UID: r.identity.UID, State: "backoff",
		Restarts: maps.Clone(r.restarts), LastExit: r.lastExit,
	}
	if s := r.session; s != nil {
		running = s.child
		out.PID, out.Started, out.State = s.child.pid, s.child.started, s.state
	} else {
		out.Backoff = r.backoff.delay(time.Now()).Seconds()
	}
	r.mu.Unlock()
	if running != nil {
		used := usageOf(out.PID)
		out.CPUSeconds, out.RSSBytes, out.Stopped = used.cpuSeconds, used.rssBytes, running.isStopped()
	}
	if answer == nil || answer.PID != out.PID { // nobody's, or that of one that has just gone
		return out
	}
	out.Answered = true
	out.Python = answer.Python
	out.Connections, out.Requests, out.Errors = answer.Connections, answer.Requests, answer.Errors
	out.InFlight = answer.InFlight
	out.Spans = (*status.Spans)(answer.Spans)
	for _, s := range answer.Scripts {
		out.Scripts = append(out.Scripts, status.Script(s))
	}
	for _, e := range answer.LoadErrors {
		out.LoadErrors = append(out.LoadErrors, shownLoadError(scriptKey{e.ApplicationGroup, e.Script},
			loadError{at: e.At, pid: answer.PID, traceback: tracebackText(e.Traceback)}))
	}
	sortLoadErrors(out.LoadErrors)
	for _, g := range answer.Groups {
		if g.Name == "" && len(r.feed.config.Embedded.Scripts) > 0 {
			out.Embedded = &status.Embedded{Threads: g.Connections, ThreadsBusy: g.Busy, Requests: g.Requests,
				Queue: queueOf(g, r.feed.config.Embedded.QueueLength)}
		}
	}
	return out
}

// queueOf is the part of a group that the router knows.
func queueOf(g wire.GroupStatus, limit int) status.Queue {
	return status.Queue{
		Queued: g.Queued, QueueLength: limit, LongestWait: g.LongestWait.Seconds(),
		QueuedTotal: g.QueuedTotal, QueueTimeouts: g.QueueTimeouts, Rejected: g.Rejected,
		Waits: g.Waits,
	}
}

func (g *group) snapshot(queue wire.GroupStatus) status.Group {
	g.mu.Lock()
	processes := make([]*process, 0, len(g.processes))
	for p := range g.processes {
		processes = append(processes, p)
	}
	out := status.Group{
		Name: g.config.Name, User: g.identity.User, UID: g.identity.UID, Wanted: g.wanted, Scaling: string(g.config.Scaling), Least: g.floor(), Most: g.limit,
		Service: g.config.Service(), LoadErrors: g.shownLoadErrors(),
		Queue: queueOf(queue, g.config.QueueLength), Connections: queue.Connections,
		Restarts: maps.Clone(g.restarts), LastExit: g.lastExit,
		Requests: g.ended.requests, Errors: g.ended.errors, Refused: g.ended.refused,
		Latency: g.ended.latency, CPUSeconds: g.ended.cpu, LogDropped: g.ended.dropped,
		Processes: []status.Process{},
	}
	failing, closing := g.startFailed, g.closing
	failed := g.lastExit != nil && g.lastExit.Reason == exitreason.StartFailed.String()
	g.mu.Unlock()
	slices.SortFunc(processes, func(a, b *process) int {
		return cmp.Or(a.child.started.Compare(b.child.started), cmp.Compare(a.child.pid, b.child.pid))
	})
	for _, p := range processes {
		shown := p.snapshot()
		out.Processes = append(out.Processes, shown)
		out.Requests += shown.Requests
		out.Errors += shown.Errors
		out.Refused += shown.Refused
		out.LogDropped += shown.LogDropped
		out.CPUSeconds = histogram.AddSeconds(out.CPUSeconds, shown.CPUSeconds)
		out.RSSBytes += shown.RSSBytes
		out.Latency.Add(&shown.Latency)
		if shown.State == stateReady.String() {
			out.Ready++
			out.Threads += shown.Threads
			out.ThreadsBusy += shown.ThreadsBusy
		}
	}
	out.Cgroup = g.shownCgroup()
	out.Backoff = g.backoff.delay(time.Now()).Seconds()
	switch {
	case g.stopped():
		out.State = "stopping"
	case g.impossible != nil:
		out.State = "failed"
	case out.Wanted == 0:
		out.State = "idle"
	case out.Ready >= out.Wanted:
		out.State = "ready"
	case out.Ready > 0:
		out.State = "degraded"
	case failing && failed:
		out.State = "failed"
	case failing || out.Backoff > 0:
		out.State = "backoff"
	default:
		out.State = "starting"
	}
	if !g.stopped() {
		closing.show(&out)
	}
	return out
}

func (p *process) snapshot() status.Process {
	board, used := p.board.Read(), usageOf(p.child.pid)
	p.mu.Lock()
	python := p.python
	if p.isFinal {
		board = p.final
	}
	p.usedCPU = max(p.usedCPU, used.cpuSeconds) // of one that has just ended there is none
	used.cpuSeconds = p.usedCPU
	p.mu.Unlock()
	if python == "" {
		python = board.Python
	}
	return status.Process{
		PID: p.child.pid, User: p.group.identity.User, UID: p.group.identity.UID, Python: python,
		State: p.state.get().String(), Stopped: p.child.isStopped(), Started: p.child.started,
		Threads: p.group.config.Threads, ThreadsBusy: board.Busy(),
		Requests: board.Finished, Errors: board.Failed, Refused: board.Refused, LogDropped: board.Dropped,
		CPUSeconds: used.cpuSeconds, RSSBytes: used.rssBytes,
		Latency: board.Latency,
		Running: runningOf(&board), LastExit: p.replace,
	}
}

// runningOf lists what the threads work on.
func runningOf(board *scoreboard.Board) []status.Request {
	var requests []status.Request
	for i := range board.Slots {
		slot := &board.Slots[i]
		if !slot.State.Busy() {
			continue
		}
		requests = append(requests, status.Request{
			Thread: i, State: slot.State.String(), ID: slot.RequestID, Method: slot.Method, URI: slot.URI,
			Client: slot.Client, Application: slot.AppName, Trace: slot.Trace, Started: displayTime(slot.Start),
		})
	}
	return requests
}

// displayTime keeps times that JSON cannot carry out of the snapshot: the
// number comes from the worker.
func displayTime(t time.Time) time.Time {
	if year := t.Year(); year < 1970 || year > 9999 {
		return time.Time{}
	}
	return t.UTC()
}
