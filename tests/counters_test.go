package tests

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// faulty does what the query says, and marks its answers.
const faulty = `
import os, time
from urllib.parse import parse_qs

def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    environ["wsgi.input"].read()
    end = time.monotonic() + float(query.get("for", ["0"])[0])
    while time.monotonic() < end:
        time.sleep(0.005)
    if "exit" in query:
        os._exit(3)
    if "raise" in query:
        raise ValueError
    start_response("200 OK", [("X-Application", "1")])
    return [b"done"]
`

// counting is a wsgid under load, what its clients have seen, and what it said meanwhile.
type counting struct {
	t      *testing.T
	w      *harness.World
	d      *harness.Wsgid
	apache *harness.Client
	direct *harness.Client // to the router itself, which sees that a client gives up
	held   int             // descriptors of the router besides its connections

	sent, refused, answered atomic.Int64 // requests; refused: 503, answered: by an application, to the end
	kills                   int          // processes that have ended without being asked

	done     chan struct{} // closed: the clients end
	clients  sync.WaitGroup
	sampling sync.WaitGroup
	sampled  chan struct{} // closed: the sampling ends
	looks    atomic.Int64
}

// countedGroups are the groups, and how many threads each of their processes has.
var countedGroups = map[string]int{"a": 3, "b": 2}

// beginsAnew are counters that begin with each router (docs/status.md).
var beginsAnew = regexp.MustCompile(`^wsgid_(router_(cpu_seconds|requests|errors)_total|group_(queued|queue_timeouts|rejected)_total|group_wait_seconds)`)

// ask sends a request and sorts its answer.
func (c *counting) ask(to *harness.Client, method, path string, patience time.Duration) {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	c.sent.Add(1)
	response, err := to.Try(ctx, method, path, strings.NewReader(strings.Repeat("x", 1000)))
	switch {
	case err != nil:
	case response.Status == 503 && response.Header.Get("X-Wsgid-Error") != "": // no application has seen it
		c.refused.Add(1)
		time.Sleep(5 * time.Millisecond) // a client that was refused does not ask at once
	case response.Header.Get("X-Application") != "" && response.Truncated == nil:
		c.answered.Add(1)
	}
}

// load has clients of all kinds ask until done is closed.
func (c *counting) load() {
	always := func(to *harness.Client, clients int, method, path string, patience time.Duration) {
		for range clients {
			c.clients.Go(func() {
				for {
					select {
					case <-c.done:
						return
					default:
						c.ask(to, method, path, patience)
					}
				}
			})
		}
	}
	always(c.apache, 3, "GET", "/a?for=0.01", harness.Patience)
	always(c.apache, 2, "POST", "/a?for=0.02", harness.Patience)
	always(c.direct, 1, "POST", "/a?for=0.005", harness.Patience)
	always(c.direct, 2, "GET", "/a?for=0.2", 50*time.Millisecond) // gives up, while it runs
	always(c.direct, 1, "POST", "/b?for=0.2", 5*time.Millisecond) // or while it waits
	always(c.apache, 1, "POST", "/a?raise=1", harness.Patience)
	always(c.apache, 9, "GET", "/b?for=0.02", harness.Patience) // more than there is room for
	always(c.apache, 1, "GET", "/b?for=60", harness.Patience)   // is interrupted
}

// sample looks again and again, and no counter may ever go back.
func (c *counting) sample() {
	ask := controlClient(c.t, c.w)
	last := map[string]float64{}
	c.sampling.Go(func() {
		for {
			select {
			case <-c.sampled:
				return
			case <-time.After(20 * time.Millisecond):
			}
			code, text := ask("/metrics")
			if code != 200 {
				c.t.Errorf("metrics: %d %s", code, text)
				return
			}
			now := samples(c.t, text)
			for name, value := range last {
				base, _, _ := strings.Cut(name, "{")
				if !strings.HasSuffix(base, "_total") && !strings.Contains(base, "_request_seconds_") || beginsAnew.MatchString(name) {
					continue
				}
				if now[name] < value {
					c.t.Errorf("%s was %v and is %v", name, value, now[name])
				}
			}
			last = now
			c.looks.Add(1)
		}
	})
}

// more waits until applications have answered n further requests.
func (c *counting) more(n int64) {
	c.t.Helper()
	until := c.answered.Load() + n
	harness.Eventually(c.t, "further requests are answered", func() error {
		if now := c.answered.Load(); now < until {
			return fmt.Errorf("%d of %d", now, until)
		}
		return nil
	})
}

func (c *counting) command(arguments ...string) {
	c.t.Helper()
	c.d.NoteSessions()
	if code, _, errs := c.w.CLI(append([]string{arguments[0], "--control", c.w.Control}, arguments[1:]...)...); code != 0 {
		c.t.Errorf("%v: %d %s", arguments, code, errs)
	}
}

// faults are what happens under the load, one after another.
func (c *counting) faults() []func() {
	kill := func(pid int) {
		c.t.Helper()
		c.d.NoteSessions()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			c.t.Error(err)
		}
	}
	return []func(){
		func() { kill(c.d.AwaitReady("a", "b").PIDs("a")[0]); c.kills++ },
		func() { c.command("reload") },
		func() {
			router := c.d.AwaitReady("a", "b").RouterPID
			kill(router)
			awaitOtherRouter(c.d, router)
		},
		func() { c.d.NoteSessions(); c.ask(c.apache, "POST", "/a?exit=1", harness.Patience); c.kills++ },
		func() {
			c.command("scale", "a", "4")
			c.more(20)
			c.command("scale", "a", "1")
			c.more(20)
			c.command("scale", "a", "2")
		},
		func() { c.command("maintenance", "b", "on"); c.more(20); c.command("maintenance", "b", "off") },
		func() { c.command("restart", "--all") },
		func() { // killed in the middle of a reload
			c.d.NoteSessions()
			reloaded := make(chan struct{})
			go func() {
				defer close(reloaded)
				_, _, _ = c.w.CLI("reload", "--control", c.w.Control) // whatever becomes of it
			}()
			kill(c.d.AwaitReady("a").PIDs("b")[0])
			c.kills++
			<-reloaded
		},
	}
}

// agree compares what wsgid says with what there is.
func (c *counting) agree() error {
	s := c.d.Status()
	var wrong []error
	differ := func(format string, arguments ...any) { wrong = append(wrong, fmt.Errorf(format, arguments...)) }
	if s.Router.InFlight != 0 || len(s.Draining) != 0 || !s.Router.Answered {
		differ("%d in flight, %d generations drain", s.Router.InFlight, len(s.Draining))
	}
	shown := map[int]bool{s.PID: true, s.RouterPID: true}
	connections := 0
	for name, threads := range countedGroups {
		g := s.Group(name)
		if g.ThreadsBusy != 0 || g.Queued != 0 || g.State != "ready" || g.Ready != g.Wanted || g.Threads != g.Ready*threads || len(g.Processes) != g.Ready {
			differ("group %s: %d busy, %d queued, %s, %d of %d ready, %d threads, %d processes", name, g.ThreadsBusy, g.Queued, g.State, g.Ready, g.Wanted, g.Threads, len(g.Processes))
		}
		for _, p := range g.Processes {
			shown[p.PID] = true
			if p.ThreadsBusy != 0 || len(p.Running) != 0 {
				differ("process %d: %d busy", p.PID, p.ThreadsBusy)
			}
		}
		connections += g.Connections
	}
	var there []int
	for _, p := range c.d.Mine() {
		if p.State != "Z" {
			there = append(there, p.PID)
		}
	}
	if slices.Sort(there); !slices.Equal(there, slices.Sorted(maps.Keys(shown))) {
		differ("processes %v, shown are %v", there, slices.Sorted(maps.Keys(shown)))
	}
	if held := harness.Descriptors(s.RouterPID) - connections - s.Router.Connections; held != c.held {
		differ("%d descriptors of the router are no connection of the %d and %d that it tells of, %d at first: %q", held, s.Router.Connections, connections, c.held, harness.DescriptorTargets(s.RouterPID))
	}
	return errors.Join(wrong...)
}

// soakCounters lets rounds of all faults happen under load. Afterwards all figures are
// those of reality, and while it went on no counter went back.
func soakCounters(t *testing.T, rounds int) {
	w := newWorld(t)
	w.Write("apps/faulty.py", faulty)
	// A request of 60 s is over after 300 ms × (1 + ln 2), by an exception.
	address := freeAddress(t)
	w.Configure("listen \"http\" {\n  address = \"" + address + "\"\n}\n" + group("a", "#64001", 2, countedGroups["a"]) +
		group("b", "#64002", 2, countedGroups["b"], "queue_length = 3", option("request_timeout", "300ms"), option("interrupt_timeout", "60s")) +
		mount("/a", "apps/faulty.py", option("process_group", "a")) + mount("/b", "apps/faulty.py", option("process_group", "b")))
	d := w.Start(harness.Options{})
	c := &counting{t: t, w: w, d: d, apache: w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass}).Client, direct: harness.NewClient(t, "http://"+address), done: make(chan struct{}), sampled: make(chan struct{})}
	first := d.AwaitReady("a", "b")
	c.held = harness.Descriptors(first.RouterPID) - first.Router.Connections - first.Group("a").Connections - first.Group("b").Connections
	c.sample()
	c.load()
	for range rounds {
		for _, fault := range c.faults() {
			c.more(40)
			fault()
		}
	}
	c.more(40)
	close(c.done)
	c.clients.Wait()
	d.AwaitReady("a", "b")
	harness.Eventually(t, "the figures are those of reality", c.agree)
	close(c.sampled)
	c.sampling.Wait()

	// A thread counts a request when its answer is written. So one that was answered is
	// counted, and one that was refused is not; what a client has given up may or may not
	// have been run. A process that is killed between the two has for each of its threads
	// one answer that is not counted, or one that is counted and is run again elsewhere.
	off := int64(0)
	for _, threads := range countedGroups {
		off = max(off, int64(c.kills*threads))
	}
	sent, refused, answered := c.sent.Load(), c.refused.Load(), c.answered.Load()
	_, text := controlClient(t, w)("/metrics")
	got := samples(t, text)
	counted, timed := int64(0), int64(0)
	for name := range countedGroups {
		counted += int64(got[`wsgid_group_requests_total{group="`+name+`"}`])
		timed += int64(got[`wsgid_group_request_seconds_count{group="`+name+`"}`])
	}
	t.Logf("%d sent, %d refused, %d answered, %d counted, %d processes killed, %d looks", sent, refused, answered, counted, c.kills, c.looks.Load())
	if counted < answered-off || counted > sent-refused+off || max(counted, timed)-min(counted, timed) > off {
		t.Errorf("%d counted, %d timed; %d sent, %d refused, %d answered, give or take %d", counted, timed, sent, refused, answered, off)
	}
	if refused == 0 || got[`wsgid_group_errors_total{group="a"}`] == 0 || c.looks.Load() < 10 {
		t.Errorf("nothing was refused or has failed, or nobody has looked: the test proves nothing")
	}
	crashes := got[`wsgid_group_restarts_total{group="a",reason="crash"}`] + got[`wsgid_group_restarts_total{group="b",reason="crash"}`]
	if int(crashes) != c.kills {
		t.Errorf("%v crashes are counted, there were %d", crashes, c.kills)
	}
}

// TestCountersNeverDrift: one round of all faults.
func TestCountersNeverDrift(t *testing.T) { soakCounters(t, 1) }
