package tests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/tests/internal/harness"
)

// queueWorld runs gate.py at "/" on one thread of a process group, or of the
// router where embedded is true.
type queueWorld struct {
	*harness.World
	t        *testing.T
	embedded bool
	wsgid    *harness.Wsgid
}

func newQueueWorld(t *testing.T, embedded bool, more string, options ...string) *queueWorld {
	t.Helper()
	w := &queueWorld{World: newWorld(t), t: t, embedded: embedded}
	w.App("gate.py")
	w.App("environ.py")
	openDirectory(t, w.World, "open")
	where := group("only", "#64001", 1, 1, options...)
	if embedded {
		where = "router {\n  threads = 1\n  " + strings.Join(options, "\n  ") + "\n}\n"
	}
	w.Configure(where + more + mount("/environ", "apps/environ.py") + mount("/", "apps/gate.py"))
	w.wsgid = w.Start(harness.Options{})
	return w
}

// both runs a test with a process group and with the router's own Python.
func both(t *testing.T, test func(t *testing.T, embedded bool)) {
	t.Parallel()
	t.Helper()
	t.Run("group", func(t *testing.T) { test(t, false) })
	t.Run("embedded", func(t *testing.T) { test(t, true) })
}

// queue is what status says of it.
func (w *queueWorld) queue(s harness.Status) status.Queue {
	if !w.embedded {
		return s.Group("only").Queue
	}
	if s.Router.Embedded == nil {
		return status.Queue{Queued: -1}
	}
	return s.Router.Embedded.Queue
}

func (w *queueWorld) awaitQueued(n int) status.Queue {
	w.t.Helper()
	return w.queue(w.wsgid.AwaitStatus(fmt.Sprintf("%d requests wait", n), func(s harness.Status) error {
		if queued := w.queue(s).Queued; queued != n {
			return fmt.Errorf("%d queued", queued)
		}
		return nil
	}))
}

// gate is the URL of a request that runs until the gate is opened.
func (w *queueWorld) gate(name string) string {
	return "/?" + url.Values{"started": {w.Path("open/" + name)}, "gate": {w.Path("open/gate")}}.Encode()
}

// occupy sends the request that takes the only thread.
func (w *queueWorld) occupy(client *harness.Client) <-chan *harness.Response {
	w.t.Helper()
	running := w.send(client, w.gate("running"))
	awaitFile(w.t, w.Path("open/running"))
	return running
}

func (w *queueWorld) send(client *harness.Client, path string) <-chan *harness.Response {
	answer := make(chan *harness.Response, 1)
	go func() {
		response, err := client.Try(w.t.Context(), "GET", path, nil)
		if err != nil {
			w.t.Error(err)
			response = &harness.Response{}
		}
		answer <- response
	}()
	return answer
}

// TestQueueLimits: requests beyond threads and queue are refused at once with
// 503 and Retry-After, and who waits longer than queue_timeout gets 504.
func TestQueueLimits(t *testing.T) {
	both(t, func(t *testing.T, embedded bool) {
		w := newQueueWorld(t, embedded, "", "queue_length = 2", `queue_timeout = "10s"`)
		apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
		running := w.occupy(apache.Client)
		waiting := []<-chan *harness.Response{w.send(apache.Client, w.gate("waiting-1")), w.send(apache.Client, w.gate("waiting-2"))}
		if q := w.awaitQueued(2); q.QueueLength != 2 || q.LongestWait <= 0 || q.QueuedTotal < 2 {
			t.Errorf("%+v", q)
		}
		full := apache.Get(w.gate("refused"))
		wantError(t, full, 503, "WSGID-1012")
		if full.Header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After %q", full.Header.Get("Retry-After"))
		}
		for _, answer := range waiting {
			wantError(t, <-answer, 504, "WSGID-1013")
		}
		name := "only"
		if embedded {
			name = "%{GLOBAL}"
		}
		w.wsgid.Log.Await(t, "how long it waited", func(r harness.Record) bool {
			waited, err := time.ParseDuration(r.Text("waited"))
			return r.Text("code") == "WSGID-1013" && r.Text("group") == name && r.Level() == "warn" && err == nil && waited >= 10*time.Second
		})
		w.Write("open/gate", "")
		if got := <-running; got.Status != 200 {
			t.Errorf("the running request: %d %s", got.Status, got.Body)
		}
		for _, name := range []string{"waiting-1", "waiting-2", "refused"} {
			if harness.Exists(w.Path("open/" + name)) {
				t.Errorf("%s reached the application", name)
			}
		}
		if q := w.queue(w.wsgid.Status()); q.Rejected != 1 || q.QueueTimeouts != 2 || q.LongestWait != 0 {
			t.Errorf("%+v", q)
		}
	})
}

// TestQueueTime: the application reads how long its request has waited, the log
// tells of a wait that somebody notices.
func TestQueueTime(t *testing.T) {
	both(t, func(t *testing.T, embedded bool) {
		w := newQueueWorld(t, embedded, "")
		apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
		queueTime := func(response *harness.Response) float64 {
			v := look(t, response)
			seconds, ok := v.Environ["wsgid.queue_time"].(float64)
			if !ok {
				t.Fatalf("wsgid.queue_time is %v", v.Environ["wsgid.queue_time"])
			}
			if start := v.Environ["mod_wsgi.queue_start"]; (start == 0.) != embedded {
				t.Errorf("mod_wsgi.queue_start is %v", start)
			}
			return seconds
		}
		running := w.occupy(apache.Client)
		waiting := w.send(apache.Client, "/environ")
		w.wsgid.AwaitStatus("a long wait", func(s harness.Status) error {
			if longest := w.queue(s).LongestWait; longest < 1 {
				return fmt.Errorf("%g s", longest)
			}
			return nil
		})
		w.Write("open/gate", "")
		if got := queueTime(<-waiting); got < 1 {
			t.Errorf("waited %g s", got)
		}
		<-running
		w.wsgid.Log.Await(t, "the long wait", func(r harness.Record) bool {
			return r.Message() == "requests wait long for a thread" && r.Level() == "warn" && r.Text("request") != ""
		})
		// One that finds a thread free; the machine may be slow.
		harness.Eventually(t, "a request does not wait", func() error {
			if got := queueTime(apache.Get("/environ")); got < 0 || got > 0.5 {
				return fmt.Errorf("waited %g s", got)
			}
			return nil
		})
	})
}

// TestQueuePriority: of those who wait the higher priority is served first,
// those of one priority in the order of arrival, and nobody for ever last.
func TestQueuePriority(t *testing.T) {
	w := newWorld(t)
	openDirectory(t, w, "open")
	w.App("gate.py")
	w.Write("apps/note.py", "def application(environ, start_response):\n    with open("+fmt.Sprintf("%q", w.Path("open/order"))+", 'a') as out:\n"+
		"        out.write(environ['SCRIPT_NAME'] + environ['PATH_INFO'] + '\\n')\n    start_response('200 OK', [])\n    return [b'']\n")
	w.Configure("router {\n  priority = 4\n}\n" + group("only", "#64001", 1, 1) +
		mount("/high", "apps/note.py", "priority = 9") + mount("/low", "apps/note.py", "priority = 0") +
		mount("/usual", "apps/note.py") + mount("/", "apps/gate.py"))
	q := &queueWorld{World: w, t: t, wsgid: w.Start(harness.Options{})}
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	answers := []<-chan *harness.Response{q.occupy(apache.Client)}
	for number, path := range strings.Fields("/low/1 /usual/1 /low/2 /high/1 /high/2 /high/3 /usual/2 /high/4") {
		answers = append(answers, q.send(apache.Client, path))
		q.awaitQueued(number + 1)
	}
	w.Write("open/gate", "")
	for _, answer := range answers {
		if got := <-answer; got.Status != 200 {
			t.Errorf("%d %s", got.Status, got.Body)
		}
	}
	// Three overtake the oldest, and again three.
	want := "/high/1 /high/2 /high/3 /low/1 /high/4 /usual/1 /usual/2 /low/2"
	if got := strings.Fields(readFile(t, w.Path("open/order"))); !slices.Equal(got, strings.Fields(want)) {
		t.Errorf("served %v, want %s", got, want)
	}
	_, table, _ := w.CLI("routes", "--config", w.Path("wsgid.hcl"))
	for _, row := range []string{`URL .* CALLABLE +PRIORITY +LOADED +FROM`, `/high .* 9 +at start +wsgid\.hcl:\d+`, `/usual .* 4 +at start .*`} {
		if !regexp.MustCompile(`(?m)^` + row + `$`).MatchString(table) {
			t.Errorf("wsgid routes has no line %s:\n%s", row, table)
		}
	}
}

// TestQueueClientGone: whoever hangs up while waiting leaves the queue while
// the thread is still busy, and is never served: through nginx, over HTTP, and
// as a FastCGI peer that closes or aborts.
func TestQueueClientGone(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(w *queueWorld, address string) (leave func()){
		"nginx": func(w *queueWorld, _ string) func() { return w.hangUp(w.StartNginx()) },
		"http":  func(w *queueWorld, address string) func() { return w.hangUp(harness.NewClient(w.t, "http://"+address)) },
		"fastcgi": func(w *queueWorld, _ string) func() {
			conn := dial(w.t, w.World)
			w.write(conn, w.request("gone"))
			return func() { conn.Close() }
		},
		"fastcgi abort": func(w *queueWorld, _ string) func() {
			conn := dial(w.t, w.World)
			w.write(conn, w.request("gone"))
			return func() {
				w.write(conn, fcgi(2, 1, nil))
				end := make([]byte, 16)
				if _, err := io.ReadFull(conn, end); err != nil || end[1] != 3 {
					w.t.Errorf("after the abort: %v %v", end, err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, embedded bool) {
				address := freeAddress(t)
				w := newQueueWorld(t, embedded, "listen \"http\" {\n  address = \""+address+"\"\n}\n")
				apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
				running := w.occupy(apache.Client)
				leave := start(w, address)
				w.awaitQueued(1)
				leave()
				w.awaitQueued(0)
				w.Write("open/gate", "")
				if got := <-running; got.Status != 200 {
					t.Errorf("the running request: %d", got.Status)
				}
				look(t, apache.Get("/environ")) // it has the thread now
				if harness.Exists(w.Path("open/gone")) {
					t.Error("the request of the client that has gone reached the application")
				}
				if q := w.queue(w.wsgid.AwaitIdle()); q.QueueTimeouts != 0 || q.Rejected != 0 {
					t.Errorf("%+v", q)
				}
			})
		})
	}
}

// hangUp sends a request that waits; the result ends its connection.
func (w *queueWorld) hangUp(client *harness.Client) func() {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := client.Try(ctx, "GET", w.gate("gone"), nil); !errors.Is(err, context.Canceled) {
			w.t.Errorf("the request that was given up: %v", err)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// request is a GET of the gate in FastCGI, on a connection that is kept.
func (w *queueWorld) request(name string) []byte {
	query := strings.TrimPrefix(w.gate(name), "/?")
	params := append(fcgiPair("REQUEST_METHOD", "GET"), fcgiPair("SCRIPT_NAME", "/")...)
	params = append(params, byte(len("QUERY_STRING")), 0x80, 0, byte(len(query)>>8), byte(len(query)))
	params = append(append(params, "QUERY_STRING"...), query...)
	request := append(fcgi(1, 1, []byte{0, 1, 1, 0, 0, 0, 0, 0}), fcgi(4, 1, params)...)
	return append(append(request, fcgi(4, 1, nil)...), fcgi(5, 1, nil)...)
}

func (w *queueWorld) write(to io.Writer, b []byte) {
	w.t.Helper()
	if _, err := to.Write(b); err != nil {
		w.t.Fatal(err)
	}
}

// TestStopWithFullQueue: requests that wait when wsgid is stopped are served
// within the grace; those that cannot be get 503 with Retry-After.
func TestStopWithFullQueue(t *testing.T) {
	t.Parallel()
	for _, served := range []bool{true, false} {
		t.Run(fmt.Sprintf("served %v", served), func(t *testing.T) {
			grace := "1s"
			if served {
				grace = "50s"
			}
			w := newQueueWorld(t, false, "", option("shutdown_timeout", grace), "queue_length = 5")
			apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
			answers := []<-chan *harness.Response{w.occupy(apache.Client)}
			for number := range 5 {
				answers = append(answers, w.send(apache.Client, w.gate(fmt.Sprint(number))))
			}
			w.awaitQueued(5)
			w.wsgid.NoteSessions()
			stopped := make(chan int, 1)
			go func() {
				code, _, _ := w.CLI("stop", "--control", w.Control)
				stopped <- code
			}()
			w.wsgid.Log.Await(t, "the end", func(r harness.Record) bool { return r.Message() == "router is stopping" })
			if served {
				w.Write("open/gate", "")
			}
			for number, answer := range answers {
				got := <-answer
				switch {
				case served && got.Status != 200:
					t.Errorf("request %d: %d %s", number, got.Status, got.Body)
				case !served:
					wantError(t, got, 503, "WSGID-1025")
					if got.Header.Get("Retry-After") != "1" {
						t.Errorf("request %d: Retry-After %q", number, got.Header.Get("Retry-After"))
					}
				}
			}
			if code := <-stopped; code != 0 {
				t.Errorf("wsgid stop ended with %d", code)
			}
			w.wsgid.AwaitExit()
			w.wsgid.AssertGone()
		})
	}
}
