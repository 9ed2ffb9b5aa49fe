package pyshim_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestRestrictStreams: restricted streams raise OSError for everything and name
// themselves; stderr is never restricted; the end of Python has nothing to say.
func TestRestrictStreams(t *testing.T) {
	const out, in0 = "mod_wsgi.Restricted: sys.stdout access restricted by mod_wsgi", "mod_wsgi.Restricted: sys.stdin access restricted by mod_wsgi"
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			w := startWorker(t, workerOptions{python: python, extra: []string{"rule.dir=" + testdata(t),
				"interpreter=*\trestrict_stdin\t1", "interpreter==sub\trestrict_stdout\t1", "interpreter==sub\trestrict_stdin\t0"}})
			c := w.dial()
			lines := strings.Split(string(c.do(in(t, "", "streams"), nil).body), "\n")
			if len(lines) != 3 || lines[0] != in0 || !strings.HasSuffix(lines[1], ": usable") || !strings.HasSuffix(lines[2], ": usable") {
				t.Errorf("main interpreter: %q", lines)
			}
			w.record("printed")
			lines = strings.Split(string(c.do(in(t, "sub", "streams"), nil).body), "\n")
			if len(lines) != 4 || !strings.HasSuffix(lines[0], ": usable") || lines[1] != out || !strings.HasSuffix(lines[2], ": usable") ||
				lines[3] != "print: sys.stdout access restricted by mod_wsgi" {
				t.Errorf("sub-interpreter: %q", lines)
			}
			w.signal(15)
			if status := w.wait(); status != 0 {
				t.Errorf("exit status %d", status)
			}
			w.drained()
			for _, r := range w.log() {
				if strings.Contains(r["message"], "Exception ignored") {
					t.Error(r)
				}
			}
			if w.stderr.Len() > 0 {
				t.Errorf("raw output: %s", w.stderr)
			}
		})
	}
}

// TestRestrictSignal: signal.signal does nothing, returns what it was given and
// leaves a warning with the place; in a forked child it works. Without the
// restriction Python's own rules hold.
func TestRestrictSignal(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(python, func(t *testing.T) {
			w := startWorker(t, workerOptions{python: python, extra: []string{"rule.dir=" + testdata(t), "interpreter==free\trestrict_signal\t0"}})
			c := w.dial()
			if r := c.do(in(t, "", "signals", "QUERY_STRING=fork"), nil); string(r.body) != "(True, True, 7)" {
				t.Errorf("main interpreter: %q", r.body)
			}
			got := w.record("signal.signal(")
			if got["level"] != "warn" || !strings.Contains(got["message"], "restrict_signal = false") || !strings.Contains(got["message"], "interpreters.py") ||
				!strings.Contains(got["message"], "in signals") || got["request"] != "req-1" {
				t.Error(got)
			}
			if r := c.do(in(t, "sub", "signals"), nil); string(r.body) != "(True, True, None)" {
				t.Errorf("sub-interpreter: %q", r.body)
			}
			if r := c.do(in(t, "free", "signals"), nil); !strings.Contains(string(r.body), "ValueError") {
				t.Errorf("not restricted: %q", r.body)
			}
		})
	}
}

// TestScriptOwner: scripts run only if they and their directory belong to whom
// the group says, and nobody else could have written them.
func TestScriptOwner(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "wsgid-owner")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "app.py")
	change := func(fileMode, dirMode os.FileMode) {
		t.Helper()
		if err := os.Chmod(path, fileMode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, dirMode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, []byte("def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ran']\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	me, mine := strconv.Itoa(os.Getuid()), strconv.Itoa(os.Getgid())
	for _, row := range []struct {
		owner     string
		file, dir os.FileMode
		refused   string
	}{
		{"script_uid=" + me, 0o644, 0o755, ""},
		{"script_uid=" + me, 0o664, 0o755, path + " is writable by its group or by everybody (mode 0664)"},
		{"script_uid=" + me, 0o644, 0o757, dir + " is writable by its group or by everybody"},
		{"script_uid=4711", 0o644, 0o755, path + " has owner " + me + ", script_user is 4711"},
		{"script_gid=" + mine, 0o664, 0o775, ""},
		{"script_gid=" + mine, 0o646, 0o755, path + " is writable by everybody"},
		{"script_gid=" + mine, 0o644, 0o757, dir + " is writable by everybody"},
		{"script_gid=4711", 0o644, 0o755, path + " has group " + mine + ", script_group is 4711"},
	} {
		change(row.file, row.dir)
		w := startWorker(t, workerOptions{extra: []string{"rule.dir=" + dir, row.owner, "preload=\tapplication\t" + path}})
		c := w.dial()
		r := c.do(script(t, path, "application"), nil)
		if row.refused == "" {
			if string(r.body) != "ran" {
				t.Errorf("%v: %q", row, r.raw)
			}
			change(0o666, 0o755) // noticed although the script is loaded
			r = c.do(script(t, path, "application"), nil)
			row.refused = path + " is writable by"
		}
		if !strings.HasPrefix(r.status, "403") || r.get("X-WSGID-Error") != "WSGID-1141" {
			t.Errorf("%v: %q", row, r.raw)
		}
		if got := w.record(row.refused); got["code"] != "WSGID-1141" || got["level"] != "error" {
			t.Error(got)
		}
	}
	w := startWorker(t, workerOptions{extra: []string{"rule.dir=" + dir, "script_uid=" + me}})
	if r := w.dial().do(script(t, filepath.Join(dir, "none.py"), "application"), nil); r.get("X-WSGID-Error") != "WSGID-1102" {
		t.Errorf("a script that is missing: %q", r.raw)
	}
}
