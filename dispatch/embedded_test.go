package dispatch

import (
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

// embeddedHost serves applications of the router's own process in Go.
type embeddedHost struct {
	fakeHost
	t      *testing.T
	group  fakeGroup
	broken atomic.Bool   // threads cannot be started
	held   atomic.Bool   // the lock cannot be had
	calls  atomic.Int32  // of ServeEmbedded
	slow   chan struct{} // closed: they can be started now

	wg      sync.WaitGroup
	mu      sync.Mutex
	conns   []net.Conn
	release chan struct{}
}

func newEmbeddedHost(t *testing.T, handle func(*fakeRequest)) *embeddedHost {
	h := &embeddedHost{t: t, release: make(chan struct{})}
	h.group.handle = handle
	t.Cleanup(func() {
		close(h.release)
		h.mu.Lock()
		for _, c := range h.conns {
			c.Close()
		}
		h.mu.Unlock()
		h.wg.Wait()
	})
	return h
}

func (h *embeddedHost) Probe() {
	if h.held.Load() {
		<-h.release
	}
}

func (h *embeddedHost) ServeEmbedded(n int) ([]int, error) {
	h.calls.Add(1)
	if h.slow != nil {
		<-h.slow
	}
	if h.broken.Load() {
		return nil, errors.New("no memory")
	}
	var out []int
	for range n {
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
		if err != nil {
			return nil, err
		}
		f := os.NewFile(uintptr(fds[1]), "thread")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			return nil, err
		}
		h.mu.Lock()
		h.conns = append(h.conns, c)
		h.mu.Unlock()
		h.wg.Add(1)
		go func() {
			defer h.wg.Done()
			defer c.Close()
			h.group.serve(&fakeProcess{pid: os.Getpid()}, &fakeConn{c, protocol.NewReader(c, 0)})
		}()
		out = append(out, fds[0])
	}
	return out, nil
}

// embedding runs a router whose only applications are its own.
func embedding(t *testing.T, h *embeddedHost, change func(*wire.RouterConfig)) *running {
	t.Helper()
	config := baseConfig()
	config.Embedded = wire.Embedded{Needed: true, Threads: 2, QueueLength: 100}
	config.Mounts = []wire.Mount{fileMount("/", "/srv/site.wsgi", "%{GLOBAL}")}
	if change != nil {
		change(config)
	}
	return startRouter(t, config, func(wire.Embedded) (ScriptHost, error) { return h, nil })
}

func TestEmbeddedPool(t *testing.T) {
	h := newEmbeddedHost(t, func(q *fakeRequest) {
		q.body()
		if q.env["PATH_INFO"] == "/end" {
			q.w.Close()
			return
		}
		q.reply(q.env["PATH_INFO"])
	})
	r := embedding(t, h, nil)
	f := r.front()
	if n := h.calls.Load(); n != 0 {
		t.Errorf("threads were started %d times before a request", n)
	}
	if a := r.mustGet(f, "/a"); a.body != "/a" {
		t.Errorf("%+v", a)
	}
	r.await("both threads", func(s *wire.RouterStatus) bool {
		return len(s.Groups) == 1 && s.Groups[0].Connections == 2 && s.Python != ""
	})
	f.Write(requestBytes(1, 1, nil, "REQUEST_METHOD", "POST", "SCRIPT_NAME", "/end"))
	if a, err := f.read(); err != nil || a.status() != "502 Bad Gateway" {
		t.Errorf("a thread that ends: %+v %v", a, err)
	}
	r.await("replacing the thread", func(s *wire.RouterStatus) bool { return s.Groups[0].Connections == 2 })
	if a := r.mustGet(f, "/b"); a.body != "/b" {
		t.Errorf("%+v", a)
	}
}

// importingHost notes imports, which take until somebody lets them go on.
type importingHost struct {
	*embeddedHost
	imports chan string
	goOn    chan struct{}
}

func (h *importingHost) Import(application, path string) {
	h.imports <- application + ":" + path
	<-h.goOn
}

// TestEmbeddedPreload: scripts are imported in order without any request;
// requests for them wait and see none of it, others are served.
func TestEmbeddedPreload(t *testing.T) {
	h := &importingHost{newEmbeddedHost(t, echoPath), make(chan string, 2), make(chan struct{})}
	config := baseConfig()
	config.Embedded = wire.Embedded{Needed: true, Threads: 2, QueueLength: 100, Scripts: []wire.ScriptRule{{Path: "/srv/site.wsgi"}},
		Preload: []wire.Import{{Application: "sub", Path: "/srv/first.py"}, {Path: "/srv/site.wsgi"}}}
	config.Mounts = []wire.Mount{fileMount("/e", "/srv/site.wsgi", "%{GLOBAL}"), fileMount("/", "/srv/lost.wsgi", "nobody")}
	r := startRouter(t, config, func(wire.Embedded) (ScriptHost, error) { return h, nil })
	if got := <-h.imports; got != "sub:/srv/first.py" {
		t.Errorf("imported %s", got)
	}
	f, other := r.front(), r.front()
	f.begin("/e")
	r.await("the request waits", func(s *wire.RouterStatus) bool { return s.Groups[0].Queued == 1 })
	if a := r.mustGet(other, "/other"); a.status() != "500 Internal Server Error" {
		t.Errorf("another group: %+v", a)
	}
	h.goOn <- struct{}{}
	if got := <-h.imports; got != ":/srv/site.wsgi" {
		t.Errorf("imported %s", got)
	}
	if s := r.query(); s.Groups[0].Queued != 1 || s.Groups[0].Connections != 0 {
		t.Errorf("served before everything was imported: %+v", s.Groups[0])
	}
	h.goOn <- struct{}{}
	if a, err := f.read(); err != nil || a.status() != "200 OK" {
		t.Errorf("%+v %v", a, err)
	}
}

// TestEmbeddedThreadsStartSlowly: requests that wait for them do so in the queue.
func TestEmbeddedThreadsStartSlowly(t *testing.T) {
	t.Parallel()
	paths := make(chan string, 3)
	h := newEmbeddedHost(t, func(q *fakeRequest) {
		paths <- q.env["PATH_INFO"]
		echoPath(q)
	})
	goOn := make(chan struct{})
	h.slow = goOn
	r := embedding(t, h, func(c *wire.RouterConfig) { c.Embedded.QueueTimeout = 5 * time.Second })
	f, gone := r.front(), r.front()
	gone.begin("/gone")
	r.await("waiting", func(s *wire.RouterStatus) bool { return s.Groups[0].Queued == 1 })
	gone.Close()
	r.await("giving up", func(s *wire.RouterStatus) bool { return s.Groups[0].Queued == 0 })
	if a := r.mustGet(f, "/late"); a.status() != "504 Gateway Timeout" {
		t.Errorf("%+v", a)
	}
	close(goOn)
	r.await("threads", func(s *wire.RouterStatus) bool { return s.Groups[0].Connections == 2 })
	if a := r.mustGet(f, "/served"); a.status() != "200 OK" {
		t.Errorf("%+v", a)
	}
	if got := <-paths; got != "/served" || len(paths) > 0 || h.calls.Load() != 1 {
		t.Errorf("%s and %d more were served; threads were started %d times", got, len(paths), h.calls.Load())
	}
}

func TestEmbeddedThreadsThatCannotBeStarted(t *testing.T) {
	h := newEmbeddedHost(t, echoPath)
	h.broken.Store(true)
	r := embedding(t, h, nil)
	f := r.front()
	if a := r.mustGet(f, "/a"); a.status() != "500 Internal Server Error" || !strings.Contains(a.header, "WSGID-1021") {
		t.Errorf("%+v", a)
	}
	h.broken.Store(false)
	if a := r.mustGet(f, "/a"); a.status() != "200 OK" {
		t.Errorf("later: %+v", a)
	}
}

// awaitEnd expects the router to end by itself with an error.
func (r *running) awaitEnd(part string) {
	r.t.Helper()
	select {
	case err := <-r.done:
		if err == nil || !strings.Contains(err.Error(), part) {
			r.t.Errorf("router ended with %v, want %q", err, part)
		}
	case <-time.After(longWait):
		r.t.Error("router goes on")
	}
	r.done <- nil // for the end of the test
}

func TestStopTellsSubscribers(t *testing.T) {
	h := newEmbeddedHost(t, func(q *fakeRequest) {
		q.body()
		q.reply("done")
	})
	r := embedding(t, h, nil)
	r.mustGet(r.front(), "/")
	r.send(&wire.Message{Type: wire.TypeStop, Stop: &wire.Stop{}})
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	r.done <- nil
	if n := h.stopping.Load(); n != 1 {
		t.Errorf("subscribers were told %d times", n)
	}
}

// A subscriber that never returns does not hold the router.
func TestStopDoesNotWaitForSubscribers(t *testing.T) {
	h := newEmbeddedHost(t, func(q *fakeRequest) {
		q.body()
		q.reply("done")
	})
	h.hang = h.release
	r := embedding(t, h, nil)
	r.mustGet(r.front(), "/")
	r.send(&wire.Message{Type: wire.TypeStop, Stop: &wire.Stop{}})
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	r.done <- nil
	r.wantLog("shutdown subscribers of embedded applications are cut off")
}

func TestDeadlockOfEmbeddedApplications(t *testing.T) {
	var h *embeddedHost
	h = newEmbeddedHost(t, func(q *fakeRequest) {
		h.held.Store(true)
		<-h.release
	})
	r := embedding(t, h, func(c *wire.RouterConfig) { c.Embedded.DeadlockTimeout = 100 * time.Millisecond })
	r.front().begin("/")
	r.awaitEnd("interpreter lock")
}

func TestBusyEmbeddedApplicationIsNoDeadlock(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}), make(chan struct{})
	h := newEmbeddedHost(t, func(q *fakeRequest) {
		q.body()
		close(started)
		<-release
		q.reply("late")
	})
	r := embedding(t, h, func(c *wire.RouterConfig) { c.Embedded.DeadlockTimeout = time.Second })
	f := r.front()
	f.begin("/")
	<-started
	time.Sleep(probeAfter + time.Second + 5*tick) // long enough for a probe that does not come back
	close(release)
	if a, err := f.read(); err != nil || a.body != "late" {
		t.Errorf("%+v %v", a, err)
	}
}

func TestHalfOfTheDispatchCallsLost(t *testing.T) {
	release := make(chan struct{})
	returned := make(chan struct{})
	h := &fakeHost{decide: func(map[string]string, *ScriptCall) (ScriptAnswer, error) {
		<-release
		close(returned)
		return ScriptAnswer{}, nil
	}}
	r := dispatching(t, h, func(c *wire.RouterConfig) {
		c.DispatchScripts[0].Timeout, c.DispatchScripts[0].Concurrency = 20*time.Millisecond, 2
	})
	f := r.front()
	f.begin("/stuck")
	r.awaitEnd("1 of 2 calls")
	if a, err := f.read(); err != nil || !strings.Contains(a.header, "WSGID-1020") {
		t.Errorf("%+v %v", a, err)
	}
	close(release)
	<-returned
}

func TestDeadlockOfTheDispatchScriptWithoutTimeout(t *testing.T) {
	h := newEmbeddedHost(t, nil)
	h.held.Store(true)
	release := make(chan struct{})
	h.decide = func(map[string]string, *ScriptCall) (ScriptAnswer, error) {
		<-release
		return ScriptAnswer{}, nil
	}
	config := baseConfig(wire.Group{Name: "web", Socket: "/nonexistent"})
	config.Mounts = []wire.Mount{fileMount("/", "/srv/site.wsgi", "web")}
	config.DispatchScripts = []wire.Script{{Path: "/etc/d.py", Concurrency: 2, DeadlockTimeout: 50 * time.Millisecond}}
	config.Mounts[0].DispatchScript = "/etc/d.py"
	r := startRouter(t, config, func(wire.Embedded) (ScriptHost, error) { return h, nil })
	r.front().begin("/")
	r.awaitEnd("interpreter lock")
	close(release)
}
