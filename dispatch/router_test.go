package dispatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/wsgid/wsgid/internal/wire"
)

func TestMain(m *testing.M) {
	if role, ok := isBenchChild(); ok {
		benchChild(role)
	}
	if address := os.Getenv(idleVariable); address != "" {
		if err := idleChild(address); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// The clock of backtracking expressions ends a second after the last one.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/dlclark/regexp2/v2.runClock"))
}

func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wsgid")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// running is a router under test and the supervisor's end of its wire.
type running struct {
	t       *testing.T
	dir     string
	address string
	conn    *wire.Conn
	done    chan error
	retired chan wire.Process
	replace chan *wire.Replace
	wanted  chan *wire.Wanted
	status  chan *wire.RouterStatus
	// answers to questions
	explained chan *wire.Message
	log       *syncBuffer
}

// baseConfig has one unix listener in dir, filled in by startRouter.
func baseConfig(groups ...wire.Group) *wire.RouterConfig {
	for i := range groups {
		if groups[i].QueueLength == 0 {
			groups[i].QueueLength = 100
		}
	}
	return &wire.RouterConfig{
		Groups: groups,
		Limits: wire.Limits{MaxHeaderBytes: 64 << 10, MaxConnections: 1000},
	}
}

func fileMount(prefix, target, group string) wire.Mount {
	return wire.Mount{Prefix: prefix, Target: target, ProcessGroup: group, ApplicationGroup: "%{GLOBAL}",
		CallableObject: "application", ScriptReloading: true, RequestBuffer: 64 << 10}
}

func socketPair(t testing.TB) (*os.File, *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "supervisor"), os.NewFile(uintptr(fds[1]), "router")
}

// startRouter runs a router with config until the test ends. Those of one line
// share its listeners.
func startRouter(t *testing.T, config *wire.RouterConfig, host func(wire.Embedded) (ScriptHost, error), lines ...*line) *running {
	t.Helper()
	dir := shortDir(t)
	r := &running{t: t, dir: dir, address: filepath.Join(dir, "front.sock"), done: make(chan error, 1), explained: make(chan *wire.Message, 16),
		retired: make(chan wire.Process, 100), replace: make(chan *wire.Replace, 100), wanted: make(chan *wire.Wanted, 100), status: make(chan *wire.RouterStatus, 1), log: &syncBuffer{}}
	if len(config.Listeners) == 0 {
		config.Listeners = []wire.Listener{{Kind: wire.ListenUnix}}
	}
	options := Options{StartHost: host}
	if len(lines) > 0 {
		lines[0].join(&options, config)
	}
	for i := range config.Listeners {
		l := &config.Listeners[i]
		if l.FD != 0 {
			continue
		}
		var ln net.Listener
		var err error
		if l.Kind == wire.ListenUnix {
			l.Address = r.address
			ln, err = net.Listen("unix", r.address)
		} else {
			ln, err = net.Listen("tcp", "127.0.0.1:0")
		}
		if err != nil {
			t.Fatal(err)
		}
		if l.Kind != wire.ListenUnix {
			l.Address = ln.Addr().String()
		}
		f, err := ln.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		fd, err := syscall.Dup(int(f.Fd())) // the router owns and closes it
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		l.FD = fd
		if u, ok := ln.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false)
		}
		ln.Close()
	}
	mine, theirs := socketPair(t)
	r.conn = wire.NewConn(mine)
	level := hclog.Debug
	if config.LogLevel != "" {
		level = hclog.LevelFromString(config.LogLevel)
	}
	options.Wire, options.Logger = theirs, hclog.New(&hclog.LoggerOptions{Output: r.log, Level: level})
	go func() { r.done <- Run(context.Background(), options) }()
	r.send(&wire.Message{Type: wire.TypeConfig, Config: config})
	m, err := r.conn.Receive()
	if err != nil || m.Type != wire.TypeReady {
		t.Fatalf("router did not start: %v %+v", err, m)
	}
	received := make(chan struct{})
	go func() {
		defer close(received)
		for {
			m, err := r.conn.Receive()
			if err != nil {
				return
			}
			switch m.Type {
			case wire.TypeRetired:
				r.retired <- *m.Process
			case wire.TypeStatus:
				r.status <- m.Status
			case wire.TypeExplained:
				r.explained <- m
			case wire.TypeWanted:
				r.wanted <- m.Wanted
			case wire.TypeReplace:
				r.replace <- m.Replace
			}
		}
	}()
	t.Cleanup(func() {
		r.conn.Close()
		<-received
		select {
		case err := <-r.done:
			if err != nil {
				t.Errorf("router ended with %v", err)
			}
		case <-time.After(longWait):
			t.Error("router did not end")
		}
		if t.Failed() {
			t.Logf("router log:\n%s", r.log.String())
		}
	})
	return r
}

func (r *running) send(m *wire.Message) {
	r.t.Helper()
	if err := r.conn.Send(m); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) process(group string, pid, threads int, state wire.ProcessState) {
	r.t.Helper()
	r.send(&wire.Message{Type: wire.TypeProcess, Process: &wire.Process{Group: group, PID: pid, Threads: threads, State: state}})
}

func (r *running) query() *wire.RouterStatus {
	r.t.Helper()
	r.send(&wire.Message{Type: wire.TypeQuery, ID: 1})
	select {
	case s := <-r.status:
		return s
	case <-time.After(longWait):
		r.t.Fatal("no status")
		return nil
	}
}

// await polls the router's status until ok says so.
func (r *running) await(what string, ok func(*wire.RouterStatus) bool) {
	r.t.Helper()
	for deadline := time.Now().Add(longWait); ; {
		if ok(r.query()) {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%s did not happen", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (r *running) front() *fakeFront { return dialFront(r.t, "unix", r.address) }

func (r *running) mustGet(f *fakeFront, path string, more ...string) frontReply {
	r.t.Helper()
	a, err := f.get(path, more...)
	if err != nil {
		r.t.Fatalf("GET %s: %v", path, err)
	}
	return a
}

func (r *running) wantLog(parts ...string) {
	r.t.Helper()
	for deadline := time.Now().Add(longWait); ; time.Sleep(5 * time.Millisecond) {
		log := r.log.String()
		missing := ""
		for _, p := range parts {
			if !strings.Contains(log, p) {
				missing = p
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			r.t.Errorf("log lacks %q", missing)
			return
		}
	}
}

func echoPath(r *fakeRequest) {
	r.body()
	r.reply(r.env["SCRIPT_NAME"] + "|" + r.env["PATH_INFO"] + "|" + r.env["WSGID_SCRIPT"])
}

func TestStaticRouting(t *testing.T) {
	dir := shortDir(t)
	g := newFakeGroup(t, dir, "web", echoPath)
	g.start(100, 2)
	config := baseConfig(wire.Group{Name: "web", Socket: g.socket})
	config.Mounts = []wire.Mount{fileMount("/name", "/srv/name.wsgi", "web"), fileMount("/", "/srv/site.wsgi", "web")}
	r := startRouter(t, config, nil)
	r.process("web", 100, 2, wire.ProcessReady)
	r.await("connecting", func(s *wire.RouterStatus) bool { return s.Groups[0].Connections == 2 })
	f := r.front()
	for path, want := range map[string]string{
		"/":       "|/|/srv/site.wsgi",
		"/name/x": "/name|/x|/srv/name.wsgi",
		"/name":   "/name||/srv/name.wsgi",
		"/name2":  "|/name2|/srv/site.wsgi",
		"/Name":   "|/Name|/srv/site.wsgi",
	} {
		if got := r.mustGet(f, path); got.body != want || got.status() != "200 OK" {
			t.Errorf("%s: %q %q, want %q", path, got.header, got.body, want)
		}
	}
	// The front has its answer a moment before the router has counted it.
	r.await("counting", func(s *wire.RouterStatus) bool {
		return s.Requests == 5 && s.Groups[0].Connections == 2 && s.Groups[0].Busy == 0 && s.Groups[0].Requests == 5
	})
}

func TestFrontWithoutKeepConnectionIsClosed(t *testing.T) {
	dir := shortDir(t)
	g := newFakeGroup(t, dir, "web", echoPath)
	g.start(100, 1)
	config := baseConfig(wire.Group{Name: "web", Socket: g.socket})
	config.Mounts = []wire.Mount{fileMount("/", "/srv/site.wsgi", "web")}
	r := startRouter(t, config, nil)
	r.process("web", 100, 1, wire.ProcessReady)
	f := r.front()
	f.Write(requestBytes(7, 0, nil, "REQUEST_METHOD", "GET", "SCRIPT_NAME", "/x"))
	a, err := f.read()
	if err != nil || a.body != "|/x|/srv/site.wsgi" {
		t.Fatalf("%+v %v", a, err)
	}
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("after the answer: %v", err)
	}
}
