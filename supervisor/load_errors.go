package supervisor

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/exitreason"
	"github.com/wsgid/wsgid/internal/status"
)

// maxLoadErrors bounds what is kept of scripts that cannot be imported, for a
// group and for a process: their names come from the tenant.
const maxLoadErrors = 16

// scriptKey is a script in one of the interpreters of a group's processes.
type scriptKey struct{ application, path string }

// scriptKeyOf reads the fields of an event; false: they cannot be handed to
// another process.
func scriptKeyOf(event map[string]string) (scriptKey, bool) {
	key := scriptKey{event["application"], event["script"]}
	return key, key.path != "" && !strings.Contains(key.application, "\t")
}

// loadError is why a script could not be imported the last time.
type loadError struct {
	at      time.Time
	pid     int
	started time.Time // of the process
	// kept: it was a trial, and in the other processes the script is loaded.
	kept      bool
	traceback string // escaped
}

// loadFailed records that p cannot import a script.
func (g *group) loadFailed(p *process, key scriptKey, traceback string) {
	now := time.Now()
	p.mu.Lock()
	if len(p.broken) < maxLoadErrors {
		p.broken[key] = true
	}
	p.mu.Unlock()
	g.mu.Lock()
	if _, known := g.loadErrors[key]; known || len(g.loadErrors) < maxLoadErrors {
		g.loadErrors[key] = loadError{
			at: now, pid: p.child.pid, started: p.child.started,
			kept: p.trial != nil && !p.trial.allowed[key], traceback: tracebackText(traceback),
		}
	}
	g.mu.Unlock()
	g.trials.failed(p.child.started, now, false)
}

// brokenKeys are the scripts that p could not import.
func (p *process) brokenKeys() map[scriptKey]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.broken)
}

// brokenScripts are the scripts that the next process of the group has to try,
// besides those that it preloads.
func (g *group) brokenScripts() map[scriptKey]bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	keys := map[scriptKey]bool{}
	for key := range g.loadErrors {
		keys[key] = true
	}
	return keys
}

// loadsSettled forgets the errors of scripts that p, which has become ready,
// could import, and replaces the processes that could not.
func (g *group) loadsSettled(p *process) {
	broken := p.brokenKeys()
	if len(broken) == 0 {
		g.trials.reset()
	}
	mended := map[scriptKey]bool{}
	var others []*process
	g.mu.Lock()
	for key, e := range g.loadErrors {
		if p.retried[key] && !broken[key] && e.started.Before(p.child.started) {
			mended[key] = true
			delete(g.loadErrors, key)
		}
	}
	for q := range g.processes {
		if q.child.started.Before(p.child.started) {
			others = append(others, q)
		}
	}
	g.mu.Unlock()
	for key := range mended {
		g.log.Info("script can be imported again", "script", escape.Line(key.path), "application", escape.Line(key.application))
	}
	for _, q := range others {
		for key := range q.brokenKeys() {
			if mended[key] {
				q.retire(exitreason.ScriptReload)
			}
		}
	}
}

// forgetLoadErrors: a service has lived so long that its scripts seem to run.
func (g *group) forgetLoadErrors() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.loadErrors)
}

// shownLoadErrors needs g.mu.
func (g *group) shownLoadErrors() []status.LoadError {
	var shown []status.LoadError
	for key, e := range g.loadErrors {
		shown = append(shown, shownLoadError(key, e))
	}
	sortLoadErrors(shown)
	return shown
}

// tracebackText is a traceback as loadError holds it.
func tracebackText(said string) string { return escape.Text(strings.TrimRight(said, "\n")) }

func shownLoadError(key scriptKey, e loadError) status.LoadError {
	return status.LoadError{
		Script: escape.Line(key.path), Application: escape.Line(key.application), At: e.at, PID: e.pid,
		OldCodeServes: e.kept, Error: e.traceback[strings.LastIndexByte(e.traceback, '\n')+1:], Traceback: e.traceback,
	}
}

func sortLoadErrors(shown []status.LoadError) {
	slices.SortFunc(shown, func(a, b status.LoadError) int {
		return cmp.Or(cmp.Compare(a.Script, b.Script), cmp.Compare(a.Application, b.Application))
	})
}
