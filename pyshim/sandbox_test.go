package pyshim_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sandboxWorld is a directory with files that the user of the worker may
// write, and symbolic links of all kinds.
func sandboxWorld(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wsgid-sandbox")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Chmod(dir, 0o755))
	for _, name := range []string{"open", "open/deep", "open/deep/er", "theirs", "jail", "jail/tmp", "jail/data", "loose"} {
		path := filepath.Join(dir, name)
		must(os.Mkdir(path, 0o755))
		must(os.Chmod(path, 0o755))
	}
	for _, name := range []string{"open", "open/deep", "open/deep/er", "theirs", "jail/data"} {
		must(os.Chown(filepath.Join(dir, name), 64001, 64001))
	}
	must(os.Chmod(filepath.Join(dir, "loose"), 0o777))
	must(os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o644))
	for link, target := range map[string]string{
		"ours": "open/../open/./deep", "absolute": dir + "/open/deep", "loop": "loop", "theirs/link": "/etc", "loose/link": "/etc",
		"jail/inner": "/data", "jail/up": "../../../data",
	} {
		must(os.Symlink(target, filepath.Join(dir, link)))
	}
	must(os.Lchown(filepath.Join(dir, "theirs/link"), 64001, 64001))
	return dir
}

// sandboxed runs ctest/boot.c as user 64001 with further pairs; @ is the world.
func sandboxed(t *testing.T, program, dir string, pairs ...string) (out, status string, err error) {
	t.Helper()
	all := append(own(), "uid=64001", "gid=64001", "fd.status=4", "fd.listen=0", "chdir=/", "name=web")
	for _, pair := range pairs {
		all = append(all, strings.ReplaceAll(pair, "@", dir))
	}
	return bootRun{program: program, pairs: all}.run(t)
}

func TestBootSandbox(t *testing.T) {
	if os.Getuid() != 0 {
		return // only root can; what an ordinary user is told is tested by the supervisor
	}
	program, dir := bootProgram(t), sandboxWorld(t)
	const denied, frozen, gone = "Permission denied", "Read-only file system", "No such file or directory"
	before, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		pairs []string
		lines []string
	}{
		{"nothing", []string{"probe=@/open"}, []string{"probe @/open: read, written"}},
		{"read-only, by links of root", []string{"read_only_path=@/ours", "probe=@/open/deep/er", "probe=@/open", "probe=@/absolute"},
			[]string{"probe @/open/deep/er: read, " + frozen, "probe @/open: read, written", "probe @/absolute: read, " + frozen}},
		{"read-only, absolute link", []string{"read_only_path=@/absolute", "probe=@/open/deep"}, []string{"probe @/open/deep: read, " + frozen}},
		{"nested, in any order", []string{"read_write_path=@/open/deep", "read_only_path=@/open", "read_only_path=@/open/deep/er", "probe=@/open", "probe=@/open/deep", "probe=@/open/deep/er"},
			[]string{"probe @/open: read, " + frozen, "probe @/open/deep: read, written", "probe @/open/deep/er: read, " + frozen}},
		{"all but", []string{"read_only_path=/", "read_write_path=@/open", "probe=@/open", "probe=@/theirs", "probe=/tmp"},
			[]string{"probe @/open: read, written", "probe @/theirs: read, " + frozen, "probe /tmp: read, " + frozen}},
		{"inaccessible", []string{"inaccessible_path=@/open", "inaccessible_path=@/file", "inaccessible_path=-@/none", "probe=@/open", "probe=@/open/deep", "probe=@/file", "probe=@/theirs"},
			[]string{"probe @/open: " + denied + ", " + denied, "probe @/open/deep: " + denied + ", " + denied, "probe @/file: " + denied + ", Not a directory", "probe @/theirs: read, written"}},
		{"private tmp", []string{"private_tmp=1048576", "read_only_path=/", "probe=/tmp", "probe=/var/tmp", "probe=@"},
			[]string{"probe /tmp: read, written", "probe /var/tmp: read, written", "probe @: " + gone + ", " + gone}},
		{"root directory", []string{"chroot=@/jail", "probe=@", "probe=/data", "probe=/inner", "probe=/etc", "probe=/../../etc"},
			[]string{"probe @: " + gone + ", " + gone, "probe /data: read, written", "probe /inner: read, written", "probe /etc: " + gone + ", " + gone, "probe /../../etc: " + gone + ", " + gone, "cwd /"}},
		{"everything inside", []string{"chroot=@/jail", "private_tmp=1048576", "read_only_path=/", "read_write_path=/inner", "inaccessible_path=-/none", "probe=/tmp", "probe=/data", "probe=/"},
			[]string{"probe /tmp: read, written", "probe /data: read, written", "probe /: read, " + frozen}},
		{"climbing link stays inside", []string{"chroot=@/jail", "read_only_path=/up", "probe=/data"}, []string{"probe /data: read, " + frozen}},
		{"landlock", []string{"landlock=required", "landlock.read=@/open", "landlock.write=@/open/deep", "landlock.read=-@/none", "landlock.execute=@/file", "landlock.read=/proc", "probe=@/open", "probe=@/open/deep/er", "probe=@/theirs", "probe=@/file", "probe=/dev/null"},
			[]string{"probe @/open: read, " + denied, "probe @/open/deep/er: read, written", "probe @/theirs: " + denied + ", " + denied, "probe @/file: read, Not a directory", "probe /dev/null: read, Not a directory"}},
		{"landlock inside, privileges may be gained", []string{"no_new_privs=0", "chroot=@/jail", "landlock=best_effort", "landlock.read=/inner", "probe=/data", "probe=/"},
			[]string{"probe /data: read, " + denied, "probe /: " + denied + ", " + denied}},
		{"score", []string{"oom_score_adjust=321"}, []string{"score 321"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, _, err := sandboxed(t, program, dir, test.pairs...)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, line := range test.lines {
				mustHave(t, out, strings.ReplaceAll(line, "@", dir))
			}
			mustHave(t, out, "uid 64001 64001 64001")
			if strings.Contains(out, "CapEff") { // there is a /proc
				mustHave(t, out, "CapEff:\t0000000000000000")
			}
		})
	}
	after, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(after), dir) && !strings.Contains(string(before), dir) {
		t.Errorf("mounts are left:\n%s", after)
	}
}

func TestBootSandboxRefusals(t *testing.T) {
	if os.Getuid() != 0 {
		return
	}
	program, dir := bootProgram(t), sandboxWorld(t)
	long := strings.Repeat("/"+strings.Repeat("x", 255), 40)
	for _, test := range []struct {
		name  string
		pairs []string
		want  string
	}{
		{"missing", []string{"read_only_path=@/none"}, `read_only_paths @/none: No such file or directory: correct the path, or write "-"`},
		{"link of the user", []string{"read_only_path=@/theirs/link"}, "read_only_paths @/theirs/link: a symbolic link below /@/theirs belongs to user 64001"},
		{"through it", []string{"inaccessible_path=@/theirs/link/passwd"}, "inaccessible_paths @/theirs/link/passwd: a symbolic link"},
		{"even if it need not exist", []string{"read_write_path=-@/theirs/link"}, "read_write_paths @/theirs/link: a symbolic link"},
		{"where anybody may write", []string{"read_only_path=@/loose/link"}, "or lies where others can write"},
		{"loop", []string{"read_only_path=@/loop"}, "Too many levels of symbolic links"},
		{"file as directory", []string{"read_only_path=@/file/x"}, "Not a directory"},
		{"long name", []string{"read_only_path=/" + strings.Repeat("x", 256)}, "File name too long"},
		{"long path", []string{"read_only_path=" + long}, "read_only_paths /xxx"},
		{"chroot of another", []string{"chroot=@/theirs"}, "chroot @/theirs does not belong to root"},
		{"chroot below another's", []string{"chroot=@/open/deep"}, "the directory /@/open does not belong to root"},
		{"chroot that anybody may write", []string{"chroot=@/loose"}, "or others can write there"},
		{"chroot of a file", []string{"chroot=@/file"}, "chroot @/file is no directory"},
		{"chroot that is missing", []string{"chroot=@/none"}, "chroot @/none: No such file or directory"},
		{"no /tmp", []string{"chroot=@/open", "private_tmp=4096"}, "does not belong to root"},
		{"no /tmp inside", []string{"chroot=@", "private_tmp=4096"}, "private_tmp: /tmp: No such file or directory"},
		{"landlock rule", []string{"landlock=required", "landlock.write=@/none"}, "landlock write @/none: No such file or directory"},
		{"landlock link", []string{"landlock=best_effort", "landlock.read=@/theirs/link"}, "landlock read @/theirs/link: a symbolic link"},
		{"score", []string{"oom_score_adjust=5000"}, "oom_score_adjust 5000: Invalid argument"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, status, err := sandboxed(t, program, dir, test.pairs...)
			want := strings.ReplaceAll(strings.ReplaceAll(test.want, "/@", dir), "@", dir)
			if err == nil || !strings.Contains(status, want) || strings.Contains(out, "role ") {
				t.Errorf("want %q: %v %q\n%s", want, err, status, out)
			}
		})
	}
}
