package supervisor

import (
	"time"

	"github.com/wsgid/wsgid/internal/exitreason"
)

// A process that has served long or much enough is relieved: it serves on until
// another one does, and processes of a group are relieved one after another.

// askRelief has the process relieved; the first reason stays.
func (p *process) askRelief(reason exitreason.Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reliefReason == exitreason.None && p.retireReason == exitreason.None {
		p.reliefReason = reason
		p.log.Info("process is to be replaced", "reason", reason.String())
		close(p.relief)
	}
}

// aged is a timer for the end of restart_interval; nil without it.
func (p *process) aged() (expired <-chan time.Time, stop func()) {
	interval := p.group.config.RestartInterval
	if interval <= 0 {
		return nil, func() {}
	}
	timer := time.NewTimer(time.Until(p.child.started.Add(interval)))
	return timer.C, func() { timer.Stop() }
}

// relieve puts another process into the place of p and drains it. It returns
// nil if p has to be replaced at once, or has ended, or if the group stops.
func (g *group) relieve(p *process) *process {
	select {
	case g.relieving <- struct{}{}:
		defer func() { <-g.relieving }()
	case <-p.done:
		return nil
	case <-p.retiring:
		return nil
	case <-p.slot.stop:
		return nil
	}
	for g.pause(p.slot) && !p.isRetiring() && p.exited() == nil {
		next, err := g.startProcess(p.slot, nil, nil)
		if err != nil {
			g.cannotStart(err)
			continue
		}
		if !g.await(next, next.serving) {
			g.abandon(next)
			continue
		}
		p.mu.Lock()
		reason := p.reliefReason
		p.mu.Unlock()
		p.retire(reason)
		g.drains.Go(func() { g.drain(p) })
		return next
	}
	return nil
}
