package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// leafName is the cgroup that a process moves to from one that is to have
// children: version 2 allows no processes beside them.
const leafName = "wsgid-main"

// Tree is the part of the hierarchies that this process was put into, below
// which it makes cgroups. Its methods may be called from any goroutine.
type Tree struct {
	unified string            // our directory in version 2; empty: there is none
	legacy  map[string]string // by controller of version 1: our directory
	parent  string            // name of the directory that groups are made in
	fs      directories

	mu       sync.Mutex
	prepared map[string]bool // controllers of version 2 that groups may use
	made     map[string]bool // directories
}

// Current finds the tree of this process.
func Current() (*Tree, error) {
	cgroups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("finding the cgroup of this process: %w", err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("finding where cgroups are mounted: %w", err)
	}
	t := find(string(cgroups), string(mounts))
	t.parent = parentName(os.Getpid())
	return t, nil
}

// find reads /proc/PID/cgroup and /proc/PID/mountinfo (cgroups(7), proc(5)).
func find(cgroups, mounts string) *Tree {
	t := &Tree{fs: kernel{}, legacy: map[string]string{}, prepared: map[string]bool{}, made: map[string]bool{}}
	own := map[string]string{} // path by controller; "" is version 2
	for line := range strings.Lines(cgroups) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 {
			continue
		}
		for controller := range strings.SplitSeq(fields[1], ",") {
			own[controller] = fields[2]
		}
	}
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line)
		rest := slices.Index(fields, "-")
		if len(fields) < 6 || rest < 6 || len(fields) < rest+4 {
			continue
		}
		root, point := unescape(fields[3]), unescape(fields[4])
		switch fields[rest+1] {
		case "cgroup2":
			if path, ok := own[""]; ok && t.unified == "" {
				t.unified = directory(point, root, path)
				if filepath.Base(t.unified) == leafName {
					t.unified = filepath.Dir(t.unified)
				}
			}
		case "cgroup":
			for controller := range strings.SplitSeq(fields[rest+3], ",") {
				if path, ok := own[controller]; ok && controller != "" && t.legacy[controller] == "" {
					t.legacy[controller] = directory(point, root, path)
				}
			}
		}
	}
	return t
}

// directory is where a cgroup of /proc/PID/cgroup lies below a mount point,
// which may show only the part of the hierarchy below root.
func directory(point, root, path string) string {
	if inside, ok := strings.CutPrefix(path, strings.TrimRight(root, "/")); ok {
		path = inside
	}
	return filepath.Join(point, path)
}

// unescape undoes the octal escapes of mountinfo.
func unescape(text string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(text)
}

// Refuse says what of the limits is impossible here; nil: nothing.
func (t *Tree) Refuse(l Limits) error {
	for _, n := range l.needs() {
		dir, version := t.home(n.controller)
		switch {
		case dir == "":
			return fmt.Errorf("%s needs the cgroup controller %s, which this machine does not give to wsgid: start wsgid as a service with Delegate=yes, mount the cgroups of the container read-write, or take the option out",
				n.option, n.controller)
		case version == 1 && n.legacy == "":
			return fmt.Errorf("%s needs cgroups of version 2, and the controller %s is one of version 1 here: take the option out", n.option, n.controller)
		}
		if err := writable(dir); err != nil {
			return fmt.Errorf("%s: wsgid may not make cgroups below %s (%w): start it as root, or as a service with Delegate=yes, or take the option out", n.option, dir, err)
		}
	}
	return nil
}

// home is the directory of ours where a controller is, and the version of the
// hierarchy; empty: nowhere.
func (t *Tree) home(controller string) (dir string, version int) {
	if t.unified != "" && slices.Contains(words(filepath.Join(t.unified, "cgroup.controllers")), controller) {
		return t.unified, 2
	}
	return t.legacy[controller], 1
}

// parentName is that of the directory which holds the groups of a process: no
// other process ever has it.
func parentName(pid int) string { return fmt.Sprintf("wsgid-%d-%s", pid, startTime(pid)) }

// startTime of a process in clock ticks (proc(5), field 22); empty: there is none.
func startTime(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	// The name, in parentheses, may hold anything: look behind it.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 {
		return ""
	}
	return fields[19]
}

// prepare lets groups use controllers of version 2: they are switched on in our
// own cgroup, which then may hold no process. Called with the lock held.
func (t *Tree) prepare(controllers []string) error {
	for _, dir := range []string{t.unified, filepath.Join(t.unified, t.parent)} {
		if err := t.mkdir(dir); err != nil {
			return err
		}
		for _, controller := range controllers {
			if t.prepared[dir+"\x00"+controller] {
				continue
			}
			if err := t.switchOn(dir, controller); err != nil {
				return fmt.Errorf("switching the cgroup controller %s on below %s: %w", controller, dir, err)
			}
			t.prepared[dir+"\x00"+controller] = true
		}
	}
	return nil
}

// attempts bounds how often processes are moved: a child may be forked meanwhile.
const attempts = 10

func (t *Tree) switchOn(dir, controller string) error {
	file := filepath.Join(dir, "cgroup.subtree_control")
	for try := 1; ; try++ {
		err := write(file, "+"+controller)
		if err == nil || !busy(err) {
			return err
		}
		if try == attempts {
			return fmt.Errorf("%w: it has processes that are none of wsgid's: start wsgid as a service with Delegate=yes", err)
		}
		if err := t.moveAside(dir); err != nil {
			return err
		}
	}
}

// moveAside moves this process and its descendants from dir to a leaf of it.
func (t *Tree) moveAside(dir string) error {
	leaf := filepath.Join(dir, leafName)
	if err := t.mkdir(leaf); err != nil {
		return err
	}
	for _, word := range words(filepath.Join(dir, "cgroup.procs")) {
		pid, err := strconv.Atoi(word)
		if err != nil || !ours(pid) {
			continue
		}
		if err := write(filepath.Join(leaf, "cgroup.procs"), word); err != nil && !gone(err) {
			return fmt.Errorf("moving process %d to %s: %w", pid, leaf, err)
		}
	}
	return nil
}

// ours says whether a process is this one or descends from it.
func ours(pid int) bool {
	for self := os.Getpid(); pid > 1; {
		if pid == self {
			return true
		}
		status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
		if err != nil {
			return false
		}
		_, rest, _ := strings.Cut(string(status), "\nPPid:")
		line, _, _ := strings.Cut(rest, "\n")
		if pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
			return false
		}
	}
	return pid == os.Getpid()
}

// mkdir makes a directory and remembers it. Called with the lock held.
func (t *Tree) mkdir(dir string) error {
	if t.made[dir] {
		return nil
	}
	if err := t.fs.mkdir(dir); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("making a cgroup: %w", err)
	}
	t.made[dir] = true
	return nil
}
