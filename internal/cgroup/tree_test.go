package cgroup

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFind(t *testing.T) {
	for name, row := range map[string]struct {
		cgroups, mounts string
		unified         string
		legacy          map[string]string
	}{
		"a service of systemd": {
			cgroups: "0::/system.slice/wsgid.service\n",
			mounts:  "25 20 0:22 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
			unified: "/sys/fs/cgroup/system.slice/wsgid.service",
		},
		"its successor in an upgrade": {
			cgroups: "0::/system.slice/wsgid.service/wsgid-main\n",
			mounts:  "25 20 0:22 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n",
			unified: "/sys/fs/cgroup/system.slice/wsgid.service",
		},
		"a container that sees a part of the host's": {
			cgroups: "0::/docker/0123\n",
			mounts:  "700 690 0:22 /docker/0123 /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n",
			unified: "/sys/fs/cgroup",
		},
		"a container with a namespace of its own": {
			cgroups: "0::/\n",
			mounts:  "700 690 0:22 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n",
			unified: "/sys/fs/cgroup",
		},
		"both versions": {
			cgroups: "9:name=systemd:/\n4:memory:/a/b\n3:cpu,cpuacct:/c\n0::/user.slice\n",
			mounts: "1 0 0:1 / /sys/fs/cgroup ro - tmpfs tmpfs rw\n2 1 0:2 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
				"3 1 0:3 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n4 1 0:4 / /sys/fs/cgroup/uni\\040fied rw - cgroup2 cgroup2 rw\n",
			unified: "/sys/fs/cgroup/uni fied/user.slice",
			legacy:  map[string]string{"memory": "/sys/fs/cgroup/memory/a/b", "cpu": "/sys/fs/cgroup/cpu,cpuacct/c", "cpuacct": "/sys/fs/cgroup/cpu,cpuacct/c"},
		},
		"none": {cgroups: "", mounts: "1 0 0:1 / / rw - ext4 /dev/vda rw\nnonsense\n- - - - - -\n"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := find(row.cgroups, row.mounts)
			if tree.unified != row.unified || !maps.Equal(tree.legacy, row.legacy) && len(row.legacy)+len(tree.legacy) > 0 {
				t.Errorf("%q %v, want %q %v", tree.unified, tree.legacy, row.unified, row.legacy)
			}
		})
	}
}

// recorded is a tree as a kernel shows it, in a directory: it fills what is made
// with the files of controllers once the parent has switched on some, and lets only what is empty
// of processes and groups be removed.
type recorded struct {
	t       *testing.T
	unified bool
}

var files = map[string][]string{
	"memory": {"memory.max", "memory.high", "memory.current", "memory.events", "memory.limit_in_bytes", "memory.usage_in_bytes", "memory.oom_control"},
	"pids":   {"pids.max", "pids.current"},
	"cpu":    {"cpu.weight", "cpu.max", "cpu.stat", "cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us"},
}

func (r recorded) mkdir(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			r.t.Error(err)
		}
	}
	put("cgroup.procs", "")
	put("cgroup.kill", "")
	put("cgroup.subtree_control", "")
	controllers := slices.Sorted(maps.Keys(files))
	if r.unified {
		controllers = nil
		if len(words(filepath.Join(filepath.Dir(dir), "cgroup.subtree_control"))) > 0 { // one at least was switched on
			controllers = words(filepath.Join(filepath.Dir(dir), "cgroup.controllers"))
		}
	}
	put("cgroup.controllers", strings.Join(controllers, " "))
	for _, controller := range controllers {
		for _, name := range files[controller] {
			put(name, "")
		}
	}
	return nil
}

func (recorded) rmdir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			return unix.EBUSY
		}
	}
	return os.RemoveAll(dir)
}

func recordedTree(t *testing.T, unified bool, controllers ...string) *Tree {
	dir := t.TempDir()
	r := recorded{t, unified}
	own := filepath.Join(dir, "own")
	if err := r.mkdir(own); err != nil {
		t.Fatal(err)
	}
	tree := &Tree{fs: r, parent: parentName(os.Getpid()), legacy: map[string]string{}, prepared: map[string]bool{}, made: map[string]bool{own: true}}
	if !unified {
		for _, c := range controllers {
			tree.legacy[c] = own
		}
		return tree
	}
	tree.unified = own
	if err := os.WriteFile(filepath.Join(own, "cgroup.controllers"), []byte(strings.Join(controllers, " ")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return tree
}

func content(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var all = Limits{MemoryMax: 1 << 30, MemoryHigh: 1 << 29, PidsMax: 100, CPUWeight: 50, CPUMax: 1.5}

func TestRecordedTwo(t *testing.T) {
	tree := recordedTree(t, true, "cpuset", "cpu", "io", "memory", "pids")
	if err := tree.Refuse(all); err != nil {
		t.Fatal(err)
	}
	g, err := tree.Make("web.1", all)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"memory.max": "1073741824", "memory.high": "536870912", "pids.max": "100", "cpu.weight": "50", "cpu.max": "150000 100000"} {
		if got := content(t, g.Path(), name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if want := filepath.Join(tree.unified, tree.parent, "group-web.1"); g.Path() != want {
		t.Errorf("%s, want %s", g.Path(), want)
	}
	if err := g.Add(4242, true); err != nil || content(t, g.Path(), "cgroup.procs") != "" {
		t.Errorf("a cloned process is there already: %v", err)
	}
	if err := g.Add(4242, false); err != nil || content(t, g.Path(), "cgroup.procs") != "4242" {
		t.Errorf("%v %q", err, content(t, g.Path(), "cgroup.procs"))
	}
	for name, text := range map[string]string{
		"memory.current": "4096\n", "pids.current": "7\n", "memory.events": "low 0\nhigh 12\nmax 3\noom 2\noom_kill 1\n",
		"cpu.stat": "usage_usec 9\nnr_periods 4\nnr_throttled 2\nthrottled_usec 1500000\n",
	} {
		if err := os.WriteFile(filepath.Join(g.Path(), name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if u := g.Usage(); u != (Usage{Memory: 4096, Pids: 7, Throttled: 1500 * time.Millisecond, OOMKills: 1}) || !g.WatchesMemory() {
		t.Errorf("%+v", u)
	}
	g.Kill()
	if content(t, g.Path(), "cgroup.kill") != "1" {
		t.Error("nobody was killed")
	}
	if err := g.Remove(0); err != nil {
		t.Error(err)
	}
	tree.Close()
	if _, err := os.Stat(filepath.Join(tree.unified, tree.parent)); err == nil {
		t.Error("something is left")
	}
}

func TestRecordedOne(t *testing.T) {
	tree := recordedTree(t, false, "memory", "pids", "cpu")
	if err := tree.Refuse(all); err == nil || !strings.Contains(err.Error(), "memory_high needs cgroups of version 2") {
		t.Errorf("%v", err)
	}
	limits := all
	limits.MemoryHigh = 0
	g, err := tree.Make("web.1", limits)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"memory.limit_in_bytes": "1073741824", "pids.max": "100", "cpu.shares": "512", "cpu.cfs_quota_us": "150000", "cpu.cfs_period_us": "100000"} {
		if got := content(t, g.Path(), name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, text := range map[string]string{
		"memory.usage_in_bytes": "4096\n", "pids.current": "7\n", "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
		"cpu.stat": "nr_periods 4\nnr_throttled 2\nthrottled_time 1500000000\n",
	} {
		if err := os.WriteFile(filepath.Join(g.Path(), name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if u := g.Usage(); u != (Usage{Memory: 4096, Pids: 7, Throttled: 1500 * time.Millisecond, OOMKills: 3}) {
		t.Errorf("%+v", u)
	}
	if f, err := g.Open(); f != nil || err != nil {
		t.Errorf("%v %v", f, err)
	}
	if err := g.Remove(0); err != nil {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	tree := recordedTree(t, true, "cpu")
	for want, limits := range map[string]Limits{
		"memory_max needs the cgroup controller memory": {MemoryMax: 1 << 20},
		"pids_max needs the cgroup controller pids":     {PidsMax: 10, CPUMax: 1},
	} {
		err := tree.Refuse(limits)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Delegate=yes") {
			t.Errorf("%v, want %q", err, want)
		}
		if g, made := tree.Make("x", limits); made == nil {
			t.Errorf("made %v", g)
		}
	}
	if err := tree.Refuse(Limits{}); err != nil || (Limits{}).Any() {
		t.Error(err)
	}
	if (&Tree{legacy: map[string]string{"cpu": "/proc/1/nowhere"}}).Refuse(Limits{CPUMax: 1}) == nil {
		t.Error("a directory that is not there can be written")
	}
}

// TestSweep: what a wsgid has left that was killed is removed, and nothing of one
// that lives.
func TestSweep(t *testing.T) {
	tree := recordedTree(t, true, "memory")
	mine, err := tree.Make("web.1", Limits{MemoryMax: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	other := &Tree{fs: tree.fs, unified: tree.unified, prepared: map[string]bool{}, made: map[string]bool{tree.unified: true}}
	other.parent = "wsgid-" + strconv.Itoa(os.Getpid()) + "-1" // a pid of today, used before
	if _, err := other.Make("web.1", Limits{MemoryMax: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	removed, err := tree.Sweep()
	if err != nil || removed != 1 {
		t.Errorf("%d %v", removed, err)
	}
	if _, err := os.Stat(mine.Path()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(tree.unified, other.parent)); err == nil {
		t.Error("something is left")
	}
}
