package tests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestInterpreterChosenByDispatch: statement 44 of the mod_wsgi behaviour: the
// application group that a dispatch script returns goes before the static one,
// and each is an interpreter of its own.
func TestInterpreterChosenByDispatch(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	w.Write("dispatch.py", "def application_group(environ):\n    return environ['QUERY_STRING'] or None\n")
	w.Configure(group("web", "#64001", 1, 2) + "dispatch_script \"{{.Dir}}/dispatch.py\" {}\n" +
		mount("/", "apps/environ.py", option("application_group", "static")))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for turn := 1; turn <= 3; turn++ {
		for query, want := range map[string]string{"": "static", "?other": "other", "?%25{GLOBAL}": "%25{GLOBAL}", "?third": "third"} {
			v := look(t, apache.Get("/"+query))
			if got := v.env("mod_wsgi.application_group"); got != want {
				t.Errorf("%q ran in %q, want %q", query, got, want)
			}
			if v.Hits != turn { // the module of each interpreter counts for itself
				t.Errorf("%q: request %d of the interpreter, want %d", query, v.Hits, turn)
			}
		}
	}
}

// TestExtensionDiagnosis: an extension that cannot be in a sub-interpreter is
// named together with the setting that helps, and works with that setting.
func TestExtensionDiagnosis(t *testing.T) {
	w := newWorld(t)
	w.App("extension.py")
	w.Write("apps/importing.py", "import refuser\ndef application(environ, start_response): pass\n")
	dir := w.Extensions()
	w.Configure(group("web", "#64001", 1, 2, fmt.Sprintf("python_path = [%q]", dir)) +
		mount("/main", "apps/extension.py") +
		mount("/sub", "apps/extension.py", option("application_group", "shop")) +
		mount("/importing", "apps/importing.py", option("application_group", "late"), "preload = false"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for query, want := range map[string]string{"refuser": "imported in ''", "foreign": "called in ''"} {
		if r := apache.Get("/main?" + query); r.Text() != want {
			t.Errorf("%s in the main interpreter: %d %.300s", query, r.Status, r.Body)
		}
	}
	wantError(t, apache.Get("/importing"), 500, "WSGID-1143")
	wantError(t, apache.Get("/sub?refuser"), 500, "WSGID-1105")
	if r := apache.Get("/sub?foreign"); r.Text() != "called in 'shop'" {
		t.Errorf("foreign in a sub-interpreter: %d %.300s", r.Status, r.Body)
	}
	for _, row := range [][]string{
		{"error", "extension module refuser does not support sub-interpreters", `application group "late"`},
		{"error", "extension module refuser does not support sub-interpreters", `application group "shop"`},
		{"warn", "extension module foreign enters Python from threads of its own", `application group "shop"`},
	} {
		record := wsgid.Log.Await(t, row[1], func(r harness.Record) bool {
			return strings.Contains(r.Message(), row[1]) && strings.Contains(r.Message(), row[2])
		})
		if record.Level() != row[0] || record.Text("code") != "WSGID-1143" || !strings.Contains(record.Message(), `set application_group = "%{GLOBAL}"`) {
			t.Errorf("the diagnosis: %s", record.Line)
		}
	}
	if code, out, errs := w.CLI("check", "--apps", "--config", w.Path("wsgid.hcl")); code == 0 || !strings.Contains(out+errs, "extension module refuser does not support sub-interpreters") {
		t.Errorf("check --apps: %d %s%s", code, out, errs)
	}
}

// TestExtensionDiagnosisOfDispatch: the same for what a dispatch script imports.
func TestExtensionDiagnosisOfDispatch(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	w.Write("dispatch.py", "import refuser\n")
	w.Configure(fmt.Sprintf("router {\n  python_path = [%q]\n}\n", w.Extensions()) + group("web", "#64001", 1, 2) +
		"dispatch_script \"{{.Dir}}/dispatch.py\" {\n  application_group = \"inner\"\n}\n" + mount("/", "apps/environ.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	wantError(t, apache.Get("/"), 500, "WSGID-1019")
	record := wsgid.Log.Await(t, "name of the extension", harness.Containing("extension module refuser does not support sub-interpreters"))
	if record.Text("code") != "WSGID-1143" || record.Text("application") != "inner" {
		t.Errorf("the diagnosis: %s", record.Line)
	}
}

// TestInterpreterLimit: clients that make up names of hosts do not get more
// interpreters than max_interpreters, in a group and in the router.
func TestInterpreterLimit(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	w.Configure("router {\n  max_interpreters = 1\n}\n" + group("web", "#64001", 1, 2, "max_interpreters = 2") +
		mount("/embedded", "apps/environ.py", option("application_group", "%{HOST}"), option("process_group", "%{GLOBAL}")) +
		mount("/", "apps/environ.py", option("application_group", "%{HOST}"), option("process_group", "web")))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: "ProxyPreserveHost On\n" + harness.ProxyPass})
	for _, row := range []struct {
		path, host string
		refused    bool
	}{
		{"/", "a.test", false}, {"/", "b.test", false}, {"/", "c.test", true}, {"/", "d.test", true}, {"/", "a.test", false},
		{"/embedded", "a.test", false}, {"/embedded", "b.test", true}, {"/embedded", "a.test", false},
	} {
		response := apache.Get(row.path, "Host: "+row.host)
		if row.refused {
			wantError(t, response, 503, "WSGID-1142")
			if got := response.Header.Get("Retry-After"); got != "60" {
				t.Errorf("%s %s: Retry-After %q", row.path, row.host, got)
			}
			continue
		}
		if got := look(t, response).env("mod_wsgi.application_group"); !strings.HasPrefix(got, row.host) {
			t.Errorf("%s %s ran in %q", row.path, row.host, got)
		}
	}
}

// TestInterpreterLimitOfDispatch: a dispatch script runs in the interpreter that
// the request was going to use; made-up names find the router's limit.
func TestInterpreterLimitOfDispatch(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	w.Write("dispatch.py", "def callable_object(environ): pass\n")
	w.Configure("router {\n  max_interpreters = 1\n}\n" + group("web", "#64001", 1, 2) + "dispatch_script \"{{.Dir}}/dispatch.py\" {}\n" +
		mount("/", "apps/environ.py", option("application_group", "%{HOST}")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: "ProxyPreserveHost On\n" + harness.ProxyPass})
	look(t, apache.Get("/", "Host: a.test"))
	wantError(t, apache.Get("/", "Host: b.test"), 503, "WSGID-1142")
	look(t, apache.Get("/", "Host: a.test"))
	wsgid.Log.Await(t, "line about the limit", harness.Containing("max_interpreters of the router is reached"))
}

// TestSharedMainInterpreter: check points out scripts that share a main
// interpreter, and ends with success.
func TestSharedMainInterpreter(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	w.App("hello.py")
	configure := func(options ...string) (int, string) {
		w.Configure(group("web", "#64001", 1, 1) + mount("/one", "apps/environ.py") + mount("/two", "apps/hello.py", options...))
		code, out, errs := w.CLI("check", "--config", w.Path("wsgid.hcl"))
		return code, out + errs
	}
	if code, text := configure(); code != 0 || !strings.Contains(text, "Shared main interpreter") || !strings.Contains(text, w.Path("apps/environ.py")) {
		t.Errorf("check: %d %s", code, text)
	}
	if code, text := configure(option("application_group", "two")); code != 0 || strings.Contains(text, "Shared main") {
		t.Errorf("check with an application group of its own: %d %s", code, text)
	}
}
