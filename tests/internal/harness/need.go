package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// packages says what to install for a program that a test needs.
var packages = map[string]string{
	"apache2":  "apache2-bin libapache2-mod-wsgi-py3",
	"nginx":    "nginx-light",
	"lighttpd": "lighttpd",
	"caddy":    "caddy",
	"gcc":      "gcc libc6-dev",
	"python3":  "python3",
}

// Need returns the path of a program. A missing one fails the test with the
// command that installs it: a test that silently skips proves nothing.
func Need(t testing.TB, program string) string {
	t.Helper()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	// Debian keeps servers out of the PATH of ordinary users.
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		path := filepath.Join(dir, program)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path
		}
	}
	t.Fatalf("%s is missing; as root run: apt-get install -y --no-install-recommends %s", program, packages[program])
	return ""
}

// SystemPython is the distribution's interpreter, whatever the PATH says:
// Debian's packages of Django and Flask belong to it.
const SystemPython = "/usr/bin/python3"

// NeedModule fails the test when the system's Python lacks a module.
func NeedModule(t testing.TB, module, pkg string) {
	t.Helper()
	if out, err := exec.Command(SystemPython, "-I", "-c", "import "+module).CombinedOutput(); err != nil {
		t.Fatalf("%s has no %s; as root run: apt-get install -y --no-install-recommends %s\n%s", SystemPython, module, pkg, out)
	}
}

// NeedRoot fails the test when it is not run by root: accounts are switched in
// it, and a test that leaves that out would prove less than it says.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test switches users: run it as root")
	}
}
