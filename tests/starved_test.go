package tests

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// starve gives a running process another soft limit ("nofile", "nproc", "as"); the
// returned function gives the hard one.
func starve(t *testing.T, pid int, resource string, limit int) (feed func()) {
	t.Helper()
	var uid, gid uint32
	content := readFile(t, fmt.Sprintf("/proc/%d/status", pid))
	for name, id := range map[string]*uint32{"Uid": &uid, "Gid": &gid} {
		_, rest, _ := strings.Cut(content, "\n"+name+":")
		if _, err := fmt.Sscan(rest, id); err != nil {
			t.Fatal(err)
		}
	}
	limits := readFile(t, fmt.Sprintf("/proc/%d/limits", pid))
	_, rest, _ := strings.Cut(limits, map[string]string{"nofile": "Max open files", "nproc": "Max processes", "as": "Max address space"}[resource])
	hard := strings.Fields(rest)[1]
	set := func(soft string) {
		command := exec.Command("prlimit", "--pid", fmt.Sprint(pid), "--"+resource+"="+soft+":")
		if os.Getuid() == 0 { // its own user may; root need not be allowed to in a container
			command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
		}
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%v %s", err, out)
		}
	}
	set(fmt.Sprint(limit))
	return sync.OnceFunc(func() { set(hard) })
}

// TestRouterWithoutDescriptors: connections for which there is no descriptor wait;
// the router says so once, does not spin, and serves them when there is one.
func TestRouterWithoutDescriptors(t *testing.T) {
	w := newWorld(t)
	w.App("slow.py")
	port := harness.FreePort(t)
	w.Configure(fmt.Sprintf("listen \"http\" {\n  address = \"127.0.0.1:%d\"\n}\n", port) + group("only", "#64001", 2, 3) + mount("/", "apps/slow.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	http := harness.NewClient(t, fmt.Sprintf("http://127.0.0.1:%d", port))
	wantStatus(t, "before", apache.Get("/?for=0"), 200)
	router := wsgid.AwaitReady("only").RouterPID
	feed := starve(t, router, "nofile", harness.Descriptors(router)+1)
	var all []net.Conn
	defer func() {
		for _, c := range all {
			c.Close()
		}
	}()
	for range 20 {
		c, err := net.Dial("unix", w.Socket)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	const count = 30
	answers := make(chan *harness.Response, count)
	for number := range count {
		front := apache.Client
		if number%2 == 1 {
			front = http
		}
		go func() {
			response, err := front.Try(t.Context(), "POST", "/?for=0.01", nil)
			if err != nil {
				t.Error(err)
			}
			answers <- response
		}()
	}
	for _, address := range []string{w.Socket, fmt.Sprint(port)} {
		wsgid.Log.Await(t, "the shortage", harness.Containing("cannot accept", "too many open files", address))
	}
	before := wakeups(t, router)
	harness.Eventually(t, "it has tried a few times", func() error {
		if n := wakeups(t, router) - before; n < 5 {
			return errNotYet
		}
		return nil
	})
	feed()
	for range count {
		if got := <-answers; got == nil || got.Status != 200 {
			t.Errorf("a request that waited: %+v", got)
		}
	}
	for _, address := range []string{w.Socket, fmt.Sprint(port)} {
		if found := wsgid.Log.Find(harness.Containing("cannot accept", address)); len(found) != 1 {
			t.Errorf("%s: the shortage is told of %d times", address, len(found))
		}
		wsgid.Log.Await(t, "the end of the shortage", harness.Containing("accepts again", address))
	}
	if after := wsgid.AwaitReady("only"); after.RouterPID != router {
		t.Errorf("router %d before, %d after", router, after.RouterPID)
	}
}

// TestSupervisorWithoutDescriptors: it cannot replace a process, says so in a
// back-off, and does so when it can; the others serve.
func TestSupervisorWithoutDescriptors(t *testing.T) {
	w := newWorld(t)
	w.App("slow.py")
	w.Configure(group("only", "#64001", 2, 3) + mount("/", "apps/slow.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	before := wsgid.AwaitReady("only")
	feed := starve(t, wsgid.PID, "nofile", 8) // those that it has it keeps
	testCannotStart(t, wsgid, apache.Client, before, feed, "too many open files")
}

// TestSupervisorWithoutProcesses: the same when no process can be made.
func TestSupervisorWithoutProcesses(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("slow.py")
	port := harness.FreePort(t)
	w.Configure(fmt.Sprintf("listen \"http\" {\n  address = \"127.0.0.1:%d\"\n}\n", port) +
		"daemon_process \"only\" {\n  processes = 2\n  threads = 3\n}\n" + mount("/", "apps/slow.py"))
	wsgid := w.Start(harness.Options{UID: 64077}) // nobody else's: its processes are counted
	front := harness.NewClient(t, fmt.Sprintf("http://127.0.0.1:%d", port))
	before := wsgid.AwaitReady("only")
	feed := starve(t, wsgid.PID, "nproc", 1)
	testCannotStart(t, wsgid, front, before, feed, "resource temporarily unavailable")
}

func testCannotStart(t *testing.T, wsgid *harness.Wsgid, front *harness.Client, before harness.Status, feed func(), why string) {
	t.Helper()
	pids := before.PIDs("only")
	wsgid.NoteSessions()
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	failed := harness.Containing("process cannot be started", why)
	mark := 0
	for range 4 {
		wsgid.Log.AwaitFrom(t, mark, "a failure", failed)
		mark = wsgid.Log.Mark()
	}
	for range 20 {
		wantStatus(t, "meanwhile", front.Get("/?for=0"), 200)
	}
	feed()
	after := wsgid.AwaitReady("only")
	if now := after.PIDs("only"); slices.Contains(now, pids[0]) || !slices.Contains(now, pids[1]) || after.PID != before.PID || after.RouterPID != before.RouterPID {
		t.Errorf("processes %v before, %v after; router %d, %d", pids, now, before.RouterPID, after.RouterPID)
	}
	// Each waits twice as long as the one before.
	if found := wsgid.Log.Find(failed); len(found) > 12 {
		t.Errorf("%d failures: it does not back off", len(found))
	}
}

// TestRouterWithoutMemory: a router that gets no further memory ends, and the next
// one serves with the same workers.
func TestRouterWithoutMemory(t *testing.T) {
	w := newWorld(t)
	w.App("body_hash.py")
	w.Configure(group("only", "#64001", 2, 3) + mount("/", "apps/body_hash.py", "request_buffer = 33554432"))
	wsgid := w.Start(harness.Options{Crashes: true}) // Go's report is in the log
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	before := wsgid.AwaitReady("only")
	wsgid.NoteSessions()
	starve(t, before.RouterPID, "as", 1<<20)
	large := payload(16 << 20)
	harness.Eventually(t, "it has ended", func() error {
		_, err := apache.Try(t.Context(), "POST", "/", bytes.NewReader(large))
		if harness.Alive(before.RouterPID) {
			return fmt.Errorf("it takes bodies: %w", err)
		}
		return nil
	})
	awaitOtherRouter(wsgid, before.RouterPID)
	harness.Eventually(t, "requests are served", func() error {
		if got := apache.Do("POST", "/", bytes.NewReader(large)); got.Status != 200 || !strings.Contains(got.Text(), digest(large)) {
			return fmt.Errorf("status %d", got.Status)
		}
		return nil
	})
	if after := wsgid.AwaitReady("only"); !slices.Equal(before.PIDs("only"), after.PIDs("only")) {
		t.Errorf("workers %v before, %v after", before.PIDs("only"), after.PIDs("only"))
	}
}

// TestNoFurtherThreads: at the limit of processes neither supervisor nor router
// ends for want of a thread, whatever they have to do.
func TestNoFurtherThreads(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("flood_stderr.py")
	port := harness.FreePort(t)
	w.Configure(fmt.Sprintf("listen \"http\" {\n  address = \"127.0.0.1:%d\"\n}\n", port) +
		"daemon_process \"only\" {\n  processes = 4\n  threads = 3\n}\n" + mount("/", "apps/flood_stderr.py"))
	wsgid := w.Start(harness.Options{UID: 64078}) // nobody else's
	front := harness.NewClient(t, fmt.Sprintf("http://127.0.0.1:%d", port))
	before := wsgid.AwaitReady("only")
	feeds := []func(){starve(t, wsgid.PID, "nproc", 1), starve(t, before.RouterPID, "nproc", 1)}
	wsgid.NoteSessions()
	var work sync.WaitGroup
	for range 10 {
		work.Go(func() {
			for range 3 {
				if code, _, errs := w.CLI("status", "--control", w.Control); code != 0 {
					t.Errorf("wsgid status: %d %s", code, errs)
				}
			}
		})
		work.Go(func() {
			for range 20 {
				if _, err := front.Try(t.Context(), "GET", "/?lines=50", nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, pid := range before.PIDs("only")[:3] {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	}
	work.Wait()
	for _, feed := range feeds {
		feed()
	}
	after := wsgid.AwaitReady("only")
	if after.PID != before.PID || after.RouterPID != before.RouterPID {
		t.Errorf("router %d before, %d after", before.RouterPID, after.RouterPID)
	}
}
