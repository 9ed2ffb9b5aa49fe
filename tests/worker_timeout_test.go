package tests

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestSocketTimeout: a process waits so long for a part of a body; then the
// application's read raises OSError.
func TestSocketTimeout(t *testing.T) {
	w := newWorld(t)
	w.App("body_hash.py")
	w.Configure(group("hasty", "#64001", 1, 1, `socket_timeout = "1s"`) + group("patient", "#64002", 1, 1) +
		mount("/hasty", "apps/body_hash.py", option("process_group", "hasty")) +
		mount("/patient", "apps/body_hash.py", option("process_group", "patient")))
	wsgid := w.Start(harness.Options{})
	wsgid.AwaitReady("hasty", "patient")
	const length, first = 200000, 150000 // more than request_buffer: the process gets it while it comes
	body := bytes.Repeat([]byte("x"), length)
	half := func(name string) (end func() fcgiAnswer, answer func() fcgiAnswer) {
		conn := dial(t, w)
		part := fcgiStream(fcgiStdin, body[:first])
		begin := append(fcgiBegin(1), fcgiStream(fcgiParams, fcgiPairs("REQUEST_METHOD", "POST", "SCRIPT_NAME", "/"+name,
			"CONTENT_LENGTH", strconv.Itoa(length)))...)
		if _, err := conn.Write(append(begin, part[:len(part)-8]...)); err != nil { // without the record that ends it
			t.Fatal(err)
		}
		return func() fcgiAnswer {
			if _, err := conn.Write(fcgiStream(fcgiStdin, body[first:])); err != nil {
				t.Fatal(err)
			}
			return readAnswer(conn)
		}, func() fcgiAnswer { return readAnswer(conn) }
	}
	patient, _ := half("patient")
	_, hasty := half("hasty")
	if a := hasty(); a.status() != 500 {
		t.Errorf("%+v", a)
	}
	wsgid.Log.Await(t, "the exception", harness.Containing("OSError", "hasty"))
	if a := patient(); a.status() != 200 || !strings.Contains(a.body(), `"length": `+strconv.Itoa(length)) {
		t.Errorf("who has more patience: %+v", a)
	}
	wantUntouched(t, wsgid, "hasty", "patient")
}

// slowImport is a script whose import takes until a file is there.
const slowImport = `import os, time
while not os.path.exists(%q):
    time.sleep(0.01)
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"imported"]
`

// TestStartupTimeout: a process that is not ready by then is ended and another
// one tries; one that has more time gets ready.
func TestStartupTimeout(t *testing.T) {
	w := newWorld(t)
	openDirectory(t, w, "open")
	both := []string{"hasty", "patient"}
	text := ""
	for i, name := range both {
		w.Write("apps/"+name+".py", fmt.Sprintf(slowImport, w.Path("open/"+name)))
		options := []string{`startup_timeout = "1s"`, `startup_timeout = "1h"`}
		text += group(name, "#64001", 1, 1, options[i]) +
			mount("/"+name, "apps/"+name+".py", option("process_group", name), option("application_group", "%{GLOBAL}"))
	}
	w.Configure(text)
	wsgid := w.Launch(harness.Options{})
	wsgid.AwaitControl()
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	wsgid.AwaitStatus("the second try", func(s harness.Status) error {
		if g := s.Group("hasty"); g.Restarts["startup_timeout"] < 2 || g.LastExit.Reason != "startup_timeout" {
			return fmt.Errorf("restarts %v", g.Restarts)
		}
		return nil
	})
	if g := wsgid.Status().Group("patient"); len(g.Restarts) != 0 || g.Ready != 0 {
		t.Errorf("restarts %v, %d ready", g.Restarts, g.Ready)
	}
	for _, name := range both {
		w.Write("open/"+name, "")
	}
	wsgid.AwaitReady(both...)
	for _, name := range both {
		if got := apache.Get("/" + name); got.Status != 200 || string(got.Body) != "imported" {
			t.Errorf("%s: %d %q", name, got.Status, got.Body)
		}
	}
	wantUntouched(t, wsgid, "patient")
}

// TestListenBacklog: the group's socket holds as many connections that nobody
// accepts, and no more.
func TestListenBacklog(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.Configure(group("small", "#64001", 1, 1, "listen_backlog = 2") + group("large", "#64001", 1, 1, "listen_backlog = 5") +
		mount("/small", "apps/hello.py", option("process_group", "small")) + mount("/large", "apps/hello.py", option("process_group", "large")))
	wsgid := w.Start(harness.Options{})
	wsgid.AwaitReady("small", "large")
	for name, backlog := range map[string]int{"small": 2, "large": 5} {
		// The only thread has the router's connection and accepts no other.
		wsgid.AwaitStatus("the connection of the thread", func(s harness.Status) error {
			if s.Group(name).Connections != 1 {
				return fmt.Errorf("%d connections", s.Group(name).Connections)
			}
			return nil
		})
		taken, err := 0, error(nil)
		for ; taken < 100; taken++ {
			if err = connectAtOnce(t, groupSocket(t, w, name)); err != nil {
				break
			}
		}
		if taken != backlog+1 || !errors.Is(err, syscall.EAGAIN) { // Linux holds one more
			t.Errorf("%s: %d connections, then %v", name, taken, err)
		}
	}
}

// connectAtOnce connects to a unix socket if that needs no waiting.
func connectAtOnce(t *testing.T, path string) error {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	return syscall.Connect(fd, &syscall.SockaddrUnix{Name: path})
}
