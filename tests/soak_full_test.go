//go:build full

package tests

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestSoak: for a minute clients of all kinds, while workers and routers are
// killed and scripts are edited. Afterwards everything is well, and the
// supervisor and the router have grown in no way.
func TestSoak(t *testing.T) {
	w := newWorld(t)
	for _, app := range []string{"hello.py", "body_hash.py", "slow.py", "download.py"} {
		w.App(app)
	}
	hello := readFile(t, w.Path("apps/hello.py"))
	dispatch := "def process_group(environ):\n    return environ.get('HTTP_X_GROUP')\n"
	w.Write("dispatch.py", dispatch)
	w.Configure(group("a", "#64001", 2, 4) + group("b", "#64002", 2, 4) + "dispatch_script \"{{.Dir}}/dispatch.py\" {}\n" +
		mount("/hash", "apps/body_hash.py", option("process_group", "a")) + mount("/slow", "apps/slow.py", option("process_group", "a")) +
		mount("/down", "apps/download.py", option("process_group", "b")) + mount("/", "apps/hello.py", option("process_group", "b")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	content := payload(200000)
	wsgid.AwaitReady("a", "b")
	memory := residentKiB(t, wsgid.PID)
	gets := startBackground(t, apache.Client, 4, "/")
	slows := startBackground(t, apache.Client, 4, "/slow?for=0.01")
	downs := startBackground(t, apache.Client, 2, "/down?size=300000")
	var posts, wrong atomic.Int64
	postsDone := make(chan struct{})
	end := time.Now().Add(time.Minute)
	go func() {
		defer close(postsDone)
		for time.Now().Before(end) {
			response, err := apache.Try(t.Context(), "POST", "/hash", bytes.NewReader(content))
			posts.Add(1)
			if err == nil && response.Status == 200 && !bytes.Contains(response.Body, []byte(digest(content))) {
				wrong.Add(1)
			}
		}
	}()
	for number := 0; time.Now().Before(end); number++ {
		wsgid.NoteSessions()
		status := wsgid.Status()
		victims := append(status.PIDs("a"), status.PIDs("b")...)
		switch {
		case number%10 == 9:
			_ = syscall.Kill(status.RouterPID, syscall.SIGKILL)
		case number%5 == 4 && len(victims) > 0:
			_ = syscall.Kill(victims[rand.IntN(len(victims))], syscall.SIGKILL)
		case number%5 == 2:
			w.Write("apps/hello.py", hello+fmt.Sprintf("# edit %d\n", number))
		case number%5 == 3:
			w.Write("dispatch.py", dispatch+fmt.Sprintf("# edit %d\n", number))
		}
		time.Sleep(time.Second)
	}
	<-postsDone
	t.Logf("GETs %v, slow %v, downloads %v, %d POSTs", gets.finish(), slows.finish(), downs.finish(), posts.Load())
	if wrong.Load() != 0 {
		t.Errorf("%d bodies arrived changed", wrong.Load())
	}
	wsgid.AwaitReady("a", "b")
	wsgid.AwaitIdle()
	for range 50 {
		if got := apache.Get("/"); got.Status != 200 {
			t.Fatalf("afterwards: %d %s", got.Status, got.Body)
		}
	}
	if now := residentKiB(t, wsgid.PID); now > memory+50<<10 {
		t.Errorf("the supervisor has grown from %d to %d KiB", memory, now)
	}
}

func residentKiB(t *testing.T, pid int) int {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(content), "\n") {
		var size int
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &size); err == nil {
			return size
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
