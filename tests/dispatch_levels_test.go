package tests

import (
	"fmt"
	"strings"
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
	levels(w, "2s")
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

// TestDispatchScriptByApache: Directory, Location, Files and .htaccess choose
// among the declared scripts where allow_override permits it.
func TestDispatchScriptByApache(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	for _, name := range []string{"apps/one.wsgi", "apps/two.wsgi", "apps/htaccess/three.wsgi", "apps/htaccess/evil.wsgi", "closed/four.wsgi"} {
		w.Write(name, "import sys\nsys.path.insert(0, '"+w.Path("apps")+"')\nfrom environ import application\n")
	}
	var scripts strings.Builder
	for _, name := range []string{"directory", "location", "files", "htaccess"} {
		path := w.Write(name+".py", fmt.Sprintf("def application_group(environ):\n    return %q\n", "by "+name))
		fmt.Fprintf(&scripts, "dispatch_script %q {\n  default = false\n}\n", path)
	}
	evil := w.Write("evil.py", "raise SystemExit\n")
	w.Write("apps/htaccess/.htaccess", fmt.Sprintf("SetEnv WSGID_DISPATCH_SCRIPT %s\n<Files evil.wsgi>\n  SetEnv WSGID_DISPATCH_SCRIPT %s\n</Files>\n", w.Path("htaccess.py"), evil))
	w.Configure(trusted + scripts.String() + group("a", "#64001", 1, 2) +
		mount("/apps", "apps/", option("application_group", "static"), `allow_override = ["dispatch_script"]`) +
		mount("/closed", "closed/", option("application_group", "static")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: `
AccessFileName .htaccess
` + trustedProxy + harness.HandlerProxy + `
Alias "/apps" "{{.Dir}}/apps"
Alias "/closed" "{{.Dir}}/closed"
<Directory "{{.Dir}}/apps">
  ` + trustedHandler + `
  AllowOverride FileInfo
  SetEnv WSGID_DISPATCH_SCRIPT {{.Dir}}/directory.py
</Directory>
<Directory "{{.Dir}}/closed">
  ` + trustedHandler + `
  SetEnvIf Request_URI choose WSGID_DISPATCH_SCRIPT={{.Dir}}/directory.py
</Directory>
<Files "two.wsgi">
  SetEnv WSGID_DISPATCH_SCRIPT {{.Dir}}/files.py
</Files>
<Location "/apps/one.wsgi/location">
  SetEnv WSGID_DISPATCH_SCRIPT {{.Dir}}/location.py
</Location>
<Location "/apps/one.wsgi/none">
  SetEnv WSGID_DISPATCH_SCRIPT none
</Location>
`})
	for url, want := range map[string]string{
		"/apps/one.wsgi": "by directory", "/apps/two.wsgi": "by files", "/apps/htaccess/three.wsgi": "by htaccess",
		"/apps/one.wsgi/location": "by location", "/apps/one.wsgi/none": "static", "/closed/four.wsgi": "static",
	} {
		if got := look(t, apache.Get(url, "WSGID-Dispatch-Script: "+w.Path("location.py"))).env("mod_wsgi.application_group"); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
	wantError(t, apache.Get("/closed/four.wsgi/choose"), 500, "WSGID-1032")
	wantError(t, apache.Get("/apps/htaccess/evil.wsgi"), 500, "WSGID-1031")
	wsgid.Log.Await(t, "the refusal", harness.Containing("WSGID-1031", evil, "no dispatch_script block declares it"))
	if len(wsgid.Log.Find(harness.Containing("loading script", evil))) > 0 {
		t.Error("a script that is not declared was loaded")
	}
}
