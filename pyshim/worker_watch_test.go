package pyshim_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tree makes files below a new directory.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	dir := openDir(t)
	for _, name := range names {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), "1\n")
	}
	return dir
}

// TestWatch: which changes are noticed, of existing files, new ones and
// removed ones, and which are nobody's business.
func TestWatch(t *testing.T) {
	dir := tree(t, "a.py", "note.txt", "pkg/b.py", "pkg/deep/er/c.py", "pkg/.hidden/h.py", "pkg/__pycache__/p.py",
		"venv/pyvenv.cfg", "venv/lib/v.py", "node_modules/n.py", "conf/one.d/x.conf", "we*ird/w.py", "weird/w.py", "all/file", "all/sub/file")
	if err := os.Symlink(dir, filepath.Join(dir, "pkg", "loop")); err != nil {
		t.Fatal(err)
	}
	w := startWorker(t, workerOptions{extra: []string{"rule.dir=" + testdata(t), "reload_on_error=keep",
		"watch=" + dir + "/**/*.py", "watch=" + dir + "/conf/*.d/[xy].conf", "watch=" + dir + `/we\*ird/**`, "watch=" + dir + "/all/**",
		"watch=" + dir + "/later/made/*.py"}})
	path := func(name string) string { return filepath.Join(dir, name) }
	touch := func(name string) {
		when := time.Unix(1600000000+int64(len(name)), 0)
		if err := os.Chtimes(path(name), when, when); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"note.txt", "pkg/.hidden/h.py", "pkg/__pycache__/p.py", "venv/lib/v.py", "node_modules/n.py"} {
		touch(name)
	}
	for _, change := range []struct {
		name string
		do   func()
	}{
		{"a.py", func() { touch("a.py") }},
		{"pkg/b.py", func() { // in one step, or it may be seen empty
			file, err := os.OpenFile(path("pkg/b.py"), os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if _, err := file.WriteString("longer\n"); err != nil {
				t.Fatal(err)
			}
		}},
		{"pkg/deep/er/c.py", func() { os.Remove(path("pkg/deep/er/c.py")) }},
		{"pkg/deep/new/d.py", func() {
			os.MkdirAll(path("pkg/deep/new"), 0o755)
			write(t, path("pkg/deep/new/d.py"), "")
		}},
		{"conf/one.d/x.conf", func() { touch("conf/one.d/x.conf") }},
		{"we*ird/w.py", func() { touch("we*ird/w.py") }},
		{"all/file", func() { touch("all/file") }},
		{"all/sub/file", func() { touch("all/sub/file") }},
		{"later/made/m.py", func() { // no inotify there: seen by looking
			os.MkdirAll(path("later/made"), 0o755)
			write(t, path("later/made/m.py"), "")
		}},
		{"a.py", func() {
			write(t, path("a.py.new"), "replaced\n")
			os.Rename(path("a.py.new"), path("a.py"))
		}},
	} {
		change.do()
		if e := w.event("renew"); e["reason"] != "watched" || e["script"] != path(change.name) {
			t.Errorf("changed %s, told %q", change.name, e)
		}
	}
}

// TestWatchRetires: without keep the process asks for its replacement. What
// changes while it imports counts.
func TestWatchRetires(t *testing.T) {
	dir := openDir(t)
	module := write(t, dir+"/module.py", "value = 1\n")
	path := write(t, dir+"/app.py", answer(`
import os, sys
sys.path.insert(0, "`+dir+`")
import module
if not os.path.exists("`+dir+`/once"):
    open("`+dir+`/once", "w").close()
    open("`+module+`", "a").write("value = 2\n")
`, "module.value"))
	os.Chmod(module, 0o666)
	w := startWorker(t, workerOptions{extra: []string{"rule.dir=" + dir, "preload=\t" + path, "watch=" + dir + "/m*.py"}})
	if e := w.event("retire"); e["reason"] != "script_reload" || e["script"] != module {
		t.Errorf("%q", e)
	}
	if got := w.record("watched file has changed"); got["level"] != "info" || !strings.Contains(got["message"], module) {
		t.Error(got)
	}
}

// TestWatchInService: the thread that watches takes no signal away.
func TestWatchInService(t *testing.T) {
	dir := tree(t, "a.py")
	w, _ := startService(t, []string{"watch=" + dir + "/*.py"}, "import time\nwhile True:\n    time.sleep(3600)\n")
	write(t, dir+"/a.py", "changed\n")
	w.event("retire")
	w.signal(15)
	if status := w.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}
