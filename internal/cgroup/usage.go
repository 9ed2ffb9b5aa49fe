package cgroup

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is what the processes of a group use together; what the kernel does
// not tell is 0.
type Usage struct {
	Memory    int64         // bytes
	Pids      int64         // processes and threads
	Throttled time.Duration // for which they had to wait because of CPUMax
	OOMKills  uint64        // of the kernel, ever
}

// Usage reads the counters of the group.
func (g *Group) Usage() Usage {
	u := Usage{OOMKills: g.OOMKills()}
	if dir := g.by["memory"]; dir != "" {
		u.Memory = number(filepath.Join(dir, pick(dir == g.unified, "memory.current", "memory.usage_in_bytes")))
	}
	if dir := g.by["pids"]; dir != "" {
		u.Pids = number(filepath.Join(dir, "pids.current"))
	}
	if dir := g.by["cpu"]; dir != "" {
		stat := filepath.Join(dir, "cpu.stat")
		if dir == g.unified {
			u.Throttled = time.Duration(entry(stat, "throttled_usec")) * time.Microsecond
		} else {
			u.Throttled = time.Duration(entry(stat, "throttled_time"))
		}
	}
	return u
}

// OOMKills is how many processes of the group the kernel has killed because
// memory was short.
func (g *Group) OOMKills() uint64 {
	dir := g.by["memory"]
	if dir == "" {
		return 0
	}
	return entry(filepath.Join(dir, pick(dir == g.unified, "memory.events", "memory.oom_control")), "oom_kill")
}

// WatchesMemory says whether OOMKills can tell.
func (g *Group) WatchesMemory() bool { return g.by["memory"] != "" }

func pick(unified bool, two, one string) string {
	if unified {
		return two
	}
	return one
}

// number of a file that holds nothing else.
func number(path string) int64 {
	w := words(path)
	if len(w) != 1 {
		return 0
	}
	n, _ := strconv.ParseInt(w[0], 10, 64) // "max" counts as nothing
	return n
}

// entry of a file of lines "name number".
func entry(path, name string) uint64 {
	w := words(path)
	for i := 0; i+1 < len(w); i += 2 {
		if strings.TrimSuffix(w[i], ":") == name {
			n, _ := strconv.ParseUint(w[i+1], 10, 64)
			return n
		}
	}
	return 0
}
