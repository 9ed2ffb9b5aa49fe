package tests

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// wakeups counts how often the threads of a process have gone to sleep.
func wakeups(t *testing.T, pid int) (total int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("no threads of %d: %v", pid, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // the thread has ended
		}
		must(t, err)
		_, rest, _ := strings.Cut(string(content), "\nvoluntary_ctxt_switches:")
		var n int
		if _, err := fmt.Sscan(rest, &n); err != nil {
			t.Fatal(err)
		}
		total += n
	}
	return total
}

// TestIdle: who has nothing to do does nothing, whatever is configured: a worker
// never wakes up, supervisor and router at most once a second.
func TestIdle(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	w.Write("dispatch.py", "def process_group(environ):\n    return None\n")
	all := []string{`request_timeout = "60s"`, `interrupt_timeout = "5s"`, `deadlock_timeout = "2s"`, `inactivity_timeout = "1h"`, `restart_interval = "1h"`,
		"maximum_requests = 1000", `memory_soft_limit = "1GiB"`, `cpu_time_limit = "600s"`}
	w.Configure(group("web", "#64001", 1, 5, all...) + group("dynamic", "#64002", 4, 5, append(all, `scaling = "dynamic"`)...) +
		group("plain", "#64003", 1, 5) + "dispatch_script \"{{.Dir}}/dispatch.py\" {}\n" +
		mount("/inside", "apps/environ.py", option("process_group", "%{GLOBAL}")) + mount("/dynamic", "apps/environ.py", option("process_group", "dynamic")) +
		mount("/plain", "apps/environ.py", option("process_group", "plain")) + mount("/", "apps/environ.py", option("process_group", "web")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for range 20 {
		for _, url := range []string{"/", "/dynamic", "/plain", "/inside"} {
			wantStatus(t, url, apache.Get(url), 200)
		}
	}
	s := wsgid.AwaitIdle()
	roles := map[string]int{"supervisor": s.PID, "router": s.RouterPID}
	for _, group := range []string{"web", "dynamic", "plain"} {
		roles[group] = s.PIDs(group)[0]
	}
	// Each has had a quiet time once; who wakes up again and again never has one. The
	// first times may see the end of the load.
	for range 10 {
		begin, before := time.Now(), map[string]int{}
		for role, pid := range roles {
			before[role] = wakeups(t, pid)
		}
		time.Sleep(4 * time.Second)
		for role, pid := range roles {
			n, allowed := wakeups(t, pid)-before[role], 0
			if role == "supervisor" || role == "router" {
				allowed = 3 * int(time.Since(begin).Seconds()) // a wake-up of Go's runtime takes more than one of its threads
			}
			if n <= allowed {
				delete(roles, role)
			} else {
				t.Logf("%s: %d wake-ups in %v", role, n, time.Since(begin))
			}
		}
		if len(roles) == 0 {
			return
		}
	}
	t.Errorf("woken up again and again: %v", roles)
}
