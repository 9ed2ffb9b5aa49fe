package tests

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// sandboxView is what tests/apps/sandbox.py answers.
type sandboxView struct {
	Tried          map[string]string `json:"tried"`
	PID            int               `json:"pid"`
	CWD            string            `json:"cwd"`
	OOMScoreAdj    string            `json:"oom_score_adj"`
	File           string            `json:"file"`
	ScriptFilename string            `json:"script_filename"`
	DocumentRoot   *string           `json:"document_root"`
}

// attempt is something that the application shall try, and how it must end:
// "" or the name of an error.
type attempt struct{ verb, path, want string }

// try has the application at a URL try things.
func try(t *testing.T, client *harness.Client, at string, attempts ...attempt) sandboxView {
	t.Helper()
	var query []string
	for _, a := range attempts {
		query = append(query, a.verb+"="+url.QueryEscape(a.path))
	}
	response := client.Get(at + "?" + strings.Join(query, "&"))
	if response.Status != 200 {
		t.Fatalf("%s: status %d: %.1000s", at, response.Status, response.Body)
	}
	var v sandboxView
	response.JSON(t, &v)
	for _, a := range attempts {
		if got, tried := v.Tried[a.verb+" "+a.path]; got != a.want || !tried {
			t.Errorf("%s: %s %s gave %q, want %q", at, a.verb, a.path, got, a.want)
		}
	}
	return v
}

// elsewhere is a directory for a group whose /tmp is another one.
func elsewhere(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/lib", "wsgid-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// give makes a file or, with a slash at the end, a directory that everybody may write.
func give(t *testing.T, path string) string {
	t.Helper()
	name := strings.TrimSuffix(path, "/")
	err := os.WriteFile(name, []byte("content"), 0o666)
	if name != path {
		os.Remove(name)
		err = os.Mkdir(name, 0o777)
	}
	if err == nil {
		err = os.Chmod(name, 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// mountsOfHost are the mounts that this process sees.
func mountsOfHost(t *testing.T) string { return readFile(t, "/proc/self/mounts") }

// TestSandboxPaths: what the lists of paths name can be read, written or
// reached as they say, nothing of it is seen outside, and a group without them
// does all of it.
func TestSandboxPaths(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("sandbox.py")
	data := openDirectory(t, w, "data")
	for _, name := range []string{"frozen/", "frozen/open/", "frozen/open/frozen/", "frozen/file", "secret/", "secret/file", "secret.txt"} {
		give(t, data+"/"+name)
	}
	// What lies there already and what others mount later stays as it is.
	before := mountsOfHost(t)
	lists := fmt.Sprintf("read_only_paths = [\"/usr\", %q, %q, \"-/nonexistent\"]\n  read_write_paths = [%q]\n  inaccessible_paths = [%q, %q]",
		data+"/frozen", data+"/frozen/open/frozen", data+"/frozen/open", data+"/secret", data+"/secret.txt")
	w.Configure(group("in", "#64001", 1, 1, lists) + group("out", "#64001", 1, 1) +
		group("all", "#64001", 1, 1, fmt.Sprintf("read_only_paths = [\"/\"]\n  read_write_paths = [%q]", data)) +
		mount("/in", "apps/sandbox.py", option("process_group", "in")) + mount("/out", "apps/sandbox.py", option("process_group", "out")) +
		mount("/all", "apps/sandbox.py", option("process_group", "all")))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	try(t, apache.Client, "/in",
		attempt{"read", data + "/frozen/file", ""}, attempt{"write", data + "/frozen/file", "EROFS"}, attempt{"make", data + "/frozen/x", "EROFS"},
		attempt{"write", data + "/frozen/open/x", ""}, attempt{"remove", data + "/frozen/open/x", ""}, attempt{"make", data + "/frozen/open/frozen/x", "EROFS"},
		attempt{"read", data + "/secret", "EACCES"}, attempt{"read", data + "/secret/file", "EACCES"}, attempt{"read", data + "/secret.txt", "EACCES"},
		attempt{"write", data + "/secret.txt", "EACCES"}, attempt{"write", data + "/free", ""},
		attempt{"execute", "/bin/true", ""}, attempt{"write", "/dev/null", ""})
	try(t, apache.Client, "/out",
		attempt{"write", data + "/frozen/file", ""}, attempt{"make", data + "/frozen/x", ""}, attempt{"read", data + "/secret/file", ""},
		attempt{"write", data + "/secret.txt", ""})
	try(t, apache.Client, "/all",
		attempt{"write", w.Dir + "/apps/x", "EROFS"}, attempt{"write", "/dev/shm/wsgid", "EROFS"}, attempt{"write", data + "/free", ""},
		attempt{"write", "/dev/null", ""}, attempt{"make", "/tmp/wsgid-x", "EROFS"})
	for line := range strings.Lines(mountsOfHost(t)) {
		if strings.Contains(line, w.Dir) && !strings.Contains(before, line) {
			t.Errorf("a mount is seen outside: %s", line)
		}
	}
}

// TestPrivateTmp: each process has a /tmp of its own that is empty at its start,
// limited, and gone with it.
func TestPrivateTmp(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	dir := elsewhere(t)
	app := filepath.Join(dir, "sandbox.py")
	if err := os.WriteFile(app, []byte(readFile(t, filepath.Join(harness.Apps(), "sandbox.py"))), 0o644); err != nil {
		t.Fatal(err)
	}
	w.Configure(group("in", "#64001", 1, 1, "private_tmp = true", `private_tmp_size = "1MiB"`, `read_only_paths = ["/"]`) +
		fmt.Sprintf("script_alias \"/\" {\n  target = %q\n}\n", app))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	name := "/tmp/wsgid-private-" + filepath.Base(w.Dir)
	first := try(t, apache.Client, "/", attempt{"empty", "/tmp", ""}, attempt{"empty", "/var/tmp", ""}, attempt{"write", name, ""},
		attempt{"write", "/var" + name, ""}, attempt{"write", dir + "/x", "EROFS"})
	try(t, apache.Client, "/", attempt{"empty", "/tmp", "ENOTEMPTY"}, attempt{"read", name, ""})
	for _, path := range []string{name, "/var" + name} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is seen outside", path)
		}
	}
	if code, out, errs := w.CLI("restart", "in", "--control", w.Control); code != 0 {
		t.Fatalf("restart: %d %s%s", code, out, errs)
	}
	wsgid.AwaitReady("in")
	if next := try(t, apache.Client, "/", attempt{"empty", "/tmp", ""}); next.PID == first.PID {
		t.Error("the process was not replaced")
	}
}

// TestOOMScore: the score is that of the group, or of wsgid.
func TestOOMScore(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("sandbox.py")
	own := strings.TrimSpace(readFile(t, "/proc/self/oom_score_adj"))
	w.Configure(group("high", "#64001", 1, 1, "oom_score_adjust = 567") + group("plain", "#64001", 1, 1) +
		mount("/high", "apps/sandbox.py", option("process_group", "high")) + mount("/plain", "apps/sandbox.py", option("process_group", "plain")))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for path, want := range map[string]string{"/high": "567", "/plain": own} {
		if v := try(t, apache.Client, path); v.OOMScoreAdj != want {
			t.Errorf("%s: the score is %s, want %s", path, v.OOMScoreAdj, want)
		}
	}
}

// TestLandlock: only what the block names can be read, written and executed.
func TestLandlock(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("sandbox.py")
	data := openDirectory(t, w, "data")
	for _, name := range []string{"in/", "in/file", "out/", "out/file", "single"} {
		give(t, data+"/"+name)
	}
	give(t, data+"/script")
	if err := os.WriteFile(data+"/script", []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	// The same block holds with and without no_new_privileges.
	block := fmt.Sprintf("landlock {\n    read = [\"/usr\", \"/lib\", \"-/lib64\", \"/bin\", \"/etc\", \"/proc\", \"{{.Dir}}/apps\", %q, \"-/nonexistent\"]\n    write = [%q]\n    execute = [\"/usr/bin/true\", \"-/usr/lib\", \"-/lib64\"]\n  }",
		data+"/single", data+"/in")
	w.Configure(group("in", "#64001", 1, 1, block) + group("able", "#64001", 1, 1, block, "no_new_privileges = false") +
		mount("/in", "apps/sandbox.py", option("process_group", "in")) + mount("/able", "apps/sandbox.py", option("process_group", "able")))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for _, at := range []string{"/in", "/able"} {
		try(t, apache.Client, at,
			attempt{"read", data + "/in/file", ""}, attempt{"write", data + "/in/new", ""}, attempt{"remove", data + "/in/new", ""},
			attempt{"read", data + "/single", ""}, attempt{"write", data + "/single", "EACCES"},
			attempt{"read", data + "/out/file", "EACCES"}, attempt{"read", data + "/out", "EACCES"}, attempt{"write", data + "/out/file", "EACCES"},
			attempt{"truncate", data + "/out/file", "EACCES"}, attempt{"make", data + "/out/x", "EACCES"},
			attempt{"execute", "/usr/bin/true", ""}, attempt{"execute", data + "/script", "EACCES"}, attempt{"execute", "/usr/bin/id", "EACCES"},
			attempt{"write", "/dev/null", ""}, attempt{"read", "/dev/urandom", ""})
	}
}

// TestLandlockOrdinaryUser: no root is needed for it.
func TestLandlockOrdinaryUser(t *testing.T) {
	harness.NeedRoot(t) // to become somebody else
	w := newWorld(t)
	w.App("sandbox.py")
	data := openDirectory(t, w, "data")
	give(t, data+"/file")
	address := freeAddress(t) // Apache is another user, and could not connect to the socket
	w.Configure("daemon_process \"web\" {\n  oom_score_adjust = 900\n  landlock {\n    read = [\"/usr\", \"/lib\", \"-/lib64\", \"/etc\", \"/proc\", \"{{.Dir}}/apps\"]\n  }\n}\n" +
		mount("/", "apps/sandbox.py") + "listen \"tcp\" {\n  address = \"" + address + "\"\n}\n")
	w.Start(harness.Options{UID: 64010})
	apache := w.StartApache(harness.ApacheOptions{Config: "ProxyPass \"/\" \"fcgi://" + address + "/\" enablereuse=on\n"})
	v := try(t, apache.Client, "/", attempt{"read", "/etc/passwd", ""}, attempt{"read", data + "/file", "EACCES"}, attempt{"write", data + "/file", "EACCES"})
	if v.OOMScoreAdj != "900" {
		t.Errorf("the score is %s", v.OOMScoreAdj)
	}
}

// TestSandboxFails: a group whose sandbox cannot be made says why and the others
// serve.
func TestSandboxFails(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("sandbox.py")
	data := openDirectory(t, w, "data")
	if err := os.Symlink("/etc", data+"/link"); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(data+"/link", 64001, 64001); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(w.Path("jail"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(w.Path("jail"), 64001, 64001); err != nil {
		t.Fatal(err)
	}
	w.Configure(group("good", "#64001", 1, 1) + mount("/", "apps/sandbox.py", option("process_group", "good")) +
		group("missing", "#64001", 1, 1, `read_only_paths = ["/nonexistent"]`) +
		group("link", "#64001", 1, 1, fmt.Sprintf("read_only_paths = [%q]", data+"/link")) +
		group("below", "#64001", 1, 1, fmt.Sprintf("inaccessible_paths = [%q]", data+"/link/passwd")) +
		group("unowned", "#64001", 1, 1, option("chroot", w.Path("jail"))) +
		group("nowhere", "#64001", 1, 1, option("chroot", w.Path("nonexistent"))) +
		group("rule", "#64001", 1, 1, "landlock {\n    read = [\"/nonexistent\"]\n  }"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	try(t, apache.Client, "/", attempt{"read", "/etc/passwd", ""})
	status := wsgid.Status()
	for name, want := range map[string]string{
		"missing": "read_only_paths /nonexistent: No such file", "link": "belongs to user 64001", "below": "belongs to user 64001",
		"unowned": "does not belong to root", "nowhere": "no such file", "rule": "landlock read /nonexistent: No such file",
	} {
		exit := status.Group(name).LastExit
		if exit == nil || !strings.Contains(exit.Error, want) {
			t.Errorf("%s: %+v, want %q", name, exit, want)
		}
	}
}

// TestChroot: `wsgid check` says what an empty root directory lacks and how to
// get it there; with that done the group runs inside it and sees nothing else.
func TestChroot(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	jail := w.Path("jail")
	if err := os.MkdirAll(jail+"/app", 0o755); err != nil {
		t.Fatal(err)
	}
	w.App("sandbox.py")
	// Scripts have the paths of the machine until the process has them.
	w.Configure(group("in", "#64001", 1, 1, option("chroot", jail), option("home", "/app"), "private_tmp = true",
		`read_only_paths = ["/"]`, `inaccessible_paths = ["-/etc/ssl"]`) +
		group("other", "#64001", 1, 1) +
		mount("/in", "jail/app/sandbox.py", option("process_group", "in")) +
		mount("/dir", "jail/app/", option("process_group", "in")) +
		mount("/away", "apps/sandbox.py", option("process_group", "%{ENV:wsgid_test}")))
	_, out, errs := w.CLI("check", "--config", w.Path("wsgid.hcl"))
	for _, want := range []string{"NEEDED   /usr/bin/python3:", "libpython3", "/libc.so.6: needed by", "/libm.so.6: needed by", "/libffi.so", "the standard library",
		"/app/sandbox.py: the script of a mount", "/dev/null:", "/dev/urandom:", "/etc/passwd:", "/tmp: private_tmp"} {
		if !strings.Contains(out, want) {
			t.Errorf("check does not say %q:\n%s%s", want, out, errs)
		}
	}
	obey(t, out)
	if err := os.WriteFile(jail+"/app/sandbox.py", []byte(readFile(t, filepath.Join(harness.Apps(), "sandbox.py"))), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := w.CLI("check", "--apps", "--config", w.Path("wsgid.hcl")); code != 0 || strings.Contains(out, "NEEDED") || strings.Contains(out, "libffi") {
		t.Fatalf("check after what it said was done: %d %s%s", code, out, errs)
	}
	wsgid := w.Start(harness.Options{})
	wsgid.AwaitReady("in")
	apache := w.StartApache(harness.ApacheOptions{Config: "SetEnv wsgid_test in\n" + harness.ProxyPass})
	wantError(t, apache.Get("/away"), 403, "WSGID-1101")
	for _, at := range []string{"/in", "/dir/sandbox.py"} {
		v := try(t, apache.Client, at,
			attempt{"read", "/app/sandbox.py", ""}, attempt{"read", "/etc/shadow", "ENOENT"}, attempt{"read", w.Dir, "ENOENT"},
			attempt{"write", "/app/x", "EROFS"}, attempt{"write", "/tmp/x", ""}, attempt{"remove", "/tmp/x", ""}, attempt{"read", "/etc/ssl", "EACCES"},
			attempt{"read", "/proc/self", "ENOENT"}, attempt{"read", "/../../etc/shadow", "ENOENT"}, attempt{"write", "/dev/null", ""})
		if v.CWD != "/app" || v.File != "/app/sandbox.py" || v.ScriptFilename != "/app/sandbox.py" || v.DocumentRoot != nil {
			t.Errorf("%s: %+v", at, v)
		}
	}
	// A changed script replaces the process, whose paths are others than the router's.
	before := try(t, apache.Client, "/in").PID
	if err := os.WriteFile(jail+"/app/sandbox.py", []byte(readFile(t, jail+"/app/sandbox.py")+"\n# edited\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if v := try(t, apache.Client, "/in"); v.PID == before {
		t.Error("the changed script was not loaded by another process")
	}
	wsgid.AwaitReady("in")
}

// obey does what `wsgid check` says is to be done.
func obey(t *testing.T, out string) {
	t.Helper()
	for line := range strings.Lines(out) {
		for _, verb := range []string{"cp ", "mkdir "} {
			_, command, found := strings.Cut(line, ": "+verb)
			if !found {
				continue
			}
			command, _, _ = strings.Cut(verb+command, ", or ")
			if output, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", command, err, output)
			}
		}
	}
}
