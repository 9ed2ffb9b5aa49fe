package tests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestRlimits: processes of the group have them, those of others do not.
func TestRlimits(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("limits.py")
	w.Configure(group("bound", "#64001", 1, 3, `rlimits = { nofile = 200, core = 0, fsize = 1000000, rttime = "unlimited" }`) + group("free", "#64001", 1, 3) +
		mount("/bound", "apps/limits.py", option("process_group", "bound")) + mount("/free", "apps/limits.py", option("process_group", "free")))
	wsgid := w.Start(harness.Options{})
	wsgid.AwaitReady("bound", "free")
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	limits := func(path string) (all map[string][2]int64) {
		fromJSON(t, apache.Get(path+"?what=rlimits").Text(), &all)
		return all
	}
	bound, free := limits("/bound"), limits("/free")
	for name, n := range map[string]int64{"nofile": 200, "core": 0, "fsize": 1000000, "rttime": -1} {
		if bound[name] != [2]int64{n, n} {
			t.Errorf("%s: %v, want %d", name, bound[name], n)
		}
	}
	if free["nofile"] == bound["nofile"] || free["fsize"] == bound["fsize"] {
		t.Errorf("the other group: %v", free)
	}
}

// TestRlimitsRefused: what the kernel allows nobody is said, and the other group
// serves.
func TestRlimitsRefused(t *testing.T) {
	w := newWorld(t)
	w.App("limits.py")
	w.Configure(group("bound", "#64001", 1, 3, `rlimits = { nofile = 1099511627776 }`) + group("free", "#64001", 1, 3) +
		mount("/bound", "apps/limits.py", option("process_group", "bound")) + mount("/free", "apps/limits.py", option("process_group", "free")))
	wsgid := w.Launch(harness.Options{})
	wsgid.AwaitControl()
	wsgid.AwaitReady("free")
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	wsgid.AwaitStatus("the refusal", func(s harness.Status) error {
		if g := s.Group("bound"); g.LastExit == nil || !strings.Contains(g.LastExit.Error, "rlimits: nofile=1099511627776: ") {
			return fmt.Errorf("%+v", g.LastExit)
		}
		return nil
	})
	if got := apache.Get("/free?what=pid"); got.Status != 200 {
		t.Errorf("the other group: %d", got.Status)
	}
}
