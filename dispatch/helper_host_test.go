package dispatch

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/wire"
)

// listenCalls opens the socket of a dispatch helper, as the supervisor does.
func listenCalls(t testing.TB, path string) *os.File {
	t.Helper()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	defer listener.Close()
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// serveCalls is a dispatch helper for a router with that uid until the test ends.
func serveCalls(t *testing.T, path string, host ScriptEvaluator, router int) {
	t.Helper()
	file := listenCalls(t, path)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- ServeCalls(ctx, HelperOptions{Listener: file, RouterUID: router, Host: host}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// helper tells the router about the helper and returns when it knows.
func (r *running) helper(state *wire.HelperState) {
	r.t.Helper()
	r.send(&wire.Message{Type: wire.TypeHelper, Helper: state})
	r.query()
}

// rawHelper is a helper that does with each connection what it likes. Its
// connections are closed when it is killed.
type rawHelper struct {
	t        *testing.T
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
	wait     sync.WaitGroup
}

func newRawHelper(t *testing.T, path string, serve func(n int, c net.Conn)) *rawHelper {
	t.Helper()
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	h := &rawHelper{t: t, listener: listener}
	h.wait.Add(1)
	go func() {
		defer h.wait.Done()
		for n := 0; ; n++ {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			h.mu.Lock()
			h.conns = append(h.conns, c)
			h.mu.Unlock()
			h.wait.Add(1)
			go func() {
				defer h.wait.Done()
				serve(n, c)
			}()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		h.kill()
		h.wait.Wait()
	})
	return h
}

func (h *rawHelper) kill() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		c.Close()
	}
	h.conns = nil
}

// readCall reads a call as a helper does; nil at the end of the connection.
func readCall(c net.Conn) *ScriptCall {
	frame, err := readFrame(c, make([]byte, 4096), 0, maxCall)
	if err != nil {
		return nil
	}
	call, _, _, err := parseCall(frame[frameHeader:])
	if err != nil {
		return nil
	}
	return call
}

// answering answers every call with a process group.
func answering(c net.Conn, group string) {
	for readCall(c) != nil {
		c.Write(appendAnswer(nil, &ScriptAnswer{ScriptDecision: ScriptDecision{ProcessGroup: text(group)}}, nil))
	}
}

// rawDispatching is dispatching with a raw helper, which is ready as pid 300.
func rawDispatching(t *testing.T, serve func(n int, c net.Conn), change func(*wire.RouterConfig)) (*running, *rawHelper) {
	t.Helper()
	path := filepath.Join(shortDir(t), "helper.sock")
	h := newRawHelper(t, path, serve)
	r := dispatching(t, &fakeHost{}, func(c *wire.RouterConfig) {
		c.HelperSocket = path
		if change != nil {
			change(c)
		}
	})
	r.helper(&wire.HelperState{Ready: true, PID: 300, Python: "3.99.0"})
	return r, h
}

func (r *running) wantReplace(pid int, lost bool, reason string) {
	r.t.Helper()
	select {
	case m := <-r.replace:
		if m.PID != pid || m.Lost != lost || !strings.Contains(m.Reason, reason) {
			r.t.Errorf("asked for replacement %+v", m)
		}
	case <-time.After(longWait):
		r.t.Fatal("no replacement of the helper was asked for")
	}
}

// TestHostileHelper: whatever a helper answers, its call is a 500, the router
// asks for another helper and lives on.
func TestHostileHelper(t *testing.T) {
	for name, frame := range hostileAnswers {
		t.Run(name, func(t *testing.T) {
			var good atomic.Bool
			r, _ := rawDispatching(t, func(_ int, c net.Conn) {
				if good.Load() {
					answering(c, "admin")
				} else if readCall(c) != nil {
					io.WriteString(c, frame)
				}
			}, nil)
			f := r.front()
			a := r.mustGet(f, "/")
			if a.status() != "500 Internal Server Error" || !strings.Contains(a.header, "WSGID-1035") {
				t.Errorf("%+v", a)
			}
			r.wantReplace(300, false, "malformed answer")
			good.Store(true)
			r.helper(&wire.HelperState{Ready: true, PID: 301})
			if a := r.mustGet(f, "/"); a.body != "admin||application" {
				t.Errorf("after the replacement: %+v", a)
			}
		})
	}
}

// TestHelperMayOnlyDecide: groups that a helper names go through the same judge.
func TestHelperMayOnlyDecide(t *testing.T) {
	r, _ := rawDispatching(t, func(_ int, c net.Conn) {
		for {
			call := readCall(c)
			if call == nil {
				return
			}
			path := pairMap(call.Params)["PATH_INFO"]
			c.Write(appendAnswer(nil, &ScriptAnswer{ScriptDecision: ScriptDecision{ProcessGroup: text(strings.TrimPrefix(path, "/"))}}, nil))
		}
	}, func(c *wire.RouterConfig) {
		c.Embedded.Needed, c.KeepScriptsOut = true, true
		mine := fileMount("/mine", "/srv/mine.wsgi", "web")
		mine.DispatchScript, mine.RestrictProcess = "/etc/d.py", []string{"web"}
		c.Mounts = append([]wire.Mount{mine}, c.Mounts...)
	})
	f := r.front()
	for path, want := range map[string]string{"/nobody": "WSGID-1006", "/%{GLOBAL}": "WSGID-1005", "/": "WSGID-1005", "/mine/admin": "WSGID-1005"} {
		if a := r.mustGet(f, path); a.status() != "500 Internal Server Error" || !strings.Contains(a.header, want) {
			t.Errorf("%s: %+v, want %s", path, a, want)
		}
	}
	if a := r.mustGet(f, "/admin"); a.body != "admin||application" {
		t.Errorf("%+v", a)
	}
}

// TestHelperEndsDuringCall: the call is made once more with the next helper; a
// call that ends that one, too, is a 500.
func TestHelperEndsDuringCall(t *testing.T) {
	var calls atomic.Int32
	r, _ := rawDispatching(t, func(_ int, c net.Conn) {
		for {
			call := readCall(c)
			if call == nil {
				return
			}
			calls.Add(1)
			if pairMap(call.Params)["PATH_INFO"] == "/bad" || calls.Load() == 1 {
				c.Close()
				return
			}
			c.Write(appendAnswer(nil, &ScriptAnswer{ScriptDecision: ScriptDecision{ProcessGroup: text("admin")}}, nil))
		}
	}, nil)
	next := make(chan struct{})
	defer func() { <-next }()
	go func() { // the supervisor
		defer close(next)
		for pid := 300; pid < 303; pid++ {
			r.wantReplace(pid, true, "ended during the call")
			r.helper(&wire.HelperState{})
			r.helper(&wire.HelperState{Ready: true, PID: pid + 1})
		}
	}()
	f := r.front()
	if a := r.mustGet(f, "/"); a.body != "admin||application" || calls.Load() != 2 {
		t.Errorf("%+v after %d calls", a, calls.Load())
	}
	a := r.mustGet(f, "/bad")
	if a.status() != "500 Internal Server Error" || !strings.Contains(a.header, "WSGID-1035") || calls.Load() != 4 {
		t.Errorf("%+v after %d calls", a, calls.Load())
	}
	if a := r.mustGet(f, "/"); a.body != "admin||application" {
		t.Errorf("afterwards: %+v", a)
	}
}

// TestHelperGoneWhileIdle: what is left of connections to a helper that has
// gone costs no call.
func TestHelperGoneWhileIdle(t *testing.T) {
	r, h := rawDispatching(t, func(_ int, c net.Conn) { answering(c, "admin") }, nil)
	f := r.front()
	for pid := 301; pid < 310; pid++ {
		if a := r.mustGet(f, "/"); a.body != "admin||application" {
			t.Errorf("%+v", a)
		}
		h.kill()
		r.helper(&wire.HelperState{Ready: true, PID: pid})
	}
}

// TestNoHelper: calls wait for one that is being started, and are refused while
// they keep ending.
func TestNoHelper(t *testing.T) {
	r, _ := rawDispatching(t, func(_ int, c net.Conn) { answering(c, "admin") }, nil)
	r.helper(&wire.HelperState{RetryAfter: 20 * time.Second})
	f := r.front()
	a := r.mustGet(f, "/")
	if a.status() != "503 Service Unavailable" || !strings.Contains(a.header, "WSGID-1036") || a.retryAfter() < 1 || a.retryAfter() > 20 {
		t.Errorf("%+v", a)
	}
	r.helper(&wire.HelperState{})
	answer := make(chan frontReply, 1)
	go func() { answer <- r.mustGet(f, "/") }()
	r.await("waiting", func(s *wire.RouterStatus) bool { return s.Scripts[0].Running == 1 })
	r.helper(&wire.HelperState{Ready: true, PID: 301})
	if a := <-answer; a.body != "admin||application" {
		t.Errorf("%+v", a)
	}
}

// TestNoHelperInTime: waiting counts.
func TestNoHelperInTime(t *testing.T) {
	r, _ := rawDispatching(t, func(_ int, c net.Conn) { answering(c, "admin") }, func(c *wire.RouterConfig) {
		c.DispatchScripts[0].Timeout = 50 * time.Millisecond
	})
	r.helper(&wire.HelperState{})
	if a := r.mustGet(r.front(), "/"); a.status() != "504 Gateway Timeout" || !strings.Contains(a.header, "WSGID-1020") {
		t.Errorf("%+v", a)
	}
}

// TestHelperThatDoesNotAnswer: its calls are answered by the router, and with
// half of them written off it is replaced, not the router. Connections that
// somebody holds open are let go of when the supervisor says that it has gone.
func TestHelperThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	var silent atomic.Bool
	silent.Store(true)
	stuck := make(chan struct{})
	r, _ := rawDispatching(t, func(_ int, c net.Conn) {
		if silent.Load() {
			readCall(c)
			<-stuck
			return
		}
		answering(c, "admin")
	}, func(c *wire.RouterConfig) { c.DispatchScripts[0].Timeout = 2 * time.Second })
	defer close(stuck)
	a := r.mustGet(r.front(), "/")
	if a.status() != "504 Gateway Timeout" || !strings.Contains(a.header, "WSGID-1020") {
		t.Errorf("%+v", a)
	}
	r.wantReplace(300, false, "1 of 2 calls of dispatch script /etc/d.py do not come back")
	r.await("letting go", func(s *wire.RouterStatus) bool { return s.InFlight == 0 && s.Scripts[0].Lost == 0 })
	silent.Store(false)
	r.helper(&wire.HelperState{Ready: true, PID: 301})
	if a := r.mustGet(r.front(), "/"); a.body != "admin||application" {
		t.Errorf("afterwards: %+v", a)
	}
}

// TestHelperLock: a helper whose Python's lock cannot be had is replaced.
func TestHelperLock(t *testing.T) {
	release := make(chan struct{})
	r, _ := rawDispatching(t, func(_ int, c net.Conn) {
		readCall(c)
		<-release
	}, func(c *wire.RouterConfig) { c.DispatchScripts[0].DeadlockTimeout = 100 * time.Millisecond })
	defer close(release)
	answer := make(chan frontReply, 1)
	go func() { answer <- r.mustGet(r.front(), "/") }()
	r.wantReplace(300, false, "interpreter lock")
	// The call ended with its helper; the next one answers it.
	r.helper(&wire.HelperState{RetryAfter: time.Minute})
	if a := <-answer; a.status() != "503 Service Unavailable" {
		t.Errorf("%+v", a)
	}
}

// TestHelperLargeCall: an environ that no socket holds at once.
func TestHelperLargeCall(t *testing.T) {
	h := &fakeHost{isolated: true, decide: func(env map[string]string, _ *ScriptCall) (d ScriptAnswer, err error) {
		d.ApplicationGroup = text(fmt.Sprint(len(env["HTTP_A"]) + len(env["HTTP_B"]) + len(env["HTTP_C"])))
		return d, nil
	}}
	r := dispatching(t, h, func(c *wire.RouterConfig) { c.Limits.MaxHeaderBytes = 4 << 20 })
	part := strings.Repeat("x", 300_000)
	for range 2 {
		if a := r.mustGet(r.front(), "/", "HTTP_A", part, "HTTP_B", part, "HTTP_C", part); a.body != "web|900000|application" {
			t.Errorf("%+v", a)
		}
	}
}
