package supervisor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/exitreason"
	"github.com/wsgid/wsgid/internal/status"
)

// monitorGrace is how long it has to end after SIGTERM.
const monitorGrace = 2 * time.Second

// monitor keeps the process alive that serves metrics and health on TCP, without any
// power. It lives as long as the supervisor, which it asks over a socket pair.
type monitor struct {
	identity identity
	launcher *launcher
	pumps    *pumps
	oom      *oomCounter
	log      hclog.Logger
	listener *os.File
	address  string
	handler  http.Handler

	backoff backoff
	stop    chan struct{} // closed: end it and start none any more
	done    chan struct{}

	mu       sync.Mutex
	child    *child // nil while there is none
	restarts map[string]uint64
	lastExit *status.Exit
}

// openMonitor opens the listener of a monitor block and keeps a process there.
func (s *Supervisor) openMonitor(c *config.Monitor, id identity) error {
	listener, address, err := listenShared(c.Listen)
	if err != nil {
		return fmt.Errorf("monitor: %w", err)
	}
	mux := http.NewServeMux()
	log := s.options.Logger.Named("monitor")
	s.addMonitoring(mux, log)
	s.monitor = &monitor{
		identity: id, launcher: s.launcher, pumps: &s.pumps, oom: s.oom, log: log, listener: listener, address: address, handler: mux,
		stop: make(chan struct{}), done: make(chan struct{}), restarts: map[string]uint64{},
	}
	log.Info("monitor listens", "address", address)
	go s.monitor.run()
	return nil
}

// close ends it.
func (m *monitor) close() {
	close(m.stop)
	<-m.done
	m.listener.Close()
}

func (m *monitor) run() {
	defer close(m.done)
	for m.backoff.wait(m.stop) {
		m.runOnce()
	}
}

// runOnce is the life of one process.
func (m *monitor) runOnce() {
	started := time.Now()
	c, conn, err := m.start()
	if err != nil {
		m.log.Error("monitor cannot be started", "error", err)
		m.backoff.failed(started, time.Now(), false)
		return
	}
	log := m.log.With("pid", c.pid)
	sink := &logSink{log: log, json: m.launcher.jsonLogs}
	pump := startLogPump(c.raw, c.records, &lineJoiner{emit: sink.logRouterLine}, sink.logRecord)
	m.pumps.add(pump)
	go c.wait(m.launcher.reaper)
	server := &http.Server{Handler: m.handler, ReadHeaderTimeout: 0, ErrorLog: log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug})} //nolint:gosec // our own process, which may be silent for ever
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		_ = server.Serve(&oneConn{conn: conn, closed: c.exited}) // it ends with the process
	}()
	intent := exitreason.None
	select {
	case <-c.exited:
	case <-m.stop:
		intent = c.end(monitorGrace)
	}
	server.Close()
	<-asked
	pump.drain()
	m.ended(c, intent, log)
	if !stopping(intent) {
		m.backoff.failed(c.started, time.Now(), time.Since(c.started) > goodLife)
	}
}

// start forks one.
func (m *monitor) start() (*child, net.Conn, error) {
	env, err := cleanEnvironment(m.identity).list()
	if err != nil {
		return nil, nil, err
	}
	ours, theirs, err := socketPair(unix.SOCK_STREAM)
	if err != nil {
		return nil, nil, err
	}
	defer theirs.Close()
	defer ours.Close() // conn is a copy
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, nil, fmt.Errorf("socket pair: %w", err)
	}
	spec := &launch{identity: m.identity, env: env}
	b := &spec.block
	b.Set("role", "monitor")
	setIdentity(b, m.identity)
	b.SetInt("umask", 0o077)
	b.Set("chdir", "/")
	b.SetBool("no_new_privs", true)
	b.SetBool("dumpable", false)
	spec.files = []named{{"fd.listen", m.listener}, {"fd.wire", theirs}}
	c, err := m.launcher.start(spec)
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	m.mu.Lock()
	m.child = c
	m.mu.Unlock()
	return c, conn, nil
}

// ended records the exit.
func (m *monitor) ended(c *child, intent exitreason.Reason, log hclog.Logger) {
	m.mu.Lock()
	defer m.mu.Unlock()
	facts := exitFacts{state: c.state, intent: intent, killed: c.wasKilled(), stopped: c.wasUnresponsive(), oom: m.oom.happened()}
	m.child, m.lastExit = nil, exitRecord(c, exitReason(facts), "")
	if stopping(intent) {
		log.Debug("monitor exited")
		return
	}
	m.restarts[m.lastExit.Reason]++
	log.Error("monitor exited", "reason", m.lastExit.Reason, "status", m.lastExit.Status, "signal", m.lastExit.Signal)
}

// snapshot is the monitor for status.
func (m *monitor) snapshot() *status.Monitor {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := &status.Monitor{Address: m.address, User: m.identity.User, UID: m.identity.UID, Restarts: maps.Clone(m.restarts), LastExit: m.lastExit}
	if m.child != nil {
		out.PID = m.child.pid
	}
	return out
}

// listenShared opens a TCP listener that the supervisor of an upgrade can open, too.
func listenShared(address string) (*os.File, string, error) {
	shared := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return errors.Join(err, failed)
	}}
	listener, err := shared.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, "", fmt.Errorf("listen on %s: %w", address, err)
	}
	defer listener.Close() // file is a copy
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		return nil, "", fmt.Errorf("listen on %s: not TCP", address)
	}
	file, err := tcp.File()
	if err != nil {
		return nil, "", fmt.Errorf("listen on %s: %w", address, err)
	}
	return file, listener.Addr().String(), nil
}

// oneConn is a listener at which one connection is there, and no other comes.
type oneConn struct {
	conn   net.Conn
	closed <-chan struct{}
	given  bool
}

// Accept gives the connection, then waits.
func (l *oneConn) Accept() (net.Conn, error) {
	if !l.given {
		l.given = true
		return l.conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

// Close does nothing: the connection is the server's.
func (l *oneConn) Close() error { return nil }

// Addr is that of the connection.
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }
