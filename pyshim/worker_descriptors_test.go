package pyshim_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// watchedFunctions are those of ctest/watch.c through which the calls of the
// C worker go.
var watchedFunctions = []string{"close", "syscall", "open", "fcntl", "pipe2", "accept4", "eventfd", "epoll_create1",
	"timerfd_create", "epoll_ctl", "epoll_wait", "read", "write", "readv", "recv", "send", "sendmsg", "shutdown"}

// watchedWorker starts a worker that ends when something is done to a
// descriptor by somebody who does not have it, and writes what.
func watchedWorker(t *testing.T, o workerOptions) *worker {
	t.Helper()
	o.binary = watched.workerBinary(t, "ctest/watch.c", "-rdynamic", "-Wl,--wrap="+strings.Join(watchedFunctions, ",--wrap="))
	return startWorker(t, o)
}

// endWatch ends the worker and returns how many descriptors it has opened,
// closed and used.
func endWatch(t *testing.T, w *worker) (opened, closed, used int) {
	t.Helper()
	w.signal(syscall.SIGTERM)
	if status := w.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	seen := w.stderr.String()
	if strings.Contains(seen, "DESCRIPTOR ") {
		t.Errorf("descriptors in the wrong hands:\n%s", seen)
	}
	_, summary, _ := strings.Cut(seen, "DESCRIPTORS ")
	if _, err := fmt.Sscanf(summary, "opened %d closed %d used %d", &opened, &closed, &used); err != nil {
		t.Fatalf("no summary: %v\n%s", err, seen)
	}
	return opened, closed, used
}

// TestWorkerDescriptors: however connections and requests end, the worker
// closes and uses only numbers that it has, and each once. A number too many
// would be a file of the application: a database that loses its locks, or gets
// bytes that are not its own.
func TestWorkerDescriptors(t *testing.T) {
	t.Parallel()
	rounds := 300
	if testing.Short() {
		rounds = 40
	}
	w := watchedWorker(t, workerOptions{threads: 4, extra: []string{"request_timeout=60000", "request_limit=60000"}})
	data := scripts(t, nil)
	if err := os.Chmod(data, 0o777); err != nil {
		t.Fatal(err)
	}
	ask := func(callable string, more ...string) params {
		return script(t, "watched.py", callable, append(more, "QUERY_STRING="+data)...)
	}
	first := w.dial()
	if r := first.do(ask("table"), nil); string(r.body) != "made" {
		t.Fatalf("%+v", r)
	}
	first.Close()
	body := make([]byte, 100000)
	var counted atomic.Int64
	// Each is what happens on one connection until it is closed. All in the main
	// interpreter: CPython 3.11 cannot fork beside others.
	ways := map[string]func(*conn){
		"served": func(c *conn) {
			for range 3 {
				if r := c.do(ask("count"), body); string(r.body) != fmt.Sprint(len(body)) {
					t.Errorf("count: %q %q", r.raw, r.body)
					return
				}
				counted.Add(1)
			}
		},
		"raises": func(c *conn) {
			if r := c.do(ask("raises"), body); r.get("X-WSGID-Error") != "WSGID-1105" {
				t.Errorf("raises: %q", r.raw)
			}
		},
		"forks": func(c *conn) {
			if r := c.do(ask("forks"), nil); string(r.body) != "said" {
				t.Errorf("forks: %q %q", r.raw, r.body)
			}
		},
		"falls out": func(c *conn) {
			if r := c.do(script(t, "forks.py", "falls_out"), nil); string(r.body) != "parent 0" {
				t.Errorf("falls out: %q %q", r.raw, r.body)
			}
		},
		"gone in the body": func(c *conn) {
			c.Write(append(head(ask("count", "CONTENT_LENGTH=100000")), stream(typeStdin, body[:50000], false)...))
		},
		"aborted": func(c *conn) {
			c.Write(append(head(ask("count", "CONTENT_LENGTH=100000")), record(typeAbort, 1, nil)...))
			c.response()
		},
		"gone in the response": func(c *conn) {
			c.Write(request(ask("endless"), nil, true))
			c.readRecord()
		},
		"a thread still writes": func(c *conn) {
			c.do(script(t, "hostile.py", "writes_in_thread"), nil)
		},
		"a thread still reads": func(c *conn) {
			c.Write(head(script(t, "hostile.py", "fork_falls_out")))
			c.response()
		},
		"nothing":   func(*conn) {},
		"malformed": func(c *conn) { c.Write([]byte("GET / HTTP/1.1\r\n\r\n")) },
		"half": func(c *conn) {
			c.Write(request(script(t, "hello.py", "application"), nil, true)[:50])
			c.Conn.(*net.UnixConn).CloseWrite()
			c.readRecord()
		},
		"no script": func(c *conn) { c.do(script(t, "none.py", "application"), nil) },
		"forbidden": func(c *conn) { c.do(script(t, "/etc/passwd", "application"), nil) },
		"broken":    func(c *conn) { c.do(script(t, "broken.py", "application"), nil) },
	}
	var wait sync.WaitGroup
	for _, way := range ways {
		wait.Go(func() {
			for range rounds {
				select {
				case <-w.exited:
					return
				default:
				}
				raw, err := net.Dial("unix", w.socket)
				if err != nil {
					t.Error(err)
					return
				}
				raw.SetDeadline(time.Now().Add(patience))
				done := make(chan struct{})
				go func() {
					select {
					case <-done:
					case <-w.exited: // nobody will answer
						raw.Close()
					}
				}()
				func() {
					defer close(done) // a way may end the goroutine
					defer raw.Close()
					way(&conn{t, raw})
				}()
			}
		})
	}
	wait.Wait()
	select {
	case <-w.exited:
		t.Fatal("the worker has ended")
	default:
	}
	if r := w.dial().do(ask("number"), nil); string(r.body) != fmt.Sprintf("%d ok", counted.Load()) {
		t.Errorf("%d requests were counted, the database has %q %q", counted.Load(), r.raw, r.body)
	}
	opened, closed, used := endWatch(t, w)
	if connections := rounds * len(ways); closed < connections || opened < closed || opened > closed+30 || used < 5*connections {
		t.Errorf("%d connections: opened %d, closed %d, used %d", connections, opened, closed, used)
	}
}

// TestWorkerDescriptorsOfStrangers: the connection of a peer that is not the
// router is closed once.
func TestWorkerDescriptorsOfStrangers(t *testing.T) {
	w := watchedWorker(t, workerOptions{routerUID: 1})
	const strangers = 300
	for range strangers {
		c := w.dial()
		if _, _, err := c.readRecord(); err == nil {
			t.Fatal("a stranger was served")
		}
		c.Close()
	}
	if opened, closed, _ := endWatch(t, w); closed < strangers || opened < closed {
		t.Errorf("opened %d, closed %d", opened, closed)
	}
}
