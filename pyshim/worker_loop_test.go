package pyshim_test

import (
	"bytes"
	"net"
	"testing"
)

// TestLoopLongRequest: a request that takes long, after many short ones, does
// not keep the others of its process waiting, and events of its body wake the
// thread that reads it.
func TestLoopLongRequest(t *testing.T) {
	w := startWorker(t, workerOptions{threads: 3})
	hello := script(t, "hello.py", "application")
	long, second, third := w.dial(), w.dial(), w.dial()
	for range 100 {
		for _, c := range []*conn{long, second, third} {
			if r := c.do(hello, nil); r.status != "200 OK" {
				t.Fatalf("%+v", r)
			}
		}
	}
	for round := range 3 {
		long.Write(request(script(t, "body.py", "read"), []byte("first "), false))
		for range 5 {
			if r := second.do(hello, nil); r.status != "200 OK" {
				t.Fatalf("round %d beside a long request: %+v", round, r)
			}
			if r := third.do(hello, nil); r.status != "200 OK" {
				t.Fatalf("round %d beside a long request: %+v", round, r)
			}
		}
		long.Write(stream(typeStdin, []byte("second"), true))
		if r, err := long.response(); err != nil || r.status != "200 OK" {
			t.Fatalf("round %d: %v %+v", round, err, r)
		}
	}
}

// TestLoopTakesOneConnectionAThread: what is beyond stays in the backlog, for
// another process of the group or for a thread that comes free.
func TestLoopTakesOneConnectionAThread(t *testing.T) {
	w := startWorker(t, workerOptions{threads: 2})
	hello := script(t, "hello.py", "application")
	first, second := w.dial(), w.dial()
	for _, c := range []*conn{first, second} {
		if r := c.do(hello, nil); r.status != "200 OK" {
			t.Fatalf("%+v", r)
		}
	}
	waiting := w.dial()
	waiting.Write(request(hello, nil, true))
	answered := make(chan *response, 1)
	go func() {
		r, err := waiting.response()
		if err != nil {
			t.Error(err)
		}
		answered <- r
	}()
	for range 20 { // the process serves on and leaves the third alone
		if r := second.do(hello, nil); r.status != "200 OK" {
			t.Fatalf("%+v", r)
		}
	}
	select {
	case r := <-answered:
		t.Fatalf("a third connection was taken by two threads: %+v", r)
	default:
	}
	first.Close()
	if r := <-answered; r == nil || r.status != "200 OK" {
		t.Fatalf("%+v", r)
	}
}

// TestLoopHalfClose: the end of the stream that comes together with a request
// brings no event of its own; the connection must close all the same.
func TestLoopHalfClose(t *testing.T) {
	w := startWorker(t, workerOptions{threads: 1})
	for range 5 {
		c := w.dial()
		c.Write(request(script(t, "hello.py", "application"), nil, true))
		c.Conn.(*net.UnixConn).CloseWrite()
		if r, err := c.response(); err != nil || r.status != "200 OK" {
			t.Fatalf("%v %+v", err, r)
		}
		if _, _, err := c.readRecord(); err == nil {
			t.Fatal("the connection was not closed")
		}
		c.Close()
	}
}

// TestLoopForkPolicy: the scheduling policy of a serving thread is its own; a
// child that the application forks has the ordinary one.
func TestLoopForkPolicy(t *testing.T) {
	w := startWorker(t, workerOptions{threads: 1})
	c := w.dial()
	for range 200 { // the leader decides about its policy after some turns
		if r := c.do(script(t, "hello.py", "application"), nil); r.status != "200 OK" {
			t.Fatalf("%+v", r)
		}
	}
	if r := c.do(script(t, "forks.py", "policy"), nil); string(r.body) != "True" {
		t.Errorf("%+v", r)
	}
}

// TestLoopManyDescriptors: a connection whose descriptor does not fit into an
// fd_set is served as any other, body, streaming and hang-up included.
func TestLoopManyDescriptors(t *testing.T) {
	w := startWorker(t, workerOptions{threads: 3})
	first := w.dial()
	if r := first.do(script(t, "descriptors.py", "application"), nil); string(r.body) != "taken" {
		t.Fatalf("%+v", r)
	}
	high := w.dial()
	body := bytes.Repeat([]byte("0123456789"), 30000)
	for range 3 {
		if r := high.do(post(t, "read"), body); !bytes.Equal(r.body, body) {
			t.Fatalf("%d bytes came back", len(r.body))
		}
	}
	high.Close()
	if r := w.dial().do(script(t, "hello.py", "application"), nil); r.status != "200 OK" {
		t.Errorf("%+v", r)
	}
}
