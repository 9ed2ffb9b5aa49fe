package harness

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// systemdScript makes a machine in the machine, in namespaces of its own: what systemd
// mounts, writes and clears away is not the host's. Nothing of the host is started; the
// directory of the world is the same. $1 is that, $2 names a cgroup of its own, which is
// the root of all cgroups there.
const systemdScript = `
set -e
mount --make-rprivate /
mount -t proc proc /proc
umount -R -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
own=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/$2
mkdir "$own"
echo $$ >"$own/cgroup.procs"
umount /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mkdir /run/world
mount --bind "$1" /run/world
for dir in /tmp /var/tmp /var/log /etc/systemd/system; do mount -t tmpfs tmpfs $dir; done
for wants in sysinit sockets timers multi-user local-fs; do
  dir=/lib/systemd/system/$wants.target.wants
  if [ -d $dir ]; then mount -t tmpfs tmpfs $dir; fi
done
mkdir -p "$1"
mount --move /run/world "$1"
printf '[Unit]\nWants=systemd-journald.service\nAfter=systemd-journald.service\n' >/etc/systemd/system/world.target
hostname world
export container=wsgid-test
exec unshare --cgroup /bin/sh -c 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"' sh \
  /lib/systemd/systemd --system --unit=world.target --log-target=console --show-status=no
`

// cgroupsGone removes the cgroup $1 of systemdScript with all below it.
const cgroupsGone = `
mount --make-rprivate /
umount -R -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
own=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/$1
[ ! -d "$own" ] || find "$own" -depth -type d -exec rmdir {} +
`

// Systemd is a systemd that is process 1 of namespaces of its own.
type Systemd struct {
	t   testing.TB
	pid int // as the host sees it
}

// StartSystemd starts one that sees the world, and ends it with all that it has started.
func StartSystemd(w *World) *Systemd {
	t := w.T
	t.Helper()
	NeedRoot(t)
	unshare := exec.Command(Need(t, "unshare"), "--pid", "--mount", "--uts", "--ipc", "--fork", "--kill-child", "/bin/sh", "-c", systemdScript, "sh", w.Dir, filepath.Base(w.Dir))
	unshare.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	// If the test dies, so does unshare, and its child with it, the first process there.
	unshare.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	unshare.Stdout, unshare.Stderr = &out, &out
	if err := unshare.Start(); err != nil {
		t.Fatal(err)
	}
	s := &Systemd{t: t}
	t.Cleanup(func() {
		if t.Failed() {
			_, log := s.Run("journalctl", "--no-pager", "-n", "80")
			t.Logf("journal:\n%s", log)
		}
		_ = unshare.Process.Kill()
		_ = unshare.Wait() // killed
		if t.Failed() {
			t.Logf("systemd:\n%s", out.String())
		}
		Eventually(t, "nothing of it is left", func() error {
			gone := exec.Command("unshare", "--mount", "/bin/sh", "-c", cgroupsGone, "sh", filepath.Base(w.Dir))
			gone.Env = unshare.Env
			if out, err := gone.CombinedOutput(); err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		})
	})
	Eventually(t, "systemd is there", func() error {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", unshare.Process.Pid))
		if err != nil {
			return err
		}
		if s.pid, err = strconv.Atoi(strings.TrimSpace(string(children))); err != nil {
			return err
		}
		if code, state := s.Run("systemctl", "is-system-running"); code != 0 {
			return fmt.Errorf("%d: %s", code, state)
		}
		return nil
	})
	return s
}

// Run runs a command there, and gives its exit status and what it has written.
func (s *Systemd) Run(arguments ...string) (code int, out string) {
	s.t.Helper()
	command := exec.Command("nsenter", append([]string{"-t", strconv.Itoa(s.pid), "-m", "-p", "-u", "-i", "-C", "--"}, arguments...)...)
	command.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	text, err := command.CombinedOutput()
	if command.ProcessState == nil {
		s.t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), string(text)
}

// Must is Run for what has to succeed.
func (s *Systemd) Must(arguments ...string) string {
	s.t.Helper()
	code, out := s.Run(arguments...)
	if code != 0 {
		s.t.Fatalf("%v: %d: %s", arguments, code, out)
	}
	return out
}

// Property is one of a unit.
func (s *Systemd) Property(unit, name string) string {
	s.t.Helper()
	return strings.TrimSpace(s.Must("systemctl", "show", "--value", "-p", name, unit))
}
