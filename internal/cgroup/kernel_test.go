package cgroup

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestKernel makes groups with what this machine has, and starts processes in
// them. Where it gives nothing, the refusal says so.
func TestKernel(t *testing.T) {
	tree, err := Current()
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	for name, limits := range map[string]Limits{
		"none": {}, "memory": {MemoryMax: 64 << 20}, "pressure": {MemoryHigh: 64 << 20}, "pids": {PidsMax: 20},
		"weight": {CPUWeight: 200}, "processors": {CPUMax: 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tree.Refuse(limits); err != nil {
				t.Logf("not on this machine: %v", err)
				if !strings.Contains(err.Error(), "take the option out") {
					t.Error("it does not say what to do")
				}
				return
			}
			g, err := tree.Make("test-"+name, limits)
			if err != nil {
				t.Fatal(err)
			}
			if len(g.dirs) == 0 {
				t.Log("this machine has no cgroups of version 2")
				return
			}
			sleeper := exec.Command("sleep", "1000")
			dir, err := g.Open()
			if err != nil {
				t.Fatal(err)
			}
			if dir != nil {
				defer dir.Close()
				sleeper.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
			}
			if err := sleeper.Start(); err != nil {
				t.Fatal(err)
			}
			if err := g.Add(sleeper.Process.Pid, dir != nil); err != nil {
				t.Error(err)
			}
			where, err := os.ReadFile("/proc/" + strconv.Itoa(sleeper.Process.Pid) + "/cgroup")
			if err != nil || strings.Count(string(where), "/group-test-"+name) != len(g.dirs) {
				t.Errorf("%v:\n%s", err, where)
			}
			if u := g.Usage(); limits.PidsMax > 0 && u.Pids != 1 || u.OOMKills > 0 {
				t.Errorf("%+v", u)
			}
			t.Logf("%s: %+v", g.Path(), g.Usage())
			ended := make(chan error, 1)
			go func() { ended <- sleeper.Wait() }()
			path := g.Path()
			if err := g.Remove(30 * time.Second); err != nil {
				t.Error(err)
			}
			if err := <-ended; err == nil || !strings.Contains(err.Error(), "killed") {
				t.Errorf("the process ended with %v", err)
			}
			if _, err := os.Stat(path); err == nil {
				t.Errorf("%s is left", path)
			}
		})
	}
}
