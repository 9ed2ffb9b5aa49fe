package supervisor

import (
	"time"

	"github.com/wsgid/wsgid/internal/exitreason"
)

// weighEvery is how often the memory of processes that did something is looked at.
const weighEvery = time.Second

// weigh has processes relieved that have grown over memory_soft_limit, until the
// group stops. One that has served nothing since the last look has not grown.
//
// Resident memory is the figure: it is what the kernel counts anyway. The
// proportional one would be fairer by the libraries that processes share, some
// megabytes, and costs a walk over all pages.
func (g *group) weigh() {
	ticker := time.NewTicker(weighEvery)
	defer ticker.Stop()
	seen := map[*process]uint64{} // requests that they had served
	for {
		select {
		case <-g.stop:
			return
		case <-ticker.C:
		}
		now := map[*process]uint64{}
		for _, p := range g.readyProcesses() {
			board := p.board.Read()
			served := board.Finished
			now[p] = served
			if before, known := seen[p]; known && before == served && board.Busy() == 0 && !g.config.Service() {
				continue
			}
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
