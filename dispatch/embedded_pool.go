package dispatch

import (
	"github.com/wsgid/wsgid/internal/errcode"
)

// fill starts the embedded threads. The requests that wait for them get the
// refusal if that fails, and the next one tries again.
func (g *group) fill(start func(threads int) error) *refusal {
	err := start(max(1, g.router.config.Embedded.Threads))
	if err == nil {
		return nil
	}
	r := refuse(errcode.EmbeddedMissing, "error", err)
	g.mu.Lock()
	g.filled = false
	g.queue.failAll(r)
	g.mu.Unlock()
	return r
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
