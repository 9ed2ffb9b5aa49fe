package dispatch

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/internal/wire"
)

// Options are what the router is started with.
type Options struct {
	// Wire is the socket to the supervisor; Run closes it.
	Wire *os.File
	// Logger writes where the supervisor reads.
	Logger hclog.Logger
	// StartHost loads Python into this process, when it is needed.
	StartHost func(wire.Embedded) (ScriptHost, error)
	// HandoverSend and HandoverReceive are the ends of the supervisor's handover
	// pair; Run closes them. Nil: connections are neither given nor taken.
	HandoverSend, HandoverReceive *os.File
}

// Router is one running router.
type Router struct {
	log    hclog.Logger
	config *wire.RouterConfig
	wire   *wire.Conn
	epoch  time.Time       // of clock
	taken  chan struct{}   // closed when takeOver has ended
	ctx    context.Context // ends when nothing shall go on
	cancel context.CancelCauseFunc

	mounts      mountTable // the global ones
	hosts       *hostTable // nil without virtual hosts
	roots       bool       // some mounts are script roots
	groups      map[string]*group
	order       []*group
	scripts     []*script          // all that are evaluated here
	dispatchers map[string]*script // dispatch scripts by path
	guards      map[string]*script // of authentication and access, by kind and path
	guard       *guard             // of URLs that no mount and no virtual host has
	nonces      *nonces
	access      *accessLogs // nil: there are none
	tracer      *tracer     // nil: traceparent is a header like any other
	listeners   []*listener
	https       []*httpListener
	fronts      *frontSet
	keeper      *keeper
	helper      *helperHost // evaluates the scripts; nil: this process does
	startHost   func(wire.Embedded) (ScriptHost, error)

	hostMu  sync.Mutex
	host    ScriptHost
	hostErr error
	prober  prober // of host

	wait      sync.WaitGroup // everything but front connections
	frontWait sync.WaitGroup
	stopping  atomic.Bool
	handing   atomic.Bool // the successor serves
	handover  *handover   // nil: nobody to give connections to, or take them from
	stopOnce  sync.Once
	stopped   chan struct{} // all that runs has ended
	finished  func()        // closes it
	left      atomic.Int64  // goroutines caught in a script

	idPrefix []byte
	nextID   atomic.Uint64
	requests atomic.Uint64
	errors   atomic.Uint64
}

// errSupervisorGone ends the router without an error: there is nobody to tell.
var errSupervisorGone = errors.New("supervisor is gone")

// Run is the router process. It returns after a stop message, at the end of
// file on the wire, when ctx ends, or with an error when the router cannot
// start or has to be replaced.
func Run(ctx context.Context, o Options) error {
	conn := wire.NewConn(o.Wire)
	defer conn.Close()
	m, err := conn.Receive()
	if err != nil {
		return fmt.Errorf("waiting for the configuration: %w", err)
	}
	if m.Type != wire.TypeConfig || m.Config == nil {
		return fmt.Errorf("the supervisor sent %q before the configuration", m.Type)
	}
	r := newRouter(ctx, o, conn, m.Config)
	defer r.cancel(nil)
	if r.handover, err = openHandover(o.HandoverSend, o.HandoverReceive); err != nil {
		return err
	}
	defer r.handover.close()
	if err := r.start(); err != nil {
		if sendErr := conn.Send(&wire.Message{Type: wire.TypeFailed, Error: err.Error()}); sendErr != nil {
			err = errors.Join(err, sendErr)
		}
		r.end()
		return err
	}
	return r.serve()
}

// clock is the time since the start in nanoseconds, for what is kept as a number:
// it goes on evenly when somebody sets the clock of the machine. It is never 0.
func (r *Router) clock() int64 { return r.clockAt(time.Now()) }

func (r *Router) clockAt(now time.Time) int64 { return int64(now.Sub(r.epoch)) + 1 }

func newRouter(ctx context.Context, o Options, conn *wire.Conn, config *wire.RouterConfig) *Router {
	r := &Router{epoch: time.Now(), taken: make(chan struct{}), log: o.Logger, config: config, wire: conn, startHost: o.StartHost,
		stopped: make(chan struct{}), fronts: newFrontSet(config.Limits.MaxConnections)}
	if level := hclog.LevelFromString(config.LogLevel); level != hclog.NoLevel {
		r.log.SetLevel(level)
	}
	if t := config.Tracing; t != nil {
		r.tracer = newTracer(t, config.Version, r.log)
	}
	r.finished = sync.OnceFunc(func() { close(r.stopped) })
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	r.keeper, r.nonces = newKeeper(r), newNonces()
	var random [5]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	r.idPrefix = append(hex.AppendEncode(nil, random[:]), '-')
	return r
}

// start builds everything and begins to accept.
func (r *Router) start() error {
	r.mounts = newMountTable(r.config.Mounts)
	if len(r.config.VirtualHosts) > 0 {
		r.hosts = newHostTable(r.config.VirtualHosts, r.mounts)
	}
	r.groups = make(map[string]*group)
	for _, g := range r.config.Groups {
		r.addGroup(g, false)
	}
	if e := &r.config.Embedded; e.Needed {
		r.addGroup(wire.Group{Threads: e.Threads, QueueLength: e.QueueLength, QueueTimeout: e.QueueTimeout}, true)
	}
	if err := r.openScripts(); err != nil {
		return err
	}
	if err := r.fixRoutes(); err != nil {
		return err
	}
	if err := r.placeGuards(); err != nil {
		return err
	}
	if err := r.openAccessLogs(); err != nil {
		return err
	}
	if len(r.config.Embedded.Preload) > 0 {
		g := r.groups[""]
		g.filled = true // requests wait
		go g.preload()  // not waited for: an import may never end
	}
	for _, c := range r.config.Listeners {
		l, err := openListener(c)
		if err != nil {
			return err
		}
		r.listeners = append(r.listeners, l)
	}
	for _, l := range r.listeners {
		if l.Kind != wire.ListenHTTP {
			continue
		}
		h, err := newHTTPListener(r, l)
		if err != nil {
			return err
		}
		r.https = append(r.https, h)
	}
	r.tracer.start(r)
	r.background(r.keeper.run)
	for _, h := range r.https {
		r.background(h.run)
	}
	for _, l := range r.listeners {
		if l.Kind != wire.ListenHTTP {
			r.background(func() { r.accept(l) })
		}
	}
	r.background(r.takeOver)
	if err := r.wire.Send(&wire.Message{Type: wire.TypeReady}); err != nil {
		return err
	}
	r.log.Info("router is ready", "listeners", len(r.listeners), "mounts", len(r.mounts))
	return nil
}

func (r *Router) addGroup(config wire.Group, embedded bool) {
	g := newGroup(r, config, embedded)
	r.groups[config.Name] = g
	r.order = append(r.order, g)
}

// openScripts makes the table of scripts that the configuration declares. A
// request chooses among these; no other path is ever loaded.
func (r *Router) openScripts() error {
	if len(r.config.DispatchScripts) == 0 && len(r.config.AuthScripts) == 0 {
		return nil
	}
	host, err := r.evaluator()
	if err != nil {
		return err
	}
	r.dispatchers = make(map[string]*script)
	for _, c := range r.config.DispatchScripts {
		s := newScript(r, KindDispatch, c, host)
		r.scripts = append(r.scripts, s)
		r.dispatchers[c.Path] = s
	}
	r.guards = make(map[string]*script)
	for _, c := range r.config.AuthScripts {
		s := newScript(r, authKinds[c.Kind], c.Script, host)
		r.scripts = append(r.scripts, s)
		r.guards[c.Kind+" "+c.Path] = s
	}
	return nil
}

// evaluator is the Python that scripts run in.
func (r *Router) evaluator() (ScriptEvaluator, error) {
	if r.config.HelperSocket == "" {
		return r.embeddedHost()
	}
	r.helper = newHelperHost(r.config.HelperSocket, r.log, func(m *wire.Replace) {
		r.send(&wire.Message{Type: wire.TypeReplace, Replace: m})
	})
	return r.helper, nil
}

// background runs fn in a goroutine that the router waits for at its end.
func (r *Router) background(fn func()) {
	r.wait.Add(1)
	go func() {
		defer r.wait.Done()
		fn()
	}()
}

// embeddedHost starts Python at the first call.
func (r *Router) embeddedHost() (ScriptHost, error) {
	r.hostMu.Lock()
	defer r.hostMu.Unlock()
	if r.host == nil && r.hostErr == nil {
		if r.startHost == nil {
			r.hostErr = errors.New("this router has no Python")
		} else {
			r.host, r.hostErr = r.startHost(r.config.Embedded)
		}
		if r.hostErr != nil {
			r.hostErr = fmt.Errorf("starting the router's Python: %w", r.hostErr)
		}
	}
	return r.host, r.hostErr
}

// serve handles messages until the router ends.
func (r *Router) serve() error {
	r.background(r.receive)
	select {
	case <-r.ctx.Done():
	case <-r.stopped:
	}
	cause := context.Cause(r.ctx)
	if cause == nil || errors.Is(cause, errSupervisorGone) || errors.Is(cause, context.Canceled) {
		cause = nil // an end in order
		r.tellStopping()
	}
	r.end()
	return cause
}

// receive acts on the supervisor's messages.
func (r *Router) receive() {
	for {
		m, err := r.wire.Receive()
		if err != nil {
			if !errors.Is(err, io.EOF) && r.ctx.Err() == nil {
				r.log.Error("cannot read from the supervisor", "error", err)
			}
			r.cancel(errSupervisorGone)
			return
		}
		r.handle(m)
	}
}

func (r *Router) handle(m *wire.Message) {
	switch {
	case m.Type == wire.TypeProcess && m.Process != nil:
		if g := r.groups[m.Process.Group]; g != nil {
			g.update(m.Process)
		} else if m.Process.State == wire.ProcessRetire {
			r.send(&wire.Message{Type: wire.TypeRetired, Process: m.Process})
		}
	case m.Type == wire.TypeGroup && m.Group != nil:
		if g := r.groups[m.Group.Name]; g != nil {
			g.setState(m.Group)
		}
	case m.Type == wire.TypeHelper && m.Helper != nil && r.helper != nil:
		r.helper.update(m.Helper)
	case m.Type == wire.TypeStop:
		var grace time.Duration
		if m.Stop != nil {
			grace = m.Stop.Grace
		}
		r.stop(grace)
	case m.Type == wire.TypeHandover && m.Handover != nil:
		r.handOver(m.Handover.Grace)
	case m.Type == wire.TypeExplain && m.Question != nil:
		r.explain(m.ID, m.Question)
	case m.Type == wire.TypeQuery:
		r.send(&wire.Message{Type: wire.TypeStatus, ID: m.ID, Status: r.status()})
	default:
		r.log.Warn("unknown message from the supervisor", "type", string(m.Type))
	}
}

func (r *Router) send(m *wire.Message) {
	if err := r.wire.Send(m); err != nil && r.ctx.Err() == nil {
		r.log.Error("cannot tell the supervisor", "error", err)
	}
}

func (r *Router) sendRetired(g *group, pid int) {
	r.send(&wire.Message{Type: wire.TypeRetired, Process: &wire.Process{Group: g.config.Name, PID: pid}})
}

// stop ends accepting, lets what runs finish, and then ends the router.
func (r *Router) stop(grace time.Duration) {
	if r.handing.Load() {
		r.background(func() { r.awaitEmpty(grace) }) // sooner than the successor gave us
		return
	}
	r.stopOnce.Do(func() {
		r.stopping.Store(true)
		r.closeListeners()
		r.log.Info("router is stopping", "in_flight", r.inFlight(), "grace", grace.String())
		for _, h := range r.https {
			r.background(func() { h.drain(r.ctx) })
		}
		r.background(func() { r.drain(grace) })
	})
}

// drain waits for requests in flight. Kept connections that are idle for a
// tick are closed; a front server that sends at that very moment is served.
func (r *Router) drain(grace time.Duration) {
	limit := time.NewTimer(grace)
	defer limit.Stop()
	t := time.NewTicker(tick / 2)
	defer t.Stop()
	for {
		r.fronts.each(func(x *exchange) {
			if x.phase.Load() == phaseIdle && r.clock()-x.since.Load() > int64(tick/2) {
				x.front.interrupt()
			}
		})
		if r.fronts.count() == int(r.left.Load()) {
			r.finished()
			return
		}
		select {
		case <-t.C:
		case <-limit.C:
			if n := r.inFlight(); n > 0 {
				r.log.Warn("requests did not end in time", "in_flight", n)
			}
			r.finished()
			return
		case <-r.ctx.Done():
			return
		}
	}
}

func (r *Router) closeListeners() {
	for _, l := range r.listeners {
		l.socket.Close()
	}
}

// end stops everything that is left and waits for it. Goroutines caught in a
// script are not waited for: they cannot be ended.
func (r *Router) end() {
	r.stopping.Store(true)
	r.closeListeners()
	r.handover.stopTaking()
	r.fronts.each(func(x *exchange) {
		x.kill(graceOver)
		x.front.interrupt()
	})
	if r.helper != nil {
		r.helper.close()
	}
	r.waitForFronts()
	r.access.close()
	r.cancel(nil)
	for _, h := range r.https {
		h.close()
	}
	for _, g := range r.order {
		g.close()
	}
	r.tracer.close()
	r.wire.Close()
	r.wait.Wait()
}

// endTime is how long connections may take to notice that the router ends.
const endTime = 2 * time.Second

// stoppingTime is how long shutdown subscribers of embedded applications may
// take: the supervisor waits little longer for the router.
const stoppingTime = 1 * time.Second

// tellStopping gives subscribers of the router's Python a moment.
func (r *Router) tellStopping() {
	r.stopping.Store(true)
	r.hostMu.Lock()
	host := r.host
	r.hostMu.Unlock()
	if host == nil {
		return
	}
	told := make(chan struct{})
	go func() { // not waited for: a subscriber cannot be ended
		defer close(told)
		host.Stopping()
	}()
	select {
	case <-told:
	case <-time.After(stoppingTime):
		r.log.Warn("shutdown subscribers of embedded applications are cut off", "after", stoppingTime.String())
	}
}

func (r *Router) waitForFronts() {
	deadline := time.Now().Add(endTime)
	for r.fronts.count() > int(r.left.Load()) && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if r.left.Load() == 0 && r.fronts.count() == 0 {
		r.frontWait.Wait()
	}
}

// abandoned gives up a connection whose goroutine is caught in Python.
func (r *Router) abandoned(x *exchange) {
	r.left.Add(1)
	if c, ok := x.front.(interface{ abandon() }); ok {
		c.abandon()
	}
}

// inFlight counts requests without an answer: a call that was written off has one.
func (r *Router) inFlight() int { return int(r.keeper.active.Load() - r.left.Load()) }

func (r *Router) status() *wire.RouterStatus {
	s := &wire.RouterStatus{
		PID: os.Getpid(), UID: os.Getuid(),
		Connections: r.fronts.connections(), Requests: r.requests.Load(), Errors: r.errors.Load(), InFlight: r.inFlight(),
		HandingOver: r.handing.Load(),
	}
	r.hostMu.Lock()
	if r.host != nil {
		s.Python = r.host.Version()
		s.LoadErrors = r.host.LoadErrors()
	}
	r.hostMu.Unlock()
	for _, script := range r.scripts {
		s.Scripts = append(s.Scripts, script.status())
	}
	for _, g := range r.order {
		s.Groups = append(s.Groups, g.status())
	}
	s.Spans = r.tracer.status()
	return s
}
