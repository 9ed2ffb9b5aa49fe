package tests

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// observed is the answer of apps/observe.py.
type observed struct {
	Data             map[string]string
	Active           bool
	ProcessGroup     string `json:"process_group"`
	ApplicationGroup string `json:"application_group"`
	Version          []int
	Threads          int
	Processes        int
	ServerMetrics    any `json:"server_metrics"`
	Process          map[string]any
	Request          map[string]any
	Events           [][]any // name, keys, status
}

func observe(t *testing.T, apache *harness.Apache, path string) observed {
	t.Helper()
	response := apache.Get(path)
	if response.Status != 200 {
		t.Fatalf("%s: %d %s", path, response.Status, response.Body)
	}
	var o observed
	fromJSON(t, strings.TrimPrefix(response.Text(), "wrapped: "), &o)
	return o
}

// keysOfEvents are those of mod_wsgi behaviour 9.1, sorted.
var keysOfEvents = map[string]string{
	"request_started": "application_object application_start callable_object daemon_connects daemon_restarts daemon_start" +
		" queue_start request_data request_environ request_id request_start server_pid thread_id",
	"response_started": "exception_info request_data request_id response_headers response_status",
	"request_finished": "application_finish application_start application_time cpu_system_time cpu_time cpu_user_time daemon_start" +
		" gil_wait_count gil_wait_time input_length input_reads input_time output_length output_time output_writes queue_start" +
		" request_data request_id request_start server_pid status thread_id",
	"request_exception": "exception_info request_data request_id",
}

// TestModWsgiModule: events, request data and metrics in the main interpreter
// of a group, in a sub-interpreter, and in the router (acceptance statement 47).
func TestModWsgiModule(t *testing.T) {
	w := newWorld(t)
	w.App("observe.py")
	w.Configure(group("only", "#64001", 1, 2) + "router {\n  threads = 3\n}\n" +
		mount("/sub", "apps/observe.py", option("process_group", "only"), option("application_group", "inner")) +
		mount("/embedded", "apps/observe.py", option("process_group", "%{GLOBAL}")) +
		mount("/", "apps/observe.py", option("process_group", "only")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for _, row := range []struct {
		prefix, process, application string
		threads                      int
	}{{"", "only", "", 2}, {"/sub", "only", "inner", 2}, {"/embedded", "", "", 3}} {
		observe(t, apache, row.prefix+"/metrics") // this one and what the last prefix left is recorded
		if got := apache.Get(row.prefix + "/raise"); got.Status != 500 {
			t.Errorf("%s: %d", row.prefix, got.Status)
		}
		observe(t, apache, row.prefix+"/wrapped")
		mark := wsgid.Log.Mark()
		if got := observe(t, apache, row.prefix+"/broken"); got.Data["subscriber"] != "set before the application ran" {
			t.Errorf("%s: a broken subscriber harms the request: %v", row.prefix, got)
		}
		record := wsgid.Log.AwaitFrom(t, mark, "the subscriber's exception", harness.Containing("ValueError: the subscriber is broken"))
		if record.Text("request") == "" || record.Level() != "error" {
			t.Errorf("%s: %s", row.prefix, record.Line)
		}
		got := observe(t, apache, row.prefix+"/metrics")
		if got.Data["subscriber"] != "set before the application ran" || !got.Active || got.ProcessGroup != row.process ||
			got.ApplicationGroup != row.application || got.Threads != row.threads || got.Processes != 1 || got.ServerMetrics != nil ||
			!slices.Equal(got.Version, []int{6, 0, 5}) {
			t.Errorf("%s: %+v", row.prefix, got)
		}
		checkObservedEvents(t, row.prefix, got.Events)
		if n := got.Request["request_count"]; n != 4. || got.Request["status_5xx"] != 1. || got.Request["status_2xx"] != 3. ||
			got.Request["request_threads_maximum"] != float64(row.threads) {
			t.Errorf("%s: metrics of the requests: %v", row.prefix, got.Request)
		}
		if embedded := row.process == ""; (got.Request["queue_time"] == nil) != embedded {
			t.Errorf("%s: queue_time is %v", row.prefix, got.Request["queue_time"])
		}
		if threads := got.Process["threads"].([]any); len(threads) != row.threads || got.Process["active_requests"] != 1. || got.Process["pid"] != got.Request["pid"] {
			t.Errorf("%s: metrics of the process: %v", row.prefix, got.Process)
		}
		wantError(t, apache.Get(row.prefix+"/timeout"), 504, "WSGID-1120")
	}
}

// checkObservedEvents: those of the requests /metrics (its end), /raise,
// /wrapped, /broken and /metrics (its beginning).
func checkObservedEvents(t *testing.T, prefix string, events [][]any) {
	t.Helper()
	var order []string
	for _, e := range events {
		name := fmt.Sprint(e[0])
		order = append(order, strings.TrimPrefix(name, "request_"))
		if keys := strings.Trim(fmt.Sprint(e[1]), "[]"); keys != keysOfEvents[name] {
			t.Errorf("%s: %s has %s", prefix, name, keys)
		}
	}
	// The application empties the list before it calls start_response; where the
	// subscriber raises or wraps the application it has not added its event.
	if got := strings.Join(order, " "); got != "response_started finished started exception finished"+
		" response_started finished response_started finished started" {
		t.Errorf("%s: %s", prefix, got)
	}
}

// TestWaysToTheLog: standard output and error, wsgi.errors, writelines, the
// binary layers and LogHandler (acceptance statement 46).
func TestWaysToTheLog(t *testing.T) {
	w := newWorld(t)
	w.App("observe.py")
	w.Configure(group("only", "#64001", 1, 2) + mount("/", "apps/observe.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	observe(t, apache, "/log")
	for _, number := range strings.Fields("one two three four five six seven eight nine ten eleven twelve") {
		record := wsgid.Log.Await(t, "way "+number, func(r harness.Record) bool {
			return r.Message() == "way "+number || r.Text("message") == "way "+number
		})
		if record.Text("request") == "" || record.Text("group") != "only" {
			t.Errorf("way %s: %s", number, record.Line)
		}
		if number == "twelve" && (record.Text("logger") != "observe" || !strings.Contains(record.Text("place"), "observe.py:") || record.Level() != "warn") {
			t.Errorf("LogHandler: %s", record.Line)
		}
	}
}

// TestShutdownSubscribers: they hear of a reload, of signals and of the end,
// in each interpreter and in the router; their exceptions harm nobody.
func TestShutdownSubscribers(t *testing.T) {
	w := newWorld(t)
	w.App("observe.py")
	source := readFile(t, w.Path("apps/observe.py"))
	w.Configure(group("only", "#64001", 1, 2) +
		mount("/sub", "apps/observe.py", option("process_group", "only"), option("application_group", "inner")) +
		mount("/embedded", "apps/observe.py", option("process_group", "%{GLOBAL}")) +
		mount("/", "apps/observe.py", option("process_group", "only")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	saw := func(reason, application string, generation int) string {
		return fmt.Sprintf("subscriber saw process_stopping of '%s' in '%s', generation %d", reason, application, generation)
	}
	paths := []string{"/", "/sub/", "/embedded/"}
	for _, path := range paths {
		observe(t, apache, path)
	}
	pid := wsgid.Status().PIDs("only")[0]
	for signal, name := range map[syscall.Signal]string{syscall.SIGHUP: "SIGHUP 1", syscall.SIGUSR2: "SIGUSR2 12"} {
		if err := syscall.Kill(pid, signal); err != nil {
			t.Fatal(err)
		}
		wsgid.Log.Await(t, name, harness.Containing("subscriber saw process_signal "+name, fmt.Sprintf(`"pid":%d`, pid)))
	}
	w.Write("apps/observe.py", strings.Replace(source, "GENERATION = 1", "GENERATION = 2", 1))
	for _, path := range paths {
		observe(t, apache, path)
	}
	for _, application := range []string{"", "inner"} {
		wsgid.Log.Await(t, "the reload", harness.Containing(saw("script_reload", application, 1)))
	}
	wsgid.Log.Await(t, "the exception", harness.Containing("RuntimeError: a shutdown subscriber is broken"))
	wsgid.Stop()
	for _, text := range []string{saw("shutdown_signal", "", 2), saw("shutdown_signal", "inner", 2), saw("", "", 2)} {
		if n := len(wsgid.Log.Find(harness.Containing(text))); n != 1 {
			t.Errorf("%d times %q", n, text)
		}
	}
}
