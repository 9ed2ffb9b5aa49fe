package dispatch

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

// A second BEGIN_REQUEST with the id of a request whose body is still coming
// cancels that request and ends the connection.
func TestBeginWithinARequest(t *testing.T) {
	ended := make(chan bool, 1)
	r, _ := oneGroup(t, nil, func(q *fakeRequest) {
		if q.env["REQUEST_URI"] != "/post" {
			q.body()
			q.reply("well")
			return
		}
		q.accept()
		_, whole := q.body()
		ended <- whole
	}, 1)
	f := r.front()
	f.SetDeadline(time.Now().Add(longWait))
	post := postBytes(bigBody(100000), "200000")
	f.Write(post[:len(post)-protocol.HeaderLen]) // the stream stays open
	r.await("running", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 1 })
	f.Write(protocol.AppendBeginRequest(nil, 1, protocol.Responder, 1))
	if whole := <-ended; whole {
		t.Error("the worker saw a whole body")
	}
	for {
		a, err := f.read()
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the connection is not closed: %v", err)
			}
			break
		}
		if a.status() == "200 OK" {
			t.Errorf("answered: %+v", a)
		}
	}
	if a := r.mustGet(r.front(), "/", "REQUEST_URI", "/"); a.body != "well" {
		t.Errorf("after it: %+v", a)
	}
}

// A front server that sends its parameters byte by byte is hung up on
// header_timeout after the first one, however steadily they come; one that
// sends nothing between two requests is not.
func TestDribble(t *testing.T) {
	t.Parallel()
	r, _ := oneGroup(t, func(c *wire.RouterConfig) {
		c.Listeners = []wire.Listener{{Kind: wire.ListenUnix, HeaderTimeout: time.Second, BodyTimeout: time.Minute}}
	}, echoPath, 1)
	f := r.front()
	r.mustGet(f, "/")
	time.Sleep(2 * time.Second) // idle, and longer than header_timeout
	r.mustGet(f, "/")
	f.SetDeadline(time.Now().Add(longWait))
	hungUp := make(chan error, 1)
	go func() {
		_, err := f.Read(make([]byte, 1))
		hungUp <- err
	}()
	request := requestBytes(1, 1, nil, "REQUEST_METHOD", "GET", "HTTP_LONG", string(make([]byte, 4000)))
	for i := range request {
		select {
		case err := <-hungUp:
			if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) { // with a byte unread it is a reset
				t.Error(err)
			}
			r.wantLog("request parameters did not arrive in time")
			return
		case <-time.After(20 * time.Millisecond):
			_, _ = f.Write(request[i : i+1]) // may find the connection closed already
		}
	}
	t.Error("the whole request went through")
}
