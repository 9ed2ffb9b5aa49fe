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
	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/exitreason"
	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/internal/wire"
)

const (
	// helperStartup bounds the time from the fork of a dispatch helper until
	// its Python runs.
	helperStartup = 60 * time.Second
	// helperGrace is for shutdown subscribers of its scripts, after SIGTERM.
	helperGrace = 2 * time.Second
	// lostGrace is how long a helper whose connections ended may take to be
	// seen as dead before it is killed.
	lostGrace = time.Second
	// helperBacklog: a connection for each call at once, of every script.
	helperBacklog = 4096
	// helperSocketName is a name that no group's socket can have.
	helperSocketName = ".dispatch.sock"
)

// dispatchHelper keeps the process alive that evaluates scripts for the router
// (isolation = "process"). The listening socket stays here, so that the router
// can connect while it is replaced. Its user is one that the router's secrets
// are kept from, and nothing that it says is believed.
type dispatchHelper struct {
	identity  identity
	routerUID int
	python    wire.Embedded // its Python is set up as the router's
	eggs      string        // python_eggs
	launcher  *launcher
	feed      *feed
	pumps     *pumps
	log       hclog.Logger
	errorLogs *errorLogs
	globalLog *config.Log
	socket    *unixSocket // set before run
	oom       *oomCounter

	backoff backoff
	stop    chan struct{} // closed: end the helper and start none any more
	settled chan struct{} // closed when a helper has been ready once, or has ended
	done    chan struct{}
	err     error // why the first helper could not start; set before done is closed

	mu       sync.Mutex
	session  *helperSession    // nil while there is none
	restarts map[string]uint64 // by the reason of the exit before
	lastExit *status.Exit
}

// helperSession is one helper process.
type helperSession struct {
	child   *child
	channel *os.File           // status channel
	unfit   chan *wire.Replace // the router wants another one; capacity 1
	ready   chan struct{}      // closed by the ready event
	stacks  *stackMemory

	// of the helper's mu
	state   string
	python  string
	failure string // what the failed event said
}

// run starts helpers until stop is closed or the first one says that it cannot
// start.
func (d *dispatchHelper) run() {
	defer close(d.done)
	everReady := false
	for d.backoff.wait(d.stop) {
		ready, err := d.runOnce()
		everReady = everReady || ready
		if err != nil && !everReady {
			d.err = err
			return
		}
	}
}

// runOnce is the life of one helper. The error is what the helper itself said
// about a start that failed.
func (d *dispatchHelper) runOnce() (ready bool, err error) {
	started := time.Now()
	s, err := d.start()
	if err != nil {
		d.log.Error("dispatch helper cannot be started", "error", err)
		d.backoff.failed(started, time.Now(), false)
		return false, nil
	}
	log := d.log.With("pid", s.child.pid)
	sink := (&childLog{log, d.errorLogs, d.globalLog.Format, d.globalLog.Level}).sink(d.globalLog.ErrorLog)
	pump := startLogPump(s.child.raw, s.child.records, &lineJoiner{emit: sink.logRaw}, sink.logRecord)
	d.pumps.add(pump)
	go s.child.wait(d.launcher.reaper)
	events := make(chan struct{})
	go func() { defer close(events); d.readEvents(s, log) }()

	intent := d.await(s, log)
	_ = s.channel.SetReadDeadline(time.Now().Add(drainAfterExit)) // a child that it left may hold the other end
	<-events
	pump.drain()
	select {
	case <-s.ready:
		ready = true
	default:
	}
	if !stopping(intent) {
		d.backoff.failed(s.child.started, time.Now(), ready)
	}
	failure := d.ended(s, intent, log)
	d.feed.helper(wire.HelperState{RetryAfter: d.backoff.delay(time.Now())})
	if failure != "" {
		return ready, fmt.Errorf("dispatch helper cannot start: %w", errors.New(failure))
	}
	d.settle()
	return ready, nil
}

func (d *dispatchHelper) settle() {
	select {
	case <-d.settled:
	default:
		close(d.settled)
	}
}

// start forks a helper.
func (d *dispatchHelper) start() (*helperSession, error) {
	variables := cleanEnvironment(d.identity)
	variables.setEggs(d.eggs)
	env, err := variables.list()
	if err != nil {
		return nil, err
	}
	channel, childChannel, err := socketPair(unix.SOCK_SEQPACKET)
	if err != nil {
		return nil, err
	}
	defer childChannel.Close()
	spec := &launch{identity: d.identity, env: env, stopGrace: helperStopGrace}
	b := &spec.block
	b.Set("role", "dispatcher")
	setIdentity(b, d.identity)
	b.SetInt("umask", 0o022)
	b.Set("chdir", "/")
	b.SetBool("no_new_privs", true)
	b.SetBool("dumpable", false) // it sees passwords, as the router does
	b.SetInt("router_uid", int64(d.routerUID))
	b.SetOptional("python", d.python.Python)
	b.SetOptional("python_home", d.python.PythonHome)
	b.SetList("python_path", d.python.PythonPath)
	b.SetList("python_variable", d.python.Variables)
	b.SetList("interpreter", d.python.Interpreters)
	b.SetInt("max_interpreters", int64(d.python.MaxInterpreters))
	b.SetBool("free_threading", d.python.FreeThreading)
	stacks, err := newStackMemory()
	if err != nil {
		channel.Close()
		return nil, err
	}
	spec.files = []named{{"fd.listen", d.socket.file}, {"fd.status", childChannel}, {"fd.stacks", stacks.file}}
	c, err := d.launcher.start(spec)
	if err != nil {
		channel.Close()
		stacks.close()
		return nil, err
	}
	s := &helperSession{child: c, channel: channel, stacks: stacks, unfit: make(chan *wire.Replace, 1), ready: make(chan struct{}),
		state: stateStarting.String()}
	d.mu.Lock()
	d.session = s
	d.mu.Unlock()
	return s, nil
}

// readEvents reads the status channel until the helper has gone.
func (d *dispatchHelper) readEvents(s *helperSession, log hclog.Logger) {
	defer s.channel.Close()
	buf := make([]byte, maxStatusEvent)
	for {
		n, err := s.channel.Read(buf)
		if err != nil {
			return
		}
		event := parseEvent(string(buf[:n]))
		d.mu.Lock()
		switch event["event"] {
		case "started":
			s.python = escape.Line(event["python"])
			log.Debug("python initialised", "python", s.python)
		case "ready":
			if s.state == stateStarting.String() {
				s.state = stateReady.String()
				close(s.ready)
				d.feed.helper(wire.HelperState{PID: s.child.pid, Ready: true, Python: s.python})
			}
		case "failed":
			s.failure = escape.Text(event["error"])
		default:
			log.Debug("unknown event", "event", escape.Line(event["event"]))
		}
		d.mu.Unlock()
	}
}

// await waits for the end of the process, ending it when it is time. It
// returns why the supervisor did so, None if it did not.
func (d *dispatchHelper) await(s *helperSession, log hclog.Logger) (intent exitreason.Reason) {
	startup := time.NewTimer(helperStartup)
	defer startup.Stop()
	good := time.NewTimer(goodLife)
	defer good.Stop()
	ready := s.ready
	for {
		select {
		case <-s.child.exited:
			return intent
		case <-ready:
			ready = nil
			startup.Stop()
			d.settle()
		case <-good.C:
			if ready == nil {
				d.backoff.good()
			}
		case <-startup.C:
			log.Error("dispatch helper is not ready in time", "timeout", helperStartup.String())
			intent = exitreason.StartupTimeout
			s.child.kill()
		case why := <-s.unfit:
			if why.Lost && exitedWithin(s.child, lostGrace) {
				continue
			}
			log.Error("dispatch helper is replaced", "reason", escape.Line(why.Reason))
			intent = exitreason.Unresponsive
			s.child.kill()
		case <-d.stop:
			d.setState(s, stateStopping.String())
			return s.child.end(helperGrace)
		}
	}
}

// replace is the router's word that a helper is unfit; one that has been
// replaced already is meant no more.
func (d *dispatchHelper) replace(m *wire.Replace) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.session; s != nil && s.child.pid == m.PID {
		select {
		case s.unfit <- m:
		default:
		}
	}
}

func (d *dispatchHelper) setState(s *helperSession, text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.state = text
}

// ended records the exit and gives what the helper said of a failed start.
func (d *dispatchHelper) ended(s *helperSession, intent exitreason.Reason, log hclog.Logger) (failure string) {
	s.stacks.close()
	d.mu.Lock()
	defer d.mu.Unlock()
	facts := exitFacts{state: s.child.state, intent: intent, failed: s.failure != "", killed: s.child.wasKilled(), stopped: s.child.wasUnresponsive(), oom: d.oom.happened()}
	exit := exitRecord(s.child, exitReason(facts), s.failure)
	d.session = nil
	d.lastExit = exit
	level := hclog.Info
	if !stopping(intent) {
		d.restarts[exit.Reason]++
		level = hclog.Error
	}
	fields := []any{"reason", exit.Reason, "status", exit.Status}
	if exit.Signal != "" {
		fields = []any{"reason", exit.Reason, "signal", exit.Signal}
	}
	if exit.Error != "" {
		fields = append(fields, "error", exit.Error)
	}
	log.Log(level, "dispatch helper exited", fields...)
	return s.failure
}

// inherit goes on counting the restarts of the helper that this one succeeds.
func (d *dispatchHelper) inherit(from *dispatchHelper) {
	from.mu.Lock()
	restarts, lastExit := maps.Clone(from.restarts), from.lastExit
	from.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	addCounts(d.restarts, restarts)
	if d.lastExit == nil {
		d.lastExit = lastExit
	}
}

// snapshot is the helper for status; answer is what the router says.
func (d *dispatchHelper) snapshot(answer *wire.RouterStatus) *status.DispatchHelper {
	var running *child
	d.mu.Lock()
	out := &status.DispatchHelper{
		User: d.identity.User, UID: d.identity.UID, State: "backoff",
		Restarts: maps.Clone(d.restarts), LastExit: d.lastExit,
	}
	if s := d.session; s != nil {
		running = s.child
		out.PID, out.Started, out.State, out.Python = s.child.pid, s.child.started, s.state, s.python
	} else {
		out.Backoff = d.backoff.delay(time.Now()).Seconds()
	}
	d.mu.Unlock()
	if running != nil {
		used := usageOf(out.PID)
		out.CPUSeconds, out.RSSBytes, out.Stopped = used.cpuSeconds, used.rssBytes, running.isStopped()
	}
	if answer != nil {
		for _, s := range answer.Scripts {
			out.Calls += s.Calls
		}
	}
	return out
}
