package dispatch

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

func TestRefusals(t *testing.T) {
	r, _ := oneGroup(t, func(c *wire.RouterConfig) {
		c.Mounts[0].Prefix = "/app"
		c.Mounts[0].MaxBodyBytes = 10
		c.Mounts = append(c.Mounts, fileMount("/lost", "/srv/lost.wsgi", "nobody"), fileMount("/embedded", "/srv/e.wsgi", "%{GLOBAL}"))
		length := fileMount("/length", "/srv/app.wsgi", c.Groups[0].Name)
		length.RefuseChunked = true
		forbidden := fileMount("/forbidden", "/srv/app.wsgi", c.Groups[0].Name)
		forbidden.RestrictProcess = []string{"", "other"}
		c.Mounts = append(c.Mounts, length, forbidden)
		c.Embedded.Needed, c.Embedded.QueueLength = true, 1
	}, echoPath, 1)
	for _, tt := range []struct {
		path, status, code, level string
		more                      []string
		body                      string
	}{
		{"/other", "404 Not Found", "WSGID-1003", "DEBUG", nil, ""},
		{"/lost", "500 Internal Server Error", "WSGID-1006", "ERROR", nil, ""},
		{"/forbidden", "500 Internal Server Error", "WSGID-1005", "ERROR", nil, ""},
		{"/embedded", "500 Internal Server Error", "WSGID-1021", "ERROR", nil, ""},
		{"/app", "400 Bad Request", "WSGID-1007", "INFO", []string{"CONTENT_LENGTH", "x"}, ""},
		{"/app", "413 Request Entity Too Large", "WSGID-1009", "INFO", []string{"CONTENT_LENGTH", "11"}, "01234567890"},
		{"/app", "413 Request Entity Too Large", "WSGID-1009", "INFO", nil, "01234567890"},
		{"/app", "501 Not Implemented", "WSGID-1010", "INFO", []string{"HTTP_TRANSFER_ENCODING", "gzip, chunked"}, ""},
		{"/length", "411 Length Required", "WSGID-1008", "INFO", []string{"HTTP_TRANSFER_ENCODING", "chunked"}, "012"},
		{"/app", "400 Bad Request", "WSGID-1011", "WARN", []string{"CONTENT_LENGTH", "3"}, "01"},
	} {
		from := len(r.log.String())
		f := r.front()
		kv := append([]string{"REQUEST_METHOD", "POST", "SCRIPT_NAME", tt.path, "UNIQUE_ID", "my-id"}, tt.more...)
		f.Write(requestBytes(1, protocol.FlagKeepConn, []byte(tt.body), kv...))
		a, err := f.read()
		if err != nil || a.status() != tt.status || !strings.Contains(a.header, "X-WSGID-Error: "+tt.code) ||
			!strings.Contains(a.body, "my-id") || !a.ended {
			t.Errorf("%s %v: %+v %v, want %s", tt.path, tt.more, a, err, tt.code)
		}
		logged := ""
		for line := range strings.Lines(r.log.String()[from:]) {
			if strings.Contains(line, tt.code) {
				logged += line
			}
		}
		if strings.Count(logged, "\n") != 1 || !strings.Contains(logged, "["+tt.level+"]") || !strings.Contains(logged, "request=my-id") {
			t.Errorf("%s is not logged once as %s with the request: %s", tt.code, tt.level, logged)
		}
		if a := r.mustGet(f, "/app"); a.status() != "200 OK" {
			t.Errorf("after %s: %+v", tt.code, a)
		}
	}
}

func TestHeaderTooLargeAndMalformed(t *testing.T) {
	r, _ := oneGroup(t, nil, echoPath, 1)
	f := r.front()
	f.send(requestBytes(1, 1, nil, "REQUEST_METHOD", "GET", "HTTP_BIG", strings.Repeat("x", 70000)))
	if a, err := f.read(); err != nil || !strings.Contains(a.header, "WSGID-1002") || !strings.HasPrefix(a.status(), "431") {
		t.Errorf("%+v %v", a, err)
	}
	closed := func() {
		t.Helper()
		if n, err := f.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Error("the connection is still open")
		}
	}
	closed()
	f = r.front()
	b := protocol.AppendBeginRequest(nil, 1, protocol.Responder, 1)
	b = protocol.AppendStream(b, protocol.Params, 1, []byte{9, 9, 'x'})
	f.send(protocol.AppendStreamEnd(b, protocol.Params, 1))
	if a, err := f.read(); err != nil || !strings.Contains(a.header, "WSGID-1001") {
		t.Errorf("%+v %v", a, err)
	}
	closed()
	for _, code := range []string{"WSGID-1001", "WSGID-1002"} {
		if !slices.ContainsFunc(strings.Split(r.log.String(), "\n"), func(line string) bool {
			return strings.Contains(line, "[WARN]") && strings.Contains(line, code) && strings.Contains(line, "peer=")
		}) {
			t.Errorf("no warning with %s and the peer", code)
		}
	}
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	r, _ := oneGroup(t, func(c *wire.RouterConfig) {
		c.Listeners = []wire.Listener{{Kind: wire.ListenUnix, HeaderTimeout: time.Second, BodyTimeout: time.Second}}
	}, func(q *fakeRequest) {
		if q.want {
			q.accept()
		}
		if _, whole := q.body(); whole {
			q.reply("whole")
		}
	}, 1)
	f := r.front()
	f.Write(protocol.AppendBeginRequest(nil, 1, protocol.Responder, 1))
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("half a request head: %v", err)
	}
	for _, n := range []int{5, 100000} {
		f = r.front()
		whole := postBytes(bigBody(n), "200000")
		f.send(whole[:len(whole)-protocol.HeaderLen]) // the stream stays open
		a, err := f.read()
		if err != nil || !strings.HasPrefix(a.status(), "408") || !strings.Contains(a.header, "WSGID-1024") {
			t.Errorf("body that stalls after %d bytes: %+v %v", n, a, err)
		}
	}
	f = r.front()
	time.Sleep(2 * time.Second) // an idle connection is nobody's concern
	if a := r.mustGet(f, "/"); a.body != "whole" {
		t.Errorf("%+v", a)
	}
}

// A front server that takes nothing of an answer loses it, and what is sent to
// others meanwhile is not concerned. The group may have its own limit.
func TestFrontThatTakesNothing(t *testing.T) {
	t.Parallel()
	const limit = time.Second
	t.Run("body_timeout", func(t *testing.T) { frontThatTakesNothing(t, limit, 0) })
	t.Run("response_socket_timeout", func(t *testing.T) { frontThatTakesNothing(t, time.Hour, limit) })
	t.Run("response_socket_timeout alone", func(t *testing.T) { frontThatTakesNothing(t, 0, limit) })
}

func frontThatTakesNothing(t *testing.T, ofListener, ofGroup time.Duration) {
	ended := make(chan struct{}, 1)
	r, _ := oneGroup(t, func(c *wire.RouterConfig) {
		c.Listeners = []wire.Listener{{Kind: wire.ListenUnix, BodyTimeout: ofListener}}
		c.Groups[0].ResponseSocketTimeout = ofGroup
	}, func(q *fakeRequest) {
		q.body()
		if q.env["REQUEST_URI"] == "/short" {
			q.reply("short")
			return
		}
		for { // until the router gives up
			if _, err := q.w.Write(stdout(append([]byte("Status: 200 OK\r\n\r\n"), make([]byte, 60000)...))); err != nil {
				ended <- struct{}{}
				return
			}
		}
	}, 2)
	f := r.front()
	f.begin("/")
	for kept := r.front(); ; { // its own connection has no deadline left over
		select {
		case <-ended:
			r.await("ending", func(s *wire.RouterStatus) bool { return s.InFlight == 0 })
			return
		default:
			if a := r.mustGet(kept, "/short", "REQUEST_URI", "/short"); a.body != "short" {
				t.Fatalf("%+v", a)
			}
		}
	}
}

func TestPeers(t *testing.T) {
	r, _ := oneGroup(t, func(c *wire.RouterConfig) {
		c.Listeners = []wire.Listener{
			{Kind: wire.ListenUnix, AllowedUIDs: []int{os.Getuid() + 1}},
			{Kind: wire.ListenTCP, AllowedClients: []string{"192.0.2.0/24"}},
			{Kind: wire.ListenTCP, AllowedClients: []string{"127.0.0.0/8"}},
		}
	}, echoPath, 1)
	if n, err := r.front().Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("a peer outside allowed_uids was served")
	}
	r.wantLog("WSGID-1026")
}

func TestConnectionsBeyondTheLimitWait(t *testing.T) {
	r, _ := oneGroup(t, func(c *wire.RouterConfig) { c.Limits.MaxConnections = 2 }, echoPath, 1)
	a, b, c := r.front(), r.front(), r.front()
	r.mustGet(a, "/")
	r.mustGet(b, "/")
	c.begin("/")
	a.Close()
	if got, err := c.read(); err != nil || got.status() != "200 OK" {
		t.Errorf("%+v %v", got, err)
	}
}

// TestRecordedRequests replays what the web servers really sent.
func TestRecordedRequests(t *testing.T) {
	traces, err := filepath.Glob("../protocol/testdata/fcgi/*.request.bin")
	if err != nil || len(traces) == 0 {
		t.Fatalf("no traces: %v", err)
	}
	r, _ := oneGroup(t, nil, func(q *fakeRequest) {
		if q.want {
			q.accept()
		}
		q.body()
		q.reply(q.env["SCRIPT_NAME"] + q.env["PATH_INFO"])
	}, 2)
	for _, name := range traces {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f := r.front()
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.Write(b)
			f.Conn.(*net.UnixConn).CloseWrite()
		}()
		f.SetReadDeadline(time.Now().Add(longWait))
		for {
			if _, err := f.read(); err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s: no end", filepath.Base(name))
				}
				break
			}
		}
		<-done
	}
	r.await("all ending", func(s *wire.RouterStatus) bool { return s.InFlight == 0 && s.Groups[0].Busy == 0 })
}
