package tests

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// forbidding is a program that forbids system calls, by number, as the
// profile of a container or an old kernel does, and executes another one:
// ERRNO NUMBER[,NUMBER…] PROGRAM …
const forbidding = `import ctypes, os, struct, sys
code, numbers = int(sys.argv[1]), [int(n) for n in sys.argv[2].split(",")]
def step(op, yes, no, value):
    return struct.pack("HBBI", op, yes, no, value)
program = step(0x20, 0, 0, 0)
for number in numbers:
    program += step(0x15, 0, 1, number) + step(0x06, 0, 0, 0x00050000 | code)
program += step(0x06, 0, 0, 0x7fff0000)
steps = ctypes.create_string_buffer(program)
filter = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(steps))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(22, 2, filter, 0, 0) != 0:
    sys.exit("prctl: %d" % ctypes.get_errno())
os.execvp(sys.argv[3], sys.argv[3:])
`

// sandboxedGroups is a configuration of groups that need something of the
// kernel each, and one that does not.
func sandboxedGroups(t *testing.T, w *harness.World) {
	t.Helper()
	if err := os.Mkdir(w.Path("jail"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.App("sandbox.py")
	w.Configure(group("good", "#64001", 1, 1) + mount("/", "apps/sandbox.py", option("process_group", "good")) +
		group("effort", "#64001", 1, 1, "landlock {\n    read = [\"/\"]\n    best_effort = true\n  }") + mount("/effort", "apps/sandbox.py", option("process_group", "effort")) +
		group("tmp", "#64001", 1, 1, "private_tmp = true") +
		group("frozen", "#64001", 1, 1, `read_only_paths = ["/usr"]`) +
		group("jail", "#64001", 1, 1, option("chroot", w.Path("jail"))) +
		group("score", "#64001", 1, 1, "oom_score_adjust = -7") +
		group("lock", "#64001", 1, 1, "landlock {\n    read = [\"/\"]\n  }"))
}

// TestSandboxRefused: what this kernel, or the container, does not permit is
// said with the name of the option, by check too when it can tell; the other
// groups serve.
func TestSandboxRefused(t *testing.T) {
	harness.NeedRoot(t)
	for _, row := range []struct {
		name    string
		wrapper func(w *harness.World) []string
		check   bool // wsgid check can tell
		refused map[string]string
	}{
		{"without capabilities", func(*harness.World) []string {
			return []string{"setpriv", "--bounding-set", "-sys_admin,-sys_chroot,-sys_resource"}
		}, true, map[string]string{
			"tmp": "private_tmp needs the capability CAP_SYS_ADMIN", "frozen": "read_only_paths needs the capability CAP_SYS_ADMIN",
			"jail": "chroot needs the capability CAP_SYS_CHROOT", "score": "oom_score_adjust below 0 needs the capability CAP_SYS_RESOURCE",
		}},
		{"no Landlock", func(w *harness.World) []string {
			return []string{"python3", w.Write("forbid.py", forbidding), strconv.Itoa(int(unix.ENOSYS)), strconv.Itoa(unix.SYS_LANDLOCK_CREATE_RULESET)}
		}, true, map[string]string{"lock": "landlock: this kernel does not have it"}},
		{"no namespaces", func(w *harness.World) []string {
			return []string{"python3", w.Write("forbid.py", forbidding), strconv.Itoa(int(unix.EPERM)), fmt.Sprintf("%d,%d", unix.SYS_UNSHARE, unix.SYS_CHROOT)}
		}, false, map[string]string{
			"tmp": "private_tmp: make a mount namespace: Operation not permitted", "frozen": "read_only_paths: make a mount namespace: Operation not permitted",
			"jail": "CAP_SYS_CHROOT",
		}},
		{"old kernel", func(w *harness.World) []string {
			return []string{"python3", w.Write("forbid.py", forbidding), strconv.Itoa(int(unix.ENOSYS)), fmt.Sprintf("%d,%d,%d", unix.SYS_MOUNT_SETATTR, unix.SYS_FSOPEN, unix.SYS_LANDLOCK_RESTRICT_SELF)}
		}, false, map[string]string{
			"tmp": "private_tmp: /tmp: mount it: Function not implemented: this needs Linux 5.12", "frozen": "this needs Linux 5.12",
			"lock": "landlock: Function not implemented",
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			sandboxedGroups(t, w)
			wrapper := row.wrapper(w)
			command := exec.Command(wrapper[0], append(wrapper[1:], w.Binary, "check", "--config", w.Path("wsgid.hcl"))...)
			said, err := command.CombinedOutput()
			wsgid := w.Start(harness.Options{Wrapper: wrapper})
			apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
			try(t, apache.Client, "/", attempt{"read", "/etc/passwd", ""})
			if _, refused := row.refused["lock"]; !refused || row.check {
				try(t, apache.Client, "/effort", attempt{"read", "/etc/passwd", ""})
			}
			if row.name == "no Landlock" {
				wsgid.Log.Await(t, "the warning about best_effort", func(r harness.Record) bool {
					return r.Text("group") == "effort" && strings.Contains(r.Message(), "no Landlock")
				})
			}
			status := wsgid.Status()
			for name, want := range row.refused {
				if exit := status.Group(name).LastExit; exit == nil || !strings.Contains(exit.Error, want) {
					t.Errorf("%s: %+v, want %q", name, exit, want)
				}
				if row.check && (err == nil || !strings.Contains(string(said), want)) {
					t.Errorf("check, %v, does not say %q:\n%s", err, want, said)
				}
			}
		})
	}
}
