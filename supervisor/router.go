package supervisor

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/exitreason"
	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/internal/wire"
)

// routerStartup bounds the time from the fork of a router to its ready
// message; loading a Python with a dispatch script takes well under a second.
const routerStartup = 60 * time.Second

// routerMargin is added to the grace that a stopping router is given.
const routerMargin = time.Second

// router keeps one router process alive. The listening sockets stay here, so
// that no connection is refused while it is replaced.
type router struct {
	identity  identity
	eggs      string // python_eggs
	launcher  *launcher
	feed      *feed
	pumps     *pumps
	log       hclog.Logger
	errorLogs *errorLogs
	globalLog *config.Log
	listeners []*os.File  // set before run
	handover  [2]*os.File // the same: where to send connections, and receive them
	// accessLogs, the same, in the order of the configuration message.
	accessLogs []*accessLog
	lost       func(*wire.LostLines) // lines that did not get there
	oom        *oomCounter
	helper     *dispatchHelper                 // nil: there is none
	want       func(group string, waiting int) // requests wait for a thread

	backoff backoff
	stop    chan struct{} // closed: end the router and start none any more
	grace   time.Duration // for the requests that run then
	// succeeded is closed when the router of the next generation serves: this one
	// gives its connections away, within patience, and none is started any more.
	succeeded chan struct{}
	handed    chan struct{} // closed when a router was told so
	patience  time.Duration // set before succeeded is closed
	ready     chan struct{} // closed when a router is ready for the first time
	done      chan struct{}
	err       error // why the first router could not start; set before done is closed

	giveUpOnce sync.Once
	hopeless   chan struct{} // closed: who is not ready by now is not started again

	mu       sync.Mutex
	session  *session          // nil while there is no router
	restarts map[string]uint64 // by the reason of the exit before
	lastExit *status.Exit
	queryID  uint64
	queries  map[uint64]chan *wire.RouterStatus
}

// session is one router process.
type session struct {
	child  *child
	state  string     // as status shows it
	access []*os.File // our ends of the pipes of access logs
	stacks *stackMemory
}

// run starts routers until stop is closed or the first one says that it
// cannot start.
func (r *router) run() {
	defer close(r.done)
	everReady := false
	for r.backoff.wait(r.stop) && !r.isSucceeded() {
		select {
		case <-r.hopeless:
			return
		default:
		}
		ready, err := r.runOnce()
		everReady = everReady || ready
		if err != nil && !everReady {
			r.err = err
			return
		}
	}
}

// runOnce is the life of one router process. The error is what the router
// itself said about a start that failed.
func (r *router) runOnce() (ready bool, err error) {
	started := time.Now()
	s, conn, err := r.start()
	if err != nil {
		r.log.Error("router cannot be started", "error", err)
		r.backoff.failed(started, time.Now(), false)
		return false, nil
	}
	log := r.log.With("pid", s.child.pid)
	events := &childLog{log, r.errorLogs, r.globalLog.Format, r.globalLog.Level}
	embedded := &childLog{log.With("group", global), r.errorLogs, r.globalLog.Format, r.globalLog.Level}
	pump := startLogPump(s.child.raw, s.child.records, &lineJoiner{emit: events.sink("").logRouterLine}, embedded.sink(r.globalLog.ErrorLog).logRecord)
	r.pumps.add(pump)
	access := s.pumpAccess(r.accessLogs, r.pumps)
	go s.child.wait(r.launcher.reaper)

	out := newOutbox(conn, func(err error) {
		if r.isSucceeded() { // it ends as soon as it has handed over
			return
		}
		log.Error("router does not read", "error", err)
		s.child.kill()
	})
	r.feed.attach(out)
	messages := make(chan struct{})
	becameReady := make(chan struct{})
	var failure error
	go func() {
		defer close(messages)
		failure = r.receive(conn, s, becameReady, log)
	}()

	intent := r.await(s, out, becameReady, log)
	conn.Close()
	<-messages
	out.close()
	r.feed.detach()
	pump.drain()
	for _, p := range access {
		p.drain()
	}
	select {
	case <-becameReady:
		ready = true
	default:
	}
	r.ended(s, intent, failure, log)
	if !stopping(intent) {
		r.backoff.failed(s.child.started, time.Now(), ready)
	}
	return ready, failure
}

// start forks a router.
func (r *router) start() (*session, *wire.Conn, error) {
	variables := cleanEnvironment(r.identity)
	variables.setEggs(r.eggs)
	env, err := variables.list()
	if err != nil {
		return nil, nil, err
	}
	ours, theirs, err := socketPair(unix.SOCK_STREAM)
	if err != nil {
		return nil, nil, err
	}
	defer theirs.Close()
	spec := &launch{identity: r.identity, env: env}
	b := &spec.block
	b.Set("role", "router")
	setIdentity(b, r.identity)
	b.SetInt("umask", 0o022)
	b.Set("chdir", "/")
	b.SetBool("no_new_privs", true)
	b.SetBool("dumpable", false)
	access, accessEnds, err := accessPipes(r.accessLogs)
	if err != nil {
		ours.Close()
		return nil, nil, err
	}
	defer closeAll(accessEnds)
	stacks, err := newStackMemory()
	if err != nil {
		ours.Close()
		closeAll(access)
		return nil, nil, err
	}
	// The listeners and then the access logs come first: the configuration message
	// has their numbers.
	for _, listener := range r.listeners {
		spec.files = append(spec.files, named{"fd.listen", listener})
	}
	for _, pipe := range accessEnds {
		spec.files = append(spec.files, named{"fd.access", pipe})
	}
	spec.files = append(spec.files, named{"fd.wire", theirs}, named{"fd.stacks", stacks.file})
	if r.handover[0] != nil { // else it listens nowhere
		spec.files = append(spec.files, named{"fd.handover_send", r.handover[0]}, named{"fd.handover_receive", r.handover[1]})
	}
	c, err := r.launcher.start(spec)
	if err != nil {
		ours.Close()
		closeAll(access)
		stacks.close()
		return nil, nil, err
	}
	s := &session{child: c, state: stateStarting.String(), access: access, stacks: stacks}
	r.mu.Lock()
	r.session = s
	r.mu.Unlock()
	return s, wire.NewConn(ours), nil
}

// firstListener is the number of the first listener in the router: 0 to 2 are
// taken, and they come first.
const firstListener = 3

// await waits for the end of the process, ending it when it is time. It
// returns why the supervisor did so, None if it did not.
func (r *router) await(s *session, out *outbox, ready <-chan struct{}, log hclog.Logger) (intent exitreason.Reason) {
	startup := time.NewTimer(routerStartup)
	defer startup.Stop()
	good := time.NewTimer(goodLife)
	defer good.Stop()
	for {
		select {
		case <-s.child.exited:
			return intent
		case <-ready:
			ready = nil
			startup.Stop()
		case <-good.C:
			if ready == nil {
				r.backoff.good()
			}
		case <-startup.C:
			log.Error("router is not ready in time", "timeout", routerStartup.String())
			intent = exitreason.StartupTimeout
			s.child.kill()
		case <-r.stop:
			r.setState(s, stateStopping.String())
			return r.end(s, out)
		case <-r.succeeded:
			r.setState(s, stateDraining.String())
			return r.succeed(s, out)
		}
	}
}

// giveUp ends a router that does not become ready.
func (r *router) giveUp() { r.giveUpOnce.Do(func() { close(r.hopeless) }) }

func (r *router) isSucceeded() bool {
	select {
	case <-r.succeeded:
		return true
	default:
		return false
	}
}

// succeed has the router hand over to that of the next generation.
func (r *router) succeed(s *session, out *outbox) exitreason.Reason {
	out.put(&wire.Message{Type: wire.TypeHandover, Handover: &wire.Handover{Grace: r.patience}})
	close(r.handed)
	timer := time.NewTimer(r.patience + routerMargin)
	defer timer.Stop()
	select {
	case <-s.child.exited:
	case <-r.stop:
		return r.end(s, out)
	case <-timer.C:
		s.child.kill()
		<-s.child.exited
	}
	return exitreason.Reload
}

// stopping says whether the router ended because it is not wanted any more.
func stopping(intent exitreason.Reason) bool {
	return intent == exitreason.ShutdownSignal || intent == exitreason.ShutdownTimeout || intent == exitreason.Reload
}

// end stops the router: message, SIGTERM, SIGKILL.
func (r *router) end(s *session, out *outbox) exitreason.Reason {
	out.put(&wire.Message{Type: wire.TypeStop, Stop: &wire.Stop{Grace: r.grace}})
	if exitedWithin(s.child, r.grace+routerMargin) {
		return exitreason.ShutdownSignal
	}
	return s.child.end(routerMargin)
}

// receive handles what the router says until the connection ends. The error
// is that of a failed message.
func (r *router) receive(conn *wire.Conn, s *session, ready chan<- struct{}, log hclog.Logger) error {
	isReady := false
	for {
		m, err := conn.Receive()
		if err != nil {
			return nil //nolint:nilerror // the end of the process is noticed elsewhere
		}
		switch {
		case m.Type == wire.TypeReady && !isReady:
			isReady = true
			close(ready)
			r.setState(s, stateReady.String())
			log.Debug("router ready")
			select {
			case <-r.ready:
			default:
				close(r.ready)
			}
		case m.Type == wire.TypeFailed:
			log.Error("router cannot start", "error", m.Error)
			return fmt.Errorf("router cannot start: %w", errors.New(m.Error))
		case m.Type == wire.TypeRetired && m.Process != nil:
			r.feed.retired(m.Process.PID)
		case m.Type == wire.TypeLostLines && m.Lost != nil:
			r.lost(m.Lost)
		case m.Type == wire.TypeWanted && m.Wanted != nil:
			r.want(m.Wanted.Group, m.Wanted.Waiting)
		case m.Type == wire.TypeReplace && m.Replace != nil && r.helper != nil:
			r.helper.replace(m.Replace)
		case m.Type == wire.TypeStatus && m.Status != nil:
			r.answered(m.ID, m.Status)
		default:
			log.Warn("unexpected message from the router", "type", string(m.Type))
		}
	}
}

func (r *router) setState(s *session, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.state = text
}

// inherit goes on counting the restarts of the router that this one succeeds.
func (r *router) inherit(from *router) {
	from.mu.Lock()
	restarts, lastExit := maps.Clone(from.restarts), from.lastExit
	from.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	addCounts(r.restarts, restarts)
	if r.lastExit == nil {
		r.lastExit = lastExit
	}
}

// addCounts adds counts by reason.
func addCounts(to, from map[string]uint64) {
	for reason, n := range from {
		to[reason] += n
	}
}

// ended records the exit.
func (r *router) ended(s *session, intent exitreason.Reason, failure error, log hclog.Logger) {
	facts := exitFacts{state: s.child.state, intent: intent, failed: failure != nil, killed: s.child.wasKilled(), stopped: s.child.wasUnresponsive(), oom: r.oom.happened()}
	reason := exitReason(facts)
	text := ""
	if failure != nil {
		text = failure.Error()
	}
	exit := exitRecord(s.child, reason, text)
	s.stacks.close()
	r.mu.Lock()
	r.session = nil
	if !stopping(intent) {
		r.restarts[exit.Reason]++
	}
	r.lastExit = exit
	r.mu.Unlock()
	level := hclog.Error
	if stopping(intent) {
		level = hclog.Info
	}
	log.Log(level, "router exited", "reason", exit.Reason, "status", exit.Status, "signal", exit.Signal)
}
