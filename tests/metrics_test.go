package tests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// controlClient speaks HTTP to the control socket.
func controlClient(t *testing.T, w *harness.World) func(path string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", w.Control)
	}}, Timeout: harness.Patience}
	return func(path string) (int, string) {
		t.Helper()
		response, err := client.Get("http://wsgid" + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
}

// samples are the values of metrics by name and labels, as they are written.
func samples(t *testing.T, text string) map[string]float64 {
	t.Helper()
	found := map[string]float64{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		found[line[:at]] = value
	}
	return found
}

// TestMetrics: what Prometheus reads is what has happened, and what runs.
func TestMetrics(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.Write("apps/raises.py", "def application(environ, start_response):\n    raise ValueError\n")
	w.Write("open/there", "")
	w.Write("apps/one.py", fmt.Sprintf(waiter, w.Path("open")))
	w.Write("dispatch.py", "def process_group(environ):\n    if environ['SCRIPT_NAME'] == '/wrong':\n        raise ValueError\n    return None\n")
	w.Configure(`dispatch_script "{{.Dir}}/dispatch.py" {
  default = false
}
` + group("web", "#64001", 2, 2) + group("small", "#64002", 1, 1) +
		mount("/hello", "apps/hello.py", option("process_group", "web")) + mount("/raises", "apps/raises.py", option("process_group", "web")) +
		mount("/chosen", "apps/hello.py", option("process_group", "web"), option("dispatch_script", w.Path("dispatch.py"))) +
		mount("/wrong", "apps/hello.py", option("process_group", "web"), option("dispatch_script", w.Path("dispatch.py"))) +
		mount("/one", "apps/one.py", option("process_group", "small")))
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for range 5 {
		wantStatus(t, "hello", apache.Get("/hello"), 200)
	}
	wantStatus(t, "one that raises", apache.Get("/raises"), 500)
	wantStatus(t, "a chosen one", apache.Get("/chosen"), 200)
	wantStatus(t, "a wrong choice", apache.Get("/wrong"), 500)
	running := hang(t, d, apache.Client, "small", "/one?never")
	waiting := make(chan *harness.Response, 1)
	go func() {
		response, err := apache.Try(t.Context(), "GET", "/one?there", nil)
		if err != nil {
			response = nil
		}
		waiting <- response
	}()
	d.AwaitStatus("one waits", func(s harness.Status) error {
		if n := s.Group("small").Queued; n != 1 {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
	ask := controlClient(t, w)
	want := map[string]float64{
		"wsgid_ready": 1, "wsgid_router_up": 1, "wsgid_config_generation": 1,
		`wsgid_group_up{group="web"}`: 1, `wsgid_group_processes{group="web"}`: 2, `wsgid_group_threads{group="web"}`: 4,
		`wsgid_group_requests_total{group="web"}`: 7, `wsgid_group_errors_total{group="web"}`: 1, `wsgid_group_request_seconds_count{group="web"}`: 7,
		`wsgid_group_request_seconds_bucket{group="web",le="+Inf"}`: 7, `wsgid_group_threads_busy{group="web"}`: 0,
		`wsgid_group_threads_busy{group="small"}`: 1, `wsgid_group_queued{group="small"}`: 1, `wsgid_group_queued_total{group="small"}`: 1,
		`wsgid_group_queue_limit{group="small"}`: 1024, `wsgid_group_wait_seconds_count{group="small"}`: 0, `wsgid_group_rejected_total{group="small"}`: 0,
		`wsgid_script_seconds_count{kind="dispatch script",path="` + w.Path("dispatch.py") + `"}`: 2, `wsgid_script_errors_total{kind="dispatch script",path="` + w.Path("dispatch.py") + `"}`: 1,
	}
	check := func() {
		t.Helper()
		harness.Eventually(t, "the figures", func() error {
			code, text := ask("/metrics")
			got := samples(t, text)
			var wrong []error
			for name, value := range want {
				if there, ok := got[name]; !ok || there != value {
					wrong = append(wrong, fmt.Errorf("%s is %v, not %v", name, there, value))
				}
			}
			if code != 200 || got[`wsgid_group_resident_memory_bytes{group="web"}`] < 1e6 {
				wrong = append(wrong, fmt.Errorf("%d: %s", code, text))
			}
			return errors.Join(wrong...)
		})
	}
	check()
	w.Write("open/never", "")
	for _, done := range []<-chan *harness.Response{running, waiting} {
		if got := <-done; got == nil || got.Status != 200 {
			t.Fatalf("%+v", got)
		}
	}
	want[`wsgid_group_wait_seconds_count{group="small"}`], want[`wsgid_group_queued{group="small"}`], want[`wsgid_group_threads_busy{group="small"}`] = 1, 0, 0
	want[`wsgid_group_requests_total{group="small"}`], want[`wsgid_group_request_seconds_count{group="small"}`] = 2, 2
	check()
	// What a process has counted is not lost with it.
	before := d.Status().PIDs("web")
	if code, _, errs := w.CLI("restart", "--control", w.Control, "web"); code != 0 {
		t.Fatal(errs)
	}
	d.AwaitStatus("the old ones are gone", func(s harness.Status) error {
		for _, pid := range s.PIDs("web") {
			if pid == before[0] || pid == before[1] {
				return errors.New("still there")
			}
		}
		return nil
	})
	want[`wsgid_group_restarts_total{group="web",reason="restart"}`] = 2
	check()
}

// TestReadiness: ready is what takes requests; it is over with SIGTERM, while what runs
// is served to its end.
func TestReadiness(t *testing.T) {
	w := newWorld(t)
	w.Write("open/there", "")
	w.Write("apps/one.py", fmt.Sprintf(waiter, w.Path("open")))
	w.Configure(group("web", "#64001", 1, 2, option("shutdown_timeout", "60s")) + mount("/one", "apps/one.py", option("process_group", "web")))
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	ask := controlClient(t, w)
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		if code, text := ask(path); code != 200 || text != want {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if code, out, errs := w.CLI("healthcheck", "--control", w.Control); code != 0 || out != "ok\n" {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	done := hang(t, d, apache.Client, "web", "/one?never")
	if err := syscall.Kill(d.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "not ready", func() error {
		code, text := ask("/readyz")
		if code != 503 || text != "wsgid is stopping\n" {
			return fmt.Errorf("%d %s", code, text)
		}
		return nil
	})
	if code, text := ask("/healthz"); code != 200 {
		t.Errorf("%d %s", code, text)
	}
	if code, _, errs := w.CLI("healthcheck", "--control", w.Control); code != 1 || !strings.Contains(errs, "wsgid is stopping") {
		t.Errorf("%d: %s", code, errs)
	}
	if code, out, errs := w.CLI("healthcheck", "--alive", "--control", w.Control); code != 0 || out != "ok\n" {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	w.Write("open/never", "")
	w.Write("open/background", "")
	if got := <-done; got == nil || got.Status != 200 {
		t.Errorf("what was running: %+v", got)
	}
	d.AwaitExit()
	if code, _, errs := w.CLI("healthcheck", "--control", w.Control); code != 3 {
		t.Errorf("%d: %s", code, errs)
	}
}

// TestMetricsOverReload: counters of a group only grow, whatever processes and
// generations end, and at the end they say how many requests there were.
func TestMetricsOverReload(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.Write("open/there", "")
	w.Write("apps/one.py", fmt.Sprintf(waiter, w.Path("open")))
	w.Configure(group("web", "#64001", 2, 3) + mount("/hello", "apps/hello.py") + mount("/one", "apps/one.py"))
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	ask := controlClient(t, w)
	counters := []string{`wsgid_group_requests_total{group="web"}`, `wsgid_group_request_seconds_count{group="web"}`, `wsgid_group_cpu_seconds_total{group="web"}`}
	last := map[string]float64{}
	look := func() map[string]float64 {
		t.Helper()
		_, text := ask("/metrics")
		got := samples(t, text)
		for _, name := range counters {
			if got[name] < last[name] {
				t.Errorf("%s was %v and is %v", name, last[name], got[name])
			}
			last[name] = got[name]
		}
		return got
	}
	sent := 0
	for range 3 { // each reload leaves a generation that drains
		name := fmt.Sprint("until", sent)
		running := hang(t, d, apache.Client, "web", "/one?"+name)
		sent++
		for range 10 {
			wantStatus(t, "hello", apache.Get("/hello"), 200)
			sent++
			look()
		}
		reloaded := make(chan string, 1)
		go func() {
			_, _, errs := w.CLI("reload", "--control", w.Control)
			reloaded <- errs
		}()
		for waiting := true; waiting; {
			select {
			case errs := <-reloaded:
				if errs != "" {
					t.Fatal(errs)
				}
				waiting = false
			default:
				wantStatus(t, "hello", apache.Get("/hello"), 200)
				sent++
				look()
			}
		}
		w.Write("open/"+name, "")
		if got := <-running; got == nil || got.Status != 200 {
			t.Errorf("%+v", got)
		}
	}
	harness.Eventually(t, "all requests are counted, and nothing drains", func() error {
		got := look()
		if got[counters[0]] != float64(sent) || got[counters[1]] != float64(sent) || got["wsgid_draining_processes"] != 0 || got[`wsgid_group_threads_busy{group="web"}`] != 0 {
			return fmt.Errorf("%v of %d, %v drain", got[counters[0]], sent, got["wsgid_draining_processes"])
		}
		return nil
	})
}
