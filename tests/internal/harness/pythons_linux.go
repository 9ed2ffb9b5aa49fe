package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Python is one interpreter of the machine.
type Python struct {
	Version string // as 3.8.18
	// Executable of the system's, or empty; Home of any other.
	Executable, Home string
}

// Option is the line of a daemon_process block that chooses it.
func (p Python) Option() string {
	if p.Home != "" {
		return "python_home = " + strconv.Quote(p.Home)
	}
	return "python = " + strconv.Quote(p.Executable)
}

// Pythons finds every CPython from 3.8 on with a shared library: the system's
// first, then those of pyenv, of uv, and below /usr/local and /opt. What lies
// where other users cannot read, as in root's home, is bound read-only into the
// world; the original is not touched.
func (w *World) Pythons() []Python {
	w.T.Helper()
	found := []Python{{Version: PythonVersion(w.T, SystemPython), Executable: SystemPython}}
	home, err := os.UserHomeDir()
	w.must(err)
	var homes []string
	for _, pattern := range []string{
		filepath.Join(home, ".pyenv/versions/*"), filepath.Join(home, ".local/share/uv/python/*"),
		"/usr/local", "/opt/python*", "/opt/*/python*",
	} {
		matches, err := filepath.Glob(pattern)
		w.must(err)
		homes = append(homes, matches...)
	}
	seen := map[string]bool{found[0].Version: true}
	for _, path := range homes {
		executable := filepath.Join(path, "bin/python3")
		libraries, _ := filepath.Glob(filepath.Join(path, "lib/libpython3.*.so*"))
		if !Exists(executable) || len(libraries) == 0 {
			continue
		}
		version := PythonVersion(w.T, executable)
		if minor, err := strconv.Atoi(strings.Split(version, ".")[1]); err != nil || minor < 8 || seen[version] {
			continue
		}
		seen[version] = true
		found = append(found, Python{Version: version, Home: w.bind(path, "python/"+version)})
	}
	sort.SliceStable(found[1:], func(i, j int) bool { return found[1+i].Version < found[1+j].Version })
	return found
}

// PythonVersion asks an executable for its version, as 3.8.18.
func PythonVersion(t testing.TB, executable string) string {
	t.Helper()
	out, err := exec.Command(executable, "-I", "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])").CombinedOutput()
	if err != nil {
		t.Fatalf("asking %s for its version: %v\n%s", executable, err, out)
	}
	return strings.TrimSpace(string(out))
}

// bind makes a directory readable for everybody at another place: a read-only
// bind mount, or a copy where mounting is not possible.
func (w *World) bind(source, name string) string {
	w.T.Helper()
	target := w.Path(name)
	w.must(os.MkdirAll(target, 0o755))
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		out, err := exec.Command("cp", "-a", source+"/.", target).CombinedOutput()
		if err != nil {
			w.T.Fatalf("copying %s: %v\n%s", source, err, out)
		}
		return target
	}
	w.T.Cleanup(func() {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			w.T.Errorf("unmounting %s: %v", target, err)
		}
	})
	// Read-only also protects the original from the removal of the world.
	w.must(unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	return target
}
