package tests

import (
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestBadConfiguration: check and run refuse a wrong file with exit status 1
// and say what is wrong, where, and all at once.
func TestBadConfiguration(t *testing.T) {
	good := "daemon_process \"web\" {\n  user = \"#64001\"\n}\nscript_alias \"/\" {\n  target = \"{{.Dir}}/apps/hello.py\"\n}\n"
	for _, row := range []struct {
		name, body string
		want       []string
	}{
		{"syntax", good + "daemon_process \"x\" {\n", []string{"wsgid.hcl:"}},
		{"unknown block", good + "deamon_process \"x\" {\n}\n", []string{"deamon_process", "daemon_process"}},
		{"unknown option", good + "daemon_process \"x\" {\n  proceses = 2\n}\n", []string{"proceses", "processes"}},
		{"wrong type", good + "daemon_process \"x\" {\n  threads = \"many\"\n}\n", []string{"threads"}},
		{"zero processes", good + "daemon_process \"x\" {\n  processes = 0\n}\n", []string{"processes"}},
		{"root", good + "daemon_process \"x\" {\n  user = \"root\"\n}\n", []string{"root"}},
		{"uid 0", good + "daemon_process \"x\" {\n  user = \"#0\"\n}\n", []string{"oot"}},
		{"twice", good + "daemon_process \"web\" {\n}\n", []string{"web"}},
		{"unknown group", good + "script_alias \"/x\" {\n  target = \"/x.py\"\n  process_group = \"wbe\"\n}\n", []string{"wbe", "web"}},
		{"ambiguous group", good + "daemon_process \"api\" {\n}\n", []string{"process_group", "api", "web"}},
		{"relative target", good + "script_alias \"/x\" {\n  target = \"x.py\"\n}\n", []string{"x.py"}},
		{"open tcp", good + "listen \"tcp\" {\n  address = \"0.0.0.0:9000\"\n}\n", []string{"allowed_clients"}},
		{"world-writable socket", good + "listen \"unix\" {\n  path = \"{{.Dir}}/run/x.sock\"\n  mode = \"0666\"\n}\n", []string{"mode"}},
		{"two pythons", good + "daemon_process \"x\" {\n  python = \"/usr/bin/python3\"\n  python_home = \"/usr\"\n}\n", []string{"python"}},
		{"include", good + "include = [\"{{.Dir}}/nowhere.hcl\"]\n", []string{"nowhere.hcl"}},
		{"several at once", good + "daemon_process \"x\" {\n  proceses = 2\n  threads = \"many\"\n}\nnonsense {\n}\n", []string{"proceses", "threads", "nonsense"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.App("hello.py")
			w.Configure(row.body)
			for _, verb := range []string{"check", "run"} {
				code, out, errs := w.CLI(verb, "--config", w.Path("wsgid.hcl"))
				if code != 1 {
					t.Errorf("%s ended with %d: %s%s", verb, code, out, errs)
				}
				for _, text := range append(row.want, "wsgid.hcl:") {
					if !strings.Contains(out+errs, text) {
						t.Errorf("%s does not name %q:\n%s%s", verb, text, out, errs)
					}
				}
			}
			for _, path := range []string{w.Socket, w.Control, w.PIDFile} {
				if harness.Exists(path) {
					t.Errorf("%s was made", path)
				}
			}
		})
	}
	t.Run("good", func(t *testing.T) {
		w := newWorld(t)
		w.App("hello.py")
		w.Configure(good)
		if code, out, errs := w.CLI("check", "--config", w.Path("wsgid.hcl")); code != 0 {
			t.Errorf("check of a good file ended with %d: %s%s", code, out, errs)
		}
	})
}

// TestBadStart: what only shows when it starts: run says it and ends with 1,
// and nothing is left.
func TestBadStart(t *testing.T) {
	mountAll := mount("/", "apps/hello.py")
	for _, row := range []struct {
		name, body string
		want       string
	}{
		{"socket below a file", "listen \"unix\" {\n  path = \"{{.Dir}}/apps/hello.py/x.sock\"\n}\n" + group("web", "#64001", 1, 1) + mountAll, "hello.py"},
		{"file instead of a socket", "listen \"unix\" {\n  path = \"{{.Dir}}/apps/hello.py\"\n}\n" + group("web", "#64001", 1, 1) + mountAll, "hello.py"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.App("hello.py")
			w.Configure(row.body)
			wsgid := w.Launch(harness.Options{})
			if code := wsgid.AwaitExit(); code != 1 {
				t.Errorf("it ended with %d", code)
			}
			wsgid.AssertGone()
			if text := wsgid.Log.Tail(100); !strings.Contains(text, row.want) {
				t.Errorf("it does not name %q:\n%s", row.want, text)
			}
			if !harness.Exists(w.Path("apps/hello.py")) {
				t.Error("it removed a file that is not a socket")
			}
		})
	}
	t.Run("no configuration", func(t *testing.T) {
		w := newWorld(t)
		code, out, errs := w.CLI("run", "--config", w.Path("nothing.hcl"))
		if code != 1 || !strings.Contains(errs, "nothing.hcl") || !strings.Contains(errs, "wsgid serve") {
			t.Errorf("%d: %s%s", code, out, errs)
		}
	})
	t.Run("wrong verb", func(t *testing.T) {
		w := newWorld(t)
		if code, out, errs := w.CLI("rum"); code != 2 || !strings.Contains(errs, "rum") {
			t.Errorf("%d: %s%s", code, out, errs)
		}
	})
}

// TestMissingPython: a group whose Python is missing, or has no shared
// library, says so in log and status and does not keep the others from working.
func TestMissingPython(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	w.Configure(group("bad", "#64001", 1, 1, option("python_home", w.Path("no-such-venv"))) + group("good", "#64002", 1, 1) +
		mount("/bad", "apps/hello.py", option("process_group", "bad")) + mount("/", "apps/hello.py", option("process_group", "good")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	wsgid.Log.Await(t, "the missing Python", harness.Containing("no-such-venv"))
	if got := apache.Get("/"); got.Status != 200 {
		t.Errorf("the good group: %d %s", got.Status, got.Body)
	}
	wantError(t, apache.Get("/bad"), 503, "WSGID-1014")
	bad := wsgid.AwaitStatus("the failed start shows", func(s harness.Status) error {
		if s.Group("bad").LastExit == nil {
			return errNotYet
		}
		return nil
	}).Group("bad")
	if bad.LastExit.Reason != "start_failed" || !strings.Contains(bad.LastExit.Error, "no-such-venv") {
		t.Errorf("last exit %+v", bad.LastExit)
	}
}
