package supervisor

import (
	"maps"
	"slices"
	"sync"

	"github.com/wsgid/wsgid/internal/wire"
)

// feed holds what the router of a generation has to know, and passes every
// change on. A router in the place of one that crashed gets all of it, in an
// order without gaps.
type feed struct {
	mu        sync.Mutex
	config    *wire.RouterConfig
	processes map[int]wire.Process
	groups    map[string]wire.GroupState
	retiring  map[int]chan struct{} // closed when the router has let go
	helping   *wire.HelperState     // nil: no dispatch helper was started yet, or none ever is
	router    *outbox               // nil while there is none
}

func newFeed() *feed {
	return &feed{
		processes: map[int]wire.Process{},
		groups:    map[string]wire.GroupState{},
		retiring:  map[int]chan struct{}{},
	}
}

// attach tells a new router everything.
func (f *feed) attach(router *outbox) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.router = router
	router.put(&wire.Message{Type: wire.TypeConfig, Config: f.config})
	if f.helping != nil {
		router.put(&wire.Message{Type: wire.TypeHelper, Helper: f.helping})
	}
	for _, name := range slices.Sorted(maps.Keys(f.groups)) {
		group := f.groups[name]
		router.put(&wire.Message{Type: wire.TypeGroup, Group: &group})
	}
	for _, pid := range slices.Sorted(maps.Keys(f.processes)) {
		process := f.processes[pid]
		router.put(&wire.Message{Type: wire.TypeProcess, Process: &process})
	}
}

// detach says that the router has gone, and with it all its connections.
func (f *feed) detach() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.router = nil
	for pid := range f.retiring {
		f.release(pid)
	}
}

func (f *feed) send(m *wire.Message) {
	if f.router != nil {
		f.router.put(m)
	}
}

func (f *feed) ready(process wire.Process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.processes[process.PID] = process
	f.send(&wire.Message{Type: wire.TypeProcess, Process: &process})
}

// retire returns a channel that is closed when the router has no request left
// on the process, or no router is left. overdue: see wire.Process.
func (f *feed) retire(group string, pid int, overdue bool) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.processes, pid) // a new router need not know it
	done := make(chan struct{})
	if f.router == nil {
		close(done)
		return done
	}
	f.retiring[pid] = done
	f.send(&wire.Message{Type: wire.TypeProcess, Process: &wire.Process{Group: group, PID: pid, State: wire.ProcessRetire, Overdue: overdue}})
	return done
}

// suspend is retire of a process that may come back; nobody waits.
func (f *feed) suspend(group string, pid int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.processes, pid)
	f.send(&wire.Message{Type: wire.TypeProcess, Process: &wire.Process{Group: group, PID: pid, State: wire.ProcessRetire}})
}

// retired is the router's answer to retire.
func (f *feed) retired(pid int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.release(pid)
}

func (f *feed) gone(group string, pid int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.processes, pid)
	f.release(pid)
	f.send(&wire.Message{Type: wire.TypeProcess, Process: &wire.Process{Group: group, PID: pid, State: wire.ProcessGone}})
}

func (f *feed) release(pid int) {
	if done, ok := f.retiring[pid]; ok {
		close(done)
		delete(f.retiring, pid)
	}
}

func (f *feed) group(state wire.GroupState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.groups[state.Name] = state
	f.send(&wire.Message{Type: wire.TypeGroup, Group: &state})
}

// helper says what has become of the dispatch helper.
func (f *feed) helper(state wire.HelperState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.helping = &state
	f.send(&wire.Message{Type: wire.TypeHelper, Helper: &state})
}
