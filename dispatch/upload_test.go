package dispatch

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

func stdout(b []byte) []byte { return protocol.AppendStream(nil, protocol.Stdout, 1, b) }

func endRequest() []byte {
	return protocol.AppendEndRequest(protocol.AppendStreamEnd(nil, protocol.Stdout, 1), 1, 0, protocol.RequestComplete)
}

// Caddy reads nothing before it has sent the whole body.
func TestBodyAndAnswerDoNotWaitForEachOther(t *testing.T) {
	const size = 4 << 20
	big := bigBody(size)
	for name, reads := range map[string]bool{"the application never reads": false, "the application reads late": true} {
		t.Run(name, func(t *testing.T) {
			r, _ := oneGroup(t, nil, func(q *fakeRequest) {
				if !q.want {
					q.body()
					q.reply("small")
					return
				}
				q.accept()
				q.w.Write(stdout(append([]byte("Status: 200 OK\r\n\r\n"), big...)))
				if reads {
					b, _ := q.body()
					q.w.Write(stdout([]byte(sum(b))))
				}
				q.w.Write(endRequest())
			}, 2)
			f := r.front()
			for range 2 {
				f.SetDeadline(time.Now().Add(longWait))
				if _, err := f.Write(postBytes(big, strconv.Itoa(size))); err != nil {
					t.Fatalf("sending the body: %v", err)
				}
				a, err := f.read()
				want := string(big)
				if reads {
					want += sum(big)
				}
				if err != nil || !a.ended || a.body != want {
					t.Fatalf("%d bytes, %v", len(a.body), err)
				}
				if a := r.mustGet(f, "/"); a.body != "small" {
					t.Errorf("next request: %+v", a)
				}
			}
			r.await("all ending", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 0 && s.Groups[0].Connections == 2 })
		})
	}
}

// The first part of a body may be larger than what a socket holds.
func TestLargeFirstPartDoesNotBlock(t *testing.T) {
	const size = 4 << 20
	big := bigBody(size)
	r, _ := oneGroup(t, func(c *wire.RouterConfig) { c.Mounts[0].RequestBuffer = 2 << 20 }, func(q *fakeRequest) {
		if !q.want {
			q.reply("no first part")
			return
		}
		q.accept()
		q.w.Write(stdout(append([]byte("Status: 200 OK\r\n\r\n"), big...)))
		b, _ := q.body()
		q.w.Write(stdout([]byte(sum(b))))
		q.w.Write(endRequest())
	}, 1)
	f := r.front()
	f.SetDeadline(time.Now().Add(longWait))
	f.send(postBytes(big, strconv.Itoa(size)))
	if a, err := f.read(); err != nil || a.body != string(big)+sum(big) {
		t.Errorf("%d bytes, %v", len(a.body), err)
	}
}

func TestNoRequestBufferStreams(t *testing.T) {
	r, _ := oneGroup(t, func(c *wire.RouterConfig) { c.Mounts[0].RequestBuffer = 0 }, func(q *fakeRequest) {
		if q.want {
			q.accept()
		}
		b, _ := q.body()
		q.reply(sum(b) + " " + strconv.FormatBool(q.want))
	}, 1)
	for n, streamed := range map[int]bool{0: false, 1: false, 300000: true} {
		f := r.front()
		f.send(postBytes(bigBody(n), strconv.Itoa(n)))
		if a, err := f.read(); err != nil || a.body != sum(bigBody(n))+" "+strconv.FormatBool(streamed) {
			t.Errorf("%d bytes: %+v %v", n, a, err)
		}
	}
}

func TestStreamedBodyOfWrongLength(t *testing.T) {
	r, _ := oneGroup(t, func(c *wire.RouterConfig) { c.Mounts[0].MaxBodyBytes = 200000 }, func(q *fakeRequest) {
		if q.want {
			q.accept()
		}
		if _, whole := q.body(); whole {
			q.reply("whole")
		}
	}, 1)
	for _, tt := range []struct {
		name         string
		sent         int
		length, want string
	}{
		{"too long, length unknown", 300000, "", "413 Request Entity Too Large"},
		{"short, STDIN closed", 100000, "150000", "400 Bad Request"},
		{"as announced", 150000, "150000", "200 OK"},
	} {
		f := r.front()
		f.send(postBytes(bigBody(tt.sent), tt.length))
		if a, err := f.read(); err != nil || a.status() != tt.want || !a.ended {
			t.Errorf("%s: %+v %v, want %s", tt.name, a, err, tt.want)
		}
		if a := r.mustGet(f, "/"); a.body != "whole" {
			t.Errorf("after %s: %+v", tt.name, a)
		}
	}
}

// Apache stops in the middle of a body after an early answer and sends the
// next request at once: neither a broken body nor the end of a connection.
func TestNextRequestAfterEarlyAnswer(t *testing.T) {
	conns := map[*fakeConn]bool{}
	r, g := oneGroup(t, nil, nil, 0)
	g.handle = func(q *fakeRequest) {
		conns[q.w] = true // one thread
		if q.want {
			q.accept()
		}
		q.reply("early")
	}
	g.start(200, 1)
	r.process("web", 200, 1, wire.ProcessReady)
	f := r.front()
	unfinished := postBytes(bigBody(300000), "400000")
	unfinished = unfinished[:len(unfinished)-protocol.HeaderLen]
	for range 100 {
		sent := make(chan struct{})
		go func() {
			f.Write(unfinished)
			close(sent)
		}()
		if a, err := f.read(); err != nil || a.body != "early" {
			t.Fatalf("%+v %v", a, err)
		}
		<-sent
	}
	if a := r.mustGet(f, "/"); a.body != "early" {
		t.Errorf("%+v", a)
	}
	g.close()
	if len(conns) != 1 {
		t.Errorf("%d connections to the worker were needed", len(conns))
	}
	if strings.Contains(r.log.String(), "broke off") {
		t.Error("an early answer is logged as a broken body")
	}
}

func TestAbortRequest(t *testing.T) {
	abort := protocol.AppendHeader(nil, protocol.AbortRequest, 1, 0, 0)
	get := requestBytes(1, protocol.FlagKeepConn, nil, "REQUEST_METHOD", "GET", "SCRIPT_NAME", "/wait", "REQUEST_URI", "/wait")
	small, large := postBytes(bigBody(100), "2000"), postBytes(bigBody(100000), "200000")
	open := func(b []byte) []byte { return b[:len(b)-protocol.HeaderLen] }
	for _, tt := range []struct {
		name    string
		request []byte
		ready   func(wire.GroupStatus) bool
		begun   bool // the response has begun
	}{
		{"while it runs", get, func(s wire.GroupStatus) bool { return s.Busy == 1 }, false},
		{"while the response is sent", get, func(s wire.GroupStatus) bool { return s.Busy == 1 }, true},
		{"in the first part of the body", open(small), func(wire.GroupStatus) bool { return true }, false},
		{"in the rest of the body", open(large), func(s wire.GroupStatus) bool { return s.Busy == 1 }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			told := make(chan struct{}, 1)
			r, _ := oneGroup(t, nil, func(q *fakeRequest) {
				if q.want {
					q.accept()
				}
				if q.env["REQUEST_URI"] == "/after" {
					q.body()
					q.reply("after")
					return
				}
				if tt.begun {
					q.body()
					q.w.Write(stdout([]byte("Status: 200 OK\r\n\r\nbegun")))
				}
				io.Copy(io.Discard, q.w)
				told <- struct{}{}
			}, 1)
			f := r.front()
			f.SetDeadline(time.Now().Add(longWait))
			f.Write(tt.request)
			r.await("the request", func(s *wire.RouterStatus) bool { return tt.ready(s.Groups[0]) })
			f.Write(abort)
			a, err := f.read()
			if err != nil || !a.ended || (a.body == "begun") != tt.begun || (a.header != "") != tt.begun {
				t.Errorf("%+v %v", a, err)
			}
			if tt.ready(wire.GroupStatus{}) == tt.ready(wire.GroupStatus{Busy: 1}) {
				return // it has reached no worker
			}
			select {
			case <-told:
			case <-time.After(longWait):
				t.Error("the worker was not told")
			}
			if a := r.mustGet(f, "/after", "REQUEST_URI", "/after"); a.body != "after" {
				t.Errorf("next request: %+v", a)
			}
		})
	}
}

// An abort inside a record of the answer cannot be acknowledged.
func TestAbortInsideARecord(t *testing.T) {
	r, _ := oneGroup(t, nil, func(q *fakeRequest) {
		q.body()
		q.w.Write(stdout([]byte("Status: 200 OK\r\n\r\nbegun"))[:28])
		io.Copy(io.Discard, q.w)
	}, 1)
	f := r.front()
	f.SetDeadline(time.Now().Add(longWait))
	f.begin("/")
	f.Read(make([]byte, 1))
	f.Write(protocol.AppendHeader(nil, protocol.AbortRequest, 1, 0, 0))
	if rest, err := io.ReadAll(f); errors.Is(err, os.ErrDeadlineExceeded) || len(rest) > 28 {
		t.Errorf("%q, no end: %v", rest, err)
	}
}

func TestAbortWhileWaiting(t *testing.T) {
	handle, release := blocking()
	r, _ := oneGroup(t, nil, handle, 1)
	busy, f := r.front(), r.front()
	busy.begin("/")
	r.await("running", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 })
	f.begin("/")
	r.await("waiting", func(s *wire.RouterStatus) bool { return s.Groups[0].Queued == 1 })
	f.Write(protocol.AppendHeader(nil, protocol.AbortRequest, 1, 0, 0))
	if a, err := f.read(); err != nil || !a.ended || a.header != "" {
		t.Errorf("%+v %v", a, err)
	}
	close(release)
	if a := r.mustGet(f, "/"); a.body != "done" {
		t.Errorf("next request: %+v", a)
	}
	if a, err := busy.read(); err != nil || a.body != "done" {
		t.Errorf("%+v %v", a, err)
	}
}
