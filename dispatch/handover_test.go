package dispatch

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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

// line is what routers of which each succeeds the one before have in common.
type line struct {
	t         *testing.T
	unix, web net.Listener
	pair      [2]int
	count     int
}

func newLine(t *testing.T) *line {
	t.Helper()
	l := &line{t: t}
	var err error
	if l.unix, err = net.Listen("unix", shortDir(t)+"/front.sock"); err != nil {
		t.Fatal(err)
	}
	if l.web, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if l.pair, err = syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.unix.Close()
		l.web.Close()
		syscall.Close(l.pair[0])
		syscall.Close(l.pair[1])
	})
	return l
}

func (l *line) dup(fd int) int {
	l.t.Helper()
	fd, err := syscall.Dup(fd)
	if err != nil {
		l.t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	return fd
}

// join makes a router one of the line.
func (l *line) join(o *Options, config *wire.RouterConfig) {
	o.HandoverSend = os.NewFile(uintptr(l.dup(l.pair[0])), "send")
	o.HandoverReceive = os.NewFile(uintptr(l.dup(l.pair[1])), "receive")
	config.Listeners = nil
	for kind, ln := range map[wire.ListenerKind]net.Listener{wire.ListenUnix: l.unix, wire.ListenHTTP: l.web} {
		f, err := ln.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			l.t.Fatal(err)
		}
		config.Listeners = append(config.Listeners, wire.Listener{Kind: kind, Address: ln.Addr().String(), FD: l.dup(int(f.Fd()))})
		f.Close()
	}
}

// next starts another router, whose group answers with the router's number.
func (l *line) next(handle func(*fakeRequest)) *running {
	l.t.Helper()
	l.count++
	number := fmt.Sprint(l.count)
	if handle == nil {
		handle = func(q *fakeRequest) {
			body, _ := q.body()
			q.reply(number + q.env["PATH_INFO"] + string(body))
		}
	}
	g := newFakeGroup(l.t, shortDir(l.t), "web", handle)
	config := baseConfig(wire.Group{Name: "web", Socket: g.socket, QueueTimeout: longWait})
	config.Limits.MaxConnections = 3000
	config.Mounts = []wire.Mount{fileMount("/", "/srv/site.wsgi", "web")}
	r := startRouter(l.t, config, nil, l)
	g.start(100, 4)
	r.process("web", 100, 4, wire.ProcessReady)
	r.await("connecting", func(s *wire.RouterStatus) bool { return s.Groups[0].Connections == 4 })
	return r
}

func (l *line) front() *fakeFront { return dialFront(l.t, "unix", l.unix.Addr().String()) }

func (r *running) handOver() {
	r.t.Helper()
	r.send(&wire.Message{Type: wire.TypeHandover, Handover: &wire.Handover{Grace: longWait}})
}

// wantEnd waits until the router has ended by itself, in order.
func (r *running) wantEnd() {
	r.t.Helper()
	select {
	case err := <-r.done:
		if err != nil {
			r.t.Errorf("ended with %v", err)
		}
		r.done <- nil
	case <-time.After(longWait):
		r.t.Fatalf("the router did not end\n%s", r.log)
	}
}

func wantBody(t *testing.T, a frontReply, err error, want string) {
	t.Helper()
	if err != nil || a.body != want {
		t.Fatalf("%+v %v, want %q", a, err, want)
	}
}

// TestHandoverOfIdleConnections: those that have served and those that have not.
func TestHandoverOfIdleConnections(t *testing.T) {
	l := newLine(t)
	old := l.next(nil)
	used, fresh := l.front(), l.front()
	for range lasting + 1 {
		a, err := used.get("/a")
		wantBody(t, a, err, "1/a")
	}
	old.await("both", func(s *wire.RouterStatus) bool { return s.Connections == 2 })
	l.next(nil)
	old.handOver()
	old.wantEnd()
	for range lasting + 1 {
		for _, f := range []*fakeFront{used, fresh} {
			a, err := f.get("/b")
			wantBody(t, a, err, "2/b")
		}
	}
	a, err := l.front().get("/c")
	wantBody(t, a, err, "2/c")
}

// TestHandoverWaitsForTheSuccessor: connections stay in the pair until somebody
// serves, be it after a crash of the first successor.
func TestHandoverWaitsForTheSuccessor(t *testing.T) {
	l := newLine(t)
	old := l.next(nil)
	f := l.front()
	a, err := f.get("/a")
	wantBody(t, a, err, "1/a")
	old.handOver()
	old.wantEnd()
	if _, err := f.Write(requestBytes(1, protocol.FlagKeepConn, nil, "REQUEST_METHOD", "GET", "PATH_INFO", "/b", "SCRIPT_NAME", "")); err != nil {
		t.Fatal(err)
	}
	l.next(nil)
	a, err = f.read()
	wantBody(t, a, err, "2/b")
}

// TestHandoverOfBusyConnections: a request that runs, one that waits, one of
// which half has been read, one whose body is on its way, and a pipelined one
// end where they began; then the connection goes.
func TestHandoverOfBusyConnections(t *testing.T) {
	l := newLine(t)
	started, release := make(chan string, 16), make(chan struct{})
	old := l.next(func(q *fakeRequest) {
		body, _ := q.body()
		started <- q.env["PATH_INFO"]
		<-release
		q.reply("1" + q.env["PATH_INFO"] + string(body))
	})
	var running []*fakeFront
	for range 4 {
		f := l.front()
		f.begin("/runs")
		<-started
		running = append(running, f)
	}
	waits := l.front()
	waits.begin("/runs")
	old.await("waiting", func(s *wire.RouterStatus) bool { return s.Groups[0].Queued == 1 })
	whole := func(path string, body string) []byte {
		return requestBytes(1, protocol.FlagKeepConn, []byte(body), "REQUEST_METHOD", "POST", "PATH_INFO", path, "SCRIPT_NAME", "",
			"CONTENT_LENGTH", fmt.Sprint(len(body)))
	}
	half, upload, piped := l.front(), l.front(), l.front()
	head := whole("/half", "")
	half.Write(head[:20])
	body := whole("/upload", "abcdef")
	at := strings.Index(string(body), "abcdef")
	upload.Write(body[:at])
	piped.Write(append(whole("/first", ""), whole("/second", "")...))
	old.await("all of them", func(s *wire.RouterStatus) bool {
		return s.Connections == 8 && s.Groups[0].Queued == 2 && s.InFlight == 8
	})
	l.next(nil)
	old.handOver()
	old.await("handing over", func(s *wire.RouterStatus) bool { return s.HandingOver && s.Connections == 8 })
	half.Write(head[20:])
	upload.Write(body[at:])
	close(release)
	for _, f := range append(running, waits) {
		a, err := f.read()
		wantBody(t, a, err, "1/runs")
	}
	for f, want := range map[*fakeFront]string{half: "1/half", upload: "1/uploadabcdef", piped: "1/first"} {
		a, err := f.read()
		wantBody(t, a, err, want)
	}
	a, err := piped.read()
	wantBody(t, a, err, "1/second")
	old.wantEnd()
	for _, f := range append(running, waits, half, upload, piped) {
		a, err := f.get("/later")
		wantBody(t, a, err, "2/later")
	}
}

// TestHandoverOfHTTP: idle connections, new ones, and busy ones after their answer.
func TestHandoverOfHTTP(t *testing.T) {
	l := newLine(t)
	started, release := make(chan struct{}, 1), make(chan struct{})
	old := l.next(func(q *fakeRequest) {
		body, _ := q.body()
		if q.env["PATH_INFO"] == "/runs" {
			started <- struct{}{}
			<-release
		}
		q.reply("1" + q.env["PATH_INFO"] + string(body))
	})
	type client struct {
		net.Conn
		*bufio.Reader
	}
	dial := func() client {
		c, err := net.Dial("tcp", l.web.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return client{c, bufio.NewReader(c)}
	}
	ask := func(c client, method, path, body string) {
		fmt.Fprintf(c.Conn, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
	}
	read := func(c client, want string) {
		t.Helper()
		a, err := http.ReadResponse(c.Reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(a.Body)
		if err != nil || string(body) != want || a.Close {
			t.Fatalf("%v %q %v, want %q", a, body, err, want)
		}
	}
	idle, posted, fresh, busy, half := dial(), dial(), dial(), dial(), dial()
	ask(idle, "GET", "/a", "")
	read(idle, "1/a")
	ask(posted, "POST", "/p", "body")
	read(posted, "1/pbody")
	ask(busy, "GET", "/runs", "")
	<-started
	fmt.Fprint(half.Conn, "GET /half HT")
	old.await("half a request", func(s *wire.RouterStatus) bool { return s.InFlight == 1 })
	l.next(nil)
	old.handOver()
	old.await("handing over", func(s *wire.RouterStatus) bool { return s.HandingOver })
	fmt.Fprint(half.Conn, "TP/1.1\r\nHost: x\r\n\r\n")
	if a, err := http.ReadResponse(half.Reader, nil); err != nil || a.StatusCode != 200 {
		t.Fatal(a, err) // by whom depends on who had read its beginning
	} else if _, err := io.Copy(io.Discard, a.Body); err != nil {
		t.Fatal(err)
	}
	close(release)
	read(busy, "1/runs")
	old.wantEnd()
	for _, c := range []client{idle, posted, fresh, busy, half} {
		ask(c, "POST", "/later", "x")
		read(c, "2/laterx")
	}
}

// TestHandoverOfMany: more than the pair holds at once.
func TestHandoverOfMany(t *testing.T) {
	l := newLine(t)
	const many = 1000
	old := l.next(nil)
	var all []*fakeFront
	for range many {
		all = append(all, l.front())
	}
	old.await("connecting", func(s *wire.RouterStatus) bool { return s.Connections == many })
	old.handOver()
	successor := l.next(nil)
	old.wantEnd()
	successor.await("taking over", func(s *wire.RouterStatus) bool { return s.Connections == many })
	for _, f := range all {
		a, err := f.get("/")
		wantBody(t, a, err, "2/")
	}
}

// TestHandoverToAnotherConfiguration: a connection whose listener is no more is
// closed, and so is one whose peer may not use it any more.
func TestHandoverToAnotherConfiguration(t *testing.T) {
	l := newLine(t)
	old := l.next(nil)
	f := l.front()
	a, err := f.get("/")
	wantBody(t, a, err, "1/")
	config := baseConfig()
	config.Listeners = []wire.Listener{{Kind: wire.ListenUnix}}
	successor := startRouter(t, config, nil, &line{t: t, unix: newLine(t).unix, web: l.web, pair: l.pair})
	old.handOver()
	old.wantEnd()
	if n, err := f.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("%d %v", n, err)
	}
	if s := successor.query(); s.Connections != 0 {
		t.Errorf("%+v", s)
	}
}

// TestStopDuringHandover: whoever stops does not wait for the successor's grace.
func TestStopDuringHandover(t *testing.T) {
	l := newLine(t)
	handle, release := blocking()
	defer close(release)
	old := l.next(handle)
	f := l.front()
	f.begin("/")
	old.await("running", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 })
	old.handOver()
	old.await("handing over", func(s *wire.RouterStatus) bool { return s.HandingOver })
	old.send(&wire.Message{Type: wire.TypeStop, Stop: &wire.Stop{Grace: 10 * time.Millisecond}})
	old.wantEnd()
}

// TestHandoversUnderLoad: no request is lost, none is served twice.
func TestHandoversUnderLoad(t *testing.T) {
	l := newLine(t)
	const clients, handovers = 8, 12
	var served sync.Map
	handle := func(q *fakeRequest) {
		q.body()
		id := q.env["PATH_INFO"]
		n, _ := served.LoadOrStore(id, new(atomic.Int32))
		n.(*atomic.Int32).Add(1)
		q.reply(id)
	}
	old := l.next(handle)
	stop := make(chan struct{})
	var wait sync.WaitGroup
	var sent atomic.Int32
	for c := range clients {
		f := l.front()
		wait.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				path := fmt.Sprintf("/%d/%d", c, n)
				sent.Add(1)
				if a, err := f.get(path); err != nil || a.body != path {
					t.Errorf("%s: %+v %v", path, a, err)
					return
				}
			}
		})
	}
	for range handovers {
		successor := l.next(handle)
		for more := sent.Load() + clients; sent.Load() < more && !t.Failed(); {
			time.Sleep(time.Millisecond) // the load goes on
		}
		old.handOver()
		old.wantEnd()
		old = successor
	}
	close(stop)
	wait.Wait()
	total := 0
	served.Range(func(id, n any) bool {
		total++
		if n := n.(*atomic.Int32).Load(); n != 1 {
			t.Errorf("%v was served %d times", id, n)
		}
		return true
	})
	if total != int(sent.Load()) || total < clients*handovers {
		t.Errorf("%d of %d requests were served", total, sent.Load())
	}
}
