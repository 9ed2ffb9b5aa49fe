package tests

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestSubprocessView: a subprocess of an application inherits no descriptor of
// ours and reads end of file on its standard input.
func TestSubprocessView(t *testing.T) {
	w := newWorld(t)
	w.App("subprocess_view.py")
	w.App("fork_view.py")
	w.Write("dispatch.py", "")
	w.Configure(group("only", "#64001", 1, 2) + "dispatch_script \"{{.Dir}}/dispatch.py\" {}\n" +
		mount("/fork", "apps/fork_view.py", option("process_group", "only")) +
		mount("/embedded", "apps/subprocess_view.py", option("process_group", "%{GLOBAL}")) +
		mount("/", "apps/subprocess_view.py", option("process_group", "only")))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for _, path := range []string{"/", "/embedded"} {
		response := apache.Get(path)
		if response.Status != 200 {
			t.Fatalf("%s: %d %s", path, response.Status, response.Body)
		}
		var seen struct {
			Descriptors map[string]string
			Stdin       string
			Environ     map[string]string
		}
		response.JSON(t, &seen)
		for number, target := range seen.Descriptors {
			if number != "0" && number != "1" && number != "2" {
				t.Errorf("%s: a subprocess inherits descriptor %s: %s", path, number, target)
			}
		}
		if seen.Stdin != "" || seen.Descriptors["0"] != "/dev/null" {
			t.Errorf("%s: standard input is %s and holds %q", path, seen.Descriptors["0"], seen.Stdin)
		}
		for name := range seen.Environ {
			if strings.HasPrefix(name, "WSGID") || name == "NOTIFY_SOCKET" {
				t.Errorf("%s: a subprocess sees %s", path, name)
			}
		}
	}
	var forked struct{ Status, ExitCode, Worked int }
	apache.Get("/fork").JSON(t, &forked)
	if forked.Status != 7 || forked.ExitCode != -15 || forked.Worked != 5 {
		t.Errorf("os.system gave %d, want 7; a terminated process %d, want -15, a working one %d, want 5", forked.Status, forked.ExitCode, forked.Worked)
	}
}

// groupSocket finds the socket of a group below the directory of the control
// socket, as a tenant who may look around would.
func groupSocket(t *testing.T, w *harness.World, name string) string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(filepath.Dir(w.Control), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type() == fs.ModeSocket && entry.Name() == name+".sock" {
			found = append(found, path)
		}
		return err
	})
	if err != nil || len(found) != 1 {
		t.Fatalf("sockets of group %s: %q %v", name, found, err)
	}
	return found[0]
}

// TestTenants: a process of group web and the dispatch script each try to make
// group admin run a file of theirs, and are refused.
func TestTenants(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("environ.py")
	w.App("fcgi_attack.py")
	evilDir := openDirectory(t, w, "evil")
	source, err := os.ReadFile(harness.Apps() + "/evil.py")
	if err != nil {
		t.Fatal(err)
	}
	evil := w.Write("evil/evil.py", string(source))
	who := accounts()
	w.Write("dispatch.py", `
import os
import sys
import threading
sys.path.insert(0, `+fmt.Sprintf("%q", w.Path("apps"))+`)
import fcgi_attack
from urllib.parse import parse_qs

def process_group(environ):
    if environ["REQUEST_URI"].startswith("/admin/"):
        return "admin"
    return "web"

def application_group(environ):
    query = parse_qs(environ["QUERY_STRING"])
    if "dispatch" in query:
        # Beside this call: every thread of admin may be bound to a connection
        # of the router, and the attack waits until one is free.
        threading.Thread(target=attack, args=(query["socket"][0], query["script"][0], query["answer"][0])).start()


def attack(socket, script, answer):
    with open(answer + ".started", "w") as out:
        out.write("started")
    got = fcgi_attack.attack(socket, script)
    with open(answer + ".new", "w") as out:
        out.write(got)
    os.rename(answer + ".new", answer)
`)
	w.Configure(group("admin", who["admin"].name, 1, 3) + group("web", who["web"].name, 1, 3) +
		"dispatch_script \"{{.Dir}}/dispatch.py\" {}\n" +
		mount("/attack", "apps/fcgi_attack.py", option("process_group", "web")) + mount("/", "apps/environ.py", option("process_group", "web")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	if v := look(t, apache.Get("/admin/")); v.UID != who["admin"].uid {
		t.Fatalf("admin runs as %d", v.UID)
	}
	socket := groupSocket(t, w, "admin")
	query := "socket=" + url.QueryEscape(socket) + "&script=" + url.QueryEscape(evil)

	// A process of web: the directory of the sockets is closed to it.
	response := apache.Get("/attack?" + query)
	if response.Status != 200 {
		t.Fatalf("%d %s", response.Status, response.Body)
	}
	var got struct {
		Answer string
		UID    int
	}
	response.JSON(t, &got)
	if got.UID != who["web"].uid || !strings.HasPrefix(got.Answer, "refused to connect: ") {
		t.Errorf("as uid %d a process of web got: %s", got.UID, got.Answer)
	}

	// The dispatch script runs as the router's user, which may connect; the
	// worker looks at its own table.
	// The third path leads out of an allowed one by dots, and the last one is
	// allowed: it is the table that refuses, not a broken attack.
	attacks := []struct{ script, want string }{
		{evil, "WSGID-1101"},
		{w.Path("apps") + "/environ.py/../../evil/evil.py", "WSGID-1101"},
		{w.Path("apps") + "/../evil/evil.py", "WSGID-1101"},
		{w.Path("apps/environ.py"), "Status: 200"},
	}
	answerOf := func(number int) string { return w.Path(fmt.Sprintf("evil/answer-%d", number)) }
	for number, attack := range attacks {
		look(t, apache.Get("/?dispatch=1&socket="+url.QueryEscape(socket)+"&script="+url.QueryEscape(attack.script)+"&answer="+answerOf(number)))
		awaitFile(t, answerOf(number)+".started")
	}
	for number, attack := range attacks {
		// Threads become free when the process is replaced.
		harness.Eventually(t, "the attack is answered", func() error {
			if harness.Exists(answerOf(number)) {
				return nil
			}
			wsgid.NoteSessions()
			for _, pid := range wsgid.Status().PIDs("admin") {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			time.Sleep(300 * time.Millisecond)
			return errNotYet
		})
		answer := readFile(t, answerOf(number))
		if !strings.Contains(answer, attack.want) || attack.want != "Status: 200" && !strings.Contains(answer, "Status: 403") {
			t.Errorf("the dispatch script asked for %s and got: %q", attack.script, answer)
		}
	}
	if harness.Exists(evilDir + "/evil.py.ran") {
		t.Error("the file of the attacker ran")
	}
	wsgid.Log.Await(t, "the refusal", harness.Containing("WSGID-1101", evil))
}

// TestFrontCannotChooseScript: what a client or the front server sends never
// selects a file: SCRIPT_FILENAME and WSGID_ parameters are not believed.
func TestFrontCannotChooseScript(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	openDirectory(t, w, "apps")
	evil := w.App("evil.py")
	w.Configure(group("only", "#64001", 1, 2) + mount("/", "apps/environ.py"))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: fmt.Sprintf(`
SetEnv WSGID_SCRIPT %q
SetEnv WSGID_CALLABLE other_application
SetEnv WSGID_APPLICATION_GROUP chosen
SetEnv SCRIPT_FILENAME %q
ProxyFCGISetEnvIf "true" SCRIPT_FILENAME %q
`, evil, evil, evil) + harness.ProxyPass})
	v := look(t, apache.Get("/", "Wsgid-Script: "+evil))
	if v.Entry != "application" || v.env("mod_wsgi.application_group") != "" {
		t.Errorf("entry %s in interpreter %q", v.Entry, v.env("mod_wsgi.application_group"))
	}
	if harness.Exists(evil + ".ran") {
		t.Error("a file named by the front server ran")
	}
}

// TestScoreboardAttack: a worker that truncates and scribbles over its
// scoreboard harms nobody.
func TestScoreboardAttack(t *testing.T) {
	w := newWorld(t)
	w.App("scoreboard_attack.py")
	w.App("hello.py")
	w.Configure(group("evil", "#64001", 1, 4) + group("good", "#64002", 1, 2) +
		mount("/attack", "apps/scoreboard_attack.py", option("process_group", "evil")) +
		mount("/evil", "apps/hello.py", option("process_group", "evil")) + mount("/", "apps/hello.py", option("process_group", "good")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	router := wsgid.AwaitReady("evil", "good").RouterPID
	for range rounds(3, 20) {
		response := apache.Get("/attack")
		if response.Status != 200 {
			t.Fatalf("%d %s", response.Status, response.Body)
		}
		var did struct {
			PID  int
			Done []string
		}
		response.JSON(t, &did)
		if len(did.Done) == 0 {
			t.Error("the attack found no scoreboard: the test proves nothing")
		}
		for _, what := range did.Done {
			if strings.HasPrefix(what, "truncate") || strings.HasPrefix(what, "grow") {
				t.Errorf("the process could %s", what)
			}
		}
		status := wsgid.Status()
		if status.RouterPID != router || status.Group("good").State != "ready" {
			t.Errorf("router %d, group good is %s", status.RouterPID, status.Group("good").State)
		}
		code, out, errs := w.CLI("status", "--control", w.Control)
		if code != 0 || !strings.Contains(out, "good") {
			t.Errorf("wsgid status: %d %s%s", code, out, errs)
		}
		for _, c := range out {
			if c < ' ' && c != '\n' && c != '\t' {
				t.Errorf("a control byte %q reached the terminal", c)
				break
			}
		}
		if got := apache.Get("/"); got.Status != 200 {
			t.Errorf("the good group: %d", got.Status)
		}
		if got := apache.Get("/evil"); got.Status != 200 {
			t.Errorf("the attacking group: %d", got.Status)
		}
	}
}

// TestControlPeer: the control socket answers its owner only.
func TestControlPeer(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("hello.py")
	w.Configure(group("only", "#64001", 1, 2) + mount("/", "apps/hello.py"))
	wsgid := w.Start(harness.Options{})
	for _, verb := range []string{"status", "stop"} {
		if code, _, errs := w.CLIAs(64009, verb, "--control", w.Control); code == 0 || errs == "" {
			t.Errorf("%s by a stranger ended with %d: %q", verb, code, errs)
		}
	}
	if state := wsgid.Status().State; state != "ready" {
		t.Errorf("wsgid is %s", state)
	}
}
