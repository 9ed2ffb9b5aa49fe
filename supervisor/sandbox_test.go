package supervisor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/config"
)

func TestPowers(t *testing.T) {
	dir, score, high := t.TempDir(), -1, 1
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	all := powers{capabilities: ^uint64(0), landlock: true}
	without := func(capability uint) powers { return powers{all.capabilities &^ (1 << capability), true} }
	for _, row := range []struct {
		name    string
		powers  powers
		sandbox config.Sandbox
		want    string // empty: it is possible
	}{
		{"nothing", powers{}, config.Sandbox{}, ""},
		{"all", all, config.Sandbox{Chroot: dir, PrivateTmp: true, OOMScoreAdjust: &score, Landlock: &config.Landlock{}}, ""},
		{"chroot", without(unix.CAP_SYS_CHROOT), config.Sandbox{Chroot: dir}, "chroot needs the capability CAP_SYS_CHROOT"},
		{"missing", all, config.Sandbox{Chroot: dir + "/none"}, "chroot: stat "},
		{"file", all, config.Sandbox{Chroot: file}, "is no directory"},
		{"chroot alone", without(unix.CAP_SYS_ADMIN), config.Sandbox{Chroot: dir}, ""},
		{"private", without(unix.CAP_SYS_ADMIN), config.Sandbox{PrivateTmp: true}, "private_tmp needs the capability CAP_SYS_ADMIN"},
		{"read-only", without(unix.CAP_SYS_ADMIN), config.Sandbox{ReadOnlyPaths: []string{"/"}}, "read_only_paths needs"},
		{"writable", without(unix.CAP_SYS_ADMIN), config.Sandbox{ReadWritePaths: []string{"/"}}, "read_write_paths needs"},
		{"hidden", without(unix.CAP_SYS_ADMIN), config.Sandbox{InaccessiblePaths: []string{"/x"}}, "inaccessible_paths needs"},
		{"lower score", without(unix.CAP_SYS_RESOURCE), config.Sandbox{OOMScoreAdjust: &score}, "oom_score_adjust below 0 needs"},
		{"higher score", powers{}, config.Sandbox{OOMScoreAdjust: &high}, ""},
		{"landlock", powers{}, config.Sandbox{Landlock: &config.Landlock{}}, "this kernel does not have it"},
		{"landlock if possible", powers{}, config.Sandbox{Landlock: &config.Landlock{BestEffort: true}}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := row.powers.refuse(&row.sandbox)
			if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("%v, want %q", err, row.want)
			}
		})
	}
	if !(powers{}).unprotected(&config.Sandbox{Landlock: &config.Landlock{}}) || all.unprotected(&config.Sandbox{Landlock: &config.Landlock{}}) || (powers{}).unprotected(&config.Sandbox{}) {
		t.Error("unprotected is what wants Landlock and has none")
	}
}

func TestShutIn(t *testing.T) {
	g := groupPlan{
		config:   &config.DaemonProcess{Sandbox: config.Sandbox{Chroot: "/srv/jail"}},
		rules:    scriptTable{files: []string{"/srv/jail/a.py", "/srv/jailed/a.py", "/srv/a.py"}, directories: []string{"/srv/jail/dir/", "/srv/jail", "/etc/"}},
		preloads: []config.Preload{{Path: "/srv/a.py"}, {Application: "x", Path: "/srv/jail/a.py", Served: true}},
	}
	g.shutIn()
	if diff := cmp.Diff([]string{"/a.py"}, g.rules.files); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/dir/", "/"}, g.rules.directories); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]config.Preload{{Application: "x", Path: "/a.py", Served: true}}, g.preloads); diff != "" {
		t.Error(diff)
	}
}

// TestJailPaths: symbolic links inside a root directory lead where a process
// in there would get.
func TestJailPaths(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"usr/bin", "usr/lib"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "usr/bin/python3.11"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"bin": "usr/bin", "usr/bin/python3": "/usr/bin/python3.11", "up": "../../../usr/lib", "loop": "loop", "out": "/etc/passwd", "dangling": "none"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	j := &jail{root: root}
	for name, want := range map[string]string{
		"/bin/python3": "/usr/bin/python3.11", "/up": "/usr/lib", "/loop": "", "/out": "", "/dangling": "", "/none": "", "/usr/bin/python3.11/x": "",
	} {
		if got, ok := j.real(name); got != want || ok != (want != "") {
			t.Errorf("%s is %q, %v, want %q", name, got, ok, want)
		}
	}
}
