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
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/boot"
	"github.com/wsgid/wsgid/internal/logwriter"
	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/internal/threads"
	"github.com/wsgid/wsgid/systemd"
)

// Options are what the supervisor needs besides the configuration.
type Options struct {
	Logger hclog.Logger
	// Log is where the lines of Logger go; nil: nobody knows, and groups write in
	// the format of Logger.
	Log *logwriter.Output
	// Modules is the archive of the Python side (docs/internals.md section 6).
	Modules []byte
	// Version of wsgid.
	Version string
	// Sockets are those that systemd has opened, by their names.
	Sockets []*os.File
	// Executable that children are started from; default /proc/self/exe, so
	// that an upgrade of the package cannot put a new child under an old
	// supervisor.
	Executable string
	// Ready is called once, when the start is complete; nil: nothing.
	Ready func()
	// Load reads the configuration again for a reload; its error is shown to
	// whoever wants one. Nil: this wsgid cannot be reloaded.
	Load func() (*config.Config, error)
	// Command is what another wsgid is started with in an upgrade: the path of the
	// binary as it was installed, and its arguments. Nil: it cannot be.
	Command []string
	// Predecessor is the connection to the wsgid that has started this one to be
	// its successor (PredecessorOf); nil: nobody has. Run closes it.
	Predecessor *os.File
}

// Supervisor runs one configuration, or one after the other: generations. Run
// may be called once.
type Supervisor struct {
	options Options
	log     hclog.Logger
	pid     int
	started time.Time

	launcher  *launcher
	pumps     pumps
	errorLogs errorLogs
	access    accessLogs
	oom       *oomCounter
	cgroups   *cgroups
	resources resources       // of Run
	directory *groupDirectory // set by Run
	fronts    *listeners      // the same
	handover  [2]*os.File     // ends of the handover pair: where routers send, and receive
	control   *control        // nil: none
	monitor   *monitor        // nil: none
	estate    *estate         // of the supervisor before, after an upgrade; else nil
	kin       *json.Decoder   // what that one says
	embedded  closing         // of applications in the router; who has the turn may change it

	stopOnce sync.Once
	stopping chan struct{}  // closed by POST /v1/stop
	upgraded chan struct{}  // closed when another wsgid has taken over
	ending   chan struct{}  // closed when Run ends: a reload gives up
	drains   sync.WaitGroup // generations that were succeeded
	turn     chan struct{}  // of capacity 1: holds an element while a reload runs

	mu         sync.Mutex
	phase      phase
	current    *generation
	draining   []*generation // succeeded, their requests still run
	reloads    int
	lastReload *status.Reload // nil: there was none
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
	s := &Supervisor{
		options: options, log: options.Logger.Named("supervisor"), pid: os.Getpid(), oom: newOOMCounter(),
		cgroups:  &cgroups{log: options.Logger.Named("supervisor")},
		stopping: make(chan struct{}), upgraded: make(chan struct{}), ending: make(chan struct{}), turn: make(chan struct{}, 1),
		launcher: &launcher{executable: options.Executable, version: options.Version, jsonLogs: cfg.Log.Format == "json" || options.Log != nil && options.Log.Events()},
	}
	s.errorLogs.log, s.errorLogs.general, s.errorLogs.options = s.log, options.Log, logwriter.OutputOptions{Level: hclog.LevelFromString(cfg.Log.Level), JSON: cfg.Log.Format == "json"}
	if options.Log != nil {
		s.errorLogs.set.Add(options.Log)
	}
	number := 1
	var err error
	if options.Predecessor != nil {
		if s.estate, s.kin, err = receiveEstate(options.Predecessor); err != nil {
			return nil, err
		}
		number = s.estate.Generation + 1
		s.reloads = number - 1
	}
	if s.current, err = s.newGeneration(number, cfg); err != nil {
		return nil, err
	}
	return s, nil
}

// Check says what of the configuration this machine lacks: users and groups. It
// has no effect.
func Check(cfg *config.Config) error {
	p, err := makePlan(cfg, "", currentUsers())
	if err != nil {
		return err
	}
	var errs []error
	for i := range p.groups {
		errs = append(errs, p.groups[i].impossible)
	}
	return errors.Join(errs...)
}

// generation is the one that serves.
func (s *Supervisor) generation() *generation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// Run opens the sockets, starts everything, and returns when ctx is cancelled
// or a stop was asked for on the control socket, and nothing is left. An
// error means that the start failed.
func (s *Supervisor) Run(ctx context.Context) error {
	s.started = time.Now()
	keepDescriptors()
	threads.Reserve(threads.Spare)
	g := s.generation()
	if err := s.open(g); err != nil {
		return err
	}
	defer s.resources.close()

	if s.estate != nil {
		defer s.options.Predecessor.Close()
		if err := s.takeOver(); err != nil {
			return err
		}
		s.becomeReady()
		s.awaitEnd(ctx)
		return nil
	}
	g.startRouter()
	allSettled := g.startGroups(g.groups)
	g.serve()
	err := s.serve(ctx, g, allSettled)
	if err == nil && s.currentPhase() == phaseReady {
		s.awaitEnd(ctx)
	} else {
		s.shutdown()
	}
	<-allSettled
	return err
}

// awaitEnd waits until wsgid is to end, or was upgraded, and ends it.
func (s *Supervisor) awaitEnd(ctx context.Context) {
	stop := s.keepManager()
	select { // a router that was ready once is replaced when it ends
	case <-ctx.Done():
	case <-s.stopping:
	case <-s.upgraded:
		stop()
		s.retire(ctx)
		return
	}
	stop()
	s.shutdown()
}

// serve waits for the start to complete; it is not ready if it did not.
func (s *Supervisor) serve(ctx context.Context, g *generation, allSettled <-chan struct{}) error {
	steps := []<-chan struct{}{g.router.ready, allSettled}
	var helperDone chan struct{} // nil: never
	if g.helper != nil {
		steps, helperDone = append(steps, g.helper.settled), g.helper.done
	}
	for _, started := range steps {
		select {
		case <-started:
		case <-g.router.done:
			return g.router.err
		case <-helperDone:
			return g.helper.err
		case <-ctx.Done():
			return nil
		case <-s.stopping:
			return nil
		}
	}
	s.becomeReady()
	return nil
}

// becomeReady says that the start is complete.
func (s *Supervisor) becomeReady() {
	s.setPhase(phaseReady)
	g := s.generation()
	processes := g.countReady()
	text := fmt.Sprintf("%d process groups, %d processes", len(g.groups), processes)
	s.notified(systemd.Ready(text))
	s.log.Info("ready", "version", s.options.Version, "groups", len(g.groups), "processes", processes)
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
func (s *Supervisor) open(g *generation) (err error) {
	r := &s.resources
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if g.config.Control.Path != "" && s.estate == nil {
		if s.control, err = s.openControl(g, nil); err != nil {
			return err
		}
		r.add(s.control.close)
	}
	path, err := chooseGroupDirectory(g.config.Control.Path, g.plan.users, g.plan.router)
	if err != nil {
		return err
	}
	s.directory = &groupDirectory{path: path, users: g.plan.users, router: g.plan.router, shared: s.estate != nil}
	if err := s.directory.make(); err != nil {
		return err
	}
	r.add(s.directory.close)
	if err := s.openFronts(g); err != nil {
		return err
	}
	r.add(s.access.close)
	if err := g.openAccessLogs(&s.access, s.log); err != nil {
		return err
	}
	if s.estate == nil {
		if s.handover[0], s.handover[1], err = socketPair(unix.SOCK_SEQPACKET); err != nil {
			return err
		}
	} else {
		s.handover = [2]*os.File{os.NewFile(uintptr(s.estate.Handover[0]), "handover"), os.NewFile(uintptr(s.estate.Handover[1]), "handover")}
	}
	r.add(func() {
		s.handover[0].Close()
		s.handover[1].Close()
	})
	if s.launcher.modules, err = boot.SealedFile("wsgid-modules", s.options.Modules); err != nil {
		return err
	}
	r.add(func() { s.launcher.modules.Close() })
	if s.launcher.reaper, err = newReaper(s.log); err != nil {
		return err
	}
	r.add(s.launcher.reaper.close)
	s.launcher.spawner = newSpawner()
	r.add(s.launcher.spawner.close)
	r.add(s.errorLogs.close)
	r.add(s.pumps.close)
	if g.plan.monitor != nil {
		if err := s.openMonitor(g.config.Monitor, *g.plan.monitor); err != nil {
			return err
		}
		r.add(s.monitor.close)
	}
	s.cgroups.sweep()
	r.add(s.cgroups.close)
	g.router.handover = s.handover
	return nil
}

// openFronts opens what others see: a successor has inherited it, and opens what
// is new when it starts its generation.
func (s *Supervisor) openFronts(g *generation) error {
	if s.estate != nil {
		s.fronts = s.estate.listeners()
		s.resources.add(s.fronts.close)
		return nil
	}
	if err := g.openSockets(s.directory); err != nil {
		return err
	}
	s.fronts = &listeners{given: s.options.Sockets}
	s.resources.add(s.fronts.close)
	if err := g.openFronts(s.fronts); err != nil {
		return err
	}
	for _, name := range unwanted(s.options.Sockets, g.plan.listeners) {
		s.log.Warn("socket of systemd belongs to no listener: systemd_socket names none so", "name", name)
	}
	for _, l := range g.plan.wire.Listeners {
		s.log.Info("listening", "kind", string(l.Kind), "address", l.Address)
	}
	if path := g.config.Control.PIDFile; path != "" {
		if err := writePIDFile(path); err != nil {
			return err
		}
		s.resources.add(func() { removePIDFile(path) })
	}
	return nil
}
