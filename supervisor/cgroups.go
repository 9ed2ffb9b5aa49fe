package supervisor

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/cgroup"
	"github.com/wsgid/wsgid/internal/status"
)

// cgroupEnd is how long it may take until processes that were killed have left
// their cgroup.
const cgroupEnd = 5 * time.Second

// cgroups are those of the process groups of this wsgid that have limits, one
// for each, of each generation: during a reload two generations need room.
type cgroups struct {
	log hclog.Logger

	mu     sync.Mutex
	tree   *cgroup.Tree
	number int // of cgroups made
}

// sweep removes what a wsgid has left here that was killed.
func (c *cgroups) sweep() {
	tree, err := c.find()
	if err != nil {
		c.log.Debug("no cgroups", "error", err)
		return
	}
	removed, err := tree.Sweep()
	if removed > 0 {
		c.log.Info("cgroups of a wsgid that was killed are removed", "count", removed)
	}
	if err != nil {
		c.log.Warn("cgroups of a wsgid that was killed are left", "error", err)
	}
}

func (c *cgroups) find() (*cgroup.Tree, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tree == nil {
		tree, err := cgroup.Current()
		if err != nil {
			return nil, err
		}
		c.tree = tree
	}
	return c.tree, nil
}

// open makes a cgroup for a group of that name.
func (c *cgroups) open(name string, l cgroup.Limits) (*cgroup.Group, error) {
	tree, err := c.find()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.number++
	number := c.number
	c.mu.Unlock()
	return tree.Make(name+"."+strconv.Itoa(number), l)
}

// close takes the directories away that the cgroups were in.
func (c *cgroups) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tree != nil {
		c.tree.Close()
	}
}

// refuseLimits says what of the limits is impossible here; nil: nothing.
func refuseLimits(c *config.DaemonProcess) error {
	l := cgroup.Limits(c.CgroupLimits)
	if !l.Any() {
		return nil
	}
	tree, err := cgroup.Current()
	if err != nil {
		return fmt.Errorf("limits of resources: %w", err)
	}
	return tree.Refuse(l)
}

// ownCgroup is the cgroup that processes of the group are started in; nil: it
// has no limits. It is made for the first of them.
func (g *group) ownCgroup() (*cgroup.Group, error) {
	l := cgroup.Limits(g.config.CgroupLimits)
	if !l.Any() {
		return nil, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cgroup != nil {
		return g.cgroup, nil
	}
	made, err := g.cgroups.open(g.config.Name, l)
	if err != nil {
		return nil, fmt.Errorf("limits of resources: %w", err)
	}
	if made.WatchesMemory() {
		g.oom = &oomCounter{kills: made.OOMKills}
	}
	g.cgroup = made
	return made, nil
}

// closeCgroup ends whatever processes of the group have left behind in it.
func (g *group) closeCgroup() {
	g.mu.Lock()
	made := g.cgroup
	g.mu.Unlock()
	if made == nil {
		return
	}
	if err := made.Remove(cgroupEnd); err != nil {
		g.log.Warn("cgroup is left", "error", err)
	}
}

// oomHappened says whether the kernel has killed a process of the group, or, in
// a group without a limit of memory, of wsgid.
func (g *group) oomHappened() bool {
	g.mu.Lock()
	counter := g.oom
	g.mu.Unlock()
	return counter.happened()
}

// shownCgroup is what status tells of it; nil: it has none.
func (g *group) shownCgroup() *status.Cgroup {
	g.mu.Lock()
	made := g.cgroup
	g.mu.Unlock()
	if made == nil {
		return nil
	}
	used, c := made.Usage(), g.config
	return &status.Cgroup{
		Path: made.Path(), MemoryBytes: used.Memory, MemoryMax: c.MemoryMax, MemoryHigh: c.MemoryHigh,
		Pids: used.Pids, PidsMax: c.PidsMax, CPUMax: c.CPUMax, CPUWeight: c.CPUWeight,
		ThrottledSeconds: used.Throttled.Seconds(), OOMKills: used.OOMKills,
	}
}

// startIn starts a process in a cgroup; nil: in that of wsgid. Where the kernel
// cannot clone into one it is put there a moment later.
func startIn(group *cgroup.Group, executable string, argv []string, attr *os.ProcAttr) (*os.Process, error) {
	if group == nil {
		return os.StartProcess(executable, argv, attr)
	}
	dir, err := group.Open()
	if err != nil {
		return nil, err
	}
	var p *os.Process
	cloned := dir != nil
	if cloned {
		defer dir.Close()
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, int(dir.Fd())
		p, err = os.StartProcess(executable, argv, attr)
		attr.Sys.UseCgroupFD = false
		cloned = err == nil || !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EINVAL) &&
			!errors.Is(err, unix.E2BIG) && !errors.Is(err, unix.EPERM) // before Linux 5.7, or where a filter forbids clone3
	}
	if !cloned {
		p, err = os.StartProcess(executable, argv, attr)
	}
	if err != nil {
		return nil, err
	}
	if err := group.Add(p.Pid, cloned); err != nil {
		_ = p.Kill() // it is ours, and not waited for
		_, _ = p.Wait()
		return nil, fmt.Errorf("not without its limits: %w", err)
	}
	return p, nil
}
