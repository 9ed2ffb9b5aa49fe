package tests

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestService: a real systemd runs what wsgid service installs. It knows when it is
// ready, how it is and when it hangs; a reload loses no request.
func TestService(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.Configure(group("web", "#64001", 2, 2) + mount("/", "apps/hello.py", option("process_group", "web")))
	s := harness.StartSystemd(w)
	service := func(code int, want string, arguments ...string) {
		t.Helper()
		got, out := s.Run(append([]string{w.Binary, "service"}, arguments...)...)
		if got != code || !strings.Contains(out, want) {
			t.Fatalf("%v: %d: %s", arguments, got, out)
		}
	}
	service(3, `there is no service "wsgid"`, "status")
	service(1, "no such file or directory; write it first", "install", "--config", w.Path("none.hcl"))
	service(2, `--name "a b"`, "start", "--name", "a b")
	service(0, "installed; start it with: wsgid service start --name wsgid", "install", "--config", w.Path("wsgid.hcl"))
	service(1, "already", "install", "--config", w.Path("wsgid.hcl"))
	service(3, "is stopped", "status")
	w.Write("faster.conf", "[Service]\nWatchdogSec=2\nTimeoutAbortSec=1\n")
	s.Must("install", "-D", "-m", "644", w.Path("faster.conf"), "/etc/systemd/system/wsgid.service.d/faster.conf")
	s.Must("systemctl", "daemon-reload")

	service(0, "", "start")
	service(0, "running", "status")
	service(1, "runs; end it first", "uninstall")
	if state := s.Property("wsgid", "ActiveState"); state != "active" {
		t.Errorf("after start it is %s", state)
	}
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	wantStatus(t, "a request", apache.Get("/"), 200)
	line := func(want string) {
		t.Helper()
		harness.Eventually(t, "systemctl status tells "+want, func() error {
			if text := s.Property("wsgid", "StatusText"); !strings.Contains(text, want) {
				return errors.New(text)
			}
			return nil
		})
	}
	line("1 of 1 process groups ready, 0 requests in flight, 0 queued, generation 1")

	ended, done := make(chan struct{}), make(chan error)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-ended:
				done <- nil
				return
			default:
			}
			if got, err := apache.Try(t.Context(), "POST", "/", nil); err != nil || got.Status != 200 {
				done <- fmt.Errorf("request %d: %+v %w", n, got, err)
				return
			}
		}
	}()
	main := s.Property("wsgid", "MainPID")
	s.Must("systemctl", "reload", "wsgid")
	line("generation 2")
	close(ended)
	if err := <-done; err != nil {
		t.Error(err)
	}
	w.Configure("nonsense\n")
	if code, out := s.Run("systemctl", "reload", "wsgid"); code == 0 {
		t.Errorf("a broken configuration: %s", out)
	}
	w.Configure(group("web", "#64001", 2, 2) + mount("/", "apps/hello.py", option("process_group", "web")))
	wantStatus(t, "after a refused reload", apache.Get("/"), 200)

	if restarts := s.Property("wsgid", "NRestarts"); restarts != "0" || s.Property("wsgid", "MainPID") != main {
		t.Errorf("%s restarts", restarts)
	}
	s.Must("kill", "-STOP", main)
	harness.Eventually(t, "the watchdog has it replaced", func() error {
		if n := s.Property("wsgid", "NRestarts"); n != "1" {
			return errors.New(n)
		}
		return nil
	})
	line("1 of 1 process groups ready")
	wantStatus(t, "after the watchdog", apache.Get("/"), 200)
	if log := s.Must("journalctl", "--no-pager", "-u", "wsgid"); !strings.Contains(log, "SIGABRT: abort") { // which systemd sends it then
		t.Errorf("%s", log)
	}

	service(0, "", "restart")
	wantStatus(t, "after a restart", apache.Get("/"), 200)
	service(0, "", "stop")
	service(3, "is stopped", "status")
	if harness.Exists(w.Socket) {
		t.Error("a socket is left")
	}
	activate(t, w, s, apache)
	service(0, "", "uninstall")
	service(3, "there is no service", "status")
}

// activate has systemd open the socket of a service that is stopped: a request starts it,
// and the socket outlives it.
func activate(t *testing.T, w *harness.World, s *harness.Systemd, apache *harness.Apache) {
	t.Helper()
	configuration := readFile(t, w.Path("wsgid.hcl"))
	w.Write("wsgid.hcl", strings.Replace(configuration, "path = \""+w.Socket+"\"\n", "path = \""+w.Socket+"\"\n  systemd_socket = \"front\"\n", 1))
	if code, _ := s.Run("systemctl", "start", "wsgid"); code == 0 {
		t.Error("it has started without the socket that it wants")
	}
	if log := s.Must("journalctl", "--no-pager", "-u", "wsgid"); !strings.Contains(log, w.Path("wsgid.hcl")+":2: systemd_socket") {
		t.Errorf("%s", log)
	}
	s.Must("systemctl", "stop", "wsgid") // it tries again
	w.Write("wsgid.socket", "[Socket]\nListenStream="+w.Socket+"\nFileDescriptorName=front\nSocketMode=0660\nSocketGroup=www-data\n")
	s.Must("install", "-D", "-m", "644", w.Path("wsgid.socket"), "/etc/systemd/system/wsgid.socket")
	s.Must("systemctl", "daemon-reload")
	s.Must("systemctl", "start", "wsgid.socket")
	for range 2 {
		if state := s.Property("wsgid", "ActiveState"); state != "inactive" {
			t.Errorf("before a request it is %s", state)
		}
		wantStatus(t, "before wsgid is there", apache.Get("/"), 200)
		s.Must("systemctl", "reload", "wsgid")
		wantStatus(t, "after a reload", apache.Get("/"), 200)
		s.Must("systemctl", "stop", "wsgid.service")
	}
	s.Must("systemctl", "stop", "wsgid.socket")
}
