package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

var servesOn = regexp.MustCompile(`serves .* on (http://[^/]+)/ .*--control ([^)]+)\)`)

// serveWith starts wsgid serve as an ordinary user and finds its URL in what it says.
func serveWith(t *testing.T, w *harness.World, uid int, args ...string) (*harness.Wsgid, *harness.Client) {
	t.Helper()
	wsgid := w.Start(harness.Options{Args: append([]string{"serve", "--port", "0"}, args...), UID: uid})
	said := wsgid.Log.Await(t, "the URL", func(r harness.Record) bool { return servesOn.MatchString(r.Line) })
	found := servesOn.FindStringSubmatch(said.Line)
	w.Control = found[2]
	return wsgid, harness.NewClient(t, found[1])
}

// TestServeScript: one script, no configuration, no root; an edit is noticed.
func TestServeScript(t *testing.T) {
	w := newWorld(t)
	script := w.App("environ.py")
	static := openDirectory(t, w, "static")
	w.Write("static/a.txt", "static file\n")
	const uid = 64010
	wsgid, client := serveWith(t, w, uid, script, "--static", "/static/="+static, "--max-body-bytes", "1000")
	v := look(t, client.Get("/x?y=1"))
	if v.UID != uid || v.env("PATH_INFO") != "/x" || v.env("SCRIPT_NAME") != "" || v.env("QUERY_STRING") != "y=1" {
		t.Errorf("uid %d, %v", v.UID, v.Environ)
	}
	if got := client.Get("/static/a.txt"); got.Status != 200 || got.Text() != "static file\n" {
		t.Errorf("static: %d %q", got.Status, got.Body)
	}
	for _, path := range []string{"/static/../wsgid", "/static/%2e%2e/wsgid", "/static/..%2fwsgid"} {
		if got := client.Get(path); got.Status == 200 && got.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d, %d bytes", path, got.Status, len(got.Body))
		}
	}
	wantError(t, client.Do("POST", "/", strings.NewReader(strings.Repeat("x", 1001))), 413, "WSGID-1009")
	w.Write("apps/environ.py", "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'edited']\n")
	if got := client.Get("/"); got.Text() != "edited" {
		t.Errorf("after the edit: %d %s", got.Status, got.Body)
	}
	if state := wsgid.Status().State; state != "ready" {
		t.Errorf("status: %s", state)
	}
	wsgid.Stop()
	if left, _ := os.ReadDir(w.Control[:strings.LastIndexByte(w.Control, '/')]); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestServeModule: module:callable, with the current directory on sys.path;
// an edit of any module below it is noticed.
func TestServeModule(t *testing.T) {
	w := newWorld(t)
	w.Write("package/__init__.py", "")
	w.Write("package/inner.py", "ANSWER = b'first'\n")
	w.Write("package/web.py", "from . import inner\n\ndef app(environ, start_response):\n    start_response('200 OK', [])\n    return [inner.ANSWER]\n")
	_, client := serveWith(t, w, 64010, "package.web:app")
	if got := client.Get("/"); got.Text() != "first" {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	w.Write("package/inner.py", "ANSWER = b'edited'\n")
	harness.Eventually(t, "the edit is noticed", func() error {
		if got := client.Get("/"); got.Text() != "edited" {
			return fmt.Errorf("%d %s", got.Status, got.Body)
		}
		return nil
	})
}

// TestServeAsRoot: started by root, the application runs as --user.
func TestServeAsRoot(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	script := w.App("environ.py")
	_, client := serveWith(t, w, 0, script, "--user", "#64003", "--processes", "2", "--threads", "3")
	if v := look(t, client.Get("/")); v.UID != 64003 {
		t.Errorf("the application runs as %d", v.UID)
	}
	if got := client.Do("POST", "/x", strings.NewReader("body")); got.Status != 200 {
		t.Errorf("POST: %d", got.Status)
	}
}

// TestServeMistakes: what is no application is said, with another exit status than success.
func TestServeMistakes(t *testing.T) {
	w := newWorld(t)
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"serve"}, "application"},
		{[]string{"serve", w.Path("missing.wsgi")}, "missing.wsgi"},
		{[]string{"serve", "not a module:x"}, "not a module"},
		{[]string{"serve", w.Dir}, w.Dir},
	} {
		if code, _, errs := w.CLI(row.args...); code == 0 || !strings.Contains(errs, row.want) {
			t.Errorf("%v: %d %s", row.args, code, errs)
		}
	}
}

// TestServePort: --port is where it listens, 8000 where nothing is said, and a
// port that is taken is an error that names it.
func TestServePort(t *testing.T) {
	w := newWorld(t)
	script := w.App("hello.py")
	port := harness.FreePort(t)
	const uid = 64010
	wsgid := w.Start(harness.Options{Args: []string{"serve", "--port", fmt.Sprint(port), script}, UID: uid})
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	wsgid.Log.Await(t, "the URL", harness.Containing(url+"/"))
	if got := harness.NewClient(t, url).Get("/"); got.Text() != "Hello, world!\n" {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	code, _, errs := w.CLIAs(uid, "serve", "--port", fmt.Sprint(port), script)
	if code != 1 || !strings.Contains(errs, fmt.Sprintf("127.0.0.1:%d", port)) || !strings.Contains(errs, "address already in use") {
		t.Errorf("a second one on the same port: %d %s", code, errs)
	}
	if _, help, _ := w.CLI("serve", "--help"); !strings.Contains(help, "port to listen on; 0: any free one (default 8000)") {
		t.Errorf("the default port: %s", help)
	}
}

// TestServePythonHome: the application runs with the packages of the venv that
// --python-home names, by a relative path too.
func TestServePythonHome(t *testing.T) {
	w := newWorld(t)
	out, err := exec.Command(harness.SystemPython, "-m", "venv", "--without-pip", w.Path("venv")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	packages, err := filepath.Glob(w.Path("venv/lib/python3*/site-packages"))
	if err != nil || len(packages) != 1 {
		t.Fatal(packages, err)
	}
	w.Write(strings.TrimPrefix(packages[0], w.Dir+"/")+"/only_here.py", "ANSWER = 'of the venv'\n")
	script := w.Write("site.wsgi", "import only_here, sys\ndef application(environ, start_response):\n    start_response('200 OK', [])\n"+
		"    return [('%s|%s' % (only_here.ANSWER, sys.prefix)).encode()]\n")
	_, client := serveWith(t, w, 64010, script, "--python-home", "venv")
	if got, want := client.Get("/").Text(), "of the venv|"+w.Path("venv"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
