package cgroup

import (
	"fmt"
	"math"
	"strconv"
)

// period is that of cpu.max and cpu.cfs_period_us, microseconds: the kernel's
// own default.
const period = 100000

// Limits are those of one group together; what is 0 is not limited.
type Limits struct {
	MemoryMax  int64   // bytes; beyond it the kernel kills
	MemoryHigh int64   // bytes; beyond it the kernel reclaims and slows down
	PidsMax    int     // processes and threads
	CPUWeight  int     // share against others, 1 to 10000; usual: 100
	CPUMax     float64 // processors
}

// Any says whether there is a limit.
func (l Limits) Any() bool { return l != Limits{} }

// need is one limit as the kernel's files have it.
type need struct {
	option, controller string
	unified            setting // of version 2
	legacy             string  // file of version 1; empty: it has no such limit
	value              string  // for it
}

type setting struct{ file, value string }

func (l Limits) needs() (all []need) {
	if l.MemoryMax > 0 {
		bytes := strconv.FormatInt(l.MemoryMax, 10)
		all = append(all, need{"memory_max", "memory", setting{"memory.max", bytes}, "memory.limit_in_bytes", bytes})
	}
	if l.MemoryHigh > 0 {
		all = append(all, need{"memory_high", "memory", setting{"memory.high", strconv.FormatInt(l.MemoryHigh, 10)}, "", ""})
	}
	if l.PidsMax > 0 {
		n := strconv.Itoa(l.PidsMax)
		all = append(all, need{"pids_max", "pids", setting{"pids.max", n}, "pids.max", n})
	}
	if l.CPUWeight > 0 {
		// The kernel's own conversion of the usual 100 is 1024 shares.
		shares := max(2, int64(math.Round(float64(l.CPUWeight)*1024/100)))
		all = append(all, need{"cpu_weight", "cpu", setting{"cpu.weight", strconv.Itoa(l.CPUWeight)}, "cpu.shares", strconv.FormatInt(shares, 10)})
	}
	if l.CPUMax > 0 {
		quota := max(1000, int64(math.Round(l.CPUMax*period)))
		all = append(all, need{"cpu_max", "cpu", setting{"cpu.max", fmt.Sprintf("%d %d", quota, period)}, "cpu.cfs_quota_us", strconv.FormatInt(quota, 10)})
	}
	return all
}
