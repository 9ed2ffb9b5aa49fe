package tests

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// appReport is what check --apps --json says of one application.
type appReport struct {
	Script           string   `json:"script"`
	ProcessGroup     string   `json:"process_group"`
	ApplicationGroup string   `json:"application_group"`
	UID              int      `json:"uid"`
	Python           string   `json:"python"`
	Prefix           string   `json:"prefix"`
	Executable       string   `json:"executable"`
	Path             []string `json:"path"`
	Seconds          float64  `json:"seconds"`
	ResidentBytes    int64    `json:"resident_bytes"`
	GrownBytes       int64    `json:"grown_bytes"`
	Error            string   `json:"error"`
	Hints            []string `json:"hints"`
	Warnings         []string `json:"warnings"`
	Output           []string `json:"output"`
}

// checkAppsOf runs check --apps --json and gives the exit status and reports by script.
func checkAppsOf(t *testing.T, w *harness.World) (int, map[string]appReport) {
	t.Helper()
	code, out, errs := w.CLI("check", "--apps", "--json", "--config", w.Path("wsgid.hcl"))
	var reports []appReport
	if err := json.Unmarshal([]byte(out), &reports); err != nil {
		t.Fatalf("status %d, %v: %s%s", code, err, out, errs)
	}
	byScript := map[string]appReport{}
	for _, r := range reports {
		byScript[strings.TrimPrefix(r.Script, w.Dir+"/")] = r
	}
	return code, byScript
}

// TestCheckApps: every fixed application is imported as its group's user, with
// figures, and nothing else of wsgid is started or left.
func TestCheckApps(t *testing.T) {
	w := newWorld(t)
	w.Write("apps/good.py", "import os, sys\nprint('hello', os.getuid())\nballast = bytearray(30 << 20)\nfor i in range(0, len(ballast), 4096): ballast[i] = 1\ndef application(environ, start_response): pass\n")
	w.Write("apps/inner.py", "def app(environ, start_response): pass\n")
	w.Write("apps/embedded.py", "def application(environ, start_response): pass\n")
	w.Write("dispatch.py", "def process_group(environ): return None\n")
	w.Configure(group("web", "#64001", 2, 3, `home = "{{.Dir}}"`) +
		host("www.example.test", mount("/good", "apps/good.py", option("process_group", "web"))) +
		mount("/again", "apps/good.py", option("process_group", "web")) +
		mount("/inner", "apps/inner.py", option("process_group", "web"), option("application_group", "inner"), option("callable_object", "app")) +
		mount("/embedded", "apps/embedded.py", option("process_group", "%{GLOBAL}")) +
		mount("/host", "apps/inner.py", option("process_group", "web"), option("application_group", "%{HOST}")) +
		mount("/dir", "apps/", option("process_group", "web")) +
		"dispatch_script \"{{.Dir}}/dispatch.py\" {\n}\n")
	code, reports := checkAppsOf(t, w)
	if code != 0 || len(reports) != 4 {
		t.Fatalf("status %d, %+v", code, reports)
	}
	good := reports["apps/good.py"]
	if good.Error != "" || good.UID != 64001 || good.ProcessGroup != "web" || good.ApplicationGroup != "%{GLOBAL}" ||
		good.Prefix != "/usr" || !strings.HasPrefix(good.Python, "3.") || good.Path[0] != w.Dir ||
		good.GrownBytes < 20<<20 || good.ResidentBytes < good.GrownBytes || good.Seconds <= 0 {
		t.Errorf("%+v", good)
	}
	if len(good.Output) != 1 || good.Output[0] != "hello 64001" {
		t.Errorf("output %q", good.Output)
	}
	if inner := reports["apps/inner.py"]; inner.Error != "" || inner.ApplicationGroup != "inner" {
		t.Errorf("%+v", inner)
	}
	for _, script := range []string{"apps/embedded.py", "dispatch.py"} {
		if r := reports[script]; r.Error != "" || r.ProcessGroup != "%{GLOBAL}" || r.UID == 0 || r.UID == 64001 {
			t.Errorf("%+v", r)
		}
	}
	for _, path := range []string{w.Socket, w.Control, w.PIDFile} {
		if harness.Exists(path) {
			t.Errorf("%s was made", path)
		}
	}
	code, out, errs := w.CLI("check", "--apps", "--config", w.Path("wsgid.hcl"))
	for _, text := range []string{"apps/good.py: ok\n", "user         64001 (64001)", "web, interpreter inner, callable app", "output       hello 64001", "MiB"} {
		if code != 0 || !strings.Contains(out, text) {
			t.Errorf("status %d, no %q in %s%s", code, text, out, errs)
		}
	}
}

// TestCheckAppsDiagnoses: of each of the usual failures the error itself and a
// sentence that says what to do.
func TestCheckAppsDiagnoses(t *testing.T) {
	w := newWorld(t)
	venv := w.Path("venv")
	if out, err := exec.Command(harness.SystemPython, "-m", "venv", "--without-pip", venv).CombinedOutput(); err != nil {
		t.Fatalf("venv: %v\n%s", err, out)
	}
	other := w.Path("old")
	if out, err := exec.Command("cp", "-a", venv, other).CombinedOutput(); err != nil {
		t.Fatalf("copy: %v\n%s", err, out)
	}
	w.Write("old/pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.7.1\n")
	w.Write("site/lib/python3.6/site-packages/elsewhere.py", "")
	buildBrokenExtension(t, w)
	w.Write("secret/inside/app.py", "def application(environ, start_response): pass\n")
	must(t, os.Chmod(w.Path("secret"), 0o700))
	app := func(name, text string) {
		w.Write("apps/"+name+".py", text+"\ndef application(environ, start_response): pass\n")
	}
	app("beside", "import helper_module")
	w.Write("apps/helper_module.py", "")
	app("absent", "import no_such_module_at_all")
	app("library", "import broken_extension")
	app("sitepackages", "import no_such_module_at_all")
	app("hangs", "import threading\nthreading.Event().wait()")
	app("exits", "import os\nos._exit(3)")
	app("dies", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
	app("systemexit", "import sys\nsys.exit('enough')")
	app("django", "raise RuntimeError('settings are not configured. You must define the environment variable DJANGO_SETTINGS_MODULE')")
	app("unreadable", "")
	must(t, os.Chmod(w.Path("apps/unreadable.py"), 0o600))
	w.Write("apps/othername.py", "def app(environ, start_response): pass\n")
	w.Write("apps/syntax.py", "def application(environ, start_response) pass\n")
	rows := []struct {
		group, script string
		options       []string
		wants         []string
	}{
		{"beside", "apps/beside.py", nil, []string{"ModuleNotFoundError: No module named 'helper_module'", `python_path = ["{{.Dir}}/apps"]`}},
		{"absent", "apps/absent.py", nil, []string{"no_such_module_at_all", "/usr/bin/python3", "python_home"}},
		{"absentvenv", "apps/absent.py", []string{`python_home = "{{.Dir}}/venv"`}, []string{"no_such_module_at_all", "{{.Dir}}/venv/bin/python -m pip install"}},
		{"library", "apps/library.py", []string{`python_path = ["{{.Dir}}/ext"]`}, []string{"libwsgidgone.so", "is missing on this machine"}},
		{"site", "apps/sitepackages.py", []string{`python_path = ["{{.Dir}}/site/lib/python3.6/site-packages"]`}, []string{"python_home instead", "Python 3.6"}},
		{"lib", "apps/beside.py", []string{`python_home = "{{.Dir}}/venv/lib/python3.11/site-packages"`}, []string{"points into an environment", `python_home = "{{.Dir}}/venv"`}},
		{"bin", "apps/beside.py", []string{`python_home = "{{.Dir}}/venv/bin"`}, []string{"points into an environment", `python_home = "{{.Dir}}/venv"`}},
		{"mismatch", "apps/beside.py", []string{`python_home = "{{.Dir}}/old"`}, []string{"was made by Python 3.7", "make it again"}},
		{"secret", "secret/inside/app.py", nil, []string{"may not enter the directory {{.Dir}}/secret (", "chmod o+x {{.Dir}}/secret,"}},
		{"secrethome", "apps/beside.py", []string{`python_home = "{{.Dir}}/secret/inside"`}, []string{"may not enter the directory {{.Dir}}/secret:"}},
		{"secretpath", "apps/absent.py", []string{`python_path = ["{{.Dir}}/secret/inside"]`}, []string{"may not enter the directory {{.Dir}}/secret ("}},
		{"unreadable", "apps/unreadable.py", nil, []string{"PermissionError", "may not read the file {{.Dir}}/apps/unreadable.py"}},
		{"hangs", "apps/hangs.py", []string{"startup_timeout = 2"}, []string{"startup_timeout"}},
		{"exits", "apps/exits.py", nil, []string{"ended while importing: exit status 3"}},
		{"dies", "apps/dies.py", nil, []string{"ended while importing: signal: killed"}},
		{"systemexit", "apps/systemexit.py", nil, []string{"SystemExit: enough"}},
		{"django", "apps/django.py", nil, []string{"RuntimeError", "DJANGO_SETTINGS_MODULE = "}},
		{"othername", "apps/othername.py", nil, []string{"no callable object 'application'", `callable_object = "app"`}},
		{"entry", "apps/othername.py", nil, []string{"no callable object 'handle_request'", "a handler_script is entered by handle_request"}},
		{"syntax", "apps/syntax.py", nil, []string{"SyntaxError", `apps/syntax.py", line 1`}},
		{"missing", "apps/nowhere.py", nil, []string{"does not exist"}},
	}
	var body strings.Builder
	for _, row := range rows {
		body.WriteString(group(row.group, "#64001", 1, 1, row.options...))
		if row.group == "entry" {
			body.WriteString(trusted + "handler_script \"markdown\" {\n  target = \"{{.Dir}}/" + row.script + "\"\n  process_group = \"entry\"\n}\n")
			continue
		}
		body.WriteString(mount("/"+row.group, row.script, option("process_group", row.group)))
	}
	w.Configure(body.String())
	code, out, errs := w.CLI("check", "--apps", "--json", "--config", w.Path("wsgid.hcl"))
	var reports []appReport
	if err := json.Unmarshal([]byte(out), &reports); err != nil || code != 1 || len(reports) != len(rows) {
		t.Fatalf("status %d, %v, %d reports: %s%s", code, err, len(reports), out, errs)
	}
	if !strings.Contains(errs, "21 applications of 21 cannot be served") {
		t.Errorf("said %q", errs)
	}
	for i, row := range rows {
		r := reports[i]
		said := r.Error + "\n" + strings.Join(append(r.Hints, r.Warnings...), "\n")
		if r.ProcessGroup != row.group || r.Error == "" {
			t.Errorf("%s: %+v", row.group, r)
		}
		for _, text := range row.wants {
			if !strings.Contains(said, w.Expand(text)) {
				t.Errorf("%s: no %q in\n%s", row.group, w.Expand(text), said)
			}
		}
	}
	if r := reports[4]; len(r.Warnings) != 1 {
		t.Errorf("python_path with site-packages: warnings %q", r.Warnings)
	}
	code, out, _ = w.CLI("check", "--apps", "--config", w.Path("wsgid.hcl"))
	for _, text := range []string{"apps/beside.py: FAILED", "error        ModuleNotFoundError", "probably     helper_module is in "} {
		if code != 1 || !strings.Contains(out, text) {
			t.Errorf("status %d, no %q in %s", code, text, out)
		}
	}
}

// TestCheckAppsIsLikeServing: what the configuration says of Python,
// interpreters and scripts holds for the throw-away process too; a service's
// script, which would run, is left out, other import scripts are not.
func TestCheckAppsIsLikeServing(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	app := "def application(environ, start_response): pass\n"
	w.Write("apps/shows.py", `import os, signal, sys, warnings
print(sys.flags.optimize, sys.dont_write_bytecode, sys.warnoptions, os.environ["ADDED"], os.environ.get("PYTHONWARNINGS"))
print(type(sys.stdin).__name__, round(sys.getswitchinterval(), 4), signal.signal(signal.SIGALRM, signal.SIG_IGN) is signal.SIG_IGN)
`+app)
	w.Write("apps/own.py", app)
	w.Write("apps/foreign.py", app)
	w.Write("imports/warm.py", "print(__name__[:10])\n")
	w.Write("imports/fails.py", "1 / 0\n")
	w.Write("service.py", "import threading\nthreading.Event().wait()\n")
	must(t, os.Chown(w.Path("apps/foreign.py"), 64009, 64009))
	w.Configure(group("web", "#64001", 1, 1, "python_optimize = 1", "python_dont_write_bytecode = true", `python_warnings = ["error::SyntaxWarning"]`,
		`environment = { ADDED = "yes" }`, option("script_user", "root")) +
		group("jobs", "#64001", 1, 0) +
		"interpreter_options {\n  application_group = \"inner\"\n  restrict_stdin = true\n  switch_interval = \"2ms\"\n}\n" +
		mount("/shows", "apps/shows.py", option("process_group", "web"), option("application_group", "inner")) +
		mount("/own", "apps/own.py", option("process_group", "web")) +
		mount("/foreign", "apps/foreign.py", option("process_group", "web")) +
		"import_script \"{{.Dir}}/imports/warm.py\" {\n  process_group = \"web\"\n}\n" +
		"import_script \"{{.Dir}}/imports/fails.py\" {\n  process_group = \"%{GLOBAL}\"\n}\n" +
		"import_script \"{{.Dir}}/service.py\" {\n  process_group = \"jobs\"\n}\n")
	code, reports := checkAppsOf(t, w)
	if code != 1 || len(reports) != 5 {
		t.Fatalf("status %d, %+v", code, reports)
	}
	for script, want := range map[string]string{
		"apps/shows.py":   "1 True ['error::SyntaxWarning'] yes None|Restricted 0.002 True",
		"imports/warm.py": "_mod_wsgi_",
		"apps/own.py":     "",
	} {
		if r := reports[script]; r.Error != "" || strings.Join(r.Output, "|") != want {
			t.Errorf("%s: %+v", script, r)
		}
	}
	for script, want := range map[string]string{
		"apps/foreign.py":  "OSError: script belongs to somebody else: " + w.Path("apps/foreign.py") + " has owner 64009, script_user is 0",
		"imports/fails.py": "ZeroDivisionError: division by zero",
	} {
		if r := reports[script]; !strings.HasSuffix(r.Error, want) {
			t.Errorf("%s: %+v", script, r)
		}
	}
}

// buildBrokenExtension makes ext/broken_extension.so, which needs a library
// that is gone.
func buildBrokenExtension(t *testing.T, w *harness.World) {
	t.Helper()
	gcc := harness.Need(t, "gcc")
	library := w.Write("ext/gone.c", "int wsgid_gone(void) { return 1; }\n")
	extension := w.Write("ext/broken.c", "int wsgid_gone(void);\nvoid *PyInit_broken_extension(void) { return wsgid_gone() ? 0 : 0; }\n")
	for _, args := range [][]string{
		{"-shared", "-fPIC", "-o", w.Path("ext/libwsgidgone.so"), library},
		{"-shared", "-fPIC", "-o", w.Path("ext/broken_extension.so"), extension, "-L" + w.Path("ext"), "-lwsgidgone"},
	} {
		if out, err := exec.Command(gcc, args...).CombinedOutput(); err != nil {
			t.Fatalf("gcc: %v\n%s", err, out)
		}
	}
	must(t, os.Remove(w.Path("ext/libwsgidgone.so")))
}

// must ends the test on an error of its set-up.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
