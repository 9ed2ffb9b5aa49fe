package supervisor

import (
	"sync"

	"github.com/wsgid/wsgid/internal/wire"
)

// groupFeed passes on what routers have to know of one group: to that of its
// generation and, while a group that was carried over has two, to both.
type groupFeed struct {
	name string

	mu        sync.Mutex
	feeds     []*feed
	processes map[int]wire.Process
	state     *wire.GroupState // nil: nothing was said
}

func newGroupFeed(name string) *groupFeed {
	return &groupFeed{name: name, processes: map[int]wire.Process{}}
}

// join tells a further feed everything, now and from now on.
func (g *groupFeed) join(f *feed) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.feeds = append(g.feeds, f)
	if g.state != nil {
		f.group(*g.state)
	}
	for _, p := range g.processes {
		f.ready(p)
	}
}

// leave ends it; the feed's router has ended.
func (g *groupFeed) leave(f *feed) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, other := range g.feeds {
		if other == f {
			g.feeds = append(g.feeds[:i], g.feeds[i+1:]...)
			return
		}
	}
}

func (g *groupFeed) ready(pid, threads int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tell(pid, threads)
}

// tell needs g.mu.
func (g *groupFeed) tell(pid, threads int) {
	p := wire.Process{Group: g.name, PID: pid, State: wire.ProcessReady, Threads: threads}
	g.processes[pid] = p
	for _, f := range g.feeds {
		f.ready(p)
	}
}

// retire returns a channel that is closed when no router has a request left on
// the process. overdue: see wire.Process.
func (g *groupFeed) retire(pid int, overdue bool) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.processes, pid)
	if len(g.feeds) == 1 {
		return g.feeds[0].retire(g.name, pid, overdue)
	}
	var left []<-chan struct{}
	for _, f := range g.feeds {
		left = append(left, f.retire(g.name, pid, overdue))
	}
	done := make(chan struct{})
	go func() { // each ends with its router, or with the process
		defer close(done)
		for _, retired := range left {
			<-retired
		}
	}()
	return done
}

// suspend has no router give the process further requests.
func (g *groupFeed) suspend(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.processes[pid]; !known {
		return
	}
	delete(g.processes, pid)
	for _, f := range g.feeds {
		f.suspend(g.name, pid)
	}
}

// resume undoes suspend if the process serves: asked where no retire of it can
// come in between.
func (g *groupFeed) resume(pid, threads int, serves func() bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if serves() {
		g.tell(pid, threads)
	}
}

func (g *groupFeed) gone(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.processes, pid)
	for _, f := range g.feeds {
		f.gone(g.name, pid)
	}
}

func (g *groupFeed) group(state wire.GroupState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state = &state
	for _, f := range g.feeds {
		f.group(state)
	}
}
