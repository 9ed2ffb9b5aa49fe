package dispatch

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

// oneGroup runs a router with the mount "/" on a group "web" of processes with
// so many threads each, numbered from 100.
func oneGroup(t *testing.T, change func(*wire.RouterConfig), handle func(*fakeRequest), threads ...int) (*running, *fakeGroup) {
	t.Helper()
	g := newFakeGroup(t, shortDir(t), "web", handle)
	config := baseConfig(wire.Group{Name: "web", Socket: g.socket, QueueTimeout: longWait})
	config.Mounts = []wire.Mount{fileMount("/", "/srv/site.wsgi", "web")}
	if change != nil {
		change(config)
	}
	r := startRouter(t, config, nil)
	total := 0
	for i, n := range threads {
		g.start(100+i, n)
		r.process("web", 100+i, n, wire.ProcessReady)
		total += n
	}
	r.await("connecting", func(s *wire.RouterStatus) bool { return s.Groups[0].Connections == total })
	return r, g
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return strconv.Itoa(len(b)) + " " + string(bytes.ToUpper(h[:4]))
}

func bigBody(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}

func postBytes(body []byte, length string) []byte {
	kv := []string{"REQUEST_METHOD", "POST", "REQUEST_URI", "/post", "SCRIPT_NAME", "/post"}
	if length != "" {
		kv = append(kv, "CONTENT_LENGTH", length)
	}
	return requestBytes(1, protocol.FlagKeepConn, body, kv...)
}

// send writes beside the test, as a body that is larger than all buffers needs.
func (f *fakeFront) send(b []byte) {
	go f.Write(b)
}

func TestBodiesArriveWhole(t *testing.T) {
	r, _ := oneGroup(t, nil, func(q *fakeRequest) {
		if q.want {
			q.accept()
		}
		b, ok := q.body()
		if !ok {
			return
		}
		q.reply(sum(b) + " length=" + q.env["CONTENT_LENGTH"])
	}, 1)
	for _, n := range []int{1, 4095, 4096, 60000, 65536, 65537, 200000, 3 << 20} {
		for _, known := range []bool{true, false} {
			body := bigBody(n)
			length := ""
			if known {
				length = strconv.Itoa(n)
			}
			f := r.front()
			f.send(postBytes(body, length))
			a, err := f.read()
			if !known && n < 64<<10 {
				length = strconv.Itoa(n)
			}
			want := sum(body) + " length=" + length
			if err != nil || a.body != want {
				t.Errorf("%d bytes, length known %v: %q %v, want %q", n, known, a.body, err, want)
			}
			if b := r.mustGet(f, "/after"); !strings.HasPrefix(b.body, "0 ") {
				t.Errorf("next request on the connection: %q", b.body)
			}
		}
	}
}

func TestRefusedRequestGoesToAnotherProcess(t *testing.T) {
	for _, n := range []int{0, 100, 10 << 20} {
		var refused atomic.Int32
		r, _ := oneGroup(t, nil, func(q *fakeRequest) {
			if refused.CompareAndSwap(0, int32(q.pid)) || refused.Load() == int32(q.pid) {
				q.refuse()
				return
			}
			if q.want {
				q.accept()
			}
			b, _ := q.body()
			q.reply(sum(b))
		}, 1, 1)
		f := r.front()
		f.send(postBytes(bigBody(n), strconv.Itoa(n)))
		if a, err := f.read(); err != nil || a.body != sum(bigBody(n)) {
			t.Errorf("%d bytes: %+v %v", n, a, err)
		}
	}
}

func TestAllRefuseWaitsForAReplacement(t *testing.T) {
	r, g := oneGroup(t, nil, func(q *fakeRequest) {
		if q.pid < 200 {
			q.refuse()
			return
		}
		b, _ := q.body()
		q.reply(strconv.Itoa(q.pid) + " " + sum(b))
	}, 1, 1)
	f := r.front()
	f.send(postBytes([]byte("abc"), "3"))
	r.await("waiting", func(s *wire.RouterStatus) bool { return s.Groups[0].Queued == 1 })
	g.start(200, 1)
	r.process("web", 200, 1, wire.ProcessReady)
	if a, err := f.read(); err != nil || a.body != "200 "+sum([]byte("abc")) {
		t.Errorf("%+v %v", a, err)
	}
}

func TestShortBody(t *testing.T) {
	ran := make(chan bool, 10)
	r, _ := oneGroup(t, nil, func(q *fakeRequest) {
		if q.want {
			q.accept()
		}
		_, ok := q.body()
		ran <- ok
		if ok {
			q.reply("ran")
		}
	}, 1)
	f := r.front()
	f.send(postBytes([]byte("abc"), "10"))
	a, err := f.read()
	if err != nil || a.status() != "400 Bad Request" || !strings.Contains(a.header, "WSGID-1011") {
		t.Errorf("buffered: %+v %v", a, err)
	}
	f = r.front()
	f.send(postBytes(bigBody(100000), "100010"))
	if a, err := f.read(); err == nil && a.status() == "200 OK" {
		t.Errorf("streamed: %+v", a)
	}
	select {
	case whole := <-ran:
		if whole {
			t.Error("the application read a cut body to a normal end")
		}
	case <-time.After(longWait):
		t.Error("the worker has not seen the body end")
	}
	if len(ran) != 0 {
		t.Error("a request with a short body ran")
	}
}

func TestExcessBodyIsDropped(t *testing.T) {
	r, _ := oneGroup(t, nil, func(q *fakeRequest) {
		b, _ := q.body()
		q.reply(string(b))
	}, 1)
	f := r.front()
	f.send(postBytes([]byte("abcdef"), "3"))
	if a, err := f.read(); err != nil || a.body != "abc" {
		t.Errorf("%+v %v", a, err)
	}
	if a := r.mustGet(f, "/"); a.body != "" || a.status() != "200 OK" {
		t.Errorf("next request: %+v", a)
	}
}

func TestEarlyAnswerDropsTheBody(t *testing.T) {
	r, _ := oneGroup(t, nil, func(q *fakeRequest) {
		if q.want {
			q.accept()
		}
		q.reply("early")
	}, 1)
	f := r.front()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		f.Write(postBytes(bigBody(8<<20), strconv.Itoa(8<<20)))
	}()
	if a, err := f.read(); err != nil || a.body != "early" {
		t.Fatalf("%+v %v", a, err)
	}
	<-sent
	if a := r.mustGet(f, "/"); a.body != "early" {
		t.Fatalf("next request: %+v", a)
	}
}

func TestDeathOfAWorker(t *testing.T) {
	var g *fakeGroup
	var victims sync.Map
	handle := func(q *fakeRequest) {
		if q.env["REQUEST_URI"] == "/twice" || (q.env["REQUEST_URI"] == "/once" && q.pid == 100) || (q.env["REQUEST_METHOD"] == "POST" && q.pid == 100) {
			victims.Store(q.pid, true)
			g.kill(q.pid)
			return
		}
		if q.env["REQUEST_URI"] == "/half" {
			q.w.Write(protocol.AppendStream(nil, protocol.Stdout, 1, []byte("Status: 200 OK\r\n\r\nhalf")))
			g.kill(q.pid)
			return
		}
		q.body()
		q.reply(strconv.Itoa(q.pid))
	}
	var r *running
	r, g = oneGroup(t, nil, handle, 2)
	g.start(101, 2)
	r.process("web", 101, 2, wire.ProcessReady)
	f := r.front()
	// Until the second process is connected, only the first can be asked.
	a := r.mustGet(f, "/once")
	if a.body != "101" {
		t.Errorf("GET whose process died once: %+v", a)
	}
	r.process("web", 100, 0, wire.ProcessGone)
	r.await("forgetting", func(s *wire.RouterStatus) bool { return s.Groups[0].Connections == 2 })
	g.start(102, 1)
	r.process("web", 102, 1, wire.ProcessReady)
	a = r.mustGet(f, "/twice")
	if a.status() != "502 Bad Gateway" || !strings.Contains(a.header, "WSGID-1016") {
		t.Errorf("GET that ends two processes: %+v", a)
	}
	r.process("web", 101, 0, wire.ProcessGone)
	r.process("web", 102, 0, wire.ProcessGone)
	g.start(103, 1)
	r.process("web", 103, 1, wire.ProcessReady)
	if a, err := f.get("/half"); !errors.Is(err, io.EOF) || a.ended || a.body != "half" {
		t.Errorf("died while answering: %+v %v", a, err)
	}
	r.wantLog("the request ended two processes", "worker died while sending its response", "trying another")
}

// TestOverdueRequestIsNotRepeated: what a process is ended with that was replaced
// for request_timeout has timed out.
func TestOverdueRequestIsNotRepeated(t *testing.T) {
	handle, release := blocking()
	defer close(release)
	r, g := oneGroup(t, nil, handle, 1)
	f := r.front()
	f.begin("/")
	r.await("running", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 })
	r.send(&wire.Message{Type: wire.TypeProcess, Process: &wire.Process{Group: "web", PID: 100, State: wire.ProcessRetire, Overdue: true}})
	g.start(101, 1)
	r.process("web", 101, 1, wire.ProcessReady)
	r.await("the other process", func(s *wire.RouterStatus) bool { return s.Groups[0].Connections == 2 })
	g.kill(100)
	if a, err := f.read(); err != nil || a.status() != "504 Gateway Timeout" || !strings.Contains(a.header, "WSGID-1029") {
		t.Errorf("%+v %v", a, err)
	}
	r.wantLog("the request ran for too long")
}

func TestPostIsNotRepeated(t *testing.T) {
	var g *fakeGroup
	var r *running
	r, g = oneGroup(t, nil, func(q *fakeRequest) { g.kill(q.pid) }, 1, 1)
	f := r.front()
	f.send(postBytes([]byte("abc"), "3"))
	if a, err := f.read(); err != nil || a.status() != "502 Bad Gateway" || !strings.Contains(a.header, "WSGID-1015") {
		t.Errorf("%+v %v", a, err)
	}
}

func TestTruncatedResponseIsCut(t *testing.T) {
	r, _ := oneGroup(t, nil, func(q *fakeRequest) {
		q.body()
		b := protocol.AppendStream(nil, protocol.Stdout, 1, []byte("Status: 200 OK\r\n\r\npart"))
		q.w.Write(protocol.AppendEndRequest(b, 1, truncated, protocol.RequestComplete))
	}, 1)
	for range 2 { // the connection to the worker is used again
		f := r.front()
		if a, err := f.get("/"); !errors.Is(err, io.EOF) || a.ended || a.body != "part" {
			t.Errorf("%+v %v", a, err)
		}
	}
}

// TestCutBeforeTheEndOfTheBody: a response can break off before the front
// server has sent the record that ends the body, which nobody has waited for
// when its length is 0. That write must not fail, or Apache throws away what
// it has of the response and says 503.
func TestCutBeforeTheEndOfTheBody(t *testing.T) {
	var g *fakeGroup
	var r *running
	r, g = oneGroup(t, nil, func(q *fakeRequest) {
		q.w.Write(protocol.AppendStream(nil, protocol.Stdout, 1, []byte("Status: 200 OK\r\n\r\npart")))
		g.kill(q.pid)
	}, 1)
	f := r.front()
	request, end := postBytes(nil, "0"), protocol.AppendStreamEnd(nil, protocol.Stdin, 1)
	f.Write(bytes.TrimSuffix(request, end))
	if a, err := f.read(); !errors.Is(err, io.EOF) || a.ended || a.body != "part" {
		t.Errorf("%+v %v", a, err)
	}
	if _, err := f.Write(end); err != nil {
		t.Errorf("the end of the body: %v", err)
	}
}

func TestStderrIsCutOut(t *testing.T) {
	r, _ := oneGroup(t, nil, func(q *fakeRequest) {
		q.body()
		b := protocol.AppendStream(nil, protocol.Stdout, 1, []byte("Status: 200 OK\r\n\r\na"))
		b = protocol.AppendStream(b, protocol.Stderr, 1, []byte("noise"))
		b = protocol.AppendHeader(b, protocol.Stdout, 1, 1, 3)
		b = append(b, "bxxx"...)
		b = protocol.AppendStreamEnd(b, protocol.Stdout, 1)
		b = protocol.AppendEndRequest(b, 1, 0, protocol.RequestComplete)
		for i := range b { // as slowly as can be
			q.w.Write(b[i : i+1])
		}
	}, 1)
	f := r.front()
	f.Write(requestBytes(513, protocol.FlagKeepConn, nil, "REQUEST_METHOD", "GET", "SCRIPT_NAME", "/"))
	h, _, err := f.rd.Record()
	if err != nil || h.ID != 513 {
		t.Fatalf("%+v %v", h, err)
	}
	if a, err := f.read(); err != nil || !a.ended {
		t.Errorf("%+v %v", a, err)
	}
	if a := r.mustGet(f, "/"); a.body != "ab" {
		t.Errorf("%+v", a)
	}
}

func TestLargeResponse(t *testing.T) {
	body := bigBody(5 << 20)
	r, _ := oneGroup(t, nil, func(q *fakeRequest) {
		q.body()
		q.reply(string(body))
	}, 1)
	if a := r.mustGet(r.front(), "/"); a.body != string(body) {
		t.Errorf("got %s, want %s", sum([]byte(a.body)), sum(body))
	}
}

func TestClientGoneEndsTheRequest(t *testing.T) {
	ended := make(chan struct{}, 1)
	r, _ := oneGroup(t, nil, func(q *fakeRequest) {
		q.body()
		if q.env["REQUEST_URI"] == "/ok" {
			q.reply("ok")
			return
		}
		q.w.Read(make([]byte, 1)) // until the router closes
		ended <- struct{}{}
	}, 1)
	f := r.front()
	f.send(requestBytes(1, 1, nil, "REQUEST_METHOD", "GET", "SCRIPT_NAME", "/", "REQUEST_URI", "/"))
	r.await("running", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 })
	f.Close()
	select {
	case <-ended:
	case <-time.After(longWait):
		t.Fatal("the worker was not told")
	}
	if a := r.mustGet(r.front(), "/ok", "REQUEST_URI", "/ok"); a.body != "ok" {
		t.Errorf("after it: %+v", a)
	}
}
