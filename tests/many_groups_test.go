package tests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestManyGroups: a thousand groups on demand start, serve, are reloaded and
// stop; those that nobody asks for cost no process.
func TestManyGroups(t *testing.T) {
	groups := rounds(50, 1000)
	w := newWorld(t)
	w.App("environ.py")
	var text strings.Builder
	for n := range groups {
		name := fmt.Sprintf("g%d", n)
		text.WriteString(group(name, fmt.Sprintf("#%d", 70000+n), 1, 2, `scaling = "on_demand"`, `idle_timeout = "1s"`) +
			mount("/"+name, "apps/environ.py", option("process_group", name)))
	}
	w.Configure(text.String())
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for n := 0; n < groups; n += groups / 25 {
		if v := look(t, apache.Get(fmt.Sprintf("/g%d", n))); v.UID != 70000+n {
			t.Errorf("group %d runs as %d", n, v.UID)
		}
	}
	if status, _, stderr := reload(w); status != 0 {
		t.Fatal(stderr)
	}
	if v := look(t, apache.Get("/g1")); v.UID != 70001 {
		t.Errorf("after the reload: %d", v.UID)
	}
	s := wsgid.AwaitStatus("no process is left", func(s harness.Status) error {
		left := len(s.Draining)
		for _, g := range s.Groups {
			left += len(g.Processes)
		}
		if left > 0 || len(s.Groups) != groups {
			return fmt.Errorf("%d are left", left)
		}
		return nil
	})
	t.Logf("%d groups: supervisor %s", groups, memoryOf(t, s.PID))
	t.Logf("%d groups: router %s", groups, memoryOf(t, s.RouterPID))
}

// memoryOf is the line of /proc that says what a process has for itself.
func memoryOf(t *testing.T, pid int) string {
	t.Helper()
	var lines []string
	for line := range strings.SplitSeq(readFile(t, fmt.Sprintf("/proc/%d/smaps_rollup", pid)), "\n") {
		if strings.HasPrefix(line, "Pss:") || strings.HasPrefix(line, "Private_Dirty:") {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
	}
	return strings.Join(lines, ", ")
}
