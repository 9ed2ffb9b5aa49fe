package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// The attack suite: what comes over the wire never makes wsgid load a file that
// the configuration does not name, show the source of one, crash, or keep
// anything. Where it is:
//
//	attack_paths_test.go   URLs that leave a directory, through every front server
//	attack_params_test.go  parameters and headers that pretend: spoofed, repeated,
//	                       malformed, oversize, from a FastCGI peer and from clients
//	attack_records_test.go records that are wrong, and peers that stall
//	attack_http_test.go    the HTTP front: framing, Host, headers, URIs
//
// What other tests show, and is not repeated there:
//
//	TestHostileFront, TestAllowedUIDs          half requests, noise, peers that are not allowed
//	TestFrontCannotChooseScript, TestTenants   WSGID_SCRIPT from Apache, one tenant against another
//	TestScoreboardAttack, TestControlPeer      what a process of a tenant may do to wsgid
//	TestHTTPListener, TestStaticSpecialFiles   clients that stall at the HTTP front, links and pipes
//	acceptance statements 24 and 25            response splitting by status, header names and values
//	dispatch: TestMounts, TestHostileWorker,   tables of paths, workers that misbehave,
//	TestHTTPRawRequests, TestDribble           framing, byte by byte
//	protocol and pyshim: FuzzServer, FuzzWorker, TestWorkerHostileRequests

// leak is in the source of every file of the attacked world, and in no answer.
const leak = "LEAKED-SOURCE"

// attacked is a world under attack: a directory of scripts with what lies
// about in such directories, and files beside it that nobody must reach.
type attacked struct {
	*harness.World
	wsgid   *harness.Wsgid
	address string // of the HTTP front
	evil    string
	calm    calm
}

// calm is what an attack must not change.
type calm struct {
	router      int
	workers     []int
	descriptors map[int]int
}

// startAttacked starts wsgid with more configuration. Mounts: /w/ is the
// directory of scripts, /app one script; the HTTP front serves /static/.
func startAttacked(t *testing.T, more string) *attacked {
	t.Helper()
	w := newWorld(t)
	a := &attacked{World: w, address: freeAddress(t)}
	w.App("environ.py")
	openDirectory(t, w, "secret")
	openDirectory(t, w, "scripts")
	evil, err := os.ReadFile(filepath.Join(harness.Apps(), "evil.py"))
	if err != nil {
		t.Fatal(err)
	}
	a.evil = w.Write("secret/evil.py", "# "+leak+"\n"+string(evil))
	w.Write("secret/plain.txt", leak+"\n")
	script := fmt.Sprintf("# %s\nimport sys\nsys.path.insert(0, %q)\nfrom environ import application\n", leak, w.Path("apps"))
	for _, name := range []string{"one.py", "sub/two.py"} {
		w.Write("scripts/"+name, script)
	}
	for _, name := range besides {
		w.Write("scripts/"+name, leak+" = (\n") // no Python at all
	}
	w.Write("scripts/__pycache__/one.cpython-311.pyc", "\x00\x00"+leak)
	w.Write("scripts/helper.py", "SECRET_KEY = '"+leak+"'\n")
	w.Write("files/public.txt", "public\n")
	for name, target := range map[string]string{
		"scripts/link.py": "one.py", "scripts/out.py": "../secret/evil.py", "scripts/absolute.py": a.evil, "scripts/up": "..", "scripts/root": "/",
		"files/out.py": "../scripts/one.py", "files/up": "..", "files/absolute.txt": w.Path("secret/plain.txt"), "files/scripts": w.Path("scripts"),
	} {
		if err := os.Symlink(target, w.Path(name)); err != nil {
			t.Fatal(err)
		}
	}
	w.Configure("listen \"http\" {\n  address = \"" + a.address + "\"\n  static \"/static/\" {\n    dir = \"{{.Dir}}/files\"\n  }\n}\n" +
		group("only", "#64001", 1, 3) + mount("/w/", "scripts/") + mount("/app", "apps/environ.py") + more)
	a.wsgid = w.Start(harness.Options{})
	status := a.wsgid.AwaitReady("only")
	a.calm = calm{router: status.RouterPID, workers: status.PIDs("only"), descriptors: map[int]int{}}
	// Every thread gets its connection before descriptors are counted.
	done := make(chan int)
	for range 12 {
		go func() { done <- askRaw(t, w, fcgiRequest("REQUEST_METHOD", "GET", "SCRIPT_NAME", "/app")).status() }()
	}
	for range 12 {
		if status := <-done; status != 200 {
			t.Errorf("before the attack: %d", status)
		}
	}
	a.wsgid.AwaitIdle()
	for _, pid := range append([]int{a.calm.router}, a.calm.workers...) {
		a.calm.descriptors[pid] = held(pid)
	}
	return a
}

// besides is what editors, tools and people leave beside a script.
var besides = []string{
	"one.py~", "one.py.bak", "one.py.orig", "one.py.save", "one.py.swp", ".one.py.swp", ".#one.py", "#one.py#", "one.pyo",
	"index.html", "index.py", "data.txt", ".env", ".git/config", "sub/.htaccess", "__init__.py",
}

// held counts the sockets and files that a process has open; pipes and event
// descriptors are kept for other requests.
func held(pid int) int {
	count := 0
	for _, target := range harness.DescriptorTargets(pid) {
		if _, what, _ := strings.Cut(target, " → "); strings.HasPrefix(what, "socket:") || strings.HasPrefix(what, "/") {
			count++
		}
	}
	return count
}

// unharmed asserts, after an attack, that it has changed nothing: the same
// processes, no descriptor more, no crash, an ordinary answer, and that no file
// outside the configuration ran.
func (a *attacked) unharmed(t *testing.T) {
	t.Helper()
	if answer := askRaw(t, a.World, fcgiRequest("REQUEST_METHOD", "GET", "SCRIPT_NAME", "/app/after")); answer.status() != 200 || !answer.ended {
		t.Errorf("an ordinary request: %+v", answer)
	}
	harness.Eventually(t, "no descriptor is left over", func() error {
		status := a.wsgid.AwaitIdle()
		if status.RouterPID != a.calm.router || !slices.Equal(status.PIDs("only"), a.calm.workers) {
			t.Fatalf("router %d with workers %v, at first %d with %v", status.RouterPID, status.PIDs("only"), a.calm.router, a.calm.workers)
		}
		for pid, before := range a.calm.descriptors {
			now := held(pid)
			if pid == a.calm.router {
				now -= status.Router.Connections // kept by front servers
			}
			if now > before {
				return fmt.Errorf("%d descriptors of process %d, %d at first: %q", now, pid, before, harness.DescriptorTargets(pid))
			}
		}
		return nil
	})
	if harness.Exists(a.evil + ".ran") {
		t.Fatal("a file outside the configuration ran")
	}
	for _, text := range []string{"panic", "goroutine ", "Fatal Python error", "SIGSEGV"} {
		for _, record := range a.wsgid.Log.Find(harness.Containing(text)) {
			t.Errorf("in the log: %s", record.Line)
		}
	}
}

// harmless asserts that an answer shows no source, and that the application
// that made it, if one did, is one of the configuration.
func (a *attacked) harmless(t *testing.T, what, answer string) {
	t.Helper()
	if strings.Contains(answer, leak) {
		t.Errorf("%s: the answer shows a file: %.500q", what, answer)
	}
	if _, rest, found := strings.Cut(answer, `"SCRIPT_FILENAME": "`); found {
		file, _, _ := strings.Cut(rest, `"`)
		clean := filepath.Clean(file)
		if file != clean || clean != a.Path("apps/environ.py") && !slices.Contains([]string{"one.py", "link.py", "sub/two.py"}, strings.TrimPrefix(clean, a.Path("scripts")+"/")) {
			t.Errorf("%s: %s ran", what, file)
		}
	}
}
