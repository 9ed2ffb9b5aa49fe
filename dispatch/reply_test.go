package dispatch

import (
	"bytes"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

// A worker runs foreign code: nothing that it sends may become an empty
// success, end the router, or stay in a connection for the next request.
func TestHostileWorker(t *testing.T) {
	end := func(n, padding int) []byte {
		return append(protocol.AppendHeader(nil, protocol.EndRequest, 1, n, padding), make([]byte, n+padding)...)
	}
	ok := stdout([]byte("Status: 200 OK\r\n\r\nx"))
	noise := protocol.AppendStream(nil, protocol.Stderr, 1, make([]byte, 60000))
	wrongID := bytes.Clone(ok)
	wrongID[3] = 2
	join := func(b ...[]byte) []byte { return bytes.Join(b, nil) }
	for name, sent := range map[string][]byte{
		"END_REQUEST alone":              end(8, 0),
		"END_REQUEST after empty STDOUT": join(protocol.AppendStreamEnd(nil, protocol.Stdout, 1), end(8, 0)),
		"END_REQUEST after STDERR":       join(noise, end(8, 0)),
		"short END_REQUEST":              join(ok, end(7, 0)),
		"END_REQUEST as large as can be": end(65535, 255),
		"END_REQUEST that takes it back": join(ok, protocol.AppendEndRequest(nil, 1, 0, protocol.Overloaded)),
		"truncated before STDOUT":        protocol.AppendEndRequest(nil, 1, truncated, protocol.RequestComplete),
		"wrong id":                       wrongID,
		"version 2":                      {2, 6, 0, 1, 0, 0, 0, 0},
		"http":                           []byte("HTTP/1.1 200 OK\r\n\r\n"),
		"a request":                      protocol.AppendBeginRequest(nil, 1, protocol.Responder, 0),
		"STDOUT after its end":           join(ok, protocol.AppendStreamEnd(nil, protocol.Stdout, 1), ok, end(8, 0)),
		"endless STDERR":                 bytes.Repeat(noise, 100),
		"endless empty STDERR":           bytes.Repeat(protocol.AppendStreamEnd(nil, protocol.Stderr, 1), 1<<18),
	} {
		t.Run(name, func(t *testing.T) {
			var tries atomic.Int32
			r, _ := oneGroup(t, nil, func(q *fakeRequest) {
				q.body()
				if q.env["PATH_INFO"] == "/good" {
					q.reply("good")
					return
				}
				tries.Add(1)
				q.w.Write(sent)
				io.Copy(io.Discard, q.w)
			}, 1)
			f := r.front()
			f.SetDeadline(time.Now().Add(longWait))
			f.Write(postBytes([]byte("abc"), "3"))
			a, err := f.read()
			if err == nil && (a.status() != "502 Bad Gateway" || !strings.Contains(a.header, "WSGID-1015")) {
				t.Errorf("%+v", a)
			}
			if a.ended == strings.HasPrefix(a.header, "Status: 200") && a.header != "" {
				t.Errorf("a broken response looks whole: %+v", a)
			}
			if n := tries.Load(); n != 1 {
				t.Errorf("a POST was sent %d times", n)
			}
			if a := r.mustGet(r.front(), "/good"); a.body != "good" {
				t.Errorf("next request: %+v", a)
			}
		})
	}
}

// What a worker sends after END_REQUEST is not the beginning of the next answer.
func TestBytesAfterTheEnd(t *testing.T) {
	r, _ := oneGroup(t, nil, func(q *fakeRequest) {
		q.body()
		b := append(stdout([]byte("Status: 200 OK\r\n\r\n"+q.env["PATH_INFO"])), endRequest()...)
		q.w.Write(append(b, stdout([]byte("Status: 200 OK\r\n\r\nevil"))...))
	}, 1)
	for _, path := range []string{"/a", "/b", "/c"} {
		if a := r.mustGet(r.front(), path); a.body != path {
			t.Errorf("%s: %+v", path, a)
		}
	}
}

// rawWorker is a process of one thread that gives each connection to serve
// once it has said who it is.
func rawWorker(t *testing.T, pid string, serve func(net.Conn)) string {
	t.Helper()
	socket := filepath.Join(shortDir(t), "raw.sock")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			rd := protocol.NewReader(c, 1<<10)
			if _, err := rd.Next(); err == nil {
				if _, err := rd.Content(); err == nil {
					c.Write(protocol.AppendGetValuesResult(nil, protocol.AppendPair(nil, "WSGID_PID", pid)))
					serve(c)
				}
			}
			c.Close()
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
	return socket
}

// A process that ended before it took a byte has run nothing; one that took a
// part may have.
func TestFailedWrite(t *testing.T) {
	for _, tt := range []struct {
		method string
		takes  int // bytes of the first request
		want   string
		tries  int32
	}{
		{"POST", 0, "200 OK", 2},
		{"POST", 1000, "502 Bad Gateway", 1},
		{"GET", 1000, "200 OK", 2},
	} {
		t.Run(tt.method+" "+tt.want, func(t *testing.T) {
			var tries atomic.Int32
			closed := make(chan struct{})
			socket := rawWorker(t, "100", func(c net.Conn) {
				if tries.Add(1) == 1 {
					if tt.takes == 0 {
						c.Close()
						close(closed)
						return
					}
					io.ReadFull(c, make([]byte, tt.takes))
					return // with the router in the middle of its write
				}
				rd := protocol.NewReader(c, 0)
				for {
					h, err := rd.Next()
					if err != nil {
						return
					}
					if h.Type == protocol.Stdin && h.ContentLength == 0 {
						c.Write(append(stdout([]byte("Status: 200 OK\r\n\r\n")), endRequest()...))
						io.Copy(io.Discard, c)
						return
					}
				}
			})
			config := baseConfig(wire.Group{Name: "web", Socket: socket, QueueTimeout: longWait})
			config.Limits.MaxHeaderBytes = 1 << 20
			config.Mounts = []wire.Mount{fileMount("/", "/srv/site.wsgi", "web")}
			r := startRouter(t, config, nil)
			r.process("web", 100, 1, wire.ProcessReady)
			r.await("connecting", func(s *wire.RouterStatus) bool { return s.Groups[0].Connections == 1 })
			if tt.takes == 0 {
				<-closed
			}
			f := r.front()
			f.SetDeadline(time.Now().Add(longWait))
			big := strings.Repeat("x", 400000) // two of them are more than a socket holds
			f.send(requestBytes(1, 1, nil, "REQUEST_METHOD", tt.method, "SCRIPT_NAME", "/", "HTTP_A", big, "HTTP_B", big))
			a, err := f.read()
			if err != nil || a.status() != tt.want {
				t.Errorf("%+v %v", a, err)
			}
			// After a refusal the router connects again, but asks nothing.
			if n := tries.Load(); tt.want == "200 OK" && n != tt.tries {
				t.Errorf("tried %d times, want %d", n, tt.tries)
			}
		})
	}
}
