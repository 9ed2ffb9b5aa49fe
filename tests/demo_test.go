package tests

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestDemo: what make demo does when everything is installed and built: it says
// which accounts it makes, serves the example on every URL that it prints, and
// make demo-clean leaves nothing. Not parallel: it makes accounts.
func TestDemo(t *testing.T) {
	lockAccounts(t)
	for name, uid := range map[string]int{"root": 0, "ordinary user": 64010} {
		t.Run(name, func(t *testing.T) {
			harness.NeedRoot(t) // to be either
			runDemo(t, harness.New(t, built), uid)
		})
	}
}

// lockAccounts keeps the tests of another checkout from the accounts and ports
// of the demo until this test ends. The lock is on a directory that is there
// anyway and is not replaced, as /etc/passwd is.
func lockAccounts(t *testing.T) {
	t.Helper()
	dir, err := os.Open("/etc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
		err = syscall.Flock(int(dir.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		t.Fatalf("locking /etc: %v", err)
	}
}

func runDemo(t *testing.T, w *harness.World, uid int) {
	for _, pattern := range []string{"../tools/demo.sh", "../examples/*.*"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatal(pattern, err)
		}
		for _, path := range paths {
			w.Write(strings.TrimPrefix(path, "../"), readFile(t, path))
		}
	}
	binary := w.Path("bin/wsgid")
	if err := os.Mkdir(w.Path("bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(w.Binary, binary); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(w.Dir, uid, uid); err != nil {
		t.Fatal(err)
	}
	demo := func(verb string) string {
		t.Helper()
		log := w.Path("demo-" + verb)
		out, err := os.Create(log)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		// A file, not a pipe: what the demo starts goes on and may hold it.
		command := exec.Command("bash", "tools/demo.sh", verb)
		command.Dir, command.Stdout, command.Stderr = w.Dir, out, out
		command.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
		err = command.Run()
		said := readFile(t, log)
		if err != nil {
			t.Errorf("demo.sh %s: %v\n%s", verb, err, said)
		}
		return said
	}
	names := []string{"wsgid-admin", "wsgid-api", "wsgid-web"}
	missing := map[string]bool{}
	for _, name := range names {
		if _, err := user.Lookup(name); err != nil && uid == 0 {
			missing[name] = true
		}
	}
	cleaned := false
	defer func() {
		if !cleaned {
			demo("clean")
		}
	}()
	said := demo("start")
	for _, name := range names {
		if strings.Contains(said, "made the account "+name) != missing[name] {
			t.Errorf("account %s, missing before: %v, in what it says:\n%s", name, missing[name], said)
		}
	}
	urls := regexp.MustCompile(`(http://127\.0\.0\.1:\d+)(/\S*)`).FindAllStringSubmatch(said, -1)
	if len(urls) != 6 {
		t.Fatalf("it prints the URLs %q:\n%s", urls, said)
	}
	for _, url := range urls {
		group := map[string]string{"/": "web", "/admin/": "admin", "/api/": "api"}[url[2]]
		account := "uid: " + fmt.Sprint(uid)
		if uid == 0 {
			known, err := user.Lookup("wsgid-" + group)
			if err != nil {
				t.Fatal(err)
			}
			account = "uid: " + known.Uid
		}
		got := harness.NewClient(t, url[1]).Get(url[2])
		if got.Status != 200 || !strings.Contains(got.Text(), "group: "+group+"\n") || !strings.Contains(got.Text(), account) {
			t.Errorf("%s: %d %q, want group %s as %s", url[0], got.Status, got.Body, group, account)
		}
	}
	control := regexp.MustCompile(`bin/wsgid status --control (\S+)`).FindStringSubmatch(said)
	if control == nil {
		t.Fatalf("it does not print how to see the status:\n%s", said)
	}
	if code, out, errs := w.CLI("status", "--control", control[1]); code != 0 || !strings.Contains(out, "admin") {
		t.Errorf("status: %d %s%s", code, out, errs)
	}
	cleaned = true
	said = demo("clean")
	for name := range missing {
		if _, err := user.Lookup(name); err == nil || !strings.Contains(said, "removed the account "+name) {
			t.Errorf("account %s is left: %v\n%s", name, err, said)
		}
	}
	for _, process := range harness.Processes() {
		if strings.HasPrefix(process.Executable, binary) {
			t.Errorf("left: %v", process)
		}
	}
	if dir := filepath.Dir(control[1]); harness.Exists(dir) {
		t.Errorf("%s is left", dir)
	}
	for _, url := range urls {
		if _, err := harness.NewClient(t, url[1]).Try(t.Context(), "GET", url[2], nil); err == nil {
			t.Errorf("%s is still served", url[0])
		}
	}
}
