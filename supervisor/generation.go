package supervisor

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/exitreason"
	"github.com/wsgid/wsgid/internal/wire"
)

// generation is one configuration as it runs: a router, the dispatch helper and
// the process groups. A reload makes another one, and ends this one when that
// serves.
type generation struct {
	number int
	config *config.Config
	loaded time.Time
	plan   *plan
	feed   *feed
	router *router
	helper *dispatchHelper // nil: scripts are evaluated in the router
	groups []*group        // in file order; those carried over are in two generations
	// gone: it has let go of groups that others have. Of the mutex of Supervisor.
	gone bool
}

// newGeneration plans one. It has no effect outside the process.
func (s *Supervisor) newGeneration(number int, cfg *config.Config) (*generation, error) {
	p, err := makePlan(cfg, s.options.Version, currentUsers())
	if err != nil {
		return nil, err
	}
	for _, name := range p.admins.shutOut {
		s.log.Warn("an admin cannot connect to the control socket: neither its owner nor in its group", "user", name)
	}
	g := &generation{number: number, config: cfg, loaded: time.Now(), plan: p, feed: newFeed()}
	for i := range cfg.VirtualHosts {
		p.wire.VirtualHosts[i].ErrorLog = s.errorLogs.key(cfg.VirtualHosts[i].ErrorLog)
	}
	g.feed.config = p.wire
	g.router = &router{
		identity: p.router, eggs: cfg.Router.PythonEggs, launcher: s.launcher, feed: g.feed, pumps: &s.pumps, oom: s.oom,
		log: s.options.Logger.Named("router"), errorLogs: &s.errorLogs, globalLog: &cfg.Log, grace: p.grace,
		stop: make(chan struct{}), succeeded: make(chan struct{}), handed: make(chan struct{}), hopeless: make(chan struct{}), ready: make(chan struct{}), done: make(chan struct{}),
		restarts: map[string]uint64{}, queries: map[uint64]chan *wire.RouterStatus{},
	}
	if p.helper != nil {
		g.helper = &dispatchHelper{
			identity: *p.helper, routerUID: p.router.UID, python: p.wire.Embedded, eggs: cfg.Router.PythonEggs,
			launcher: s.launcher, feed: g.feed, pumps: &s.pumps, oom: s.oom, log: s.options.Logger.Named("dispatch"),
			errorLogs: &s.errorLogs, globalLog: &cfg.Log,
			stop: make(chan struct{}), settled: make(chan struct{}), done: make(chan struct{}), restarts: map[string]uint64{},
		}
		g.router.helper = g.helper
	}
	g.router.lost = s.access.lostLines
	g.router.want = func(name string, waiting int) {
		if group := g.find(name); group != nil && group.elastic() {
			group.want(waiting)
		}
	}
	for _, planned := range p.groups {
		g.groups = append(g.groups, s.newGroup(planned, p.router, cfg))
	}
	return g, nil
}

func (s *Supervisor) newGroup(planned groupPlan, router identity, cfg *config.Config) *group {
	name := planned.config.Name
	log := s.options.Logger.Named("worker").With("group", name)
	if level := planned.config.LogLevel; level != "" {
		log.SetLevel(hclog.LevelFromString(level))
	}
	return &group{
		groupPlan: planned, router: router,
		launcher: s.launcher, feed: newGroupFeed(name), pumps: &s.pumps, oom: s.oom, cgroups: s.cgroups,
		log: log, errorLogs: &s.errorLogs, globalLog: &cfg.Log,
		limit: planned.config.Processes, demand: make(chan int, 1), rescaled: make(chan struct{}, 1),
		stop: make(chan struct{}), end: make(chan struct{}),
		trying: make(chan struct{}, 1), relieving: make(chan struct{}, 1), loadErrors: map[scriptKey]loadError{},
		processes: map[*process]struct{}{}, restarts: map[string]uint64{},
		announced: wire.GroupState{Name: name, Available: true},
	}
}

// openSockets opens the sockets that the router reaches groups and helper by.
// Groups that were carried over have theirs.
func (g *generation) openSockets(d *groupDirectory) error {
	if g.helper != nil {
		name := helperSocketName
		if g.number > 1 {
			name += "." + strconv.Itoa(g.number)
		}
		socket, err := d.listen(filepath.Join(d.path, name), helperBacklog)
		if err != nil {
			return fmt.Errorf("dispatch helper: %w", err)
		}
		g.helper.socket = socket
		g.plan.wire.HelperSocket = socket.path
	}
	routed := 0 // the router knows the groups that take requests, in this order
	for i, group := range g.groups {
		if group.config.Service() {
			continue
		}
		if group.socket == nil {
			socket, err := d.listen(groupSocketPath(d.path, group.config.Name, g.number, i), group.config.ListenBacklog)
			if err != nil {
				return errors.Join(fmt.Errorf("daemon_process %q", group.config.Name), err)
			}
			group.socket = socket
		}
		g.plan.wire.Groups[routed].Socket = group.socket.path
		routed++
	}
	return nil
}

// closeSockets closes what openSockets has opened, and no other generation uses.
func (g *generation) closeSockets(d *groupDirectory, besides ...*generation) {
	if g.helper != nil && g.helper.socket != nil {
		d.forget(g.helper.socket)
	}
	for _, group := range g.without(besides) {
		if group.socket != nil {
			d.forget(group.socket)
		}
	}
}

// without are the groups that are in none of the other generations.
func (g *generation) without(others []*generation) []*group {
	elsewhere := map[*group]bool{}
	for _, other := range others {
		for _, group := range other.groups {
			elsewhere[group] = true
		}
	}
	var own []*group
	for _, group := range g.groups {
		if !elsewhere[group] {
			own = append(own, group)
		}
	}
	return own
}

// openFronts gives the router the sockets of the front servers.
func (g *generation) openFronts(open *listeners) error {
	g.router.listeners = nil
	for i, planned := range g.plan.listeners {
		l, err := open.open(planned)
		if err != nil {
			return err
		}
		g.router.listeners = append(g.router.listeners, l.file)
		g.plan.wire.Listeners[i].Address = l.address
	}
	return nil
}

// startRouter starts the helper and the router.
func (g *generation) startRouter() {
	g.startHelper()
	go g.router.run()
}

func (g *generation) startHelper() {
	if g.helper != nil {
		go g.helper.run()
	}
}

// serve: the router of the generation takes requests.
func (g *generation) serve() {
	for _, group := range g.groups {
		group.serve()
	}
}

// startGroups starts groups. The channel is closed when each of their processes
// has been ready once, and the router has been told, or has failed.
func (g *generation) startGroups(groups []*group) <-chan struct{} {
	var settled sync.WaitGroup
	for _, group := range groups {
		group.feed.join(g.feed)
		settled.Add(group.atStart())
		group.run(settled.Done)
	}
	all := make(chan struct{})
	go func() { settled.Wait(); close(all) }()
	return all
}

// stopGroups stops their slots, so that nothing is started any more.
func stopGroups(groups []*group) {
	for _, group := range groups {
		group.halt()
	}
	for _, group := range groups {
		group.slots.Wait()
	}
}

// endGroups ends their processes, each within its shutdown_timeout.
func endGroups(groups []*group, reason exitreason.Reason) {
	var wait sync.WaitGroup
	for _, group := range groups {
		wait.Go(func() { group.terminateAll(reason) })
	}
	wait.Wait()
}

func (g *generation) stopHelper() {
	if g.helper != nil {
		close(g.helper.stop)
		<-g.helper.done
	}
}

func (g *generation) countReady() int {
	ready := 0
	for _, group := range g.groups {
		group.mu.Lock()
		ready += group.countReady()
		group.mu.Unlock()
	}
	return ready
}
