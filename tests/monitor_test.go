package tests

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestMonitor: metrics, health and status on TCP, by a process that has no power, and
// nothing else; also when everything else is stuck, and when it is killed.
func TestMonitor(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.Write("open/there", "")
	w.Write("apps/one.py", fmt.Sprintf(waiter, w.Path("open")))
	address := freeAddress(t)
	monitor := func(address string) string { return "monitor {\n  listen = \"" + address + "\"\n}\n" }
	groups := group("web", "#64001", 1, 1) + mount("/hello", "apps/hello.py") + mount("/one", "apps/one.py")
	w.Configure(monitor(address) + groups)
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	look := harness.NewClient(t, "http://"+address)
	wantStatus(t, "hello", apache.Get("/hello"), 200)
	await := func(what, path string, right func(*harness.Response) bool) *harness.Response {
		t.Helper()
		var last *harness.Response
		harness.Eventually(t, what, func() error {
			response, err := look.Try(t.Context(), "GET", path, nil)
			if err != nil {
				return err
			}
			if last = response; !right(response) {
				return fmt.Errorf("%d %s %s", response.Status, response.Header, response.Body)
			}
			return nil
		})
		return last
	}
	metric := func(name string, value float64) {
		t.Helper()
		await(name, "/metrics", func(r *harness.Response) bool {
			got, there := samples(t, string(r.Body))[name]
			return r.Status == 200 && there && got == value
		})
	}
	metric(`wsgid_group_requests_total{group="web"}`, 1)
	for path, text := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		if got := look.Get(path); got.Status != 200 || string(got.Body) != text {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
	}
	var snapshot status.Snapshot
	if err := json.Unmarshal(look.Get("/status").Body, &snapshot); err != nil || snapshot.PID != d.PID || snapshot.Monitor == nil || snapshot.Monitor.Address != address {
		t.Errorf("%v: %+v", err, snapshot)
	}
	for _, path := range []string{"/index.html", "/v1/status", "/v1/config", "/v1/stacks?of=web", "/v1/stop"} {
		if got := look.Get(path); got.Status != 404 {
			t.Errorf("%s: %d", path, got.Status)
		}
	}
	for _, path := range []string{"/v1/stop", "/metrics"} {
		if got := look.Do("POST", path, strings.NewReader("x")); got.Status != 405 {
			t.Errorf("POST %s: %d", path, got.Status)
		}
	}
	if uid := harness.UID(snapshot.Monitor.PID); uid != snapshot.Monitor.UID || uid == 0 {
		t.Errorf("it runs as %d", uid)
	}

	// The only thread hangs, and the router is stopped.
	hang(t, d, apache.Client, "web", "/one?never")
	before := d.Status()
	if err := syscall.Kill(before.RouterPID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	metric("wsgid_router_up", 0)
	metric(`wsgid_group_threads_busy{group="web"}`, 1)
	if err := syscall.Kill(before.RouterPID, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	w.Write("open/never", "")
	w.Write("open/background", "")
	metric("wsgid_router_up", 1)

	// The supervisor is stopped: health says so, and what was known last is shown.
	if err := syscall.Kill(d.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	goOn := func() { _ = syscall.Kill(d.PID, syscall.SIGCONT) }
	defer goOn()
	await("no health", "/healthz", func(r *harness.Response) bool {
		return r.Status == 503 && strings.Contains(string(r.Body), "the supervisor does not answer")
	})
	await("an old status", "/status", func(r *harness.Response) bool {
		return r.Status == 200 && r.Header.Get("X-Wsgid-Stale") != "" && r.Header.Get("Age") != "" && json.Unmarshal(r.Body, &snapshot) == nil
	})
	goOn()
	await("health", "/healthz", func(r *harness.Response) bool { return r.Status == 200 })

	if err := syscall.Kill(snapshot.Monitor.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.AwaitStatus("another monitor", func(s harness.Status) error {
		if m := s.Monitor; m.PID == 0 || m.PID == snapshot.Monitor.PID || m.Restarts["crash"] != 1 {
			return fmt.Errorf("%+v", m)
		}
		return nil
	})
	await("health of it", "/healthz", func(r *harness.Response) bool { return r.Status == 200 })
	if code, out, errs := w.CLI("status", "--control", w.Control); code != 0 || !strings.Contains(out, "monitor "+address) {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	w.Configure(monitor(freeAddress(t)) + groups)
	if code, _, errs := w.CLI("reload", "--control", w.Control); code != 1 || !strings.Contains(errs, "the monitor block has changed: restart wsgid") {
		t.Errorf("%d: %s", code, errs)
	}
	d.NoteDescriptors()
}

// TestMonitorPortTaken: wsgid does not start without what it was told to listen on.
func TestMonitorPortTaken(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	w.Configure("monitor {\n  listen = \"" + taken.Addr().String() + "\"\n}\n" + group("web", "#64001", 1, 1) + mount("/hello", "apps/hello.py"))
	if code, _, errs := w.CLI("run", "--config", w.Path("wsgid.hcl")); code != 1 || !strings.Contains(errs, "monitor: listen on "+taken.Addr().String()) {
		t.Errorf("%d: %s", code, errs)
	}
}

// TestMonitorRefused: what cannot be a monitor is told with what to do.
func TestMonitorRefused(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	for block, want := range map[string]string{
		"monitor {\n}\n": `needs the option "listen"`,
		"monitor {\n  listen = \"localhost\"\n}\n":     "listen is an address with a port",
		"monitor {\n  listen = \"0.0.0.0:9181\"\n}\n":  "sees URLs and addresses of the requests that run",
		"monitor {\n  listen = \"[::1]:9181\"\n}\n":    "",
		"monitor \"x\" {\n  listen = \"[::1]:1\"\n}\n": "A monitor block has no label",
	} {
		w.Configure(block + group("web", "#64001", 1, 1) + mount("/hello", "apps/hello.py"))
		code, out, errs := w.CLI("check", "--config", w.Path("wsgid.hcl"))
		if bad := want != "" && !strings.Contains(want, "sees"); code == 0 == bad || !strings.Contains(out+errs, want) {
			t.Errorf("%s: %d: %s%s", block, code, out, errs)
		}
	}
}
