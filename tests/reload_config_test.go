package tests

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// reload runs wsgid reload.
func reload(w *harness.World, groups ...string) (status int, stdout, stderr string) {
	return w.CLI(append([]string{"reload", "--control", w.Control}, groups...)...)
}

// TestReloadLosesNothing: reload after reload, while 50 clients of Apache, nginx
// and wsgid's own HTTP ask without pause.
func TestReloadLosesNothing(t *testing.T) {
	w := newWorld(t)
	web := freeAddress(t)
	w.App("counted.py")
	openDirectory(t, w, "open")
	notes := w.Path("open/notes")
	w.Configure(group("web", "#64001", 2, 10, environmentOf("COUNTED="+notes)) + mount("/", "apps/counted.py") +
		fmt.Sprintf("listen \"http\" {\n  address = %q\n}\n", web))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	load := startLoad(t, notes, 50, apache.Client, apache.Client, apache.Client, w.StartNginx(), harness.NewClient(t, "http://"+web))
	load.more(100)
	for n := range rounds(4, 200) {
		if status, stdout, stderr := reload(w); status != 0 || !strings.Contains(stdout, fmt.Sprintf("generation %d serves", n+2)) {
			t.Fatalf("reload %d: %d %q %q", n, status, stdout, stderr)
		}
		load.more(50)
	}
	load.end()
	status := wsgid.AwaitStatus("the last generation alone is left", func(s harness.Status) error {
		if len(s.Draining) > 0 {
			return fmt.Errorf("%d drain", len(s.Draining))
		}
		return nil
	})
	if got := status.Group("web"); got.Restarts["crash"] != 0 || got.Restarts["reload"] != uint64(2*rounds(4, 200)) {
		t.Errorf("exits %v", got.Restarts)
	}
}

// TestReloadTakesEffect: what has changed in the file does, in all groups or in
// those that are named; a signal is as good as the command.
func TestReloadTakesEffect(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	configure := func(value, more string) {
		w.Configure(group("a", "#64001", 1, 2, environmentOf("VALUE="+value)) + group("b", "#64002", 1, 2, environmentOf("VALUE=first")) +
			mount("/a", "apps/environ.py", option("process_group", "a")) + mount("/b", "apps/environ.py", option("process_group", "b")) + more)
	}
	configure("first", "")
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	// What comes on a kept connection before the old router has handed it over is
	// served as before: a moment longer than the command takes.
	values := func(want string) (a, b int) {
		t.Helper()
		harness.Eventually(t, want, func() error {
			first, second := look(t, apache.Get("/a")), look(t, apache.Get("/b"))
			if got := first.Process["VALUE"] + " " + second.Process["VALUE"]; got != want {
				return errors.New(got)
			}
			a, b = first.PID, second.PID
			return nil
		})
		return a, b
	}
	a, b := values("first first")
	configure("second", mount("/new", "apps/environ.py", option("process_group", "b")))
	if status, stdout, stderr := reload(w, "a"); status != 0 || !strings.Contains(stdout, "reloaded a in ") {
		t.Fatalf("%d %q %q", status, stdout, stderr)
	}
	newA, sameB := values("second first")
	if newA == a || sameB != b {
		t.Errorf("processes %d and %d, before %d and %d", newA, sameB, a, b)
	}
	wantStatus(t, "a new mount", apache.Get("/new"), 200)
	configure("third", "")
	if err := syscall.Kill(wsgid.PID, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	wsgid.AwaitStatus("the third generation", func(s harness.Status) error {
		if s.Generation != 3 || s.LastReload == nil || s.LastReload.Generation != 3 {
			return fmt.Errorf("generation %d", s.Generation)
		}
		return nil
	})
	if _, newB := values("third first"); newB == b {
		t.Errorf("process %d serves on", b)
	}
	wantStatus(t, "a mount that is no more", apache.Get("/new"), 404)
}

// TestReloadIsRefused: a configuration that cannot be, or whose processes do not
// come up, changes nothing; the command says why.
func TestReloadIsRefused(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	openDirectory(t, w, "apps")
	configure := func(web, more string) {
		w.Configure(group("web", "#64001", 1, 2, web) + mount("/", "apps/hello.py", option("process_group", "web")) + more)
	}
	configure("", "")
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	wantStatus(t, "before", apache.Get("/"), 200)
	before := wsgid.AwaitReady("web").PIDs("web")
	good := readFile(t, w.Path("apps/hello.py"))
	second := group("second", "#64002", 1, 2)
	for _, row := range []struct {
		name, web, more, script string
		arguments               []string
		want                    []string
	}{
		{name: "syntax", more: "daemon_process {", want: []string{"wsgid.hcl line ", "daemon_process {"}},
		{name: "unknown option", web: "threds = 3", want: []string{"wsgid.hcl line ", "threds"}},
		{name: "no such user", web: "user = \"nobody-knows\"", want: []string{`daemon_process "web"`, "nobody-knows"}},
		{name: "no such Python", web: `python_home = "/nonexistent"`, want: []string{`daemon_process "web"`, "/nonexistent"}},
		{name: "no such directory", web: `home = "/nonexistent"`, want: []string{`daemon_process "web"`, "/nonexistent"}},
		{name: "script that cannot be imported", script: "import nowhere\n", want: []string{`daemon_process "web"`, "hello.py", "No module named 'nowhere'"}},
		{name: "script that kills", script: "import os\nos._exit(3)\n", want: []string{`daemon_process "web"`, "did not come up"}},
		{name: "control socket", more: "control {\n  path = \"{{.Dir}}/other.sock\"\n}\n", want: []string{"control"}},
		{name: "unknown group", arguments: []string{"other"}, want: []string{`no daemon_process "other"`, `"web"`}},
		{name: "another group, too", web: "threads = 3", more: second, arguments: []string{"second"}, want: []string{`daemon_process "web" would change as well`}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.web != "" && strings.HasPrefix(row.web, "user") {
				w.Configure(strings.Replace(group("web", "#64001", 1, 2)+mount("/", "apps/hello.py"), `user = "#64001"`, row.web, 1))
			} else {
				configure(strings.Replace(row.web, "threads", "queue_length", 1), row.more)
			}
			if row.script != "" {
				w.Write("apps/hello.py", row.script)
			}
			status, stdout, stderr := reload(w, row.arguments...)
			if status != 1 || stdout != "" || !strings.Contains(stderr, "not reloaded, everything serves as before") {
				t.Errorf("%d %q %q", status, stdout, stderr)
			}
			for _, want := range row.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("the error lacks %q: %s", want, stderr)
				}
			}
			if row.script != "" { // the process that serves has seen the change as well
				w.Write("apps/hello.py", good)
				wantStatus(t, "mended", apache.Get("/"), 200)
				before = wsgid.AwaitReady("web").PIDs("web")
			}
			now := wsgid.Status()
			if pids := now.PIDs("web"); fmt.Sprint(pids) != fmt.Sprint(before) || now.Generation != 1 || now.LastReload == nil || now.LastReload.Error == "" {
				t.Errorf("processes %v of generation %d, before %v", pids, now.Generation, before)
			}
			wantStatus(t, "after", apache.Get("/"), 200)
		})
	}
	// What has not served before stops nothing else.
	w.Configure(group("web", "#64001", 1, 2) + group("bad", "nobody-knows", 1, 1) + mount("/bad", "apps/hello.py", option("process_group", "bad")) +
		mount("/", "apps/hello.py", option("process_group", "web")))
	if status, stdout, stderr := reload(w); status != 1 || !strings.Contains(stdout, "generation ") || !strings.Contains(stderr, "nobody-knows") {
		t.Errorf("%d %q %q", status, stdout, stderr)
	}
	if bad := wsgid.Status().Group("bad"); bad.State != "failed" {
		t.Errorf("%+v", bad)
	}
	wantStatus(t, "the good one", apache.Get("/"), 200)
	wantError(t, apache.Get("/bad"), 503, "WSGID-1014")
	wsgid.NoteDescriptors() // the bad one has a socket, too
}

// TestStartWithoutAUser: the other groups serve.
func TestStartWithoutAUser(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.Configure(group("bad", "nobody-knows", 2, 1) + group("good", "#64001", 1, 1) + mount("/bad", "apps/hello.py", option("process_group", "bad")) +
		mount("/", "apps/hello.py", option("process_group", "good")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	wantStatus(t, "the good one", apache.Get("/"), 200)
	wantError(t, apache.Get("/bad"), 503, "WSGID-1014")
	bad := wsgid.Status().Group("bad")
	if bad.State != "failed" || bad.LastExit == nil || !strings.Contains(bad.LastExit.Error, "nobody-knows") {
		t.Errorf("%+v", bad)
	}
	if status, _, stderr := w.CLI("check", "--config", w.Path("wsgid.hcl")); status != 1 || !strings.Contains(stderr, "nobody-knows") {
		t.Errorf("check: %d %q", status, stderr)
	}
}

// TestLongRequestOutlivesReloads: it ends where it began.
func TestLongRequestOutlivesReloads(t *testing.T) {
	w := newWorld(t)
	w.App("gate.py")
	openDirectory(t, w, "open")
	w.Configure(group("web", "#64001", 1, 3, `graceful_timeout = "120s"`) + mount("/", "apps/gate.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	started, gate := w.Path("open/started"), w.Path("open/gate")
	ended := make(chan *harness.Response, 1)
	go func() { ended <- apache.Get("/?started=" + started + "&gate=" + gate) }()
	harness.Eventually(t, "it runs", func() error { _, err := os.Stat(started); return err })
	for range 3 {
		if status, _, stderr := reload(w); status != 0 {
			t.Fatal(status, stderr)
		}
	}
	wsgid.AwaitStatus("the first generation serves its request", func(s harness.Status) error {
		if len(s.Draining) == 0 || s.Draining[0].Generation != 1 || s.Draining[0].Connections != 1 {
			return fmt.Errorf("%+v", s.Draining)
		}
		return nil
	})
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, "the long request", <-ended, 200)
	wsgid.AwaitStatus("nothing drains", func(s harness.Status) error {
		if len(s.Draining) > 0 {
			return fmt.Errorf("%+v", s.Draining)
		}
		return nil
	})
}
