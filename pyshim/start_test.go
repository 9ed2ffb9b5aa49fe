package pyshim_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/pyshim"
)

// everyPython is all Pythons of the machine from 3.8 on, by executable; the
// system's is always there.
func everyPython(t testing.TB) []string {
	t.Helper()
	found := []string{"/usr/bin/python3"}
	for _, pattern := range []string{"/root/.pyenv/versions/3.*/bin/python", "/opt/python*/bin/python3", "/usr/local/bin/python3"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, python := range more {
			if exec.Command(python, "-c", "import sys; sys.exit(sys.version_info < (3, 8))").Run() == nil {
				found = append(found, python)
			}
		}
	}
	return found
}

// startProgram compiles the C side with ctest/NAME.c instead of the worker, into dir.
func startProgram(dir, name string) (string, error) {
	program := filepath.Join(dir, name)
	args := []string{"-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Wno-unused-parameter", "-I.", "-o", program}
	if asan() {
		args = append(args, "-fsanitize=address", "-fno-omit-frame-pointer")
	}
	args = append(args, "ctest/"+name+".c", "boot.c", "privileges.c", "process_limits.c", "sandbox.c", "sandbox_path.c", "sandbox_mounts.c", "landlock.c", "descriptors.c", "python_api.c", "path_blocked.c", "python_find.c",
		"python_query.c", "python_modules.c", "python_start.c", "python_variables.c",
		"interpreter.c", "interpreter_new.c", "interpreter_end.c", "interpreter_settings.c", "errcode.c", "log_function.c", "log.c", "-ldl", "-lpthread")
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile %s: %w\n%s", name, err, out)
	}
	return program, nil
}

// starter runs ctest/start.c.
type starter struct{ program, modules string }

func newStarter(t testing.TB) starter {
	t.Helper()
	modules := filepath.Join(t.TempDir(), "modules")
	if err := os.WriteFile(modules, pyshim.Modules(), 0o600); err != nil {
		t.Fatal(err)
	}
	starting.once.Do(func() {
		dir, err := os.MkdirTemp("/tmp", "wsgid-build")
		if err != nil {
			starting.err = err
			return
		}
		starting.path, starting.err = startProgram(dir, "start")
	})
	if starting.err != nil {
		t.Fatal(starting.err)
	}
	return starter{starting.path, modules}
}

func (s starter) run(role, home, python, code string, env []string, groups ...string) (string, error) {
	cmd := exec.Command(s.program, append([]string{role, s.modules, home, python, code}, groups...)...)
	cmd.Env = append([]string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/nonexistent", "ASAN_OPTIONS=detect_leaks=0"}, env...)
	if asan() {
		cmd.Env = append(cmd.Env, "PYTHONMALLOC=malloc")
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// what a process thinks it is; "" is in sys.path of python -c only.
const identity = `import sys, sysconfig
print([sys.version, sys.prefix, sys.exec_prefix, sys.base_prefix, sys.executable, sysconfig.get_paths(), [p for p in sys.path if p]])
`

func TestStartIsLikePython(t *testing.T) {
	s := newStarter(t)
	for _, python := range everyPython(t) {
		venv := filepath.Join(t.TempDir(), "venv")
		if out, err := exec.Command(python, "-m", "venv", "--without-pip", venv).CombinedOutput(); err != nil {
			t.Fatalf("%s -m venv: %v\n%s", python, err, out)
		}
		copied := filepath.Join(t.TempDir(), "copied")
		if out, err := exec.Command(python, "-m", "venv", "--copies", "--without-pip", copied).CombinedOutput(); err != nil {
			t.Fatalf("%s -m venv --copies: %v\n%s", python, err, out)
		}
		tests := []struct{ name, home, python, compare string }{
			{"venv", venv, "", venv + "/bin/python"},
			{"venv with copies", copied, "", copied + "/bin/python"},
			{"executable of venv", "", venv + "/bin/python", venv + "/bin/python"},
			{"executable", "", python, python},
		}
		for _, test := range tests {
			want := exec.Command(test.compare, "-c", identity)
			want.Env = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/nonexistent"}
			expected, err := want.Output()
			if err != nil {
				t.Fatal(err)
			}
			for _, role := range []string{"worker", "router"} {
				t.Run(python+"/"+test.name+"/"+role, func(t *testing.T) {
					out, err := s.run(role, test.home, test.python, identity, nil)
					if err != nil || !strings.Contains(out, string(expected)) {
						t.Errorf("%v: got\n%s\nwant\n%s", err, out, expected)
					}
				})
			}
		}
	}
}

func TestStartInterpreters(t *testing.T) {
	s := newStarter(t)
	code := `
import atexit, ctypes, mod_wsgi, sys, threading, time
assert sys.argv == ["mod_wsgi"], sys.argv
ctypes.CFUNCTYPE(None)(lambda: None)()  # PyGILState_Ensure on a thread of ours
if not hasattr(mod_wsgi, "seen"):
    mod_wsgi.seen = True
    atexit.register(lambda: sys.stdout.write("exit %r\n" % mod_wsgi.application_group))
time.sleep(0.001)
thread = threading.Thread(target=time.sleep, args=(0.001,))
thread.start()
thread.join()
`
	for _, python := range everyPython(t) {
		t.Run(python, func(t *testing.T) {
			out, err := s.run("worker", "", python, code, nil, "a", "b", "", "a", "c", "", "a")
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, want := range []string{"exit ''", "exit 'a'", "exit 'b'", "exit 'c'", "finished"} {
				if strings.Count(out, want+"\n") != 1 {
					t.Errorf("%q is not there once:\n%s", want, out)
				}
			}
		})
	}
}

// TestStartLimit: the record about one interpreter too many names that one, and
// nothing of what lies behind the name in memory.
func TestStartLimit(t *testing.T) {
	out, err := newStarter(t).run("router", "", "/usr/bin/python3", "pass", []string{"TEST_MAX_INTERPRETERS=1", "TEST_ONE_BY_ONE=1", "TEST_LOG=1"}, "first", "second")
	if err == nil || !strings.Contains(out, "\ncode\nWSGID-1142\n") || !strings.Contains(out, "\napplication\nsecond\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestStartPath(t *testing.T) {
	s := newStarter(t)
	dir := t.TempDir()
	for _, name := range []string{"first", "first/inner", "second", "home"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "first", "x.pth"), []byte("inner\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	code := "import sys; print(sys.path[:3])\n"
	env := []string{"TEST_PYTHON_PATH=" + dir + "/first", "TEST_HOME=" + dir + "/home"}
	want := "['" + dir + "/home', '" + dir + "/first', '" + dir + "/first/inner']"
	for _, group := range []string{"", "sub"} {
		if out, err := s.run("worker", "", "", code, env, group); err != nil || !strings.Contains(out, want) {
			t.Errorf("%v: got %s, want %s", err, out, want)
		}
	}
}

func TestStartRefusals(t *testing.T) {
	s := newStarter(t)
	dir := t.TempDir()
	write := func(path, text string, mode os.FileMode) string {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := func(venv, version string) string {
		write(venv+"/pyvenv.cfg", "home = /usr/bin\nversion = "+version+"\n", 0o644)
		if err := os.MkdirAll(filepath.Join(dir, venv, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/usr/bin/python3", filepath.Join(dir, venv, "bin/python")); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, venv)
	}
	answer := func(version, executable, shared string) string {
		return "#!/bin/sh\nprintf '%s\\0%s\\0/nonexistent\\0libpythonX.so\\0%s\\0' '" + version + "' '" + executable + "' '" + shared + "'\n"
	}
	tests := []struct{ name, home, python, want string }{
		{"no such home", filepath.Join(dir, "missing"), "", "has no bin/python: give a virtual environment"},
		{"no such executable", "", filepath.Join(dir, "missing"), "No such file"},
		{"not in PATH", "", "python-missing", "no python-missing in PATH"},
		{"venv of another version", link("other", "3.5.1"), "", "was made by Python 3.5, but its interpreter is now Python 3."},
		{"no Python", "", write("no-python", "#!/bin/sh\nexit 3\n", 0o755), "does not work as a Python interpreter"},
		{"says nothing", "", write("silent", "#!/bin/sh\n", 0o755), "no sensible answer"},
		{"too old", "", write("old", answer("3.7.1", "/x", "1"), 0o755), "wsgid needs Python 3.8 or later"},
		{"static", "", write("static", answer("3.12.1", "/x", ""), 0o755), "--enable-shared"},
		{"static pyenv", "", write(".pyenv/versions/3.12.1/bin/python", answer("3.12.1", "", ""), 0o755),
			"PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install 3.12.1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if out, err := s.run("worker", test.home, test.python, "", nil); err == nil || !strings.Contains(out, test.want) {
				t.Errorf("got %s, want %s", out, test.want)
			}
		})
	}
}
