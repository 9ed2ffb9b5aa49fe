package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wsgid/wsgid/config"
)

var update = flag.Bool("update", false, "write the results into testdata")

// golden compares with a file, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", name, diff)
	}
}

func TestServeConfiguration(t *testing.T) {
	o := serveOptions{
		bind: "::1", port: 8001, pythonHome: "/opt/venv", user: "www-data", processes: 2, threads: 5,
		static: []string{"/static/=/srv/static"}, maxBody: "10MiB", logLevel: "debug",
	}
	app := &application{script: "/srv/${x}/%{HOST}/site.wsgi", cwd: "/srv", path: "/srv/x"}
	source, err := o.configuration(app, "/tmp/private")
	if err != nil {
		t.Fatal(err)
	}
	result := config.ReadBytes("command line", source, config.Identity{User: "root"})
	if result.Config == nil {
		t.Fatal(result.Diagnostics)
	}
	c := result.Config
	p, s, l := c.DaemonProcesses[0], c.ScriptAliases[0], c.Listeners[0]
	if l.Kind != config.ListenHTTP || l.Address != "[::1]:8001" || l.Static[0].Prefix != "/static/" || l.Static[0].Dir != "/srv/static" {
		t.Errorf("listener %+v", l)
	}
	if p.PythonHome != "/opt/venv" || p.User != "www-data" || p.Processes != 2 || p.Threads != 5 || p.Home != "/srv" || p.PythonPath[0] != "/srv/x" {
		t.Errorf("group %+v", p)
	}
	if s.Target != app.script || s.ProcessGroup != groupName || !s.Preload || s.MaxBodyBytes != 10<<20 {
		t.Errorf("mount %+v", s)
	}
	if c.Router.User != "www-data" || c.Control.Path != "/tmp/private/control.sock" || c.Log.Level != "debug" {
		t.Errorf("configuration %+v", c)
	}
}

func TestServeUser(t *testing.T) {
	var out strings.Builder
	ordinary := &serveOptions{user: "other"}
	if err := ordinary.chooseUser(config.Identity{UID: 1000}, &out); codeOf(err) != exitUsage {
		t.Errorf("an ordinary user chose another: %v", err)
	}
	root := &serveOptions{}
	if err := root.chooseUser(config.Identity{}, &out); err != nil {
		t.Fatal(err)
	}
	if root.user == "" || !strings.Contains(out.String(), "runs as "+root.user) {
		t.Errorf("root serves as %q, said %q", root.user, out.String())
	}
}

func TestFindApplication(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("a:b", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	app, err := findApplication("a:b")
	if err != nil || app.module != "" || !filepath.IsAbs(app.script) {
		t.Errorf("an existing file is a script: %+v, %v", app, err)
	}
	app, err = findApplication("mysite.wsgi:factory.app")
	if err != nil || app.module != "mysite.wsgi" || app.callable != "factory.app" || app.path != app.cwd {
		t.Errorf("a module: %+v, %v", app, err)
	}
	for _, name := range []string{"none.wsgi", "a-b:c", ":c", "a:", "a..b:c", "a:b()"} {
		if _, err := findApplication(name); err == nil {
			t.Errorf("%q was accepted", name)
		}
	}
}

func TestPythonString(t *testing.T) {
	for in, want := range map[string]string{
		"plain":    `"plain"`,
		"a\"b\\c":  `"a\U00000022b\U0000005cc"`,
		"grün":     `"gr\U000000fcn"`,
		"bad\xff.": `"bad\udcff."`,
	} {
		if got := pythonString(in); got != want {
			t.Errorf("pythonString(%q) is %s, want %s", in, got, want)
		}
	}
}

// TestLoader runs the loader script in a Python of its own, as a worker would:
// it finds the callable, notices a change of an imported module, and after a
// failed import everything is read anew.
func TestLoader(t *testing.T) {
	root := filepath.Join(t.TempDir(), `we"ird`)
	for name, text := range map[string]string{
		"project/__init__.py": "",
		"project/helper.py":   "VALUE = 1\n",
		"project/wsgi.py":     "from project import helper\nclass factory:\n    app = helper.VALUE\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	app := &application{module: "project.wsgi", callable: "factory.app", cwd: root, path: root}
	loader := filepath.Join(t.TempDir(), "loader.wsgi")
	if err := app.writeLoader(loader); err != nil {
		t.Fatal(err)
	}
	driver := exec.Command("python3", "-B", "testdata/drive_loader.py", loader, root)
	out, err := driver.CombinedOutput()
	if err != nil || string(out) != "ok\n" {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestWarnUnreachable(t *testing.T) {
	closed := filepath.Join(t.TempDir(), "closed")
	if err := os.MkdirAll(filepath.Join(closed, "open"), 0o755); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(closed, "open", "site.wsgi")
	for mode, want := range map[os.FileMode]bool{0o700: true, 0o755: false} {
		if err := os.Chmod(closed, mode); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		warnUnreachable(&out, script, "nobody")
		if got := strings.Contains(out.String(), "user nobody cannot enter "+closed+","); got != want {
			t.Errorf("mode %04o: said %q", mode, out.String())
		}
	}
}
