package pyshim_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// flags prints what Python was told, as it sees it itself and as programs that
// it starts see it. PYTHONMALLOC is there under the address sanitizer.
const flags = `import os, sys, subprocess
f = sys.flags
print([f.optimize, f.dont_write_bytecode, f.hash_randomization, sys.warnoptions])
print(sorted(n for n in os.environ if n.startswith("PYTHON") and n != "PYTHONMALLOC"))
print(subprocess.run(["/usr/bin/env"], stdout=subprocess.PIPE).stdout.replace(b"\nPYTHONMALLOC", b"").count(b"\nPYTHON"))
print([k for k in os.environb if k.startswith(b"PYTHON") and k != b"PYTHONMALLOC"] if hasattr(os, "environb") else [])
print(hash("wsgid"))
`

// TestPythonArguments: optimisation, bytecode, warnings and hash seed reach
// each Python, in worker and router and in sub-interpreters, and nothing stays
// in the environment.
func TestPythonArguments(t *testing.T) {
	s := newStarter(t)
	hashes := map[string]map[string]bool{}
	for _, python := range everyPython(t) {
		for role, env := range map[string][]string{
			"worker": {"TEST_ARGUMENTS=-OO|-B|-W|error::DeprecationWarning|-W|ignore", "TEST_VARIABLES=PYTHONHASHSEED=7"},
			"router": {"TEST_VARIABLES=PYTHONHASHSEED=7|PYTHONOPTIMIZE=2|PYTHONDONTWRITEBYTECODE=1|PYTHONWARNINGS=error::DeprecationWarning,ignore"},
		} {
			for _, group := range []string{"", "sub"} {
				t.Run(strings.Join([]string{python, role, group}, "/"), func(t *testing.T) {
					out, err := s.run(role, "", python, flags, env, group)
					want := "[2, 1, 1, ['error::DeprecationWarning', 'ignore']]\n[]\n0\n[]\n"
					at := strings.Index(out, want)
					if err != nil || at < 0 {
						t.Fatalf("%v: got\n%s\nwant\n%s", err, out, want)
					}
					hash, _, _ := strings.Cut(out[at+len(want):], "\n")
					if hashes[python] == nil {
						hashes[python] = map[string]bool{}
					}
					hashes[python][hash] = true
				})
			}
		}
		if len(hashes[python]) != 1 {
			t.Errorf("%s: a fixed seed gives the hashes %v", python, hashes[python])
		}
	}
}

// TestPythonVariablesRestored: what the environment of the group said about
// the same variable is there again.
func TestPythonVariablesRestored(t *testing.T) {
	s := newStarter(t)
	code := `import os, subprocess; print(os.environ["PYTHONHASHSEED"], os.environb[b"PYTHONHASHSEED"], subprocess.run(["/usr/bin/env"], stdout=subprocess.PIPE).stdout.count(b"\nPYTHONHASHSEED=3"))` + "\n"
	for _, python := range everyPython(t) {
		out, err := s.run("worker", "", python, code, []string{"PYTHONHASHSEED=3", "TEST_VARIABLES=PYTHONHASHSEED=random"}, "", "sub")
		if want := "3 b'3' 1\n"; err != nil || strings.Count(out, want) != 4 {
			t.Errorf("%s: %v: got\n%s\nwant four times %s", python, err, out, want)
		}
	}
}

// TestEnvironmentOfInterpreters: an interpreter begins with the environment
// that the process was started with, whatever others have made of theirs.
func TestEnvironmentOfInterpreters(t *testing.T) {
	s := newStarter(t)
	code := `import os, mod_wsgi
first = "SEEN" not in os.environ
print("%s:%s:%s:%s" % (mod_wsgi.application_group, first, os.environ.get("START"), sorted(n for n in os.environ if n.startswith("LEAK"))))
os.environ["LEAK_" + mod_wsgi.application_group] = "x"
os.environ["SEEN"] = "1"
os.environ["START"] = "changed"
`
	for _, python := range everyPython(t) {
		out, err := s.run("worker", "", python, code, []string{"START=begin", "TEST_ONE_BY_ONE=1"}, "", "a", "b")
		if err != nil {
			t.Fatalf("%s: %v\n%s", python, err, out)
		}
		for _, want := range []string{":True:begin:[]\n", "a:True:begin:[]\n", "b:True:begin:[]\n", "a:False:changed:['LEAK_a']\n"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", python, want, out)
			}
		}
	}
}

// TestLocale: locale sets all categories; one that does not exist is a
// warning, not the end.
func TestLocale(t *testing.T) {
	s := newStarter(t)
	code := "import locale; print(locale.setlocale(locale.LC_TIME))\n"
	for name, want := range map[string]string{"": "C\n", "C.UTF-8": "C.UTF-8\n", "xx_XX": "locale xx_XX is not available"} {
		var env []string
		if name != "" {
			env = []string{"TEST_LOCALE=" + name, "LC_ALL=" + name}
		}
		if out, err := s.run("worker", "", "", code, env); err != nil || !strings.Contains(out, want) {
			t.Errorf("locale %q: %v\n%s", name, err, out)
		}
	}
}

// TestInterpreterSettings: a setting of an application group's own goes before
// the general one.
func TestInterpreterSettings(t *testing.T) {
	s := newStarter(t)
	dir := t.TempDir()
	for _, name := range []string{"general", "own"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	code := "import sys, mod_wsgi; print([mod_wsgi.application_group, round(sys.getswitchinterval(), 4), [p.split('/')[-1] for p in sys.path[:2] if p.startswith('" + dir + "')]])\n"
	env := []string{"TEST_PYTHON_PATH=" + dir + "/general", "TEST_ONE_BY_ONE=1",
		"TEST_INTERPRETERS=*\tswitch_interval\t0.001|=b\tpython_path\t" + dir + "/own|=b\tpython_path\t" + dir + "/general|=b\tswitch_interval\t0.25"}
	out, err := s.run("worker", "", "", code, env, "", "a", "b")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"['', 0.001, ['general']]", "['a', 0.001, ['general']]", "['b', 0.25, ['own', 'general']]"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
}
