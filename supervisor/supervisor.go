// Package supervisor is the master process: it opens the sockets, starts the
// router and the worker processes as their users, watches and replaces them,
// collects their logs, and answers on the control socket.
//
// It must not know FastCGI, routing or Python: root parses no request from the
// network and loads no interpreter. The contracts with its children are in
// docs/internals.md.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/boot"
	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/systemd"
)

// Options are what the supervisor needs besides the configuration.
type Options struct {
	Logger hclog.Logger
	// Modules is the archive of the Python side (docs/internals.md section 6).
	Modules []byte
	// Version of wsgid.
	Version string
	// Executable that children are started from; default /proc/self/exe, so
	// that an upgrade of the package cannot put a new child under an old
	// supervisor.
	Executable string
	// Ready is called once, when the start is complete; nil: nothing.
	Ready func()
}

// Supervisor runs one configuration. Run may be called once.
type Supervisor struct {
	config  *config.Config
	options Options
	plan    *plan
	log     hclog.Logger
	pid     int
	started time.Time

	launcher *launcher
	feed     *feed
	pumps    pumps
	router   *router
	helper   *dispatchHelper // nil: scripts are evaluated in the router
	groups   []*group

	stopOnce sync.Once
	stopping chan struct{} // closed by POST /v1/stop

	mu    sync.Mutex
	phase phase
}

// phase is where the supervisor as a whole is.
type phase int

const (
	phaseStarting phase = iota
	phaseReady
	phaseStopping
)

var phaseNames = [...]string{"starting", "ready", "stopping"}

func (p phase) String() string { return phaseNames[p] }

// New looks up every name in the configuration. It has no effect outside the
// process; what is wrong with users and groups is said here.
func New(cfg *config.Config, options Options) (*Supervisor, error) {
	if options.Executable == "" {
		options.Executable = "/proc/self/exe"
	}
	if options.Logger == nil {
		options.Logger = hclog.NewNullLogger()
	}
	p, err := makePlan(cfg, options.Version, currentUsers())
	if err != nil {
		return nil, err
	}
	s := &Supervisor{
		config: cfg, options: options, plan: p, log: options.Logger.Named("supervisor"), pid: os.Getpid(),
		feed: newFeed(), stopping: make(chan struct{}),
	}
	s.feed.config = p.wire
	s.launcher = &launcher{executable: options.Executable, version: options.Version, jsonLogs: cfg.Log.Format == "json"}
	oom := newOOMCounter()
	s.router = &router{
		identity: p.router, eggs: cfg.Router.PythonEggs, launcher: s.launcher, feed: s.feed, pumps: &s.pumps, oom: oom,
		log: options.Logger.Named("router"), grace: p.grace,
		stop: make(chan struct{}), ready: make(chan struct{}), done: make(chan struct{}),
		restarts: map[string]uint64{}, queries: map[uint64]chan *wire.RouterStatus{},
	}
	if p.helper != nil {
		s.helper = &dispatchHelper{
			identity: *p.helper, routerUID: p.router.UID, python: p.wire.Embedded, eggs: cfg.Router.PythonEggs,
			launcher: s.launcher, feed: s.feed, pumps: &s.pumps, oom: oom, log: options.Logger.Named("dispatch"),
			stop: make(chan struct{}), settled: make(chan struct{}), done: make(chan struct{}), restarts: map[string]uint64{},
		}
		s.router.helper = s.helper
	}
	for _, g := range p.groups {
		s.groups = append(s.groups, &group{
			groupPlan: g, router: p.router,
			launcher: s.launcher, feed: s.feed, pumps: &s.pumps, oom: oom,
			log:  options.Logger.Named("worker").With("group", g.config.Name),
			stop: make(chan struct{}), end: make(chan struct{}),
			trying: make(chan struct{}, 1), relieving: make(chan struct{}, 1), loadErrors: map[scriptKey]loadError{},
			processes: map[*process]struct{}{}, restarts: map[string]uint64{},
			announced: wire.GroupState{Name: g.config.Name, Available: true},
		})
	}
	return s, nil
}

// Run opens the sockets, starts everything, and returns when ctx is cancelled
// or a stop was asked for on the control socket, and nothing is left. An
// error means that the start failed.
func (s *Supervisor) Run(ctx context.Context) (err error) {
	s.started = time.Now()
	keepDescriptors()
	resources, err := s.open()
	if err != nil {
		return err
	}
	defer resources.close()

	go s.router.run()
	if s.helper != nil {
		go s.helper.run()
	}
	var settled sync.WaitGroup
	for _, g := range s.groups {
		settled.Add(g.config.Processes)
		g.run(settled.Done)
	}
	allSettled := make(chan struct{})
	go func() { settled.Wait(); close(allSettled) }()

	err = s.serve(ctx, allSettled)
	s.shutdown()
	<-allSettled
	return err
}

// serve waits for the start to complete and then for the end.
func (s *Supervisor) serve(ctx context.Context, allSettled <-chan struct{}) error {
	steps := []<-chan struct{}{s.router.ready, allSettled}
	var helperDone chan struct{} // nil: never
	if s.helper != nil {
		steps, helperDone = append(steps, s.helper.settled), s.helper.done
	}
	for _, started := range steps {
		select {
		case <-started:
		case <-s.router.done:
			return s.router.err
		case <-helperDone:
			return s.helper.err
		case <-ctx.Done():
			return nil
		case <-s.stopping:
			return nil
		}
	}
	s.becomeReady()
	select {
	case <-s.router.done:
		return s.router.err
	case <-ctx.Done():
	case <-s.stopping:
	}
	return nil
}

// becomeReady says that the start is complete.
func (s *Supervisor) becomeReady() {
	s.setPhase(phaseReady)
	processes := 0
	for _, g := range s.groups {
		g.mu.Lock()
		processes += g.countReady()
		g.mu.Unlock()
	}
	text := fmt.Sprintf("%d process groups, %d processes", len(s.groups), processes)
	if err := systemd.Ready(text); err != nil {
		s.log.Warn("service manager not notified", "error", err)
	}
	s.log.Info("ready", "version", s.options.Version, "groups", len(s.groups), "processes", processes)
	if s.options.Ready != nil {
		s.options.Ready()
	}
}

// requestStop makes Run return.
func (s *Supervisor) requestStop() {
	s.stopOnce.Do(func() { close(s.stopping) })
}

func (s *Supervisor) currentPhase() phase {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase
}

func (s *Supervisor) setPhase(p phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = p
}

// resources are what Run has to give back, in the order of opening.
type resources struct{ closers []func() }

func (r *resources) add(f func()) { r.closers = append(r.closers, f) }

func (r *resources) close() {
	for i := len(r.closers) - 1; i >= 0; i-- {
		r.closers[i]()
	}
}

// open opens everything outside the process: the control socket first, which
// keeps a second instance out.
func (s *Supervisor) open() (_ *resources, err error) {
	r := &resources{}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if s.config.Control.Path != "" {
		control, err := s.openControl()
		if err != nil {
			return nil, err
		}
		r.add(control.close)
	}
	if err := s.openGroupSockets(r); err != nil {
		return nil, err
	}
	front, err := openListeners(s.plan.listeners)
	if err != nil {
		return nil, err
	}
	r.add(front.close)
	s.router.listeners = front.files
	for i, address := range front.addresses {
		s.plan.wire.Listeners[i].Address = address
		s.log.Info("listening", "kind", string(s.plan.wire.Listeners[i].Kind), "address", address)
	}
	if path := s.config.Control.PIDFile; path != "" {
		if err := writePIDFile(path); err != nil {
			return nil, err
		}
		r.add(func() { removePIDFile(path) })
	}
	if s.launcher.modules, err = boot.SealedFile("wsgid-modules", s.options.Modules); err != nil {
		return nil, err
	}
	r.add(func() { s.launcher.modules.Close() })
	if s.launcher.reaper, err = newReaper(s.log); err != nil {
		return nil, err
	}
	r.add(s.launcher.reaper.close)
	s.launcher.spawner = newSpawner()
	r.add(s.launcher.spawner.close)
	r.add(s.pumps.close)
	return r, nil
}

// openGroupSockets makes the directory of the group sockets and the sockets.
func (s *Supervisor) openGroupSockets(r *resources) error {
	path, err := chooseGroupDirectory(s.config.Control.Path, s.plan.users, s.plan.router)
	if err != nil {
		return err
	}
	directory := &groupDirectory{path: path, users: s.plan.users, router: s.plan.router}
	if err := directory.make(); err != nil {
		return err
	}
	r.add(directory.close)
	if s.helper != nil {
		socket, err := directory.listen(filepath.Join(path, helperSocketName), helperBacklog)
		if err != nil {
			return fmt.Errorf("dispatch helper: %w", err)
		}
		s.helper.socket = socket.file
		s.plan.wire.HelperSocket = socket.path
	}
	routed := 0 // the router knows the groups that take requests, in this order
	for i, g := range s.groups {
		if g.config.Service() {
			continue
		}
		socket, err := directory.listen(groupSocketPath(path, g.config.Name, i), g.config.ListenBacklog)
		if err != nil {
			return errors.Join(fmt.Errorf("daemon_process %q", g.config.Name), err)
		}
		g.socket = socket.file
		s.plan.wire.Groups[routed].Socket = socket.path
		routed++
	}
	return nil
}
