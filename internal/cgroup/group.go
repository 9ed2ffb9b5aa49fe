package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Group is the cgroup of one process group, with a directory in each hierarchy
// that limits it.
type Group struct {
	unified string            // directory in version 2; empty: none
	dirs    []string          // all of them
	by      map[string]string // directory by controller
	fs      directories
}

// Make makes a group with limits. Its name is free, without slash. With no
// limits it has a directory in version 2 alone, if there is that.
func (t *Tree) Make(name string, l Limits) (*Group, error) {
	if err := t.Refuse(l); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	g := &Group{by: map[string]string{}, fs: t.fs}
	if err := t.fill(g, name, l); err != nil {
		_ = g.Remove(0) // it is empty
		return nil, err
	}
	return g, nil
}

// fill makes the directories of a group and writes its limits. Called with the
// lock held.
func (t *Tree) fill(g *Group, name string, l Limits) error {
	var controllers []string
	for _, n := range l.needs() {
		if _, version := t.home(n.controller); version == 2 {
			controllers = append(controllers, n.controller)
		}
	}
	slices.Sort(controllers)
	if controllers = slices.Compact(controllers); len(controllers) > 0 || len(l.needs()) == 0 && t.unified != "" {
		if err := t.prepare(controllers); err != nil {
			return err
		}
		g.unified = filepath.Join(t.unified, t.parent, "group-"+name)
		if err := g.mkdir(g.unified); err != nil {
			return err
		}
	}
	for _, n := range l.needs() {
		home, version := t.home(n.controller)
		if version == 2 {
			g.by[n.controller] = g.unified
			if err := write(filepath.Join(g.unified, n.unified.file), n.unified.value); err != nil {
				return fmt.Errorf("%s: %w", n.option, err)
			}
			continue
		}
		dir := filepath.Join(home, t.parent, "group-"+name)
		if err := t.mkdir(filepath.Dir(dir)); err != nil {
			return err
		}
		if err := g.mkdir(dir); err != nil {
			return err
		}
		g.by[n.controller] = dir
		if n.legacy == "cpu.cfs_quota_us" {
			if err := write(filepath.Join(dir, "cpu.cfs_period_us"), strconv.Itoa(period)); err != nil {
				return fmt.Errorf("%s: %w", n.option, err)
			}
		}
		if err := write(filepath.Join(dir, n.legacy), n.value); err != nil {
			return fmt.Errorf("%s: %w", n.option, err)
		}
	}
	return nil
}

func (g *Group) mkdir(dir string) error {
	if slices.Contains(g.dirs, dir) {
		return nil
	}
	if err := g.fs.mkdir(dir); err != nil {
		return fmt.Errorf("making a cgroup: %w", err)
	}
	g.dirs = append(g.dirs, dir)
	return nil
}

// Path is the directory that people look into.
func (g *Group) Path() string {
	if len(g.dirs) == 0 {
		return ""
	}
	return g.dirs[0]
}

// Open opens the directory of version 2, for a child that is to be cloned into
// it; nil: there is none.
func (g *Group) Open() (*os.File, error) {
	if g.unified == "" {
		return nil, nil
	}
	f, err := os.Open(g.unified)
	if err != nil {
		return nil, fmt.Errorf("opening the cgroup: %w", err)
	}
	return f, nil
}

// Add puts a process into the group; cloned: it is in the directory of version
// 2 already.
func (g *Group) Add(pid int, cloned bool) error {
	for _, dir := range g.dirs {
		if cloned && dir == g.unified {
			continue
		}
		if err := write(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("putting process %d into its cgroup: %w", pid, err)
		}
	}
	return nil
}

// Kill kills whoever is in the group.
func (g *Group) Kill() {
	for _, dir := range g.dirs {
		if dir == g.unified && write(filepath.Join(dir, "cgroup.kill"), "1") == nil {
			continue // Linux 5.14
		}
		for _, word := range words(filepath.Join(dir, "cgroup.procs")) {
			if pid, err := strconv.Atoi(word); err == nil && pid > 1 {
				_ = unix.Kill(pid, unix.SIGKILL) // it may be gone
			}
		}
	}
}

// Remove kills whoever is left and takes the directories away, which takes a
// moment: at most limit.
func (g *Group) Remove(limit time.Duration) error {
	var errs []error
	left := slices.Clone(g.dirs) // others may look at the group meanwhile
	for until := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		errs = nil
		left = slices.DeleteFunc(left, func(dir string) bool {
			err := g.fs.rmdir(dir)
			if err == nil || errors.Is(err, os.ErrNotExist) {
				return true
			}
			errs = append(errs, fmt.Errorf("removing a cgroup: %w", err))
			return false
		})
		if len(errs) == 0 || time.Now().After(until) {
			return errors.Join(errs...)
		}
		g.Kill()
	}
}

// Close takes the directories away that groups were made in. Those groups have
// been removed.
func (t *Tree) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, home := range t.homes() {
		_ = t.fs.rmdir(filepath.Join(home, t.parent)) // there may be none
	}
}

// homes are our directories in all hierarchies.
func (t *Tree) homes() []string {
	all := []string{}
	if t.unified != "" {
		all = append(all, t.unified)
	}
	for _, dir := range t.legacy {
		if !slices.Contains(all, dir) {
			all = append(all, dir)
		}
	}
	return all
}

// Sweep removes the groups of processes that have gone without doing so, and
// kills whoever is left in them. It returns how many groups there were.
func (t *Tree) Sweep() (removed int, err error) {
	var errs []error
	for _, home := range t.homes() {
		parents, _ := filepath.Glob(filepath.Join(home, "wsgid-*-*")) // the pattern is right
		for _, parent := range parents {
			var pid int
			var started string
			if n, _ := fmt.Sscanf(filepath.Base(parent), "wsgid-%d-%s", &pid, &started); n != 2 || startTime(pid) == started {
				continue
			}
			groups, _ := filepath.Glob(filepath.Join(parent, "group-*"))
			for _, dir := range groups {
				g := &Group{dirs: []string{dir}, fs: t.fs}
				if home == t.unified {
					g.unified = dir
				}
				if err := g.Remove(sweepTime); err != nil {
					errs = append(errs, err)
					continue
				}
				removed++
			}
			if err := t.fs.rmdir(parent); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, fmt.Errorf("removing a cgroup: %w", err))
			}
		}
	}
	return removed, errors.Join(errs...)
}

// sweepTime is enough for processes that were killed to be gone.
const sweepTime = 2 * time.Second
