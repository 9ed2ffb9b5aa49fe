package tests

import (
	"fmt"
	"os"
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
