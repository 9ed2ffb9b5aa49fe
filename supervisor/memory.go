package supervisor

import (
	"time"

	"github.com/wsgid/wsgid/internal/exitreason"
)

// The memory of processes is looked at every weighOften, and ever more rarely,
// down to every weighRarely, while none of them does anything.
const (
	weighOften  = time.Second
	weighRarely = 16 * time.Second
)

// weigh has processes relieved that have grown over memory_soft_limit, until the
// group stops. One that has served nothing since the last look has not grown.
//
// Resident memory is the figure: it is what the kernel counts anyway. The
// proportional one would be fairer by the libraries that processes share, some
// megabytes, and costs a walk over all pages.
func (g *group) weigh() {
	pause := weighOften
	timer := time.NewTimer(pause)
	defer timer.Stop()
	seen := map[*process]uint64{} // requests that they had served
	for {
		select {
		case <-g.stop:
			return
		case <-timer.C:
		}
		now, quiet := map[*process]uint64{}, true
		for _, p := range g.readyProcesses() {
			board := p.board.Read()
			served := board.Finished
			now[p] = served
			if before, known := seen[p]; known && before == served && board.Busy() == 0 && !g.config.Service() {
				continue
			}
			quiet = false
			if used := usageOf(p.child.pid).rssBytes; used > uint64(g.config.MemorySoftLimit) {
				p.log.Info("process is larger than memory_soft_limit", "bytes", used, "limit", g.config.MemorySoftLimit)
				if g.config.Service() {
					p.retire(exitreason.MemorySoftLimit)
				} else {
					p.askRelief(exitreason.MemorySoftLimit)
				}
			}
		}
		seen = now
		if quiet {
			pause = min(2*pause, weighRarely)
		} else {
			pause = weighOften
		}
		timer.Reset(pause)
	}
}

func (g *group) readyProcesses() []*process {
	g.mu.Lock()
	defer g.mu.Unlock()
	var ready []*process
	for p := range g.processes {
		if p.state.get() == stateReady {
			ready = append(ready, p)
		}
	}
	return ready
}
