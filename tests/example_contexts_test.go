package tests

import (
	"os"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestExampleContexts runs examples/contexts.hcl and contexts-apache.conf as
// they are, but for users and paths.
func TestExampleContexts(t *testing.T) {
	w := newWorld(t)
	harness.NeedRoot(t)
	w.App("environ.py")
	app := func(names string) string {
		return "import sys\nsys.path.insert(0, '" + w.Path("apps") + "')\nimport environ as e\n" +
			"from functools import partial\nfor name in '" + names + "'.split():\n    globals()[name] = partial(e.answer, entry=name)\n"
	}
	w.Write("srv/site/site.wsgi", app("application internal elsewhere"))
	w.Write("srv/scripts/one.py", app("application"))
	w.Write("srv/scripts/index.py", app("application"))
	w.Write("srv/handlers/markdown.py", app("handle_request"))
	w.Write("srv/docs/a.md", "text")
	read := func(name string) string {
		content, err := os.ReadFile("../examples/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return strings.NewReplacer("/run/wsgid/wsgid.sock", "{{.Dir}}/trusted.sock", "/srv/", "{{.Dir}}/srv/", "wsgid-web", "#64002", "wsgid-admin", "#64001").Replace(string(content))
	}
	w.Configure(read("contexts.hcl"))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: "AccessFileName .htaccess\n" + read("contexts-apache.conf")})
	type answer struct {
		uid                int
		entry, application string
		file               string
	}
	want := map[string]answer{
		"/app":               {64002, "application", "", "/srv/site/site.wsgi"},
		"/app/x":             {64002, "application", "", "/srv/site/site.wsgi"},
		"/app/x/internal":    {64002, "internal", "", "/srv/site/site.wsgi"},
		"/app/admin/":        {64001, "application", "", "/srv/site/site.wsgi"},
		"/scripts/one.py/x":  {64002, "application", "scripts", "/srv/scripts/one.py"},
		"/scripts/":          {64002, "application", "scripts", "/srv/scripts/index.py"},
		"/docs/a.md":         {64002, "handle_request", "markdown", "/srv/docs/a.md"},
		"/docs/missing.md/x": {64002, "handle_request", "markdown", "/srv/docs/missing.md"},
	}
	check := func() {
		t.Helper()
		for url, want := range want {
			v := look(t, apache.Get(url))
			if got := (answer{v.UID, v.Entry, v.env("mod_wsgi.application_group"), strings.TrimPrefix(v.env("SCRIPT_FILENAME"), w.Dir)}); got != want {
				t.Errorf("%s: %+v, want %+v", url, got, want)
			}
		}
	}
	check()
	w.Write("srv/site/.htaccess", "SetEnv WSGID_CALLABLE_OBJECT elsewhere\n")
	for url, a := range want {
		if strings.HasPrefix(url, "/app") {
			a.entry = "elsewhere" // SetEnv wins over SetEnvIf
			want[url] = a
		}
	}
	check()
}
