package pyshim_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// event is what a subscriber of testdata/events.py was told.
type event struct {
	Event   string
	Payload map[string]any
	Types   map[string]string
	Current bool // request_data is that of the thread
}

// the keys of mod_wsgi behaviour 9.1 and their types.
var (
	startedTypes = map[string]string{"request_id": "str", "thread_id": "int", "daemon_connects": "int",
		"daemon_restarts": "int", "server_pid": "int", "request_start": "float", "queue_start": "float",
		"daemon_start": "float", "application_start": "float", "application_object": "function",
		"callable_object": "str", "request_environ": "dict", "request_data": "dict"}
	responseTypes = map[string]string{"request_id": "str", "response_status": "str", "response_headers": "list",
		"exception_info": "NoneType", "request_data": "dict"}
	finishedTypes = map[string]string{"request_id": "str", "thread_id": "int", "server_pid": "int",
		"request_start": "float", "queue_start": "float", "daemon_start": "float", "application_start": "float",
		"application_finish": "float", "application_time": "float", "input_reads": "int", "input_length": "int",
		"input_time": "float", "output_writes": "int", "output_length": "int", "output_time": "float", "status": "int",
		"cpu_user_time": "float", "cpu_system_time": "float", "cpu_time": "float", "gil_wait_time": "float",
		"gil_wait_count": "int", "request_data": "dict"}
	exceptionTypes = map[string]string{"request_id": "str", "exception_info": "tuple", "request_data": "dict"}
)

// collected takes the events of an interpreter.
func collected(t testing.TB, c *conn, group string) []event {
	t.Helper()
	var events []event
	ask(t, c, &events, "events.py", "collected", "WSGID_APPLICATION_GROUP="+group, "WSGID_REQUEST_ID=collector")
	return slices.DeleteFunc(events, func(e event) bool { return e.Payload["request_id"] == "collector" })
}

func names(events []event) string {
	var all []string
	for _, e := range events {
		all = append(all, strings.TrimPrefix(e.Event, "request_"))
	}
	return strings.Join(all, " ")
}

// TestEvents: the events of a request, with keys, types and values, on each
// Python and in the interpreter that subscribed alone.
func TestEvents(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			w := startWorker(t, workerOptions{python: python, threads: 1})
			c := w.dial()
			for _, group := range []string{"", "sub"} {
				checkEvents(t, c, group)
			}
			var events []event
			ask(t, c, &events, "events.py", "collected", "WSGID_APPLICATION_GROUP=")
			for _, e := range events {
				if strings.HasPrefix(fmt.Sprint(e.Payload["request_id"]), "sub-") {
					t.Errorf("told of another interpreter: %v", e)
				}
			}
		})
	}
}

func checkEvents(t *testing.T, c *conn, group string) {
	t.Helper()
	id := group + "-id"
	r := c.do(script(t, "events.py", "application", "WSGID_REQUEST_ID="+id, "WSGID_APPLICATION_GROUP="+group,
		"CONTENT_LENGTH=7", "REQUEST_METHOD=POST"), []byte("content"))
	if want := `[{"set by": "a subscriber"}, "was here", 7]`; string(r.body) != want {
		t.Errorf("%q: %q, want %s", group, r.body, want)
	}
	events := collected(t, c, group)
	if names(events) != "started response_started finished" {
		t.Fatalf("%q: %s", group, names(events))
	}
	for i, want := range []map[string]string{startedTypes, responseTypes, finishedTypes} {
		if !maps.Equal(events[i].Types, want) {
			t.Errorf("%q: %s has %v, want %v", group, events[i].Event, events[i].Types, want)
		}
		if events[i].Payload["request_id"] != id {
			t.Errorf("%q: %v", group, events[i])
		}
	}
	if !events[0].Current || !events[2].Current {
		t.Errorf("%q: request_data is not that of the thread", group)
	}
	started, response, finished := events[0].Payload, events[1].Payload, events[2].Payload
	for key, want := range map[string]any{"thread_id": 1., "server_pid": 4711., "daemon_connects": 1., "daemon_restarts": 0.,
		"request_start": 1700000000.25, "queue_start": 1700000000.5, "callable_object": "application",
		"application_object": "<function>", "request_environ": "environ of /p"} {
		if started[key] != want {
			t.Errorf("%q: started: %s is %v, want %v", group, key, started[key], want)
		}
	}
	if asText(response["response_headers"]) != `[["X-A","b"]]` || response["response_status"] != "201 Created" {
		t.Errorf("%q: response: %v", group, response)
	}
	for key, want := range map[string]any{"thread_id": 1., "server_pid": 4711., "input_reads": 2., "input_length": 7.,
		"output_writes": 1., "output_length": float64(len(r.body)), "status": 201., "request_start": 1700000000.25} {
		if finished[key] != want {
			t.Errorf("%q: finished: %s is %v, want %v", group, key, finished[key], want)
		}
	}
	number := func(key string) float64 { return finished[key].(float64) }
	if number("daemon_start") > number("application_start") || number("application_start") > number("application_finish") ||
		number("application_time") < 0 || number("cpu_time") < 0 || number("cpu_time") < number("cpu_user_time") {
		t.Errorf("%q: finished: %v", group, finished)
	}
	if started["daemon_start"] != finished["daemon_start"] || started["application_start"] != finished["application_start"] {
		t.Errorf("%q: the times differ: %v %v", group, started, finished)
	}
}

// TestEventsOfFailures: exceptions of every kind, replaced responses, and what
// start_response refuses.
func TestEventsOfFailures(t *testing.T) {
	w := startWorker(t, workerOptions{threads: 1})
	c := w.dial()
	type want struct {
		callable, path, status, events string
		finished                       float64 // its status
		length                         float64
	}
	for _, row := range []want{
		{"application", "/raise", "500 Internal Server Error", "started exception finished", 500, 0},
		{"application", "/late", "200 OK", "started response_started exception finished", 200, 5},
		{"application", "/invalid", "500 Internal Server Error", "started response_started exception finished", 500, 0},
		{"application", "/twice", "503 Busy", "started response_started response_started finished", 503, 4},
		{"application", "/long", "200 OK", "started response_started finished", 200, 10},
		{"application", "/wrapped", "200 OK", "started response_started finished", 200, 7},
		{"closing", "/", "200 OK", "started response_started exception finished", 200, 7},
	} {
		r := c.do(script(t, "events.py", row.callable, "PATH_INFO="+row.path), nil)
		if r.status != row.status {
			t.Errorf("%s: %q", row.path, r.raw)
		}
		events := collected(t, c, "")
		if names(events) != row.events {
			t.Errorf("%s: %s", row.path, names(events))
			continue
		}
		last := events[len(events)-1]
		if last.Payload["status"] != row.finished || last.Payload["output_length"] != row.length || !maps.Equal(last.Types, finishedTypes) {
			t.Errorf("%s: %v", row.path, last)
		}
		for _, e := range events {
			if e.Event == "request_exception" {
				info := e.Payload["exception_info"].([]any)
				if !maps.Equal(e.Types, exceptionTypes) || len(info) != 3 || !strings.HasSuffix(info[0].(string), "Error") || info[2] != "<traceback>" {
					t.Errorf("%s: %v", row.path, e)
				}
			}
		}
		switch row.path {
		case "/invalid":
			if events[1].Payload["response_status"] != 404. || events[1].Types["response_headers"] != "str" {
				t.Errorf("not told before the checks: %v", events[1])
			}
		case "/twice":
			if events[2].Types["exception_info"] != "tuple" || events[2].Payload["response_status"] != "503 Busy" {
				t.Errorf("the second response: %v", events[2])
			}
		}
	}
	w.record("KeyError: 'raised'")
	w.record("RuntimeError: close failed")
}

// TestEventsOfFiles: what wsgi.file_wrapper sends past Python is counted like
// any other item, small files and those that sendfile sends.
func TestEventsOfFiles(t *testing.T) {
	w := startWorker(t, workerOptions{threads: 1})
	c := w.dial()
	collected(t, c, "")
	for size, writes := range map[float64]float64{0: 0, 1000: 1, 2 << 20: 1} {
		body := len(c.do(script(t, "events.py", "application", "PATH_INFO=/file", fmt.Sprintf("QUERY_STRING=%.0f", size)), nil).body)
		events := collected(t, c, "")
		if float64(body) != size || names(events) != "started response_started finished" {
			t.Fatalf("%d bytes of %.0f, %s", body, size, names(events))
		}
		finished := events[2].Payload
		if finished["output_length"] != size || finished["output_writes"] != writes || size > 1<<20 && finished["output_time"].(float64) <= 0 {
			t.Errorf("%.0f bytes: %v", size, finished)
		}
	}
}

// TestEventsBrokenSubscriber: what a subscriber raises is logged, and neither
// the others nor the request notice.
func TestEventsBrokenSubscriber(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			w := startWorker(t, workerOptions{python: python, threads: 1})
			c := w.dial()
			c.do(script(t, "events.py", "application", "PATH_INFO=/break"), nil)
			r := c.do(script(t, "events.py", "application", "WSGID_REQUEST_ID=id-broken"), nil)
			if want := `[{"set by": "a subscriber"}, "was here", 0]`; string(r.body) != want {
				t.Errorf("%q", r.body)
			}
			if r := c.do(script(t, "events.py", "application", "PATH_INFO=/raise"), nil); r.status != "500 Internal Server Error" {
				t.Errorf("%q", r.raw)
			}
			if r := c.do(script(t, "events.py", "application", "PATH_INFO=/mend"), nil); r.status != "201 Created" {
				t.Errorf("%q", r.raw)
			}
			for _, text := range []string{"broken subscriber of request_started", "broken subscriber of response_started",
				"broken subscriber of request_finished", "broken subscriber of request_exception", "subscriber exits"} {
				got := w.record(text)
				if got["level"] != "error" || !strings.HasPrefix(got["message"], "a subscriber of re") || !strings.Contains(got["message"], "Traceback") ||
					got["request"] == "" || !strings.HasSuffix(got["script"], "events.py") {
					t.Errorf("%s: %v", text, got)
				}
			}
			w.record("KeyError: 'raised'")
			var texts []string
			ask(t, c, &texts, "events.py", "subscribe_wrong")
			if want := "a subscriber must be callable, not str"; !slices.Equal(texts, []string{want, want, want}) {
				t.Error(texts)
			}
		})
	}
}

// TestEventsFork: a child that comes back through the application tells nobody.
func TestEventsFork(t *testing.T) {
	w := startWorker(t, workerOptions{threads: 1})
	c := w.dial()
	c.do(script(t, "events.py", "application", "PATH_INFO=/break"), nil)
	if r := c.do(script(t, "events.py", "application", "PATH_INFO=/fork", "WSGID_REQUEST_ID=id-fork"), nil); r.status != "201 Created" {
		t.Errorf("%q", r.raw)
	}
	w.record("broken subscriber of request_finished")
	count := 0
	for _, r := range w.wholeLog() {
		if r["request"] == "id-fork" && strings.Contains(r["message"], "broken subscriber of request_finished") {
			count++
		}
	}
	if count != 1 {
		t.Errorf("request_finished was told %d times", count)
	}
}

// TestEventsStopping: process_stopping comes once in each interpreter, event
// subscribers first, with the reason that the supervisor gave.
func TestEventsStopping(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			w := startWorker(t, workerOptions{python: python})
			c := w.dial()
			for _, group := range []string{"", "a", "b"} {
				c.do(script(t, "events.py", "subscribe_process", "WSGID_APPLICATION_GROUP="+group), nil)
			}
			if _, err := w.status.Write([]byte("event\x00stop\x00reason\x00script_reload\x00")); err != nil {
				t.Fatal(err)
			}
			w.signal(syscall.SIGTERM)
			if status := w.wait(); status != 0 {
				t.Errorf("exit status %d", status)
			}
			w.drained()
			for _, group := range []string{"", "a", "b"} {
				suffix := fmt.Sprintf("process_stopping [('shutdown_reason', 'script_reload')] '%s'", group)
				var order []string
				for _, r := range w.log() {
					if strings.HasSuffix(r["message"], suffix) {
						order = append(order, strings.TrimSuffix(r["message"], " "+suffix))
					}
				}
				if !slices.Equal(order, []string{"event", "process event"}) {
					t.Errorf("%q: %q", group, order)
				}
			}
			w.record("LookupError: broken at process_stopping")
		})
	}
}

// TestEventsStoppingByHand: SIGTERM without a word is shutdown_signal, and the
// subscribers do not wait for requests that run.
func TestEventsStoppingByHand(t *testing.T) {
	w := startWorker(t, workerOptions{})
	w.dial().do(script(t, "events.py", "subscribe_process"), nil)
	busy, release := waiting(t, w)
	w.signal(syscall.SIGTERM)
	w.record("process event process_stopping [('shutdown_reason', 'shutdown_signal')]")
	release()
	if r, err := busy.response(); err != nil || string(r.body) != "waited" {
		t.Error(err, r)
	}
	if status := w.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestEventsStoppingHangs: a subscriber that never returns is bounded by
// shutdown_timeout.
func TestEventsStoppingHangs(t *testing.T) {
	w := startWorker(t, workerOptions{shutdown: 100})
	w.dial().do(script(t, "events.py", "subscribe_hanging"), nil)
	w.signal(syscall.SIGTERM)
	if status := w.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	w.record("shutdown_timeout is over")
}

// TestEventsSignals: SIGHUP and SIGUSR2 are told to subscribers and end nobody;
// a forked child has them as plain Python has.
func TestEventsSignals(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(filepath.Base(filepath.Dir(filepath.Dir(python))), func(t *testing.T) {
			w := startWorker(t, workerOptions{python: python})
			w.signal(syscall.SIGUSR2) // nobody has subscribed
			c := w.dial()
			for _, group := range []string{"", "a"} {
				c.do(script(t, "events.py", "subscribe_process", "WSGID_APPLICATION_GROUP="+group), nil)
			}
			for name, signal := range map[string]syscall.Signal{"SIGHUP": syscall.SIGHUP, "SIGUSR2": syscall.SIGUSR2} {
				for range 2 {
					before := len(w.log())
					w.signal(signal)
					for _, group := range []string{"", "a"} {
						for _, who := range []string{"event", "process event"} {
							w.recordFrom(before, fmt.Sprintf("%s process_signal [('signame', '%s'), ('signum', %d)] '%s'", who, name, signal, group))
						}
					}
					w.recordFrom(before, "LookupError: broken at process_signal")
				}
			}
			// CPython does not survive a fork beside sub-interpreters.
			alone := startWorker(t, workerOptions{python: python}).dial()
			if r := alone.do(script(t, "events.py", "fork_signal"), nil); string(r.body) != fmt.Sprint(int(syscall.SIGUSR2)) {
				t.Errorf("the child: %q", r.body)
			}
		})
	}
}

// TestEventsOfOwnGIL: a preloaded script in an interpreter with a GIL of its own
// is told of its requests and of the end, as are those of others.
func TestEventsOfOwnGIL(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			preload := "preload=own\t" + filepath.Join(testdata(t), "events.py")
			w := startWorker(t, workerOptions{python: python, threads: 1, wantFail: true, extra: []string{"interpreter==own\town_gil\t1", preload}})
			if first := <-w.events; first["event"] == "failed" { // before 3.12: TestOwnGIL
				return
			}
			w.event("ready")
			c := w.dial()
			for _, group := range []string{"own", "shared"} {
				checkEvents(t, c, group)
				c.do(script(t, "events.py", "subscribe_process", "WSGID_APPLICATION_GROUP="+group), nil)
			}
			loads := 0
			for _, r := range w.wholeLog() {
				if r["message"] == "loading script" && r["application"] == "own" {
					loads++
				}
			}
			if loads != 1 {
				t.Errorf("the preloaded script was loaded %d times", loads)
			}
			for _, group := range []string{"own", "shared"} {
				w.record(fmt.Sprintf("process event process_stopping [('shutdown_reason', 'shutdown_signal')] '%s'", group))
			}
		})
	}
}
