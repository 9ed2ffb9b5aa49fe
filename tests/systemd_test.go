package tests

import (
	"errors"
	"fmt"
	"strconv"
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
	service(1, "already, /etc/systemd/system/wsgid.service", "install", "--config", w.Path("wsgid.hcl"))
	service(3, "is stopped", "status")
	impatient(w, s)

	service(0, "", "start")
	service(0, "running, pid "+s.Property("wsgid", "MainPID")+": ", "status")
	service(1, "runs; end it first", "uninstall")
	if state := s.Property("wsgid", "ActiveState"); state != "active" {
		t.Errorf("after start it is %s", state)
	}
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	wantStatus(t, "a request", apache.Get("/"), 200)
	line := func(want string) {
		t.Helper()
		awaitProperty(t, s, "StatusText", func(text string) bool { return strings.Contains(text, want) })
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
	awaitProperty(t, s, "NRestarts", func(n string) bool { return n == "1" })
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
	foreign(w, s)
	service(1, "takes it away", "uninstall", "--name", "packaged")
	service(1, "runs something else", "uninstall", "--name", "other")
	service(0, "removed /etc/systemd/system/wsgid.service", "uninstall")
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
		s.Must(w.Binary, "upgrade", "--control", w.Control)
		s.Must("systemctl", "reload", "wsgid")
		wantStatus(t, "after an upgrade", apache.Get("/"), 200)
		s.Must("systemctl", "stop", "wsgid.service")
	}
	s.Must("systemctl", "stop", "wsgid.socket")
}

// foreign makes units that are none of wsgid service.
func foreign(w *harness.World, s *harness.Systemd) {
	for unit, command := range map[string]string{"/run/systemd/system/packaged.service": "/usr/bin/wsgid run --config x", "/etc/systemd/system/other.service": "/bin/true"} {
		w.Write("unit", "[Service]\nExecStart="+command+"\n")
		s.Must("install", "-D", "-m", "644", w.Path("unit"), unit)
	}
	s.Must("systemctl", "daemon-reload")
}

// impatient gives the watchdog of the service little time.
func impatient(w *harness.World, s *harness.Systemd) {
	w.Write("faster.conf", "[Service]\nWatchdogSec=2\n")
	s.Must("install", "-D", "-m", "644", w.Path("faster.conf"), "/etc/systemd/system/wsgid.service.d/faster.conf")
	s.Must("systemctl", "daemon-reload")
}

// awaitProperty waits until a property of the service is what is wanted, and gives it.
func awaitProperty(t *testing.T, s *harness.Systemd, name string, wanted func(value string) bool) (value string) {
	t.Helper()
	harness.Eventually(t, "the service has another "+name, func() error {
		if value = s.Property("wsgid", name); !wanted(value) {
			return errors.New(value)
		}
		return nil
	})
	return value
}

// TestServiceUpgrade: systemd knows the process that an upgrade has made the main one:
// its watchdog goes on, and it is replaced when it dies, or when its router hangs. What
// it logs has fields.
func TestServiceUpgrade(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.Write("wsgid.hcl", w.Expand("listen \"unix\" {\n  path = \"{{.Socket}}\"\n}\ncontrol {\n  path = \"{{.Control}}\"\n}\n"+
		group("web", "#64001", 1, 2)+mount("/", "apps/hello.py", option("process_group", "web"))))
	s := harness.StartSystemd(w)
	s.Must(w.Binary, "service", "install", "--config", w.Path("wsgid.hcl"))
	impatient(w, s)
	s.Must(w.Binary, "service", "start")
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	first := s.Property("wsgid", "MainPID")

	said := s.Must(w.Binary, "upgrade", "--control", w.Control)
	second := awaitProperty(t, s, "MainPID", func(pid string) bool { return pid != first })
	if !strings.Contains(said, "(pid "+second+") serves") {
		t.Errorf("%s is the main process: %s", second, said)
	}
	awaitProperty(t, s, "StatusText", func(text string) bool {
		return text == "1 of 1 process groups ready, 0 requests in flight, 0 queued, generation 2"
	})
	last := s.Property("wsgid", "WatchdogTimestampMonotonic")
	for range 3 { // longer than the watchdog waits
		last = awaitProperty(t, s, "WatchdogTimestampMonotonic", func(at string) bool { return at != last })
	}
	wantStatus(t, "after the upgrade", apache.Get("/"), 200)
	good := readFile(t, w.Path("apps/hello.py"))
	w.Write("apps/hello.py", "raise LookupError('not today')\n")
	if code, out := s.Run(w.Binary, "upgrade", "--control", w.Control); code != 1 || !strings.Contains(out, "not today") {
		t.Errorf("of an application that is broken: %d: %s", code, out)
	}
	w.Write("apps/hello.py", good)
	wantStatus(t, "after one that failed", apache.Get("/"), 200)
	if n := s.Property("wsgid", "NRestarts"); n != "0" || s.Property("wsgid", "MainPID") != second {
		t.Errorf("%s restarts", n)
	}
	if left := s.Must("pgrep", "--exact", "--full", w.Binary+" run --config "+w.Path("wsgid.hcl")); strings.TrimSpace(left) != second {
		t.Errorf("there are %q, not only %s", left, second)
	}

	s.Must("kill", "-KILL", second)
	awaitProperty(t, s, "NRestarts", func(n string) bool { return n == "1" })
	awaitProperty(t, s, "SubState", func(state string) bool { return state == "running" })
	wantStatus(t, "after the new one was killed", apache.Get("/"), 200)

	var status harness.Status
	fromJSON(t, s.Must(w.Binary, "status", "--json", "--control", w.Control), &status)
	s.Must("kill", "-STOP", strconv.Itoa(status.Router.PID))
	awaitProperty(t, s, "NRestarts", func(n string) bool { return n == "2" })
	awaitProperty(t, s, "SubState", func(state string) bool { return state == "running" })
	wantStatus(t, "after the router has hung", apache.Get("/"), 200)

	var entry map[string]any
	fromJSON(t, s.Must("journalctl", "--no-pager", "-o", "json", "-n", "1", "_SYSTEMD_UNIT=wsgid.service", "WSGID_FIELD_GROUPS=1"), &entry)
	if entry["SYSLOG_IDENTIFIER"] != "wsgid" || entry["PRIORITY"] != "6" || entry["WSGID_MODULE"] != "wsgid.supervisor" || entry["_PID"] != s.Property("wsgid", "MainPID") {
		t.Errorf("%v", entry)
	}
	s.Must(w.Binary, "service", "stop")
}
