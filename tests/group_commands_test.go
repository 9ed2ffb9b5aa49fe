package tests

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestRestartLosesNothing: restart after restart, while 50 clients ask without
// pause.
func TestRestartLosesNothing(t *testing.T) {
	w, notes := countedWorld(t, "", "max_surge = 2")
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	load := startLoad(t, notes, 50, apache.Client)
	load.more(100)
	for n := range rounds(3, 200) {
		before := fmt.Sprint(wsgid.Status().PIDs("web"))
		if status, stdout, stderr := w.CLI("restart", "--control", w.Control, "web"); status != 0 || !strings.HasPrefix(stdout, "2 processes replaced in ") {
			t.Fatalf("restart %d: %d %q %q", n, status, stdout, stderr)
		}
		if now := fmt.Sprint(wsgid.Status().PIDs("web")); now == before {
			t.Errorf("the processes are %s as before", now)
		}
		load.more(50)
	}
	load.end()
	s := wsgid.AwaitStatus("the last one has drained", func(s harness.Status) error {
		if got := s.Group("web").Restarts["restart"]; got != uint64(2*rounds(3, 200)) {
			return fmt.Errorf("%d were restarted", got)
		}
		return nil
	})
	if got := s.Group("web"); got.Restarts["crash"] != 0 || got.LastExit.Reason != "restart" || got.Ready != 2 {
		t.Errorf("exits %v", got.Restarts)
	}
}

// TestRestartThatFails: the processes left serve on.
func TestRestartThatFails(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.Write("apps/imported.py", "")
	w.Configure(group("web", "#64001", 2, 2, fmt.Sprintf("python_path = [%q]", w.Path("apps"))) + mount("/", "apps/hello.py"))
	w.Write("apps/hello.py", "import imported\n"+readFile(t, w.Path("apps/hello.py")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	before := fmt.Sprint(wsgid.AwaitReady("web").PIDs("web"))
	for name, row := range map[string]struct{ module, want string }{
		"exception": {"import nowhere\n", "hello.py"}, "exit": {"import os\nos._exit(3)\n", "did not come up"},
	} {
		w.Write("apps/imported.py", row.module)
		status, stdout, stderr := w.CLI("restart", "--control", w.Control, "web")
		if status != 1 || stdout != "" || !strings.Contains(stderr, "0 processes replaced") || !strings.Contains(stderr, row.want) {
			t.Errorf("%s: %d %q %q", name, status, stdout, stderr)
		}
		if now := fmt.Sprint(wsgid.Status().PIDs("web")); now != before {
			t.Errorf("%s: processes %s, before %s", name, now, before)
		}
		wantStatus(t, name, apache.Get("/"), 200)
	}
	for _, arguments := range [][]string{{"restart", "nobody"}, {"stop", "nobody"}, {"drain", "nobody"}, {"start", "nobody"}, {"maintenance", "nobody", "on"}} {
		if status, _, stderr := w.CLI(append(arguments, "--control", w.Control)...); status != 1 || !strings.Contains(stderr, `no process group "nobody"; there are "web"`) {
			t.Errorf("%v: %d %q", arguments, status, stderr)
		}
	}
}

// closedWorld has groups web and other, and a gated application in both.
func closedWorld(t *testing.T, options ...string) (w *harness.World, wsgid *harness.Wsgid, apache *harness.Apache) {
	t.Helper()
	w = newWorld(t)
	w.App("gate.py")
	w.App("hello.py")
	openDirectory(t, w, "open")
	w.Configure(group("web", "#64001", 1, 2, options...) + group("other", "#64002", 1, 2) + mount("/gate", "apps/gate.py", option("process_group", "web")) +
		mount("/web", "apps/hello.py", option("process_group", "web")) + mount("/other", "apps/hello.py", option("process_group", "other")) +
		mount("/inside", "apps/hello.py", option("process_group", "%{GLOBAL}")))
	return w, w.Start(harness.Options{}), w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
}

// startGated starts a request that runs until the gate is opened.
func startGated(t *testing.T, w *harness.World, client *harness.Client) (open func(), answer <-chan *harness.Response) {
	t.Helper()
	started, gate := w.Path("open/started"), w.Path("open/gate")
	ended := make(chan *harness.Response, 1)
	go func() {
		response, err := client.Try(t.Context(), "GET", "/gate?started="+started+"&gate="+gate, nil)
		if err != nil {
			response = &harness.Response{Body: []byte(err.Error())}
		}
		ended <- response
	}()
	harness.Eventually(t, "it runs", func() error { _, err := os.Stat(started); return err })
	return func() {
		if err := os.WriteFile(gate, nil, 0o644); err != nil {
			t.Error(err)
		}
	}, ended
}

func command(t *testing.T, w *harness.World, arguments ...string) string {
	t.Helper()
	status, stdout, stderr := w.CLI(append(arguments, "--control", w.Control)...)
	if status != 0 {
		t.Fatalf("%v: %d %s", arguments, status, stderr)
	}
	return stdout
}

// isSeconds says whether a value of Retry-After is what is left of a time; how
// much that is depends on the machine.
func isSeconds(value string, most int) bool {
	left, err := strconv.Atoi(value)
	return err == nil && left > 60 && left <= most
}

// TestMaintenance: further requests are refused, what runs ends, processes stay;
// a reload and the crash of the router change nothing of that.
func TestMaintenance(t *testing.T) {
	w, wsgid, apache := closedWorld(t)
	before := wsgid.AwaitReady("web").PIDs("web")
	open, answer := startGated(t, w, apache.Client)
	command(t, w, "maintenance", "web", "on", "--retry-after", "7m")
	refused := func(when string) {
		t.Helper()
		response := apache.Get("/web")
		wantError(t, response, http.StatusServiceUnavailable, "WSGID-1038")
		if got := response.Header.Get("Retry-After"); !isSeconds(got, 420) {
			t.Errorf("%s: Retry-After: %s", when, got)
		}
		wantStatus(t, when, apache.Get("/other"), 200)
	}
	refused("in maintenance")
	open()
	wantStatus(t, "what ran", <-answer, 200)
	s := wsgid.Status()
	if got := s.Group("web"); got.State != "in maintenance" || got.ClosedSince.IsZero() || fmt.Sprint(s.PIDs("web")) != fmt.Sprint(before) {
		t.Errorf("%+v", got)
	}
	if status, _, stderr := reload(w); status != 0 {
		t.Fatal(stderr)
	}
	response := apache.Get("/web")
	wantError(t, response, http.StatusServiceUnavailable, "WSGID-1038")
	command(t, w, "maintenance", "web", "off")
	wantStatus(t, "open", apache.Get("/web"), 200)
	command(t, w, "maintenance", "%{GLOBAL}", "on")
	wantError(t, apache.Get("/inside"), http.StatusServiceUnavailable, "WSGID-1038")
	command(t, w, "maintenance", "%{GLOBAL}", "off")
	wantStatus(t, "embedded", apache.Get("/inside"), 200)
}

// TestStopAndStartGroup: stop ends what runs after shutdown_timeout, drain lets it
// end; nothing runs then, a reload does not start it, start does.
func TestStopAndStartGroup(t *testing.T) {
	for _, verb := range []string{"stop", "drain"} {
		t.Run(verb, func(t *testing.T) {
			w, wsgid, apache := closedWorld(t, `shutdown_timeout = "100ms"`, `graceful_timeout = "120s"`)
			wsgid.AwaitReady("web")
			open, answer := startGated(t, w, apache.Client)
			done := make(chan struct{})
			go func() {
				defer close(done)
				if status, _, stderr := w.CLI(verb, "web", "--control", w.Control); status != 0 {
					t.Error(stderr)
				}
			}()
			harness.Eventually(t, "requests are refused", func() error {
				if got := apache.Get("/web").Status; got != http.StatusServiceUnavailable {
					return fmt.Errorf("status %d", got)
				}
				return nil
			})
			if verb == "drain" {
				select {
				case <-done:
					t.Error("drain did not wait for what runs")
				default:
				}
				open()
				wantStatus(t, "what ran", <-answer, 200)
			} else if response := <-answer; response.Status == 200 {
				t.Error("stop waited for what runs")
			}
			<-done
			state := map[string]string{"stop": "stopped", "drain": "drained"}[verb]
			if got := wsgid.Status().Group("web"); got.State != state || len(got.Processes) != 0 || got.Wanted != 0 {
				t.Errorf("%+v", got)
			}
			wantError(t, apache.Get("/web"), http.StatusServiceUnavailable, "WSGID-1038")
			wantStatus(t, "the other", apache.Get("/other"), 200)
			if status, _, stderr := reload(w); status != 0 {
				t.Fatal(stderr)
			}
			wantError(t, apache.Get("/web"), http.StatusServiceUnavailable, "WSGID-1038")
			if got := wsgid.Status().Group("web"); got.State != state || len(got.Processes) != 0 {
				t.Errorf("after a reload: %+v", got)
			}
			if got := command(t, w, "start", "web"); got != "web started\n" {
				t.Errorf("%q", got)
			}
			wantStatus(t, "started", apache.Get("/web"), 200)
			wsgid.AwaitReady("web")
		})
	}
}
