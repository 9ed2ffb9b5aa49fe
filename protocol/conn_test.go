package protocol_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/wsgid/wsgid/protocol"
	"github.com/wsgid/wsgid/protocol/fcgitest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// unixPair returns the two ends of a unix stream connection.
func unixPair(t *testing.T) (front, app net.Conn) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wsgid")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if front, err = net.Dial("unix", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if app, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { front.Close(); app.Close() })
	return front, app
}

// echo serves one request: the parameters on STDERR, the body on STDOUT.
func echo(s *protocol.ServerConn) error {
	req, err := s.ReadRequest()
	if err != nil {
		return err
	}
	var body []byte
	for {
		c, err := s.NextStdin()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		body = append(body, c...)
	}
	var b []byte
	b = protocol.AppendStream(b, protocol.Stderr, req.ID, req.Params)
	b = protocol.AppendStream(b, protocol.Stdout, req.ID, body)
	b = protocol.AppendStreamEnd(b, protocol.Stdout, req.ID)
	b = protocol.AppendEndRequest(b, req.ID, 7, protocol.RequestComplete)
	_, err = s.WriteEnd(b)
	s.Finish()
	return err
}

func TestBothEnds(t *testing.T) {
	for _, size := range []int{0, 1, 65535, 65536, 500000} {
		front, app := unixPair(t)
		done := make(chan error, 1)
		go func() { done <- echo(protocol.NewServerConn(app, protocol.Config{})) }()
		pairs := fcgitest.Pairs("REQUEST_METHOD", "POST", "EMPTY", "", "LONG", strings.Repeat("x", 100000))
		body := bytes.Repeat([]byte{'b'}, size)
		reply, err := fcgitest.Do(front, pairs, body)
		if err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(reply.Stdout, body) || !bytes.Equal(reply.Stderr, pairs) || !reply.StdoutClosed || reply.AppStatus != 7 {
			t.Errorf("%d bytes: got %d, appStatus %d", size, len(reply.Stdout), reply.AppStatus)
		}
	}
}

func TestExchangeValues(t *testing.T) {
	front, app := unixPair(t)
	s := protocol.NewServerConn(app, protocol.Config{MaxConns: 9, MaxReqs: 8})
	done := make(chan error, 1)
	go func() {
		_, err := s.ReadRequest()
		done <- err
	}()
	rd := protocol.NewReader(front, 0)
	got, err := protocol.ExchangeValues(front, rd, "FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS", "NONSENSE")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"FCGI_MAX_CONNS": "9", "FCGI_MAX_REQS": "8", "FCGI_MPXS_CONNS": "0"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	front.Close()
	if err := <-done; !errors.Is(err, io.EOF) {
		t.Errorf("server ended with %v", err)
	}
}

func TestExchangeValuesRefused(t *testing.T) {
	for name, answer := range map[string][]byte{
		"other type":   protocol.AppendUnknownType(nil, protocol.GetValues),
		"with an id":   protocol.AppendHeader(nil, protocol.GetValuesResult, 1, 0, 0),
		"broken pairs": protocol.AppendGetValuesResult(nil, []byte{9}),
		"cut off":      protocol.AppendHeader(nil, protocol.GetValuesResult, 0, 9, 0),
		"nothing":      nil,
	} {
		if v, err := protocol.ExchangeValues(io.Discard, protocol.NewReader(bytes.NewReader(answer), 0), "X"); err == nil {
			t.Errorf("%s: accepted as %v", name, v)
		}
	}
}

// What the client side must refuse or accept in a reply.
func TestReplies(t *testing.T) {
	out := func(id uint16, s string) []byte {
		return protocol.AppendStream(nil, protocol.Stdout, id, []byte(s))
	}
	empty := func(ty protocol.RecordType) []byte { return protocol.AppendStreamEnd(nil, ty, 1) }
	end := protocol.AppendEndRequest(nil, 1, 0x57534731, protocol.Overloaded)
	for _, row := range []struct {
		name string
		in   []byte
		out  string
		err  error
	}{
		{"plain", slices.Concat(out(1, "a"), out(1, "b"), empty(protocol.Stdout), end), "ab", nil},
		{"without closing STDOUT", slices.Concat(out(1, "a"), end), "a", nil},
		{"refusal", end, "", nil},
		{"acceptance", slices.Concat(empty(protocol.Stderr), empty(protocol.Stderr), out(1, "a"), end), "a", nil},
		{"closed between records", out(1, "a"), "a", io.EOF},
		{"closed inside a record", out(1, "abc")[:10], "ab", io.ErrUnexpectedEOF},
		{"data after the end of STDOUT", slices.Concat(empty(protocol.Stdout), out(1, "a")), "", protocol.ErrAfterEnd},
		{"other id", out(2, "a"), "", protocol.ErrUnexpected},
		{"id 0", protocol.AppendUnknownType(nil, 9), "", protocol.ErrUnexpected},
		{"request type", empty(protocol.Stdin), "", protocol.ErrUnexpected},
		{"short END_REQUEST", empty(protocol.EndRequest), "", protocol.ErrBadEnd},
		{"noise", []byte("\x00noise"), "", protocol.ErrVersion},
	} {
		reply, err := fcgitest.Collect(protocol.NewReader(bytes.NewReader(row.in), 0), 1)
		if !errors.Is(err, row.err) || string(reply.Stdout) != row.out {
			t.Errorf("%s: %q, %v", row.name, reply.Stdout, err)
		}
		if row.err == nil && (reply.AppStatus != 0x57534731 || reply.Status != protocol.Overloaded) {
			t.Errorf("%s: status %d %d", row.name, reply.AppStatus, reply.Status)
		}
	}
}

// Each phase has its own deadline.
func TestTimeouts(t *testing.T) {
	const short = time.Millisecond
	begin := protocol.AppendBeginRequest(nil, 1, protocol.Responder, 0)
	head := protocol.AppendRequestHead(nil, 1, protocol.Responder, 0, nil)
	for _, row := range []struct {
		name string
		cfg  protocol.Config
		sent []byte
		err  error
	}{
		{"idle", protocol.Config{IdleTimeout: short, HeaderTimeout: time.Hour}, nil, protocol.ErrIdleTimeout},
		{"first byte", protocol.Config{IdleTimeout: time.Hour, HeaderTimeout: short}, begin[:1], protocol.ErrHeaderTimeout},
		{"params", protocol.Config{IdleTimeout: time.Hour, HeaderTimeout: short}, begin, protocol.ErrHeaderTimeout},
		{"body", protocol.Config{IdleTimeout: time.Hour, HeaderTimeout: time.Hour, BodyTimeout: short}, head, protocol.ErrBodyTimeout},
	} {
		front, app := unixPair(t)
		if _, err := front.Write(row.sent); err != nil {
			t.Fatal(err)
		}
		s := protocol.NewServerConn(app, row.cfg)
		_, err := s.ReadRequest()
		if err == nil {
			_, err = s.NextStdin()
		}
		if !errors.Is(err, row.err) || !errors.Is(err, protocol.ErrTimeout) {
			t.Errorf("%s: %v, want %v", row.name, err, row.err)
		}
	}
}

// The life of a kept connection as the router uses it: a watcher runs during
// the request and is interrupted when the answer was written.
func TestInterrupt(t *testing.T) {
	front, app := unixPair(t)
	s := protocol.NewServerConn(app, protocol.Config{IdleTimeout: time.Hour})
	request := protocol.AppendRequest(nil, 1, protocol.Responder, protocol.FlagKeepConn, fcgitest.Pairs("A", "1"), []byte("body"))
	rd := protocol.NewReader(front, 0)
	for range 50 {
		if _, err := front.Write(request); err != nil {
			t.Fatal(err)
		}
		req, err := s.ReadRequest()
		if err != nil || string(req.Params) != string(fcgitest.Pairs("A", "1")) {
			t.Fatal(err)
		}
		watched := make(chan error, 1)
		go func() { watched <- s.Watch() }()
		// A management record meanwhile is answered between our records.
		if _, err := front.Write(protocol.AppendGetValues(nil, "FCGI_MPXS_CONNS")); err != nil {
			t.Fatal(err)
		}
		if h, _, err := rd.Record(); err != nil || h.Type != protocol.GetValuesResult {
			t.Fatal(h, err)
		}
		if _, err := s.WriteEnd(protocol.AppendPlainReply(nil, 1, 200, "OK", "X-Test: 1\r\n")); err != nil {
			t.Fatal(err)
		}
		s.Interrupt()
		if err := <-watched; !errors.Is(err, protocol.ErrInterrupted) {
			t.Fatalf("watcher: %v", err)
		}
		s.Finish()
		reply, err := fcgitest.Collect(rd, 1)
		if err != nil || !strings.HasPrefix(string(reply.Stdout), "Status: 200 OK\r\n") || !reply.StdoutClosed {
			t.Fatalf("%q %v", reply.Stdout, err)
		}
	}
	// Interrupted while idle.
	read := make(chan error, 1)
	go func() {
		_, err := s.ReadRequest()
		read <- err
	}()
	s.Interrupt()
	if err := <-read; !errors.Is(err, protocol.ErrInterrupted) {
		t.Errorf("idle: %v", err)
	}
}

// After an early answer to a large body the web server can still read it.
func TestLinger(t *testing.T) {
	front, app := unixPair(t)
	done := make(chan error, 1)
	go func() {
		s := protocol.NewServerConn(app, protocol.Config{})
		req, err := s.ReadRequest()
		if err == nil {
			_, err = s.WriteEnd(protocol.AppendPlainReply(nil, req.ID, 413, "Content Too Large", ""))
			s.Linger(64<<20, time.Minute)
			app.Close()
		}
		done <- err
	}()
	body := make([]byte, 4<<20)
	raw := protocol.AppendRequest(nil, 1, protocol.Responder, 0, nil, body)
	if _, err := front.Write(raw); err != nil { // all of it, before the answer is read
		t.Fatal(err)
	}
	reply, err := fcgitest.Collect(protocol.NewReader(front, 0), 1)
	if err != nil || !strings.HasPrefix(string(reply.Stdout), "Status: 413 ") {
		t.Errorf("%q %v", reply.Stdout, err)
	}
	front.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// The connection's owner is told at once when its peer does not read.
func TestWriteTimeout(t *testing.T) {
	front, app := net.Pipe()
	defer front.Close()
	defer app.Close()
	s := protocol.NewServerConn(app, protocol.Config{WriteTimeout: time.Millisecond})
	if _, err := s.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// net.Pipe hands over each write separately, as four small writes of Apache
// that arrive one by one.
func TestFourWrites(t *testing.T) {
	front, app := net.Pipe()
	defer front.Close()
	defer app.Close()
	s := protocol.NewServerConn(app, protocol.Config{})
	done := make(chan error, 1)
	go func() { done <- echo(s) }()
	for _, b := range [][]byte{
		protocol.AppendBeginRequest(nil, 1, protocol.Responder, 0),
		protocol.AppendStream(nil, protocol.Params, 1, fcgitest.MapPairs(map[string]string{"A": "1"})),
		protocol.AppendStreamEnd(nil, protocol.Params, 1),
		protocol.AppendStreamEnd(nil, protocol.Stdin, 1),
	} {
		if _, err := front.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	reply, err := fcgitest.Collect(protocol.NewReader(front, 0), 1)
	if err != nil || string(reply.Stderr) != "\x01\x01A1" {
		t.Errorf("%q %v", reply.Stderr, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
