package supervisor

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/exitreason"
	"github.com/wsgid/wsgid/internal/scoreboard"
	"github.com/wsgid/wsgid/internal/status"
)

// killMargin lies between the end of shutdown_timeout, when the worker itself
// gives up, and SIGKILL, so that a worker which keeps its word is not killed
// while it exits.
const killMargin = 500 * time.Millisecond

// maxStatusEvent bounds a packet on the status channel (docs/internals.md section 2).
const maxStatusEvent = 32 << 10

// process is one worker process. Its group owns it; three goroutines of its
// own (exit, status channel, logs) end before done is closed.
type process struct {
	group   *group
	child   *child
	state   *machine
	board   *scoreboard.Reader
	channel *os.File // status channel

	slowEnded  chan struct{} // nobody looks for slow requests
	stackTurn  sync.Mutex    // of who asks for stacks
	stacks     *stackMemory  // of a service; nil: it is asked
	stacksTold chan struct{} // the process has written them
	// interrupted: what became of an interrupt: "1" it is raised, "0" it cannot be there,
	// empty: the request does not run.
	interrupted chan string
	pump        *logPump
	log         hclog.Logger
	replace     *status.Exit // how the process ended that this one replaces

	slot     *slot
	restarts chan chan error // by restart, which waits for the answer

	trial   *trial             // nil: it serves as soon as it can
	retried map[scriptKey]bool // scripts that it imports because others could not
	renew   chan struct{}      // the renew event; capacity 1

	serving  chan struct{} // closed when it is ready and the router has been told
	retiring chan struct{} // closed when it is to be replaced
	relief   chan struct{} // closed when it is to be relieved
	drained  chan struct{} // closed when nothing but what is written off runs there
	done     chan struct{} // closed when everything about the exit is recorded

	mu           sync.Mutex
	python       string
	failure      string            // what the failed event said
	intent       exitreason.Reason // why we end it, None: we do not
	retireReason exitreason.Reason // None: not retiring
	reliefReason exitreason.Reason // None: not to be relieved
	broken       map[scriptKey]bool
	changed      map[scriptKey]bool // told by renew events, until a trial takes them
	watched      bool               // the same
	exit         *status.Exit       // set before done is closed
	final        scoreboard.Board   // last reading
	isFinal      bool
	usedCPU      float64 // seconds, as far as they were seen
}

// startProcess starts one process of the group for a slot; t is nil unless it is on trial.
func (g *group) startProcess(s *slot, replace *status.Exit, t *trial) (*process, error) {
	retried := g.brokenScripts()
	if t != nil {
		maps.Copy(retried, t.changed)
	}
	spec, err := g.launch(retried, t != nil)
	if err != nil {
		return nil, err
	}
	threads := g.config.Threads
	memory, err := scoreboard.Create(threads)
	if err != nil {
		return nil, err
	}
	defer memory.Close()
	board, err := scoreboard.NewReader(memory, threads)
	if err != nil {
		return nil, err
	}
	channel, childChannel, err := socketPair(unix.SOCK_SEQPACKET)
	if err != nil {
		return nil, errors.Join(err, board.Close())
	}
	defer childChannel.Close()
	spec.files = []named{{"fd.status", childChannel}, {"fd.scoreboard", memory}}
	var stacks *stackMemory
	if threads == 0 {
		if stacks, err = newStackMemory(); err != nil {
			channel.Close()
			return nil, errors.Join(err, board.Close())
		}
		spec.files = append(spec.files, named{"fd.stacks", stacks.file})
	}
	c, err := g.launcher.start(spec)
	if err != nil {
		channel.Close()
		stacks.close()
		return nil, errors.Join(err, board.Close())
	}
	p := &process{
		group: g, child: c, state: newMachine(), board: board, channel: channel, stacks: stacks, replace: replace,
		log:  g.log.With("pid", c.pid),
		slot: s, restarts: make(chan chan error),
		trial: t, retried: retried, renew: make(chan struct{}, 1),
		serving: make(chan struct{}), retiring: make(chan struct{}), relief: make(chan struct{}), drained: make(chan struct{}), done: make(chan struct{}),
		slowEnded: make(chan struct{}), stacksTold: make(chan struct{}, 1), interrupted: make(chan string, 1),
		broken: map[scriptKey]bool{}, changed: map[scriptKey]bool{},
	}
	sink := g.output(c.pid)
	sink.about = p.about
	p.pump = startLogPump(c.raw, c.records, &lineJoiner{emit: sink.logRaw, apart: sink.raw != nil}, sink.logRecord)
	g.pumps.add(p.pump)
	g.add(p)
	events := make(chan struct{})
	go func() { defer close(events); p.readEvents() }()
	go c.wait(g.launcher.reaper)
	go p.finish(events)
	c.onStop(p.stopped)
	if limit := g.config.SlowRequest; limit > 0 {
		go p.watchSlow(limit)
	} else {
		close(p.slowEnded)
	}
	p.log.Debug("process started")
	return p, nil
}

// stopped has the router give a stopped process no further requests, until it
// goes on.
func (p *process) stopped(now bool) {
	if now {
		p.group.feed.suspend(p.child.pid)
	} else {
		p.group.feed.resume(p.child.pid, p.group.config.Threads, func() bool { return p.state.get() == stateReady })
	}
}

// readEvents reads the status channel until the worker has gone.
func (p *process) readEvents() {
	defer p.channel.Close()
	buf := make([]byte, maxStatusEvent)
	for {
		n, err := p.channel.Read(buf)
		if err != nil {
			return
		}
		event := parseEvent(string(buf[:n]))
		switch event["event"] {
		case "started":
			p.mu.Lock()
			p.python = escape.Line(event["python"])
			p.mu.Unlock()
			p.log.Debug("python initialised", "python", escape.Line(event["python"]),
				"prefix", escape.Line(event["prefix"]), "library", escape.Line(event["library"]))
		case "ready":
			p.group.ready(p)
		case "failed":
			p.mu.Lock()
			p.failure = escape.Text(event["error"])
			p.mu.Unlock()
		case "load_failed":
			if key, ok := scriptKeyOf(event); ok {
				p.group.loadFailed(p, key, event["traceback"])
			}
		case "loaded":
			p.everythingLoaded()
		case "renew":
			if p.state.get() == stateReady {
				p.group.wantsRenewal(p, event)
			}
		case "retire":
			if p.state.get() != stateReady || p.isRetiring() {
				continue
			}
			reason := retireReason(event["reason"])
			args := []any{"reason", reason.String()}
			if script := event["script"]; script != "" {
				args = append(args, "script", escape.Line(script))
			}
			p.log.Info("process asks to be replaced", args...)
			p.retire(reason)
		case "relieve":
			if p.state.get() == stateReady {
				p.askRelief(retireReason(event["reason"]))
			}
		case "drained":
			closeOnce(p.drained)
		case "interrupted":
			select {
			case p.interrupted <- event["raised"]:
			default: // nobody waits for it any more
			}
		case "stacks":
			select {
			case p.stacksTold <- struct{}{}:
			default: // somebody is about to look
			}
		default:
			p.log.Debug("unknown event", "event", escape.Line(event["event"]))
		}
	}
}

// everythingLoaded is the loaded event of a process on trial.
func (p *process) everythingLoaded() {
	if p.trial == nil {
		return
	}
	closeOnce(p.trial.loaded)
}

// closeOnce closes a channel that one goroutine alone closes.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// retire has the process replaced; the first reason stays.
func (p *process) retire(reason exitreason.Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.retireReason == exitreason.None {
		p.retireReason = reason
		close(p.retiring)
	}
}

func (p *process) isRetiring() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.retireReason != exitreason.None
}

// parseEvent splits a packet of name, value, name, value, …
func parseEvent(packet string) map[string]string {
	words := strings.Split(strings.TrimSuffix(packet, "\x00"), "\x00")
	event := map[string]string{}
	for i := 0; i+1 < len(words); i += 2 {
		event[words[i]] = words[i+1]
	}
	return event
}

// retireReason believes only reasons for which a worker can retire.
func retireReason(text string) exitreason.Reason {
	for _, reason := range []exitreason.Reason{exitreason.Reload, exitreason.RequestTimeout, exitreason.MaximumRequests, exitreason.InactivityTimeout,
		exitreason.DeadlockTimeout,
		exitreason.CPUTimeLimit, exitreason.EvictionSignal} {
		if text == reason.String() {
			return reason
		}
	}
	return exitreason.ScriptReload
}

// intend records why we end the process; the first reason stays.
func (p *process) intend(reason exitreason.Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.intent == exitreason.None {
		p.intent = reason
	}
}

// terminate ends the process: SIGTERM, and SIGKILL to its group when
// shutdown_timeout has passed. It returns when the process is gone. Calls
// after the first only wait.
func (p *process) terminate(reason exitreason.Reason) {
	if p.state.to(stateStopping) != nil {
		<-p.done
		return
	}
	p.intend(reason)
	p.group.changed()
	p.sayStop()
	p.child.signal(syscall.SIGTERM)
	timer := time.NewTimer(p.group.config.ShutdownTimeout + killMargin)
	defer timer.Stop()
	select {
	case <-p.child.exited:
	case <-timer.C:
		p.mu.Lock()
		p.intent = exitreason.ShutdownTimeout
		p.mu.Unlock()
		p.child.kill()
	}
	<-p.done
}

// sayStop tells the worker why SIGTERM follows, for subscribers of its
// applications. One packet always finds room; a worker that has gone needs none.
func (p *process) sayStop() {
	p.mu.Lock()
	reason := p.intent
	p.mu.Unlock()
	if _, err := p.channel.Write([]byte("event\x00stop\x00reason\x00" + reason.String() + "\x00")); err != nil {
		p.log.Debug("worker not told why it stops", "error", err)
	}
}

// kill ends the process at once.
func (p *process) kill(reason exitreason.Reason) {
	p.intend(reason)
	p.child.kill()
	<-p.done
}

// finish waits for the exit and records it: the one place where a process
// becomes gone.
func (p *process) finish(events <-chan struct{}) {
	defer close(p.done)
	<-p.child.exited
	// What it said last is on its way; somebody it left behind may keep the
	// channel open.
	_ = p.channel.SetReadDeadline(time.Now().Add(drainAfterExit))
	<-events
	<-p.slowEnded
	p.pump.drain()
	p.stacks.close()
	wasReady := p.state.was(stateReady)
	board := p.board.Read()
	p.mu.Lock() // whoever looks from now on sees the last of it
	p.final, p.isFinal = board, true
	p.mu.Unlock()
	if err := p.board.Close(); err != nil {
		p.log.Warn("scoreboard not unmapped", "error", err)
	}
	oom := p.group.oomHappened()
	p.mu.Lock()
	reason := exitReason(exitFacts{
		state: p.child.state, intent: p.intent, failed: p.failure != "", claimed: exitreason.Reason(board.Exit),
		killed: p.child.wasKilled(), stopped: p.child.wasUnresponsive(), oom: oom,
	})
	p.exit = exitRecord(p.child, reason, p.failure)
	exit, planned := *p.exit, p.intent != exitreason.None
	p.mu.Unlock()
	if err := p.state.to(stateGone); err != nil {
		p.log.Error("process state", "error", err)
	}
	p.logExit(exit, planned)
	p.group.gone(p, exit, planned, wasReady)
}

func (p *process) logExit(exit status.Exit, planned bool) {
	fields := []any{"reason", exit.Reason, "lived", time.Since(p.child.started).Round(time.Millisecond).String()}
	if exit.Signal != "" {
		fields = append(fields, "signal", exit.Signal)
	} else {
		fields = append(fields, "status", exit.Status)
	}
	if exit.Error != "" {
		fields = append(fields, "error", exit.Error)
	}
	level := hclog.Error
	if planned && exit.Reason != exitreason.StartupTimeout.String() {
		level = hclog.Info
	}
	if exit.Reason == exitreason.ShutdownTimeout.String() {
		level = hclog.Warn
	}
	p.log.Log(level, "process exited", fields...)
}

// exitRecord is the exit as status keeps it.
func exitRecord(c *child, reason exitreason.Reason, failure string) *status.Exit {
	exit := &status.Exit{PID: c.pid, At: time.Now(), Reason: reason.String(), Status: -1, Error: failure}
	if c.waitErr != nil {
		exit.Error = fmt.Sprintf("wait: %v", c.waitErr)
		return exit
	}
	wait := c.state.Sys().(syscall.WaitStatus)
	if wait.Signaled() {
		exit.Signal = unix.SignalName(wait.Signal())
	} else {
		exit.Status = wait.ExitStatus()
	}
	return exit
}
