package supervisor

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/exitreason"
	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/systemd"
)

// errEnding: wsgid is asked to end while it reloads.
var errEnding = errors.New("wsgid is stopping")

// embeddedGrace is for requests of embedded applications, which have no
// graceful_timeout of their own: its default.
const embeddedGrace = 15 * time.Second

// Reload reads the configuration again and puts another generation into the
// place of the one that serves: all process groups, or those that are named,
// get new processes. What of it cannot be is refused whole, and nothing has
// changed then. It waits for its turn, and returns when the new generation
// serves; requests of the old one may still run.
func (s *Supervisor) Reload(names []string) *status.Reload {
	outcome := &status.Reload{At: time.Now(), Groups: names}
	select {
	case s.turn <- struct{}{}:
	case <-s.ending:
		outcome.Error = errEnding.Error()
		return outcome
	}
	defer func() { <-s.turn }()
	if s.currentPhase() != phaseReady {
		outcome.Error = "wsgid is " + s.currentPhase().String() + ", and can be reloaded when it is ready"
		return outcome
	}
	s.notified(systemd.Reloading())
	started := time.Now()
	next, problems, err := s.succeed(names)
	outcome.Seconds = time.Since(started).Seconds()
	outcome.Generation = s.generation().number
	for _, problem := range problems {
		outcome.Problems = append(outcome.Problems, problem.Error())
		s.log.Error("reloaded, but not all of it serves", "generation", outcome.Generation, "error", problem)
	}
	took := time.Since(started).Round(time.Millisecond).String()
	if err != nil {
		outcome.Error = err.Error()
		s.log.Error("not reloaded, everything serves as before", "generation", outcome.Generation, "after", took, "error", err)
	} else {
		s.log.Info("reloaded", "generation", next.number, "groups", len(next.groups), "processes", next.countReady(), "after", took)
	}
	s.mu.Lock()
	s.lastReload = outcome
	s.mu.Unlock()
	s.notified(systemd.Ready("")) // keepManager tells the rest, perhaps before
	return outcome
}

// succeed makes the next generation serve. problems are what it lacks that the
// old one did not have either.
func (s *Supervisor) succeed(names []string) (next *generation, problems []error, err error) {
	if s.options.Load == nil {
		return nil, nil, errors.New("this wsgid has no configuration file to read again")
	}
	cfg, err := s.options.Load()
	if err != nil {
		return nil, nil, err
	}
	old := s.generation()
	s.reloads++
	if next, err = s.newGeneration(s.reloads+1, cfg); err != nil {
		return nil, nil, err
	}
	if err := old.fixed(cfg); err != nil {
		return nil, nil, err
	}
	if err := next.carryOver(old, names); err != nil {
		return nil, nil, err
	}
	t := &transition{s: s, old: old, next: next}
	if err := t.prepare(); err != nil {
		t.takeDown()
		return nil, nil, err
	}
	t.switchOver()
	return next, t.problems, nil
}

// fixed refuses what only a restart can change.
func (g *generation) fixed(cfg *config.Config) error {
	was, is := g.config.Control, cfg.Control
	was.Range, is.Range = hcl.Range{}, hcl.Range{}
	for _, c := range []*config.Control{&was, &is} { // each configuration has its own
		c.AdminUsers, c.AdminGroups = nil, nil
	}
	if !reflect.DeepEqual(was, is) {
		return fmt.Errorf("%s: the control block has changed: restart wsgid, a reload cannot move its control socket", cfg.File)
	}
	if !sameMonitor(g.config.Monitor, cfg.Monitor) {
		return fmt.Errorf("%s: the monitor block has changed: restart wsgid, a reload cannot move its listener", cfg.File)
	}
	if g.config.Log.Format != cfg.Log.Format || g.config.Log.Destination != cfg.Log.Destination {
		return fmt.Errorf("%s: format or destination of the log has changed: restart wsgid, a reload cannot", cfg.File)
	}
	return nil
}

func sameMonitor(a, b *config.Monitor) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Listen == b.Listen && a.User == b.User && a.Group == b.Group
}

// carryOver takes the groups of the old generation that are not named. With no
// names none is.
func (g *generation) carryOver(old *generation, names []string) error {
	if len(names) == 0 {
		return nil
	}
	for _, name := range names {
		if g.find(name) == nil {
			return fmt.Errorf("there is no daemon_process %q in %s; there are %s", name, g.config.File, g.names())
		}
	}
	for i, group := range g.groups {
		name := group.config.Name
		before := old.find(name)
		switch {
		case before == nil || slices.Contains(names, name):
		case !group.sameAs(before):
			return fmt.Errorf("daemon_process %q would change as well: name it, too, or reload everything", name)
		default:
			g.groups[i] = before
		}
	}
	return nil
}

// sameAs says whether processes of both would be the same.
func (g *group) sameAs(other *group) bool {
	a, b := g.groupPlan, other.groupPlan
	if a.impossible != nil || b.impossible != nil {
		return a.impossible != nil && b.impossible != nil
	}
	first, second := *a.config, *b.config
	first.Range, second.Range = hcl.Range{}, hcl.Range{}
	a.config, b.config = &first, &second
	return reflect.DeepEqual(a, b) && reflect.DeepEqual(g.router, other.router)
}

// find gives the group of a name, or nil.
func (g *generation) find(name string) *group {
	for _, group := range g.groups {
		if group.config.Name == name {
			return group
		}
	}
	return nil
}

// names lists the groups for people.
func (g *generation) names() string {
	if len(g.groups) == 0 {
		return "none"
	}
	var quoted []string
	for _, group := range g.groups {
		quoted = append(quoted, fmt.Sprintf("%q", group.config.Name))
	}
	return strings.Join(quoted, ", ")
}

// transition is one reload on its way.
type transition struct {
	s         *Supervisor
	old, next *generation

	fresh    []*group // new groups that take requests
	services []*group // new ones that take none
	carried  []*group
	problems []error

	helperRuns, routerRuns bool
}

// prepare starts the new generation until it could serve.
func (t *transition) prepare() error {
	s, next := t.s, t.next
	for _, group := range next.groups {
		before := t.old.find(group.config.Name)
		if before != nil && group != before {
			group.keepClosed(before)
		}
		switch {
		case group == before:
			t.carried = append(t.carried, group)
		case group.impossible != nil && before != nil && before.impossible == nil:
			return group.impossible
		case group.config.Service():
			t.services = append(t.services, group)
		default:
			t.fresh = append(t.fresh, group)
		}
		if group != before && group.impossible != nil {
			t.problems = append(t.problems, group.impossible)
		}
	}
	if err := s.directory.admit(next.plan.router); err != nil {
		return err
	}
	if err := next.openSockets(s.directory); err != nil {
		return err
	}
	if err := next.openFronts(s.fronts); err != nil {
		return err
	}
	if err := next.openAccessLogs(&s.access, s.log); err != nil {
		return err
	}
	for _, group := range t.carried {
		group.feed.join(next.feed)
	}
	next.startHelper()
	t.helperRuns = true
	if err := t.await(next.startGroups(t.fresh), nil, nil); err != nil {
		return err
	}
	for _, group := range t.fresh {
		if err := t.cameUp(group); err != nil {
			return err
		}
	}
	if h := next.helper; h != nil {
		if err := t.await(h.settled, h.done, func() error { return h.err }); err != nil {
			return err
		}
	}
	if s.embedded.why != "" {
		next.feed.group(embeddedState(s.embedded))
	}
	next.router.handover = s.handover
	t.routerRuns = true
	go next.router.run()
	limit := time.AfterFunc(routerStartup, next.router.giveUp)
	defer limit.Stop()
	return t.await(next.router.ready, next.router.done, func() error {
		if next.router.err != nil {
			return next.router.err
		}
		return errors.New("the new router does not come up; the log says why")
	})
}

// await waits for a step of the start.
func (t *transition) await(step, failed <-chan struct{}, why func() error) error {
	select {
	case <-step:
		return nil
	case <-failed:
		return why()
	case <-t.s.ending:
		return errEnding
	}
}

// cameUp says what is wrong with a new group, all of whose processes have been
// ready once or failed. A group that there was not before stops nothing.
func (t *transition) cameUp(g *group) error {
	before := t.old.find(g.config.Name)
	g.mu.Lock()
	ready, last := g.countReady(), g.lastExit
	var broken error
	for key, e := range g.loadErrors {
		if before == nil || !before.cannotImport(key) {
			broken = fmt.Errorf("daemon_process %q: %s cannot be imported: %s (the log has all of it)", g.config.Name, key.path, lastLine(e.traceback))
		}
	}
	g.mu.Unlock()
	var err error
	switch {
	case ready < g.atStart() && last != nil && last.Error != "":
		err = fmt.Errorf("daemon_process %q: a process did not come up: %s: %s", g.config.Name, last.Reason, last.Error)
	case ready < g.atStart() && last != nil:
		err = fmt.Errorf("daemon_process %q: a process did not come up: %s", g.config.Name, last.Reason)
	case ready < g.atStart():
		err = fmt.Errorf("daemon_process %q: a process did not come up", g.config.Name)
	case broken != nil:
		err = broken
	}
	if err != nil && (before == nil || before.impossible != nil) {
		t.problems = append(t.problems, err)
		return nil
	}
	return err
}

// cannotImport says whether a script of the group is known not to be importable.
func (g *group) cannotImport(key scriptKey) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, known := g.loadErrors[key]
	return known
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// takeDown ends a generation that did not come up. No request has reached it.
func (t *transition) takeDown() {
	s, next := t.s, t.next
	own := append(slices.Clone(t.fresh), t.services...)
	stopGroups(own)
	if t.routerRuns {
		close(next.router.stop)
		<-next.router.done
	}
	if t.helperRuns {
		next.stopHelper()
	}
	endGroups(own, exitreason.ShutdownSignal)
	for _, group := range t.carried {
		group.feed.leave(next.feed)
	}
	next.closeSockets(s.directory, t.old)
	if s.estate == nil || t.old.config != nil { // else nothing of this wsgid is left
		s.fronts.keep(t.old.plan.listeners)
	}
}

// switchOver makes the new generation the one that serves, and has the old one
// hand over and drain.
func (t *transition) switchOver() {
	s, old, next := t.s, t.old, t.next
	next.router.inherit(old.router)
	if next.helper != nil && old.helper != nil {
		next.helper.inherit(old.helper)
	}
	s.mu.Lock()
	s.current = next
	s.draining = append(s.draining, old)
	s.mu.Unlock()
	old.router.patience = old.patience()
	close(old.router.succeeded)
	next.serve()
	s.fronts.keep(next.plan.listeners)
	if err := s.fronts.adjust(next.plan.listeners); err != nil {
		t.problems = append(t.problems, err)
	}
	// A service is ended before its successor is started.
	var services []*group
	for _, group := range old.without([]*generation{next}) {
		if group.config.Service() {
			services = append(services, group)
		}
	}
	stopGroups(services)
	endGroups(services, exitreason.Reload)
	next.startGroups(t.services)
	s.drains.Go(func() { s.drain(old) })
	select { // who has waited for the reload finds no idle connection at the old router
	case <-old.router.handed:
		old.router.told()
	case <-old.router.done:
	}
}

// patience is how long requests of the generation may take to end.
func (g *generation) patience() time.Duration {
	var longest time.Duration
	if g.plan.wire.Embedded.Needed {
		longest = embeddedGrace
	}
	for _, group := range g.groups {
		longest = max(longest, group.config.GracefulTimeout)
	}
	return longest
}

// letGo has a generation that has drained leave its groups to the others that have
// them. Those that no other has are its own to end. Of several generations that drain
// at the same time the last one to come here ends what they share.
func (s *Supervisor) letGo(g *generation) (own []*group, others []*generation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.gone = true
	others = []*generation{s.current}
	for _, other := range s.draining {
		if !other.gone {
			others = append(others, other)
		}
	}
	own = g.without(others)
	for _, group := range g.groups {
		if !slices.Contains(own, group) {
			group.feed.leave(g.feed)
		}
	}
	return own, others
}

// drain waits until no request of the generation runs, and ends it.
func (s *Supervisor) drain(g *generation) {
	select {
	case <-g.router.done:
	case <-s.ending:
		close(g.router.stop)
		<-g.router.done
	}
	own, others := s.letGo(g)
	stopGroups(own)
	g.stopHelper()
	endGroups(own, exitreason.Reload)
	g.closeSockets(s.directory, others...)
	s.drained(g, own)
}
