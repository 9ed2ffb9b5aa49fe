package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuSample is the CPU time, user and system, that each process had used.
//
// It is read from the process's CPU clock (clock_getcpuclockid(3)): whole
// nanoseconds over all threads, including those that have ended.
// /proc/PID/stat holds the same sum cut to ticks of 10 ms, too coarse for a
// round of one second, and /proc/PID/schedstat only the main thread.
type cpuSample map[int]time.Duration

// sampleCPU reads the clocks of pids.
func sampleCPU(pids []int) (cpuSample, error) {
	s := make(cpuSample, len(pids))
	for _, pid := range pids {
		var ts unix.Timespec
		// The clock id of a process: its complemented pid, and
		// CPUCLOCK_SCHED (2) in the low bits.
		id := int32(^pid)<<3 | 2
		if err := unix.ClockGettime(id, &ts); err != nil {
			return nil, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
		}
		s[pid] = time.Duration(ts.Nano())
	}
	return s, nil
}

// since is the sum of what was used between before and s.
func (s cpuSample) since(before cpuSample) time.Duration {
	var sum time.Duration
	for pid, used := range s {
		sum += used - before[pid]
	}
	return sum
}

// tree returns root and all its descendants.
func tree(roots ...int) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	children := map[int][]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // ended meanwhile
		}
		// The name, in parentheses, may hold anything: look behind it.
		_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')'):]), " ")
		fields := strings.Fields(rest)
		if len(fields) < 2 {
			continue
		}
		ppid, err := strconv.Atoi(fields[1])
		if err == nil && fields[0] != "Z" {
			children[ppid] = append(children[ppid], pid)
		}
	}
	all := append([]int(nil), roots...)
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all, nil
}

// commandLine of a process, as one string; empty when it has ended.
func commandLine(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	return strings.TrimRight(strings.ReplaceAll(string(b), "\x00", " "), " ")
}
