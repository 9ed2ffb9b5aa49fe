package tests

import (
	"fmt"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// levels configures three mounts: /own has a script of its own, /none has
// none, / has the default one.
func levels(w *harness.World) {
	w.T.Helper()
	w.App("environ.py")
	app := func(url string, options ...string) string {
		return mount(url, "apps/environ.py", append(options, option("process_group", "a"), option("application_group", "static"))...)
	}
	w.Configure(group("a", "#64001", 1, 4) + group("b", "#64002", 1, 4) + `
dispatch_script "{{.Dir}}/dispatch.py" {}
dispatch_script "{{.Dir}}/own.py" {
  default          = false
  dispatch_timeout = "500ms"
}
` + app("/own", option("dispatch_script", "{{.Dir}}/own.py")) + app("/none", option("dispatch_script", "")) + app("/"))
}

// TestDispatchLevels: the nearest context's script decides, alone; a mount
// without one is not decided and cannot reach another group's processes.
func TestDispatchLevels(t *testing.T) {
	w := newWorld(t)
	levels(w)
	moves := "def application_group(environ):\n    return %q\ndef process_group(environ):\n    return 'b'\n"
	w.Write("dispatch.py", fmt.Sprintf(moves, "by the default"))
	w.Write("own.py", "def application_group(environ):\n    return 'by its own'\n")
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for path, want := range map[string]decision{
		"/own/x": {"a", "by its own", "application"}, "/none/x": static, "/": {"b", "by the default", "application"},
	} {
		if got := decided(look(t, apache.Get(path))); got != want {
			t.Errorf("%s: decided %+v, want %+v", path, got, want)
		}
	}
	for number, path := range []string{"dispatch.py", "own.py"} {
		got := wsgid.Status().Router.Scripts[number]
		if got.Kind != "dispatch script" || got.Path != w.Path(path) || got.Calls != 1 || got.Running != 0 || got.Lost != 0 || got.LoadError != "" {
			t.Errorf("status of %s: %+v", path, got)
		}
	}
}

// TestDispatchLevelsApart: a script that is broken or hangs costs the requests
// of its own mounts and no others.
func TestDispatchLevelsApart(t *testing.T) {
	w := newWorld(t)
	levels(w)
	w.Write("dispatch.py", "def process_group(environ):\n    return 'b'\n")
	w.Write("own.py", "raise RuntimeError('broken on purpose')\n")
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	others := func() {
		t.Helper()
		if got := decided(look(t, apache.Get("/none"))); got != static {
			t.Errorf("without a script: %+v", got)
		}
		if got := look(t, apache.Get("/")).env("mod_wsgi.process_group"); got != "b" {
			t.Errorf("with the default: group %s", got)
		}
	}
	wantError(t, apache.Get("/own"), 500, "WSGID-1019")
	others()
	if s := wsgid.Status().Router.Scripts; s[0].LoadError != "" || s[1].LoadError == "" {
		t.Errorf("status: %+v", s)
	}
	w.Write("own.py", "import time\ndef process_group(environ):\n    while True:\n        time.sleep(0.01)\n")
	wantError(t, apache.Get("/own"), 504, "WSGID-1020")
	others()
}
