package dispatch

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

func TestAllowedClients(t *testing.T) {
	var config *wire.RouterConfig
	r, _ := oneGroup(t, func(c *wire.RouterConfig) {
		config = c
		c.Listeners = []wire.Listener{
			{Kind: wire.ListenTCP, AllowedClients: []string{"192.0.2.0/24", "::1/128"}},
			{Kind: wire.ListenTCP, AllowedClients: []string{"192.0.2.0/24", "127.0.0.0/8"}},
			{Kind: wire.ListenHTTP, AllowedClients: []string{"192.0.2.0/24"}},
			{Kind: wire.ListenTCP},
		}
	}, echoPath, 1)
	for i, allowed := range []bool{false, true, false, true} {
		f := dialFront(t, "tcp", config.Listeners[i].Address)
		if !allowed {
			if n, err := f.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("listener %d serves a peer outside of allowed_clients", i)
			}
			continue
		}
		if a := r.mustGet(f, "/"); a.status() != "200 OK" {
			t.Errorf("listener %d: %+v", i, a)
		}
	}
	r.wantLog("WSGID-1026", "127.0.0.1 is not in allowed_clients")
}

func TestHTTPToAFastCGIListenerIsLoggedOnce(t *testing.T) {
	r, _ := oneGroup(t, nil, echoPath, 1)
	for range 3 {
		f := r.front()
		io.WriteString(f, "GET / HTTP/1.0\r\n\r\n")
		if n, err := f.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Error("an HTTP request was answered")
		}
	}
	for range 3 { // health checks
		r.front().Close()
	}
	if a := r.mustGet(r.front(), "/"); a.status() != "200 OK" {
		t.Errorf("%+v", a)
	}
	r.await("closing", func(s *wire.RouterStatus) bool { return s.Connections <= 1 })
	log := r.log.String()
	if n := strings.Count(log, "[WARN]"); n != 1 || !strings.Contains(log, "speaks http to a fastcgi listener") {
		t.Errorf("%d warnings", n)
	}
	if n := strings.Count(log, "front server speaks http"); n != 2 {
		t.Errorf("%d further cases at debug, want 2", n)
	}
	if strings.Contains(log, "connection ended") {
		t.Error("health checks are logged")
	}
}

// A front server may ask for values at any time; that begins no request.
func TestManagementRecordStartsNoRequest(t *testing.T) {
	t.Parallel()
	r, _ := oneGroup(t, func(c *wire.RouterConfig) {
		c.Listeners = []wire.Listener{{Kind: wire.ListenUnix, HeaderTimeout: time.Second}}
	}, echoPath, 1)
	f := r.front()
	f.Write(protocol.AppendHeader(nil, protocol.GetValues, 0, 0, 0))
	if h, _, err := f.rd.Record(); err != nil || h.Type != protocol.GetValuesResult {
		t.Fatalf("%+v %v", h, err)
	}
	r.await("being idle", func(s *wire.RouterStatus) bool { return s.InFlight == 0 })
	time.Sleep(2 * time.Second) // longer than header_timeout
	if a := r.mustGet(f, "/"); a.status() != "200 OK" {
		t.Errorf("%+v", a)
	}
}

// Every thread of every front process may keep a connection: idle ones cost
// little, and none of them a thread. The other ends are in a process of their
// own, so that neither needs more descriptors than is usual.
func TestTenThousandIdleConnections(t *testing.T) {
	const count = 10000
	raiseDescriptors(t, count+1000)
	r, _ := oneGroup(t, func(c *wire.RouterConfig) { c.Limits.MaxConnections = count + 10 }, echoPath, 2)
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := used()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), idleVariable+"="+r.address, idleVariable+"_COUNT="+strconv.Itoa(count))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the process with the other ends: %v", err)
		}
	}()
	for deadline := time.Now().Add(longWait); ; time.Sleep(10 * time.Millisecond) {
		if s := r.query(); s.Connections == count && s.Requests == count && s.InFlight == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("connections do not come: %+v", r.query())
		}
	}
	if each := (used() - before) / count; each > 24<<10 {
		t.Errorf("an idle connection takes %d bytes", each)
	}
	if a := r.mustGet(r.front(), "/"); a.status() != "200 OK" {
		t.Errorf("one more: %+v", a)
	}
	r.await("giving the thread back", func(s *wire.RouterStatus) bool { return s.Groups[0].Connections == 2 && s.Groups[0].Busy == 0 })
}

func raiseDescriptors(t *testing.T, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur >= n {
		return
	}
	raised := syscall.Rlimit{Cur: n, Max: max(limit.Max, n)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
		t.Fatalf("this test needs %d descriptors: %v", n, err)
	}
	t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) })
}

// idleVariable makes the test binary hold connections to the address in it.
const idleVariable = "WSGID_TEST_IDLE_CONNECTIONS"

// idleChild opens connections, sends one request over each, and keeps them
// until its standard input ends.
func idleChild(address string) error {
	count, err := strconv.Atoi(os.Getenv(idleVariable + "_COUNT"))
	if err != nil {
		return err
	}
	get := requestBytes(1, protocol.FlagKeepConn, nil, "REQUEST_METHOD", "GET", "REQUEST_URI", "/x", "SCRIPT_NAME", "/x")
	for range count {
		c, err := net.Dial("unix", address)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write(get); err != nil {
			return err
		}
		rd := protocol.NewReader(c, 1<<10)
		for {
			h, err := rd.Next()
			if err != nil {
				return err
			}
			if h.Type == protocol.EndRequest {
				break
			}
		}
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func TestLostConnectionsAreForgotten(t *testing.T) {
	r, _ := oneGroup(t, func(c *wire.RouterConfig) { c.Limits.MaxConnections = 3 }, echoPath, 1)
	for range 20 { // more than may be open at once
		f := r.front()
		f.Write(protocol.AppendBeginRequest(nil, 1, protocol.Responder, 1))
		f.Close()
	}
	if a := r.mustGet(r.front(), "/"); a.status() != "200 OK" {
		t.Errorf("%+v", a)
	}
}

// Lingering ends our direction, so that a peer that waits for it closes too.
func TestConnectionsEndOneDirection(t *testing.T) {
	mine, theirs := socketPair(t)
	defer theirs.Close()
	c, err := net.FileConn(mine)
	mine.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := (timedConn{direct(c), nil}).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	theirs.SetReadDeadline(time.Now().Add(longWait))
	if n, err := theirs.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("%d %v", n, err)
	}
}

// With a front server that does not keep connections, and one that sends more
// than it should, the answer arrives and the connection ends in order.
func TestEndWithoutKeepConnection(t *testing.T) {
	r, _ := oneGroup(t, nil, func(q *fakeRequest) {
		if q.want {
			q.accept()
		}
		q.reply("early")
	}, 1)
	for name, body := range map[string][]byte{"empty": nil, "small": bigBody(100), "unread": bigBody(2 << 20)} {
		f := r.front()
		f.SetDeadline(time.Now().Add(longWait))
		sent := make(chan error, 1)
		go func() {
			_, err := f.Write(requestBytes(1, 0, body, "REQUEST_METHOD", "POST", "SCRIPT_NAME", "/", "CONTENT_LENGTH", "2097152"))
			sent <- err
		}()
		if name != "unread" {
			// Short bodies are refused, which is an answer too.
			if a, err := f.read(); err != nil || a.status() != "400 Bad Request" {
				t.Errorf("%s: %+v %v", name, a, err)
			}
		} else if a, err := f.read(); err != nil || a.body != "early" {
			t.Errorf("%s: %+v %v", name, a, err)
		}
		if err := <-sent; err != nil {
			t.Errorf("%s: sending: %v", name, err)
		}
		if n, err := f.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("%s: after the answer %d %v", name, n, err)
		}
	}
}
