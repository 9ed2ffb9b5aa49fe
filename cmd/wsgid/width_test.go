package main

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/internal/histogram"
	"github.com/wsgid/wsgid/internal/status"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// crowdedSnapshot is a large site on a bad day: long names, large numbers, 12 processes.
func crowdedSnapshot() *status.Snapshot {
	ago := func(d time.Duration) time.Time { return noon.Add(-d) }
	latency := histogram.Counts{Counts: [histogram.Buckets]uint64{1000000, 800000, 120000, 3000, 200, 5, 0, 0, 0, 0, 0, 0, 0, 1}, Seconds: 4321}
	crash := &status.Exit{PID: 1234567, At: ago(190 * time.Second), Reason: "crash", Status: -1, Signal: "SIGSEGV"}
	s := &status.Snapshot{
		Version: "1.12.3-45-gdeadbeef", PID: 1234560, State: "ready", Started: ago(1000 * time.Hour), Uptime: 3600000,
		Config: "/etc/wsgid/sites/production-cluster-europe-west/wsgid.hcl", Generation: 42, Loaded: ago(26 * time.Hour),
		LastReload: &status.Reload{At: ago(26 * time.Hour), Seconds: 12.5, Generation: 42, Groups: []string{"reporting-and-invoices", "shop-frontend-production-europe-west"}, Problems: []string{"group reporting-and-invoices: /srv/reporting/wsgi.py cannot be imported: ImportError: cannot import name 'Decimal'"}},
		Draining: []status.Draining{{Generation: 41, Router: 1234561, Connections: 120, Processes: []status.Process{{
			PID: 1234570, User: "wsgid-shop", State: "draining", Started: ago(30 * time.Hour), Threads: 64, ThreadsBusy: 1, Requests: 123456789, LastExit: crash,
			Running: []status.Request{{Thread: 2, State: "writing", ID: "557c2e632c-1", Method: "GET", Client: "192.0.2.8", Started: ago(29 * time.Hour), URI: "/export"}}}}}},
		Router: status.Router{
			LoadErrors: []status.LoadError{{Script: "/srv/embedded/wsgi.py", Application: "", At: ago(time.Minute), PID: 1234562, Error: "NameError: x", Traceback: "Traceback (most recent call last):\nNameError: x\n"}},
			PID:        1234562, User: "www-data", UID: 33, State: "ready", Started: ago(26 * time.Hour), Python: "3.14.0rc2+", Answered: true, CPUSeconds: 123456.7, RSSBytes: 1234 << 20,
			Connections: 12345, Requests: 1234567890, Errors: 123456, InFlight: 1234, Restarts: map[string]uint64{"crash": 3, "unresponsive": 1}, LastExit: crash,
			Scripts: []status.Script{{Kind: "dispatch script", Path: "/etc/wsgid/sites/production-cluster-europe-west/dispatch.py", Calls: 1234567890, Running: 16, Lost: 7,
				LoadError: "SyntaxError: invalid syntax (dispatch.py, line 127)", Failed: 12, Latency: latency}},
			Spans:    &status.Spans{Exported: 1234567890, Dropped: 123456},
			Embedded: &status.Embedded{Threads: 25, ThreadsBusy: 25, Requests: 987654321, Queue: status.Queue{Queued: 1000, QueueLength: 1024, LongestWait: 44.5, QueuedTotal: 123456789, QueueTimeouts: 12345, Rejected: 54321, Waits: latency}},
		},
		DispatchHelper: &status.DispatchHelper{PID: 1234563, User: "nobody", UID: 65534, State: "ready", Started: ago(time.Hour), Calls: 1234567890, Restarts: map[string]uint64{"unresponsive": 12}, LastExit: crash},
		Monitor:        &status.Monitor{Address: "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:9181", PID: 1234564, User: "nobody", UID: 65534, Restarts: map[string]uint64{"crash": 2}, LastExit: crash},
		AccessLogs:     []status.Log{{Destination: "/var/log/wsgid/production-cluster-europe-west/shop-frontend/access.log", Lines: 9876543210, Lost: 1234567890, Error: "no space left on device"}},
		Logs:           []status.Log{{Destination: "stderr", Lines: 12}, {Destination: "syslog:local3", Lines: 7, Lost: 3, Error: "no such file or directory"}},
	}
	number := 0
	for i, g := range []struct {
		name, state string
		processes   int
	}{{"shop-frontend-production-europe-west", "ready", 5}, {"shop-frontend-production-europe-east", "degraded", 4}, {"reporting-and-invoices", "backoff", 0}, {"api", "in maintenance", 3}, {"jobs", "ready", 0}} {
		group := status.Group{
			Name: g.name, User: "wsgid-" + g.name, UID: 64000 + i, State: g.state, Wanted: 12, Ready: g.processes, Scaling: "dynamic", Least: 2, Most: 128, Threads: 640, ThreadsBusy: 639,
			Queue:       status.Queue{Queued: 1024, QueueLength: 1024, LongestWait: 44.9, QueuedTotal: 123456789, QueueTimeouts: 1234567, Rejected: 7654321, Waits: latency},
			Connections: 640, Requests: 1234567890, Errors: 1234567, Refused: 12, Latency: latency, CPUSeconds: 1234567.8, RSSBytes: 123456 << 20, LogDropped: 3,
			Restarts: map[string]uint64{"crash": 1234, "maximum_requests": 56789}, LastExit: crash,
			Cgroup: &status.Cgroup{Path: "/sys/fs/cgroup/system.slice/wsgid.service/" + g.name, MemoryBytes: 1 << 30, MemoryMax: 2 << 30, MemoryHigh: 1800 << 20, Pids: 700, PidsMax: 4096, CPUMax: 7.5, CPUWeight: 100, ThrottledSeconds: 12.5, OOMKills: 4},
		}
		switch g.name {
		case "shop-frontend-production-europe-east":
			group.LoadErrors = []status.LoadError{{Script: "/srv/shop/wsgi.py", At: ago(time.Hour), PID: 1234598, OldCodeServes: true, Error: "SyntaxError: invalid syntax", Traceback: "SyntaxError: invalid syntax\n"}}
		case "reporting-and-invoices":
			group.Backoff = 25.5
			group.LastExit = &status.Exit{PID: 1234599, At: ago(time.Second), Reason: "start_failed", Status: 1, Error: "no libpython: /srv/reporting/venv was made by a Python that has no shared library; install python3.12-dev or rebuild it"}
			group.LoadErrors = []status.LoadError{{Script: "/srv/reporting/releases/2029-12-31-235959/reporting/wsgi.py", Application: "reporting.example.com|/reports", At: ago(time.Minute), PID: 1234599,
				Error: "ImportError: cannot import name 'Decimal'", Traceback: "Traceback (most recent call last):\n  File \"/srv/reporting/wsgi.py\", line 1, in <module>\nImportError: cannot import name 'Decimal'\n"}}
		case "api":
			group.ClosedSince = ago(2 * time.Hour)
		case "jobs":
			group.Service = true
		}
		for range g.processes {
			number++
			p := status.Process{
				PID: 1234600 + number, User: group.User, UID: group.UID, Python: "3.12.11", State: "ready", Started: ago(time.Duration(number) * 7 * time.Hour), Threads: 128, ThreadsBusy: 127, Requests: 123456789, Errors: 1234567,
				Refused: 5, LogDropped: 1, CPUSeconds: 123456.7, RSSBytes: 12345 << 20, Stopped: number == 7,
			}
			if number%4 == 1 {
				p.LastExit = crash
			}
			if number%3 == 0 {
				p.Running = []status.Request{{
					Thread: 127, State: "application", ID: fmt.Sprintf("aSVRTX8AAQEAAAXd0@UAAAA%04d", number), Method: "GET", Client: "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Application: "www.example.com|/shop", Started: ago(4000 * time.Second),
					URI: "/catalogue/search?" + strings.Repeat("q=abcdefghijklmnopqrstuvwxyz&", 8) + fmt.Sprint("page=", number),
				}, {Thread: 3, State: "reading", ID: fmt.Sprintf("557c2e632c-%d", number), Method: "POST", Client: "192.0.2.7", Started: ago(time.Second), URI: "/", Trace: fmt.Sprintf("4bf92f3577b34da6a3ce929d0e0e%04d", number)}}
			}
			group.Processes = append(group.Processes, p)
		}
		s.Groups = append(s.Groups, group)
	}
	return s
}

// looks are what is shown for people.
func looks(s *status.Snapshot, width int) map[string]string {
	var plain, full strings.Builder
	_ = writeStatus(&plain, s, noon, width) // a builder takes everything
	_ = writeFullStatus(&full, s, noon, width)
	p := &page{width: width}
	p.table(requestTable(runningRequests(s, nil, 0, noon)))
	top := strings.Join(topLines(s, topRows(nil, s, 0, noon), sortings["cpu"], noon, width), "\n") + "\n"
	return map[string]string{"status": plain.String(), "full": full.String(), "requests": p.String(), "top": top}
}

// TestWrap: a terminal may be narrower than what runs on is indented, and a line long.
func TestWrap(t *testing.T) {
	for _, width := range []int{1, 2, 10, 17} {
		text := strings.Repeat("word ", 20_000)
		lines := wrap(text, width, 16)
		for _, line := range lines {
			if n := len(line); n > width || strings.TrimSpace(line) == "" {
				t.Fatalf("%d columns of %d: %q", n, width, line)
			}
		}
		if joined := strings.Join(strings.Fields(strings.Join(lines, "")), ""); joined != strings.ReplaceAll(text, " ", "") {
			t.Errorf("%d columns: %d bytes are left of %d", width, len(joined), len(text))
		}
	}
}

// TestWidth: no line is longer than the terminal is wide, and what tells things from
// each other is there.
func TestWidth(t *testing.T) {
	s := crowdedSnapshot()
	for _, width := range []int{40, 60, 80, 100, 132, 200} {
		for name, text := range looks(s, width) {
			for line := range strings.Lines(text) {
				if n := len([]rune(strings.TrimRight(line, "\n"))); n > width {
					t.Errorf("%s: %d columns of %d: %s", name, n, width, line)
				}
			}
			// What runs on from line to line is together again.
			joined := strings.Join(strings.Fields(text), "")
			for i := range s.Groups {
				for _, p := range s.Groups[i].Processes {
					if name != "requests" && !strings.Contains(joined, fmt.Sprint(p.PID)) {
						t.Errorf("%s at %d: no process %d", name, width, p.PID)
					}
					for _, r := range p.Running {
						if name != "top" && (!strings.Contains(joined, r.ID) || !strings.Contains(joined, r.Method+r.URI) || !strings.Contains(joined, r.Client)) {
							t.Errorf("%s at %d: no request %s: %s", name, width, r.ID, text)
						}
					}
				}
			}
			if name != "requests" && !strings.Contains(text, "stopped") {
				t.Errorf("%s at %d: nothing is stopped", name, width)
			}
		}
	}
	for name, text := range looks(s, 80) {
		golden(t, "testdata/"+name+"_80.txt", text)
	}
}

// TestFullStatus: there is nothing in a snapshot that status --full does not show.
func TestFullStatus(t *testing.T) {
	show := func(s *status.Snapshot) string {
		var out strings.Builder
		if err := writeFullStatus(&out, s, noon, 0); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	s := crowdedSnapshot()
	before := show(s)
	// Each value is changed, and back.
	var try func(path string, v reflect.Value)
	index := regexp.MustCompile(`\[\d+\]`)
	shown := map[string]bool{} // whether there is such a thing at all, by path
	try = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			of := index.ReplaceAllString(path, "")
			shown[of] = shown[of] || !v.IsZero()
		}
		change := func(to reflect.Value) {
			t.Helper()
			was := reflect.New(v.Type()).Elem()
			was.Set(v)
			v.Set(to)
			if show(s) == before {
				t.Errorf("%s does not show", path)
			}
			v.Set(was)
		}
		switch v.Kind() {
		case reflect.Pointer:
			if v.IsNil() {
				return
			}
			try(path, v.Elem())
		case reflect.Struct:
			if at, ok := v.Interface().(time.Time); ok {
				if !at.IsZero() {
					change(reflect.ValueOf(at.Add(-1000 * time.Hour)))
				}
				return
			}
			for i := range v.NumField() {
				field := v.Type().Field(i)
				if e, ok := v.Interface().(status.Exit); ok && e.Signal != "" && field.Name == "Status" {
					continue // -1, as the signal says already
				}
				if e, ok := v.Interface().(status.LoadError); ok && e.Traceback != "" && field.Name == "Error" {
					continue // its last line
				}
				if field.Tag.Get("json") != "-" {
					try(path+"."+field.Name, v.Field(i))
				}
			}
		case reflect.Slice, reflect.Array:
			for i := range min(v.Len(), 2) {
				try(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
			}
		case reflect.Map:
			change(reflect.ValueOf(map[string]uint64{"another": 1}))
		case reflect.String:
			change(reflect.ValueOf("changed").Convert(v.Type()))
		case reflect.Bool:
			change(reflect.ValueOf(!v.Bool()))
		case reflect.Float64:
			change(reflect.ValueOf(v.Float()*3 + 1))
		default:
			change(reflect.ValueOf(99999999).Convert(v.Type()))
		}
	}
	try("snapshot", reflect.ValueOf(s).Elem())
	for path, there := range shown {
		if !there {
			t.Errorf("nothing was tried of %s", path)
		}
	}
}
