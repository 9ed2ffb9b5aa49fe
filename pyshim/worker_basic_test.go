package pyshim_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// pythons lists every usable Python of the machine from 3.8 on.
func pythons(t testing.TB) []string {
	t.Helper()
	list := []string{"/usr/bin/python3"}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	versions := filepath.Join(home, ".pyenv/versions")
	if _, err := os.Stat(versions); err == nil && os.Getuid() == 0 {
		versions = readable(t, versions)
	}
	found, err := filepath.Glob(filepath.Join(versions, "3.*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, prefix := range found {
		libraries, _ := filepath.Glob(filepath.Join(prefix, "lib/libpython3*.so*"))
		minor, err := strconv.Atoi(minorOf(filepath.Base(prefix)))
		if err == nil && minor >= 8 && len(libraries) > 0 {
			list = append(list, filepath.Join(prefix, "bin/python3"))
		}
	}
	return list
}

// readable makes a directory inside root's home visible to other users, by a
// read-only bind mount that ends with the test.
func readable(t testing.TB, dir string) string {
	t.Helper()
	seen, err := os.MkdirTemp("/tmp", "wsgid-python")
	if err == nil {
		err = os.Chmod(seen, 0o755)
	}
	if err == nil {
		err = unix.Mount(dir, seen, "", unix.MS_BIND, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(seen, unix.MNT_DETACH); err == nil {
			os.Remove(seen)
		}
	})
	if err := unix.Mount("", seen, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	return seen
}

func minorOf(version string) string {
	for i := 2; i < len(version); i++ {
		if version[i] < '0' || version[i] > '9' {
			return version[2:i]
		}
	}
	return version[2:]
}

// TestWorkerEveryPython runs the basic behaviour on each Python.
func TestWorkerEveryPython(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(filepath.Base(filepath.Dir(filepath.Dir(python))), func(t *testing.T) {
			w := startWorker(t, workerOptions{python: python})
			c := w.dial()
			for range 3 {
				r := c.do(script(t, "hello.py", "application"), nil)
				if r.status != "200 OK" || string(r.body) != "Hello, world\n" || r.appStatus != 0 || !r.stdoutEnded {
					t.Fatalf("%+v", r)
				}
			}
			for name, want := range map[string]string{
				"hello.py streamed":        "onetwo",
				"body.py read":             "posted",
				"responses.py writes":      "aTbc",
				"responses.py twice":       "second",
				"responses.py replaced":    "replaced",
				"responses.py pipe":        "in memory",
				"validated.py application": "postedend",
			} {
				file, callable, _ := cut(name)
				for _, group := range []string{"", "sub:interpreter"} {
					r := c.do(script(t, file, callable, "WSGID_APPLICATION_GROUP="+group, "REQUEST_METHOD=POST", "CONTENT_TYPE=text/plain"), []byte("posted"))
					if string(r.body) != want {
						t.Errorf("%s in %q: %q %q, want %q", name, group, r.raw, r.body, want)
					}
				}
			}
			r := c.do(script(t, "environ.py", "modules", "WSGID_APPLICATION_GROUP=other"), nil)
			t.Log(string(r.body))
			if r := c.do(script(t, "responses.py", "raises"), nil); r.status != "500 Internal Server Error" {
				t.Errorf("%+v", r)
			}
			if got := w.record("before headers"); got["code"] != "WSGID-1105" {
				t.Errorf("%v", got)
			}
			w.signal(15)
			if status := w.wait(); status != 0 {
				t.Errorf("exit status %d", status)
			}
		})
	}
}

// TestWorkerFork forks in the application on each Python. Only the main
// interpreter: CPython itself deadlocks in a forked child when others exist.
func TestWorkerFork(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(filepath.Base(filepath.Dir(filepath.Dir(python))), func(t *testing.T) {
			w := startWorker(t, workerOptions{python: python})
			c := w.dial()
			for callable, want := range map[string]string{
				"processes":   "((True, True), -15)",
				"falls_out":   "parent 0",
				"known":       "0",
				"descriptors": "['0', '1', '2']  True True True",
			} {
				if r := c.do(script(t, "forks.py", callable), nil); string(r.body) != want {
					t.Errorf("%s: %q %q", callable, r.raw, r.body)
				}
			}
			if r := c.do(script(t, "hello.py", "application"), nil); string(r.body) != "Hello, world\n" {
				t.Errorf("after forks: %q", r.raw)
			}
		})
	}
}

func cut(s string) (string, string, bool) {
	for i := range s {
		if s[i] == ' ' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}
