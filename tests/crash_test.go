package tests

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// running is one request that waits at the gate, and what became of it.
type running struct {
	method, name string
	response     *harness.Response
	err          error
}

// TestKillWorker: of the requests that a killed process was running, GETs are
// answered by another process and POSTs get 502; the process comes back.
func TestKillWorker(t *testing.T) {
	w := newWorld(t)
	w.App("gate.py")
	openDirectory(t, w, "open")
	w.Configure(group("only", "#64001", 2, 4) + mount("/", "apps/gate.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	before := wsgid.AwaitReady("only").PIDs("only")
	var all []*running
	var wait sync.WaitGroup
	for number := range 8 {
		r := &running{method: []string{"GET", "GET", "POST", "POST"}[number%4], name: fmt.Sprintf("open/started-%d", number)}
		all = append(all, r)
		wait.Add(1)
		go func() {
			defer wait.Done()
			r.response, r.err = apache.Try(t.Context(), r.method,
				fmt.Sprintf("/?started=%s&gate=%s", w.Path(r.name), w.Path("open/gate")), nil)
		}()
		awaitFile(t, w.Path(r.name))
	}
	victim := before[0]
	wsgid.NoteSessions()
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wsgid.AwaitStatus("the process is back", func(s harness.Status) error {
		pids := s.PIDs("only")
		if len(pids) != 2 || slices.Contains(pids, victim) {
			return fmt.Errorf("processes %v, killed was %d", pids, victim)
		}
		return nil
	})
	w.Write("open/gate", "")
	wait.Wait()
	gets, posts := 0, 0
	for _, r := range all {
		if r.err != nil {
			t.Errorf("%s: %v", r.name, r.err)
			continue
		}
		runs := numbers(t, awaitFile(t, w.Path(r.name)))
		switch {
		case runs[0] != victim:
			if r.response.Status != 200 || len(runs) != 1 {
				t.Errorf("%s %s ran in the other process: %d, runs %v", r.method, r.name, r.response.Status, runs)
			}
		case r.method == "GET":
			gets++
			if r.response.Status != 200 || len(runs) != 2 || runs[1] == victim || r.response.Text() != fmt.Sprint(runs[1]) {
				t.Errorf("GET %s: %d %s, runs %v", r.name, r.response.Status, r.response.Body, runs)
			}
		default:
			posts++
			if len(runs) != 1 {
				t.Errorf("POST %s was run again: %v", r.name, runs)
			}
			wantError(t, r.response, 502, "WSGID-1015")
		}
	}
	if gets == 0 || posts == 0 {
		t.Errorf("the killed process ran %d GETs and %d POSTs: the test proves nothing", gets, posts)
	}
	only := wsgid.Status().Group("only")
	if only.Restarts["crash"] != 1 || only.LastExit == nil || only.LastExit.PID != victim || only.LastExit.Signal == "" {
		t.Errorf("restarts %v, last exit %+v", only.Restarts, only.LastExit)
	}
	wsgid.Log.Await(t, "the death", func(r harness.Record) bool {
		return r.Level() == "error" && strings.Contains(r.Line, fmt.Sprint(victim)) && strings.Contains(r.Line, "SIGKILL")
	})
}

// background sends GETs from several clients until stop, and counts statuses.
type background struct {
	stop   context.CancelFunc
	wait   sync.WaitGroup
	mutex  sync.Mutex
	counts map[int]int
	total  atomic.Int64
}

func startBackground(t *testing.T, client *harness.Client, clients int, path string) *background {
	ctx, cancel := context.WithCancel(t.Context())
	b := &background{stop: cancel, counts: map[int]int{}}
	for range clients {
		b.wait.Add(1)
		go func() {
			defer b.wait.Done()
			for ctx.Err() == nil {
				status := 0
				if response, err := client.Try(ctx, "GET", path, nil); err == nil {
					status = response.Status
					if response.Truncated != nil {
						status = -1
					}
				}
				if ctx.Err() == nil {
					b.mutex.Lock()
					b.counts[status]++
					b.mutex.Unlock()
					b.total.Add(1)
				}
			}
		}()
	}
	t.Cleanup(func() { cancel(); b.wait.Wait() })
	return b
}

// more waits until so many further requests were answered.
func (b *background) more(t *testing.T, count int64) {
	t.Helper()
	until := b.total.Load() + count
	harness.Eventually(t, "further requests are answered", func() error {
		if now := b.total.Load(); now < until {
			return fmt.Errorf("%d of %d", now, until)
		}
		return nil
	})
}

func (b *background) finish() map[int]int {
	b.stop()
	b.wait.Wait()
	return b.counts
}

// TestKillWorkersUnderLoad: one process after the other is killed under load of
// GETs; every one is answered.
func TestKillWorkersUnderLoad(t *testing.T) {
	w := newWorld(t)
	w.App("slow.py")
	w.Configure(group("only", "#64001", 3, 4) + mount("/", "apps/slow.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	wsgid.AwaitReady("only")
	load := startBackground(t, apache.Client, 8, "/?for=0.005")
	kills := rounds(4, 8) // each death in a row doubles the back-off
	for kill := range kills {
		load.more(t, 50)
		wsgid.NoteSessions()
		// The one before counts as ready until its exit is recorded.
		wsgid.AwaitCrashes("only", kill)
		victim := wsgid.AwaitReady("only").PIDs("only")[0]
		if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	wsgid.AwaitReady("only")
	load.more(t, 50)
	counts := load.finish()
	if len(counts) != 1 || counts[200] == 0 {
		t.Errorf("answers by status: %v", counts)
	}
	if got := wsgid.AwaitCrashes("only", kills).Group("only").Restarts["crash"]; got != uint64(kills) {
		t.Errorf("%d crashes counted, %d processes killed", got, kills)
	}
}

// TestKillRouter: after kill -9 of the router the service resumes with the
// same workers; nothing hangs.
func TestKillRouter(t *testing.T) { inBoth(t, testKillRouter) }

func testKillRouter(t *testing.T, helper string) {
	w := newWorld(t)
	w.App("slow.py")
	w.Write("dispatch.py", "def process_group(environ):\n    return 'only'\n")
	w.Configure(helper + group("only", "#64001", 2, 4) + "dispatch_script \"{{.Dir}}/dispatch.py\" {}\n" + mount("/", "apps/slow.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	before := wsgid.AwaitReady("only")
	load := startBackground(t, apache.Client, 8, "/?for=0.005")
	kills := rounds(2, 10)
	router := before.RouterPID
	for range kills {
		load.more(t, 50)
		wsgid.NoteSessions()
		if err := syscall.Kill(router, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		killed := router
		router = wsgid.AwaitStatus("there is a new router", func(s harness.Status) error {
			if s.RouterPID == killed || s.Router.State != "ready" {
				return fmt.Errorf("router %d is %s", s.RouterPID, s.Router.State)
			}
			return nil
		}).RouterPID
		load.more(t, 50)
	}
	load.finish()
	for range 20 {
		if got := apache.Get("/?for=0"); got.Status != 200 {
			t.Fatalf("after the kills: %d %s", got.Status, got.Body)
		}
	}
	after := wsgid.AwaitReady("only")
	if got := after.Router.Restarts["crash"]; got != uint64(kills) || after.Router.LastExit == nil {
		t.Errorf("%d restarts counted, %d kills; last exit %+v", got, kills, after.Router.LastExit)
	}
	if !slices.Equal(before.PIDs("only"), after.PIDs("only")) {
		t.Errorf("workers %v before, %v after", before.PIDs("only"), after.PIDs("only"))
	}
	if helper != "" && before.DispatchHelper.PID != after.DispatchHelper.PID {
		t.Errorf("dispatch helper %d before, %d after", before.DispatchHelper.PID, after.DispatchHelper.PID)
	}
	wsgid.AwaitIdle()
}

// TestCrashByRequest: a request that ends its process. GET is tried once more
// and then named; POST is not; other processes and later requests are well.
func TestCrashByRequest(t *testing.T) {
	w := newWorld(t)
	w.App("crash.py")
	cases := []struct {
		method, how, code      string
		status, crashes, exits int
	}{
		{"POST", "kill", "WSGID-1015", 502, 1, 0},
		{"POST", "abort", "WSGID-1015", 502, 1, 0},
		{"POST", "segv", "WSGID-1015", 502, 1, 0},
		{"POST", "exit", "WSGID-1015", 502, 0, 1},
		{"GET", "exit", "WSGID-1016", 502, 0, 2},
		{"GET", "kill", "WSGID-1016", 502, 2, 0},
		{"GET", "abort", "WSGID-1016", 502, 2, 0},
		{"GET", "stream", "", 200, 1, 0},
		{"POST", "stream", "", 200, 1, 0},
	}
	// A group a case: none waits for the back-off of another.
	body, names := "", []string{}
	for number := range cases {
		names = append(names, fmt.Sprintf("g%d", number))
		body += group(names[number], "#64001", 2, 2) + mount("/"+names[number], "apps/crash.py", option("process_group", names[number]))
	}
	w.Configure(body)
	// An abort, a fault and their reports are what this test is about.
	wsgid := w.Start(harness.Options{Crashes: true})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	wsgid.AwaitReady(names...)
	wsgid.NoteSessions()
	for number, c := range cases {
		mark := wsgid.Log.Mark()
		response := apache.Do(c.method, "/"+names[number]+"/"+c.how, nil)
		if c.status == 200 {
			if response.Status != 200 || response.Truncated == nil {
				t.Errorf("%s %s: %d %q %v", c.method, c.how, response.Status, response.Body, response.Truncated)
			}
		} else {
			wantError(t, response, c.status, c.code)
			wsgid.Log.AwaitFrom(t, mark, "the request that ended its process", harness.Containing(c.code, "/"+c.how))
		}
		if got := apache.Get("/" + names[number] + "/well"); got.Status != 200 {
			t.Errorf("%s %s: the next request: %d %s", c.method, c.how, got.Status, got.Body)
		}
		want := map[string]uint64{"crash": uint64(c.crashes)}
		if c.how == "exit" {
			want = map[string]uint64{"exited": uint64(c.exits)}
		}
		wsgid.AwaitStatus("the exits are counted", func(s harness.Status) error {
			if got := s.Group(names[number]).Restarts; !maps.Equal(got, want) {
				return fmt.Errorf("%s %s: exits %v, want %v", c.method, c.how, got, want)
			}
			return nil
		})
		wsgid.AwaitReady(names[number])
	}
}

// TestCrashAtImport: a script that kills its process at import does not make
// the supervisor spin; the group says 503 meanwhile, others are well, and it
// recovers when the script is mended.
func TestCrashAtImport(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	openDirectory(t, w, "apps")
	path := w.App("crash_import.py")
	w.Configure(group("bad", "#64001", 1, 2) + group("good", "#64002", 1, 2) +
		mount("/bad", "apps/crash_import.py", option("process_group", "bad")) + mount("/", "apps/hello.py", option("process_group", "good")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	starts := func() int {
		content, err := os.ReadFile(path + ".log")
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.Count(string(content), "\n")
	}
	status := wsgid.AwaitStatus("the group backs off", func(s harness.Status) error {
		if bad := s.Group("bad"); bad.State != "backoff" || starts() < 3 {
			return fmt.Errorf("it is %s after %d starts", bad.State, starts())
		}
		return nil
	})
	if status.Group("bad").LastExit == nil || status.Group("bad").Restarts["crash"]+status.Group("bad").Restarts["start_failed"] == 0 {
		t.Errorf("restarts %v, last exit %+v", status.Group("bad").Restarts, status.Group("bad").LastExit)
	}
	response := apache.Get("/bad")
	wantError(t, response, 503, "WSGID-1014")
	if response.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if got := apache.Get("/"); got.Status != 200 {
		t.Errorf("the other group: %d", got.Status)
	}
	// A slower machine only makes fewer: the bound is safe.
	from := starts()
	time.Sleep(3 * time.Second)
	if more := starts() - from; more > 6 {
		t.Errorf("%d starts within 3 s, after %d: it spins", more, from)
	}
	w.Write("apps/crash_import.py", "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'mended']\n")
	wsgid.AwaitReady("bad")
	wsgid.NoteDescriptors()
	if got := apache.Get("/bad"); got.Text() != "mended" {
		t.Errorf("mended: %d %s", got.Status, got.Body)
	}
}

// TestHoldGIL: a process that holds the GIL harms neither status nor other groups.
func TestHoldGIL(t *testing.T) {
	w := newWorld(t)
	w.App("hold_gil.py")
	w.App("hello.py")
	openDirectory(t, w, "open")
	w.Configure(group("stuck", "#64001", 1, 2) + group("good", "#64002", 1, 2) +
		mount("/stuck", "apps/hold_gil.py", option("process_group", "stuck")) + mount("/", "apps/hello.py", option("process_group", "good")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	gate := w.Path("gate")
	if err := syscall.Mkfifo(gate, 0o644); err != nil {
		t.Fatal(err)
	}
	done := make(chan *harness.Response, 1)
	go func() {
		response, err := apache.Try(t.Context(), "GET", "/stuck?gate="+gate+"&started="+w.Path("open/started"), nil)
		if err != nil {
			t.Error(err)
		}
		done <- response
	}()
	awaitFile(t, w.Path("open/started"))
	status := wsgid.Status()
	if busy := status.Group("stuck").ThreadsBusy; busy != 1 {
		t.Errorf("%d threads are busy", busy)
	}
	if !strings.Contains(status.Text, "/stuck") {
		t.Errorf("status does not show the request: %s", status.Text)
	}
	if got := apache.Get("/"); got.Status != 200 {
		t.Errorf("the other group: %d", got.Status)
	}
	select {
	case <-done:
		t.Error("the request was over before the checks")
	default:
	}
	opened, err := os.OpenFile(gate, os.O_RDWR, 0) // opens at once, whoever waits
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if got := <-done; got != nil && got.Status != 200 {
		t.Errorf("the request: %d %s", got.Status, got.Body)
	}
}
