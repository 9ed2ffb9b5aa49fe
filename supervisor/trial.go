package supervisor

import (
	"strings"
	"time"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/exitreason"
)

// trial is what a process that shall succeed another one must be able to
// import before it is let in. Its predecessor serves meanwhile.
type trial struct {
	// allowed are the scripts that may fail: the predecessor is no better.
	allowed map[scriptKey]bool
	// broken are those that the predecessor could not import, changed those
	// that it was asked for and has not, or only an old version of. watched:
	// another file has changed.
	broken, changed map[scriptKey]bool
	watched         bool
	loaded          chan struct{} // closed when everything was tried
}

// better says whether a process that could not import these scripts is to take
// the predecessor's place: it has lost nothing and gained something.
func (t *trial) better(broken map[scriptKey]bool) bool {
	for key := range broken {
		if !t.allowed[key] {
			return false
		}
	}
	if t.watched {
		return true
	}
	for key := range t.broken {
		if !broken[key] {
			return true
		}
	}
	for key := range t.changed {
		if !t.broken[key] && !broken[key] {
			return true
		}
	}
	return false
}

// wantsRenewal is the renew event: p serves on, and another process should
// import what has changed or what p could not.
func (g *group) wantsRenewal(p *process, event map[string]string) {
	reason := event["reason"]
	if reason == "changed" || reason == "watched" {
		g.trials.reset() // somebody has edited something: at once
		p.log.Info("file has changed, another process tries it", "reason", reason, "script", escape.Line(event["script"]))
	}
	watched := strings.HasPrefix(reason, "watched")
	p.mu.Lock()
	p.watched = p.watched || watched
	if key, ok := scriptKeyOf(event); ok && !watched && len(p.changed) < maxLoadErrors {
		p.changed[key] = true
	}
	p.mu.Unlock()
	select {
	case p.renew <- struct{}{}:
	default: // wanted already
	}
}

// newTrial is for the successor of p.
func (g *group) newTrial(p *process) *trial {
	t := &trial{allowed: map[scriptKey]bool{}, broken: p.brokenKeys(), loaded: make(chan struct{})}
	p.mu.Lock()
	t.changed, t.watched = p.changed, p.watched
	p.changed, p.watched = map[scriptKey]bool{}, false
	p.mu.Unlock()
	g.mu.Lock()
	for key, e := range g.loadErrors {
		if !e.kept && !t.changed[key] {
			t.allowed[key] = true
		}
	}
	g.mu.Unlock()
	for key := range t.broken {
		t.allowed[key] = true
	}
	if g.config.ReloadOnError == config.ReloadKeep {
		return t
	}
	// An import script that raises is ignored: it may be one that cannot run
	// twice at once.
	served := map[scriptKey]bool{}
	for _, p := range g.preloads {
		served[scriptKey{p.Application, p.Path}] = served[scriptKey{p.Application, p.Path}] || p.Served
	}
	for key := range served {
		if !served[key] && !t.changed[key] {
			t.allowed[key] = true
		}
	}
	return t
}

// succeed tries to put another process into the place of p. It returns nil if
// p stays, or if it needs an ordinary replacement, or if the group stops.
func (g *group) succeed(p *process) *process {
	if !g.awaitTurn(p) {
		return nil
	}
	defer func() { <-g.trying }()
	t := g.newTrial(p)
	over := false // p ends, whatever becomes of its successor
	defer func() {
		if t.watched && !over { // no request will ask again
			g.wantsRenewal(p, map[string]string{"reason": "watched again"})
		}
	}()
	next, err := g.startProcess(p.slot, nil, t)
	now := time.Now()
	if err != nil {
		g.trials.failed(now, now, false)
		p.log.Error("successor cannot be started", "error", err)
		return nil
	}
	g.trials.pace(now)
	if !g.await(next, t.loaded) {
		g.abandon(next)
		return nil
	}
	if broken := next.brokenKeys(); !t.better(broken) {
		for key := range broken {
			p.log.Warn("new process cannot import a script, the old one goes on serving", "successor", next.child.pid,
				"script", escape.Line(key.path), "application", escape.Line(key.application))
		}
		g.drains.Go(func() { next.terminate(exitreason.ImportFailed) })
		return nil
	}
	// The router first, so that nothing is answered by old code any more once
	// something was by the new: it takes a moment until that serves.
	over = true
	p.retire(exitreason.ScriptReload)
	if retired := g.beginDrain(p); retired != nil {
		g.drains.Go(func() { g.endDrain(p, retired) })
	}
	if err := next.admit(); err != nil || !g.await(next, next.serving) {
		g.abandon(next)
		return nil
	}
	return next
}

// awaitTurn waits until no other trial of the group is under way and the
// back-off is over. False: p is not to be succeeded this way, or no turn was taken.
func (g *group) awaitTurn(p *process) bool {
	select {
	case g.trying <- struct{}{}:
	case <-p.done:
		return false
	case <-p.retiring:
		return false
	case <-p.slot.stop:
		return false
	}
	for {
		timer := time.NewTimer(g.trials.delay(time.Now()))
		select {
		case <-p.done:
		case <-p.retiring:
		case <-p.slot.stop:
		case <-p.renew: // perhaps the wait is over
			timer.Stop()
			continue
		case <-timer.C:
			if !p.isRetiring() {
				return true
			}
		}
		timer.Stop()
		<-g.trying
		return false
	}
}

// await waits for an event of a new process. False: it ended before, or the
// group stops.
func (g *group) await(p *process, event <-chan struct{}) bool {
	var expired <-chan time.Time
	if g.config.StartupTimeout > 0 {
		timer := time.NewTimer(time.Until(p.child.started.Add(g.config.StartupTimeout)))
		defer timer.Stop()
		expired = timer.C
	}
	for {
		select {
		case <-event:
			return true
		case <-p.done:
			return false
		case <-expired:
			p.kill(exitreason.StartupTimeout)
		case <-p.slot.stop:
			return false
		}
	}
}

// admit tells a process on trial that it may serve.
func (p *process) admit() error {
	_, err := p.channel.WriteString("event\x00serve\x00")
	return err
}
