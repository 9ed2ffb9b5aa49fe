package tests

import (
	"fmt"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// levels configures three mounts: /own has a script of its own, /none has
// none, / has the default one. In one virtual host they have that host's, in
// another one none, if they do not say it themselves.
func levels(w *harness.World, timeout string) {
	w.T.Helper()
	w.App("environ.py")
	app := func(url string, options ...string) string {
		return mount(url, "apps/environ.py", append(options, option("process_group", "a"), option("application_group", "static"))...)
	}
	w.Configure(group("a", "#64001", 1, 4) + group("b", "#64002", 1, 4) + `
dispatch_script "{{.Dir}}/dispatch.py" {}
dispatch_script "{{.Dir}}/own.py" {
  default          = false
  ` + option("dispatch_timeout", timeout) + `
}
dispatch_script "{{.Dir}}/host.py" {
  default = false
}
virtual_host "scripted.test" {
  dispatch_script = "{{.Dir}}/host.py"
` + app("/host") + app("/host-own", option("dispatch_script", "{{.Dir}}/own.py")) + `}
virtual_host "plain.test" {
  dispatch_script = ""
}
` + app("/own", option("dispatch_script", "{{.Dir}}/own.py")) + app("/none", option("dispatch_script", "")) + app("/"))
}

// TestDispatchLevels: the nearest context's script decides, alone; a mount
// without one is not decided.
func TestDispatchLevels(t *testing.T) {
	w := newWorld(t)
	levels(w, "1m")
	moves := "def application_group(environ):\n    return %q\ndef process_group(environ):\n    return 'b'\n"
	w.Write("dispatch.py", fmt.Sprintf(moves, "by the default"))
	w.Write("own.py", "def application_group(environ):\n    return 'by its own'\n")
	w.Write("host.py", fmt.Sprintf(moves, "by the host"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	byDefault, byOwn, byHost := decision{"b", "by the default", "application"}, decision{"a", "by its own", "application"}, decision{"b", "by the host", "application"}
	for _, row := range []struct {
		host, path string
		want       decision
	}{
		{"any.test", "/own/x", byOwn}, {"any.test", "/none/x", static}, {"any.test", "/", byDefault},
		{"scripted.test", "/host", byHost}, {"scripted.test", "/host-own", byOwn},
		{"scripted.test", "/own", byOwn}, {"scripted.test", "/none", static}, {"scripted.test", "/", byHost},
		{"plain.test", "/own", byOwn}, {"plain.test", "/", static},
	} {
		if got := decided(look(t, apache.Get(row.path, "Host: "+row.host))); got != row.want {
			t.Errorf("%s%s: decided %+v, want %+v", row.host, row.path, got, row.want)
		}
	}
	for number, want := range []struct {
		path  string
		calls uint64
	}{{"dispatch.py", 1}, {"own.py", 4}, {"host.py", 2}} {
		got := wsgid.Status().Router.Scripts[number]
		if got.Kind != "dispatch script" || got.Path != w.Path(want.path) || got.Calls != want.calls || got.Running != 0 || got.Lost != 0 || got.LoadError != "" {
			t.Errorf("status of %s: %+v", want.path, got)
		}
	}
}

// TestDispatchLevelsApart: a script that is broken or hangs costs the requests
// of its own mounts and no others.
func TestDispatchLevelsApart(t *testing.T) {
	w := newWorld(t)
	levels(w, "500ms")
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
