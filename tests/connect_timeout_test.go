package tests

import (
	"fmt"
	"io"
	"net/url"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestConnectTimeout: with little room to wait in, requests try for
// connect_timeout to get in before the 503, as with mod_wsgi (behaviour spec
// 14.7); who has a place waits on.
func TestConnectTimeout(t *testing.T) {
	w := newQueueWorld(t, false, "", "queue_length = 1", `connect_timeout = "1s"`)
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	running := w.occupy(apache.Client)
	waiting := w.send(apache.Client, w.gate("waiting"))
	w.awaitQueued(1)
	more := []<-chan *harness.Response{w.send(apache.Client, w.gate("more-1")), w.send(apache.Client, w.gate("more-2"))}
	for _, answer := range more {
		wantError(t, <-answer, 503, "WSGID-1012")
	}
	w.Write("open/gate", "")
	for _, answer := range []<-chan *harness.Response{running, waiting} {
		if got := <-answer; got.Status != 200 {
			t.Errorf("%d %q", got.Status, got.Body)
		}
	}
	if q := w.awaitQueued(0); q.Rejected != 2 {
		t.Errorf("%+v", q)
	}
}

// TestResponseSocketTimeout: a web server that takes nothing of a response for
// that long loses it; requests to another group have body_timeout.
func TestResponseSocketTimeout(t *testing.T) {
	w := newWorld(t)
	w.App("endless.py")
	openDirectory(t, w, "open")
	w.Configure(group("hasty", "#64001", 1, 1, `response_socket_timeout = "1s"`) + group("patient", "#64002", 1, 1) +
		mount("/hasty", "apps/endless.py", option("process_group", "hasty")) +
		mount("/patient", "apps/endless.py", option("process_group", "patient")))
	wsgid := w.Start(harness.Options{})
	wsgid.AwaitReady("hasty", "patient")
	take := func(name string) (closed string, read func() error) {
		closed = w.Path("open/" + name)
		conn := dial(t, w)
		if _, err := conn.Write(fcgiRequest("REQUEST_METHOD", "GET", "SCRIPT_NAME", "/"+name,
			"QUERY_STRING", url.Values{"closed": {closed}}.Encode())); err != nil {
			t.Fatal(err)
		}
		return closed, func() error { _, err := io.CopyN(io.Discard, conn, 8<<20); return err }
	}
	_, patient := take("patient")
	hastyClosed, hasty := take("hasty")
	awaitFile(t, hastyClosed)
	if err := hasty(); err == nil {
		t.Error("the response went on")
	}
	s := wsgid.AwaitStatus("hasty is free again", func(s harness.Status) error {
		if busy := s.Group("hasty").ThreadsBusy; busy != 0 {
			return fmt.Errorf("%d busy", busy)
		}
		return nil
	})
	if s.Group("patient").ThreadsBusy != 1 {
		t.Error("who has more patience was cut off")
	}
	if err := patient(); err != nil {
		t.Errorf("who has more patience: %v", err)
	}
}
