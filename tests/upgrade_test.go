package tests

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// install puts a file into the place of the binary, as a package manager does.
func install(t *testing.T, w *harness.World, content string) {
	t.Helper()
	// Another process writes it: who is forked here for another test meanwhile would
	// hold it open for writing, and nobody could execute it.
	write := exec.Command("/bin/sh", "-c", `cat > "$0.new" && chmod 755 "$0.new" && mv "$0.new" "$0"`, w.Binary)
	write.Stdin = strings.NewReader(content)
	if out, err := write.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// TestUpgradeLosesNothing: the binary is replaced again and again, while 50
// clients ask without pause.
func TestUpgradeLosesNothing(t *testing.T) {
	w, notes := countedWorld(t, "")
	binary := readFile(t, w.Binary)
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	load := startLoad(t, notes, 50, apache.Client)
	load.more(100)
	pid := wsgid.PID
	for n := range rounds(2, 30) {
		install(t, w, binary)
		status, stdout, stderr := w.CLI("upgrade", "--control", w.Control)
		if status != 0 {
			t.Fatalf("upgrade %d: %d %q %q", n, status, stdout, stderr)
		}
		load.more(50)
		s := wsgid.AwaitStatus("the new one answers", func(s harness.Status) error {
			if s.PID == pid {
				return fmt.Errorf("it is still %d", s.PID)
			}
			return nil
		})
		if !strings.Contains(stdout, fmt.Sprintf("(pid %d) serves", s.PID)) || s.State != "ready" || s.Generation != n+2 {
			t.Errorf("%q, %s, generation %d, pid %d", stdout, s.State, s.Generation, s.PID)
		}
		pid = s.PID
		if n == 0 { // the first one is ours
			wsgid.AwaitExit()
		}
		if got := strings.TrimSpace(readFile(t, w.PIDFile)); got != strconv.Itoa(pid) {
			t.Errorf("the pid file says %s, it is %d", got, pid)
		}
	}
	if status, _, stderr := reload(w); status != 0 {
		t.Errorf("a reload of the new one: %s", stderr)
	}
	load.more(50)
	load.end()
	if status, _, stderr := w.CLI("stop", "--control", w.Control); status != 0 {
		t.Fatal(stderr)
	}
	wsgid.AssertGone()
	told := strings.Join(wsgid.NotifyMessages(), "\n")
	// Who is not the main process yet is not believed.
	if inOrder := regexp.MustCompile(`(?s)READY=1.*MAINPID=.*READY=1`); !inOrder.MatchString(told) {
		t.Errorf("the service manager was told %q", told)
	}
}

// TestUpgradeThatFails changes nothing, and says why.
func TestUpgradeThatFails(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.Configure(group("web", "#64001", 1, 2) + mount("/", "apps/hello.py"))
	good, configuration := readFile(t, w.Binary), readFile(t, w.Path("wsgid.hcl"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	before := wsgid.AwaitReady("web")
	running := w.Binary + ".kept"
	if err := os.Link(w.Binary, running); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ name, binary, configuration, want string }{
		{"no binary", "", "", "no such file"},
		{"not a program", "nonsense", "", "exec format error"},
		{"does not know the command", "#!/bin/sh\necho it is too old >&2\nexit 2\n", "", "it is too old"},
		{"ends", "#!/bin/sh\n[ $1 = run ] && exit 7\nexit 0\n", "", "has ended before it served"},
		{"configuration", good, "listen {", "line "},
		{"application", good, strings.Replace(configuration, "threads", "home = \"/nonexistent\"\n  threads", 1), "/nonexistent"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.binary == "" {
				if err := os.Remove(w.Binary); err != nil {
					t.Fatal(err)
				}
			} else {
				install(t, w, row.binary)
			}
			if row.configuration != "" {
				w.Write("wsgid.hcl", row.configuration)
			}
			status, stdout, stderr := w.CLI("upgrade", "--control", w.Control)
			if status != 1 || stdout != "" || !strings.Contains(stderr, "not upgraded, everything serves as before") || !strings.Contains(stderr, row.want) {
				t.Errorf("%d %q %q", status, stdout, stderr)
			}
			w.Write("wsgid.hcl", configuration)
			now := wsgid.Status()
			if now.PID != before.PID || fmt.Sprint(now.PIDs("web")) != fmt.Sprint(before.PIDs("web")) {
				t.Errorf("pid %d, processes %v", now.PID, now.PIDs("web"))
			}
			wantStatus(t, "after", apache.Get("/"), 200)
		})
	}
	if err := os.Rename(running, w.Binary); err != nil { // so that the harness knows its processes
		t.Fatal(err)
	}
}
