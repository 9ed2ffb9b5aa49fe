package tests

import (
	"fmt"
	"os"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestCaseSensitivity: on a file system that does not tell case apart, for
// which links stand here, two spellings of a script are one module and one
// %{RESOURCE}. URLs keep their case.
func TestCaseSensitivity(t *testing.T) {
	t.Parallel()
	for _, sensitive := range []bool{true, false} {
		t.Run(fmt.Sprint(sensitive), func(t *testing.T) {
			w := newWorld(t)
			w.App("environ.py")
			w.Write("scripts/app.py", "import sys\nsys.path.insert(0, \""+w.Path("apps")+"\")\nfrom environ import application as answer\nhits = 0\n"+
				"def application(environ, start_response):\n    global hits\n    hits += 1\n    environ['test.hits'] = str(hits)\n    return answer(environ, start_response)\n")
			if err := os.Symlink(w.Path("scripts/app.py"), w.Path("scripts/APP.py")); err != nil {
				t.Fatal(err)
			}
			w.Configure(fmt.Sprintf("router {\n  case_sensitivity = %v\n}\n", sensitive) + group("only", "#64001", 1, 1) +
				mount("/w/", "scripts/", option("process_group", "only")) +
				mount("/own/", "scripts/", option("process_group", "only"), option("application_group", "%{RESOURCE}")) +
				mount("/Here/", "scripts/", option("process_group", "%{GLOBAL}")))
			w.Start(harness.Options{})
			client := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass}).Client
			second, resource := "1", "|/own/APP.py"
			if !sensitive {
				second, resource = "2", "|/own/app.py"
			}
			for _, prefix := range []string{"/w", "/Here"} {
				for _, c := range []struct{ name, hits string }{{"app.py", "1"}, {"APP.py", second}} {
					v := look(t, client.Get(prefix+"/"+c.name))
					if v.env("test.hits") != c.hits || v.env("SCRIPT_NAME") != prefix+"/"+c.name {
						t.Errorf("%s%s: request %s of its module, want %s; %s", prefix, c.name, v.env("test.hits"), c.hits, v.env("SCRIPT_NAME"))
					}
				}
			}
			v := look(t, client.Get("/own/APP.py"))
			if got := v.env("mod_wsgi.application_group"); len(got) < len(resource) || got[len(got)-len(resource):] != resource {
				t.Errorf("%%{RESOURCE} is %q", got)
			}
			wantError(t, client.Get("/here/app.py"), 404, "WSGID-1003")
		})
	}
}
