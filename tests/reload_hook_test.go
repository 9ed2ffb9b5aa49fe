package tests

import (
	"os"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// loaded is the answer of apps/reload.py.
type loaded struct {
	Version, Dependency, Hits, PID int
	MainThread                     bool `json:"main_thread"`
	SHA256                         string
}

// reloadWorld has apps/reload.py, a module dependency, and a directory for
// what tests tell them. options are those of the group.
func reloadWorld(t *testing.T, processes int, options ...string) *harness.World {
	t.Helper()
	w := newWorld(t)
	w.App("reload.py")
	w.Write("lib/dependency.py", "VERSION = 1\n")
	openDirectory(t, w, "state")
	options = append(options, `python_path = ["{{.Dir}}/lib"]`, `environment = { STATE = "{{.Dir}}/state", PYTHONDONTWRITEBYTECODE = "1" }`)
	w.Configure(group("only", "#64001", processes, 2, options...) + mount("/", "apps/reload.py"))
	return w
}

// get asks apps/reload.py, which must answer.
func (l *loaded) get(t *testing.T, client *harness.Client, path string) loaded {
	t.Helper()
	response := client.Get(path)
	if response.Status != 200 {
		t.Fatalf("status %d: %.500s", response.Status, response.Body)
	}
	response.JSON(t, l)
	return *l
}

// TestReloadHook: an unmodified script is one module; a touched one is loaded
// anew for the very next request; reload_required that says no or raises keeps
// it, that says yes once reloads it once; so does a __mtime__ that was deleted.
func TestReloadHook(t *testing.T) {
	w := reloadWorld(t, 1)
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	var now loaded
	same := func(what string, path string) {
		t.Helper()
		before := now
		if now.get(t, apache.Client, path); now.PID != before.PID || now.Hits != before.Hits+1 {
			t.Errorf("%s: process %d with %d hits became %d with %d", what, before.PID, before.Hits, now.PID, now.Hits)
		}
	}
	anew := func(what string, path string) {
		t.Helper()
		before := now
		if now.get(t, apache.Client, path); now.PID == before.PID || now.Hits != 1 {
			t.Errorf("%s: the same process, or not its first request: %+v after %+v", what, now, before)
		}
	}
	now.get(t, apache.Client, "/")
	if !now.MainThread || now.Hits != 1 {
		t.Errorf("not preloaded: %+v", now)
	}
	same("unmodified", "/")
	same("unmodified", "/")
	source := readFile(t, w.Path("apps/reload.py"))
	w.Write("apps/reload.py", strings.Replace(source, "VERSION = 1", "VERSION = 2", 1))
	anew("touched", "/")
	if now.Version != 2 {
		t.Errorf("version %d", now.Version)
	}
	w.Write("state/hook", "false")
	same("the hook says no", "/")
	w.Write("state/hook", "raise")
	mark := wsgid.Log.Mark()
	same("the hook raises", "/")
	record := wsgid.Log.AwaitFrom(t, mark, "the traceback", harness.Containing("the hook does not know"))
	if !strings.Contains(record.Message(), "Traceback") || record.Level() != "error" {
		t.Errorf("logged %s", record.Line)
	}
	same("the hook raises", "/")
	w.Write("state/hook", "once")
	anew("the hook says yes", "/")
	same("the hook says nothing more", "/")
	same("the hook says nothing more", "/")
	same("__mtime__ is deleted", "/?delete")
	anew("__mtime__ was deleted", "/")
	same("unmodified", "/")
	wsgid.AwaitStatus("three replacements", func(s harness.Status) error {
		if s.Group("only").Restarts["script_reload"] != 3 {
			return errNotYet
		}
		return nil
	})
	w.Write("state/hook", "true")
	for range 3 { // always: every request of a process but its first
		now.get(t, apache.Client, "/")
		anew("the hook always says yes", "/")
	}
	if err := os.Remove(w.Path("state/hook")); err != nil {
		t.Fatal(err)
	}
	response := apache.Do("POST", "/?delete", strings.NewReader("x"))
	if response.Status != 200 {
		t.Errorf("POST: %d", response.Status)
	}
	response = apache.Do("POST", "/", strings.NewReader("body"))
	response.JSON(t, &now)
	if now.Hits != 1 || now.SHA256 != digest([]byte("body")) {
		t.Errorf("a POST that is answered by the next process: %+v", now)
	}
}
