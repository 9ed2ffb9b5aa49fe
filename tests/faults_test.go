package tests

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

const (
	faultClients = 12
	faultThreads = 10 // of each process
)

// faultScene is what a fault happens to: two processes, a dispatch helper, and
// clients that ask without pause.
type faultScene struct {
	*testing.T
	world  *harness.World
	wsgid  *harness.Wsgid
	apache *harness.Apache
	load   *faultLoad
}

// fault is something that befalls one role, and what it may cost.
type fault struct {
	name string
	// once does it, and waits until it is over.
	once func(w *faultScene)
	// gets and all are how many GETs, and requests, each time may cost; negative:
	// nobody can say.
	gets, all int
	// most is how often at most it is done; 0: there is no limit. More deaths in
	// a row would end in a back-off, in which requests are refused.
	most int
}

func faults() []fault {
	return []fault{
		{name: "worker killed", once: func(w *faultScene) { w.hit(syscall.SIGKILL, worker, "crash") }, all: faultThreads},
		{name: "worker stopped", once: func(w *faultScene) { w.hit(syscall.SIGSTOP, worker, "unresponsive") }, all: faultThreads},
		{name: "router killed", once: func(w *faultScene) { w.hit(syscall.SIGKILL, router, "crash") }, gets: faultClients, all: faultClients},
		{name: "router stopped", once: func(w *faultScene) { w.hit(syscall.SIGSTOP, router, "unresponsive") }, gets: faultClients, all: faultClients},
		{name: "dispatch helper killed", once: func(w *faultScene) { w.hit(syscall.SIGKILL, helper, "crash") }, most: 3},
		{name: "dispatch helper stopped", once: func(w *faultScene) { w.hit(syscall.SIGSTOP, helper, "unresponsive") }, most: 3},
		{name: "supervisor killed and started again", once: (*faultScene).killSupervisor, gets: -1, all: -1},
		{name: "supervisor stopped for a while", once: (*faultScene).stopSupervisor},
		// Clients keep connections, and may find one dead that they have not used.
		{name: "front server killed", once: (*faultScene).killFront, gets: 2 * faultClients, all: 2 * faultClients},
		{name: "log reader stalls", once: (*faultScene).stallLog},
		{name: "router without descriptors", once: (*faultScene).starveRouter},
		{name: "supervisor without descriptors, worker killed", once: (*faultScene).starveSupervisor, all: faultThreads, most: 3},
	}
}

// TestFaults: under load each role is killed, stopped and starved in turn.
// What is lost is what was in flight there, and no POST is served twice.
func TestFaults(t *testing.T) { testFaults(t, 1) }

func testFaults(t *testing.T, rounds int) {
	t.Parallel()
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			w := newFaultScene(t)
			rounds := rounds
			if f.most > 0 {
				rounds = min(rounds, f.most)
			}
			for range rounds {
				w.load.more(100)
				f.once(w)
				w.load.more(100)
			}
			w.load.end()
			t.Logf("%d × %s: %v", rounds, f.name, w.load)
			if lost := w.load.lostOf("GET"); f.gets >= 0 && lost > f.gets*rounds {
				t.Errorf("%d GETs were lost, at most %d may be: %v", lost, f.gets*rounds, w.load.lost)
			}
			if lost := w.load.lostOf(""); f.all >= 0 && lost > f.all*rounds {
				t.Errorf("%d requests were lost, at most %d may be: %v", lost, f.all*rounds, w.load.lost)
			}
			w.wsgid.AwaitReady("web")
			w.wsgid.AwaitIdle()
		})
	}
}

func newFaultScene(t *testing.T) *faultScene {
	w := newWorld(t)
	w.App("counted.py")
	openDirectory(t, w, "open")
	notes := w.Path("open/notes")
	w.Write("dispatch.py", "def process_group(environ):\n    return 'web'\n")
	w.Configure("dispatch {\n  isolation = \"process\"\n}\n" + group("web", "#64001", 2, faultThreads, environmentOf("COUNTED="+notes)) +
		"dispatch_script \"{{.Dir}}/dispatch.py\" {}\n" + mount("/", "apps/counted.py"))
	f := &faultScene{T: t, world: w, wsgid: w.Start(harness.Options{})}
	// Without retry=0 Apache asks nobody for a minute when wsgid was away.
	f.apache = w.StartApache(harness.ApacheOptions{Config: `
ProxyPass "/" "unix:{{.Socket}}|fcgi://wsgid/" enablereuse=on flushpackets=on iobuffersize=65528 retry=0
`})
	f.wsgid.AwaitReady("web")
	f.load = startFaultLoad(t, notes, faultClients, f.apache.Client)
	return f
}

// role finds the process of a role, and how often one ended for a reason.
type role func(s harness.Status, reason string) (pid int, ended uint64)

func worker(s harness.Status, reason string) (int, uint64) {
	return s.PIDs("web")[0], s.Group("web").Restarts[reason]
}

func router(s harness.Status, reason string) (int, uint64) {
	return s.RouterPID, s.Router.Restarts[reason]
}

func helper(s harness.Status, reason string) (int, uint64) {
	return s.DispatchHelper.PID, s.DispatchHelper.Restarts[reason]
}

// hit sends a signal to a process and waits until another one is in its place.
func (w *faultScene) hit(signal syscall.Signal, of role, reason string) {
	w.Helper()
	w.wsgid.NoteSessions()
	victim, before := of(w.whole(), reason)
	if err := syscall.Kill(victim, signal); err != nil {
		w.Fatal(err)
	}
	w.wsgid.AwaitStatus("its end is counted", func(s harness.Status) error {
		if s.Group("web").State != "ready" || len(s.PIDs("web")) == 0 {
			return errNotYet
		}
		if _, now := of(s, reason); now != before+1 {
			return fmt.Errorf("%d ended with %s, %d before", now, reason, before)
		}
		return nil
	})
	w.whole()
}

// whole waits until every process is there.
func (w *faultScene) whole() harness.Status {
	w.Helper()
	return w.wsgid.AwaitStatus("all processes are ready", func(s harness.Status) error {
		if s.Router.State != "ready" || !s.Router.Answered || s.DispatchHelper.State != "ready" || len(s.PIDs("web")) != 2 {
			return fmt.Errorf("router %s, helper %s, workers %v", s.Router.State, s.DispatchHelper.State, s.PIDs("web"))
		}
		return nil
	})
}

// killSupervisor starts another one when nothing is left.
func (w *faultScene) killSupervisor() {
	w.Helper()
	w.wsgid.NoteSessions()
	if err := syscall.Kill(w.wsgid.PID, syscall.SIGKILL); err != nil {
		w.Fatal(err)
	}
	w.wsgid.AwaitExit()
	harness.Eventually(w, "nothing is left", func() error {
		if left := w.wsgid.Mine(); len(left) != 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
	w.wsgid.Abandon()
	w.wsgid = w.world.Start(harness.Options{})
	w.whole()
}

func (w *faultScene) stopSupervisor() {
	w.Helper()
	if err := syscall.Kill(w.wsgid.PID, syscall.SIGSTOP); err != nil {
		w.Fatal(err)
	}
	defer func() { _ = syscall.Kill(w.wsgid.PID, syscall.SIGCONT) }()
	w.load.more(500)
}

// killFront kills the process of Apache that serves; its parent starts another.
func (w *faultScene) killFront() {
	w.Helper()
	for _, process := range harness.Processes() {
		if process.Parent == w.apache.PID {
			if err := syscall.Kill(process.PID, syscall.SIGKILL); err != nil {
				w.Fatal(err)
			}
		}
	}
}

func (w *faultScene) stallLog() {
	w.Helper()
	goOn := w.wsgid.Log.Stall()
	defer goOn()
	w.load.more(500)
}

// starveRouter leaves the router no further descriptor, while connections come
// that it cannot accept.
func (w *faultScene) starveRouter() {
	w.Helper()
	pid := w.whole().RouterPID
	feed := starve(w.T, pid, "nofile", harness.Descriptors(pid))
	mark := w.wsgid.Log.Mark()
	c := dial(w, w.world)
	defer c.Close()
	w.wsgid.Log.AwaitFrom(w, mark, "the shortage", harness.Containing("cannot accept"))
	feed()
	// The first may have got a number that was free, and the error have come when
	// nobody was waiting.
	another := dial(w, w.world)
	defer another.Close()
	w.wsgid.Log.AwaitFrom(w, mark, "the end of the shortage", harness.Containing("accepts again"))
}

// starveSupervisor has a process die that cannot be replaced for a while.
func (w *faultScene) starveSupervisor() {
	w.Helper()
	victim := w.whole().PIDs("web")[0]
	feed := starve(w.T, w.wsgid.PID, "nofile", 8)
	mark := w.wsgid.Log.Mark()
	w.wsgid.NoteSessions()
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		w.Fatal(err)
	}
	w.wsgid.Log.AwaitFrom(w, mark, "the shortage", harness.Containing("process cannot be started", "too many open files"))
	w.load.more(100)
	feed()
	w.whole()
}
