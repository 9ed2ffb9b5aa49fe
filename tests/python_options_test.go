package tests

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// restricted is the answer of apps/restricted.py.
type restricted struct {
	Stdin, Stdout, Stderr string
	SignalReturned        *bool `json:"signal_returned"`
	SignalKept            bool  `json:"signal_kept"`
	Optimize              int
	Bytecode              bool
	Warnings              []string
	Interval              float64
	Hash                  int64
	Path                  []string
	Stack                 int
	Eggs                  string
	Left                  []string
}

func (r restricted) check(t *testing.T, what string, eggs string) {
	t.Helper()
	if r.Optimize != 2 || !r.Bytecode || !slices.Equal(r.Warnings, []string{"error::SyntaxWarning", "ignore"}) {
		t.Errorf("%s: optimize %d, no bytecode %t, warnings %q", what, r.Optimize, r.Bytecode, r.Warnings)
	}
	if r.Stack < 3<<20-64<<10 || r.Stack > 3<<20+64<<10 {
		t.Errorf("%s: the stack has %d bytes", what, r.Stack)
	}
	if r.Interval < 0.0019 || r.Interval > 0.0021 || r.Eggs != eggs || len(r.Left) != 0 {
		t.Errorf("%s: switch interval %g, eggs %q, left in the environment %q", what, r.Interval, r.Eggs, r.Left)
	}
}

// TestPythonOptions: the Python options of daemon_process and router reach each
// Python of the machine, main and sub-interpreters.
func TestPythonOptions(t *testing.T) {
	w := newWorld(t)
	w.App("restricted.py")
	options := []string{"python_optimize = 2", "python_dont_write_bytecode = true", `python_warnings = ["error::SyntaxWarning", "ignore"]`,
		"python_hash_seed = 0", `stack_size = "3MiB"`, `switch_interval = "2ms"`, option("python_eggs", w.Path("eggs"))}
	var body strings.Builder
	fmt.Fprintf(&body, "router {\n  %s\n}\n", strings.Join(options, "\n  "))
	body.WriteString(mount("/embedded", "apps/restricted.py", option("process_group", "%{GLOBAL}")))
	pythons := w.Pythons()
	for number, python := range pythons {
		name := fmt.Sprintf("p%d", number)
		body.WriteString(group(name, "#64001", 1, 2, append(options, python.Option())...))
		body.WriteString(mount("/"+name+"/main", "apps/restricted.py", option("process_group", name)))
		body.WriteString(mount("/"+name+"/sub", "apps/restricted.py", option("process_group", name), option("application_group", "sub")))
	}
	w.Configure(body.String())
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	ask := func(path string) restricted {
		t.Helper()
		response := apache.Get(path)
		if response.Status != 200 {
			t.Fatalf("%s: %d %.500s", path, response.Status, response.Body)
		}
		var r restricted
		response.JSON(t, &r)
		return r
	}
	embedded := ask("/embedded")
	embedded.check(t, "router", w.Path("eggs"))
	for number, python := range pythons {
		main, sub := ask(fmt.Sprintf("/p%d/main", number)), ask(fmt.Sprintf("/p%d/sub", number))
		main.check(t, python.Version, w.Path("eggs"))
		sub.check(t, python.Version+" sub", w.Path("eggs"))
		if main.Hash != sub.Hash || number == 0 && main.Hash != embedded.Hash {
			t.Errorf("Python %s: a fixed seed gives the hashes %d, %d and, in the router, %d", python.Version, main.Hash, sub.Hash, embedded.Hash)
		}
	}
}

// TestRestrictions: statement 45 of the mod_wsgi behaviour, and what
// interpreter_options select.
func TestRestrictions(t *testing.T) {
	w := newWorld(t)
	w.App("restricted.py")
	openDirectory(t, w, "lib")
	w.Configure("router {\n  restrict_stdin = true\n}\n" + group("web", "#64001", 1, 2, "restrict_stdin = true", "restrict_stdout = true") +
		"interpreter_options {\n  process_group = \"web\"\n  application_group = \"free\"\n  restrict_stdin = false\n  restrict_signal = false\n  python_path = [\"{{.Dir}}/lib\"]\n}\n" +
		mount("/embedded", "apps/restricted.py", option("process_group", "%{GLOBAL}")) +
		mount("/free", "apps/restricted.py", option("application_group", "free"), option("process_group", "web")) +
		mount("/", "apps/restricted.py", option("process_group", "web")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for _, row := range []struct {
		path                     string
		stdin, stdout, intercept bool
	}{{"/", true, true, true}, {"/free", false, true, false}, {"/embedded", true, false, true}} {
		var r restricted
		apache.Get(row.path).JSON(t, &r)
		for name, stream := range map[string]struct {
			said    string
			refused bool
		}{"stdin": {r.Stdin, row.stdin}, "stdout": {r.Stdout, row.stdout}, "stderr": {r.Stderr, false}} {
			refusal := "mod_wsgi.Restricted: sys." + name + " access restricted by mod_wsgi"
			if stream.refused && stream.said != refusal || !stream.refused && !strings.HasSuffix(stream.said, ": usable") {
				t.Errorf("%s: %s: %s", row.path, name, stream.said)
			}
		}
		if intercepted := r.SignalReturned != nil && *r.SignalReturned && r.SignalKept; intercepted != row.intercept {
			t.Errorf("%s: signal.signal intercepted: %t", row.path, intercepted)
		}
		if has := slices.Contains(r.Path, w.Path("lib")); has != (row.path == "/free") {
			t.Errorf("%s: sys.path %q", row.path, r.Path)
		}
	}
	record := wsgid.Log.Await(t, "warning about signal.signal", harness.Containing("signal.signal("))
	if record.Level() != "warn" || !strings.Contains(record.Message(), "restricted.py") {
		t.Errorf("the log of signal.signal: %s", record.Line)
	}
}

// TestScriptUser: a script that another user could have written is a 403.
func TestScriptUser(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("hello.py")
	w.Configure(group("mine", "#64001", 1, 1, option("script_user", "root")) + group("other", "#64001", 1, 1, option("script_group", "#64009")) +
		mount("/mine", "apps/hello.py", option("process_group", "mine")) + mount("/other", "apps/hello.py", option("process_group", "other")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	if r := apache.Get("/mine"); r.Status != 200 {
		t.Errorf("own script: %d %.300s", r.Status, r.Body)
	}
	wantError(t, apache.Get("/other"), 403, "WSGID-1141")
	if record := wsgid.Log.Await(t, "line about the owner", harness.Containing("script_group is 64009")); record.Level() != "error" || record.Text("code") != "WSGID-1141" {
		t.Errorf("the log of a refusal: %s", record.Line)
	}
}
