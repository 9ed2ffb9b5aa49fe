package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/histogram"
	"github.com/wsgid/wsgid/internal/status"
)

// fullPage shows everything that a snapshot has, one thing a line.
type fullPage struct {
	page
	now    time.Time
	indent int
}

// writeFullStatus shows everything for people.
func writeFullStatus(w io.Writer, s *status.Snapshot, now time.Time, width int) error {
	p := &fullPage{page: page{width: width}, now: now}
	p.supervisor(s)
	p.fullRouter(&s.Router)
	if h := s.DispatchHelper; h != nil {
		p.title("dispatch helper")
		p.entry("state", "%s, pid %d, %s", state(h.State, h.Stopped, h.Backoff), h.PID, p.since(h.Started))
		p.entry("runs as", "%s (%d), %s", h.User, h.UID, python(h.Python))
		p.entry("used", "%s", used(h.CPUSeconds, h.RSSBytes))
		p.entry("calls", "%d", h.Calls)
		p.ends(h.Restarts, h.LastExit)
	}
	if m := s.Monitor; m != nil {
		p.title("monitor")
		p.entry("listens on", "%s, pid %d", m.Address, m.PID)
		p.entry("runs as", "%s (%d)", m.User, m.UID)
		p.ends(m.Restarts, m.LastExit)
	}
	p.allLogs("log", s.Logs)
	p.allLogs("access log", s.AccessLogs)
	for i := range s.Groups {
		p.group(&s.Groups[i])
	}
	for i := range s.Draining {
		d := &s.Draining[i]
		p.title(fmt.Sprintf("draining generation %d", d.Generation))
		p.entry("router", "pid %d, %s of front servers", d.Router, count(d.Connections, "connection"))
		p.processes(d.Processes)
	}
	return p.print(w)
}

// allLogs shows where lines go.
func (p *fullPage) allLogs(kind string, logs []status.Log) {
	for _, l := range logs {
		p.title(kind + " " + l.Destination)
		p.entry("lines", "%d written, %d lost", l.Lines, l.Lost)
		if l.Error != "" {
			p.entry("error", "%s", l.Error)
		}
	}
}

// title begins a part.
func (p *fullPage) title(text string) {
	if p.Len() > 0 {
		p.WriteByte('\n')
	}
	p.line(4, strings.Repeat(" ", p.indent)+escape.Line(text))
}

// labels is the width of what stands before the entries of a part.
const labels = 12

// entry is one line of a part.
func (p *fullPage) entry(label, format string, arguments ...any) {
	margin := p.indent + 2
	p.line(margin+labels, fmt.Sprintf("%*s%-*s", margin, "", labels, label)+escape.Line(fmt.Sprintf(format, arguments...)))
}

func (p *fullPage) since(t time.Time) string {
	if t.IsZero() {
		return "not started"
	}
	return "up " + span(p.now.Sub(t)) + " since " + p.moment(t)
}

func (p *fullPage) moment(t time.Time) string {
	return t.In(p.now.Location()).Format("2006-01-02 15:04:05")
}

func used(cpu float64, memory uint64) string {
	return fmt.Sprintf("CPU %.1fs, memory %s", cpu, bytesOf(memory))
}

func (p *fullPage) supervisor(s *status.Snapshot) {
	p.title("wsgid " + s.Version)
	p.entry("state", "%s, pid %d, up %s since %s", s.State, s.PID, span(time.Duration(s.Uptime*float64(time.Second))), p.moment(s.Started))
	p.entry("config", "%s, generation %d, read %s ago", dash(s.Config), s.Generation, span(p.now.Sub(s.Loaded)))
	if r := s.LastReload; r != nil {
		groups := "all groups"
		if len(r.Groups) > 0 {
			groups = strings.Join(r.Groups, ", ")
		}
		p.entry("last reload", "%s ago, of %s, took %.1fs, generation %d: %s", span(p.now.Sub(r.At)), groups, r.Seconds, r.Generation, reloadOutcome(r))
		for _, problem := range r.Problems[min(1, len(r.Problems)):] {
			p.entry("", "%s", problem)
		}
	}
}

// ends are what has ended before.
func (p *fullPage) ends(restarts map[string]uint64, last *status.Exit) {
	var reasons []string
	for _, reason := range slices.Sorted(maps.Keys(restarts)) {
		reasons = append(reasons, fmt.Sprintf("%s %d", reason, restarts[reason]))
	}
	if len(reasons) > 0 {
		p.entry("restarts", "%s", strings.Join(reasons, ", "))
	}
	if last != nil {
		p.entry("last exit", "pid %d, %s", last.PID, exit(last, p.now))
	}
}

func (p *fullPage) fullRouter(r *status.Router) {
	p.title("router")
	p.entry("state", "%s, pid %d, %s", state(r.State, r.Stopped, r.Backoff), r.PID, p.since(r.Started))
	p.entry("runs as", "%s (%d), %s", r.User, r.UID, python(r.Python))
	p.entry("used", "%s", used(r.CPUSeconds, r.RSSBytes))
	switch {
	case r.Answered:
		p.entry("requests", "%d, %d errors, %d in flight, %s", r.Requests, r.Errors, r.InFlight, count(r.Connections, "connection"))
	case r.PID != 0:
		p.entry("requests", "unknown: it does not answer")
	}
	p.ends(r.Restarts, r.LastExit)
	for i := range r.Scripts {
		s := &r.Scripts[i]
		p.entry(strings.TrimSuffix(s.Kind, " script"), "%s: %s, %d running, %d lost, %d failed", s.Path, count(int(s.Calls), "call"), s.Running, s.Lost, s.Failed)
		p.entry("", "%s", quantiles(&s.Latency))
		if s.LoadError != "" {
			p.entry("", "cannot be loaded: %s", s.LoadError)
		}
	}
	if n := r.Spans; n != nil {
		p.entry("spans", "%d sent, %d dropped", n.Exported, n.Dropped)
	}
	if e := r.Embedded; e != nil {
		p.entry("embedded", "%d of %d threads busy, %s", e.ThreadsBusy, e.Threads, count(int(e.Requests), "request"))
		p.queue(&e.Queue)
	}
	p.loadErrors(r.LoadErrors)
}

// quantiles says how long things took.
func quantiles(c *histogram.Counts) string {
	total := c.Total()
	if total == 0 {
		return "none measured"
	}
	text := fmt.Sprintf("mean %s", short(c.Seconds/float64(total)))
	for _, percent := range []int{50, 90, 99} {
		if bound, ok := c.Quantile(float64(percent) / 100); ok {
			text += fmt.Sprintf(", %d%% within %s", percent, short(bound.Seconds()))
		} else {
			text += fmt.Sprintf(", %d%% not within %s", percent, short(histogram.Bounds[len(histogram.Bounds)-1].Seconds()))
		}
	}
	return text
}

// short writes seconds with three digits.
func short(seconds float64) string {
	if seconds < 1 {
		return fmt.Sprintf("%.3gms", seconds*1000)
	}
	return fmt.Sprintf("%.3gs", seconds)
}

func (p *fullPage) queue(q *status.Queue) {
	p.entry("queue", "%s; %d had to wait, %d timed out, %d rejected", waiting(q), q.QueuedTotal, q.QueueTimeouts, q.Rejected)
	if q.Waits.Total() > 0 {
		p.entry("waited", "%s", quantiles(&q.Waits))
	}
}

func (p *fullPage) loadErrors(errors []status.LoadError) {
	for _, e := range errors {
		p.entry("broken", "%s in %s, tried %s ago by pid %d, served by %s:", e.Script, applicationGroup(e.Application), span(p.now.Sub(e.At)), e.PID, servedBy(e))
		text := e.Traceback
		if strings.TrimSpace(text) == "" {
			text = e.Error
		}
		for line := range strings.Lines(text) {
			p.entry("", "%s", strings.TrimRight(line, "\n"))
		}
	}
}

func (p *fullPage) group(g *status.Group) {
	p.title("group " + g.Name)
	closed := ""
	if !g.ClosedSince.IsZero() {
		closed = " since " + p.moment(g.ClosedSince)
	}
	p.entry("state", "%s%s", state(g.State, false, g.Backoff), closed)
	p.entry("runs as", "%s (%d)", g.User, g.UID)
	p.entry("processes", "%d of %d ready, %s, %d to %d", g.Ready, g.Wanted, g.Scaling, g.Least, g.Most)
	if g.Service {
		p.entry("service", "takes no requests")
	} else {
		p.entry("threads", "%d of %d busy, %s of the router", g.ThreadsBusy, g.Threads, count(g.Connections, "connection"))
		p.queue(&g.Queue)
		p.entry("requests", "%d, %d errors, %d refused", g.Requests, g.Errors, g.Refused)
		p.entry("latency", "%s", quantiles(&g.Latency))
	}
	p.entry("used", "%s, log records dropped %d", used(g.CPUSeconds, g.RSSBytes), g.LogDropped)
	p.cgroup(g.Cgroup)
	p.ends(g.Restarts, g.LastExit)
	p.loadErrors(g.LoadErrors)
	p.processes(g.Processes)
}

func (p *fullPage) cgroup(c *status.Cgroup) {
	if c == nil {
		return
	}
	p.entry("cgroup", "%s", c.Path)
	p.entry("", "memory %s, high %s, max %s, OOM kills %d", bytesOf(uint64(max(0, c.MemoryBytes))), limit(c.MemoryHigh), limit(c.MemoryMax), c.OOMKills)
	pids, cpus := "none", "none"
	if c.PidsMax > 0 {
		pids = fmt.Sprint(c.PidsMax)
	}
	if c.CPUMax > 0 {
		cpus = fmt.Sprintf("%.4g", c.CPUMax)
	}
	p.entry("", "tasks %d, max %s; CPUs max %s, weight %d, throttled %.1fs", c.Pids, pids, cpus, c.CPUWeight, c.ThrottledSeconds)
}

func limit(n int64) string {
	if n <= 0 {
		return "none"
	}
	return bytesOf(uint64(n))
}

func (p *fullPage) processes(processes []status.Process) {
	p.indent = 2
	for i := range processes {
		q := &processes[i]
		p.title(fmt.Sprintf("process %d", q.PID))
		p.entry("state", "%s, %s", state(q.State, q.Stopped, 0), p.since(q.Started))
		p.entry("runs as", "%s (%d), %s", q.User, q.UID, python(q.Python))
		if q.Threads > 0 { // else it is one of a service
			p.entry("threads", "%d of %d busy", q.ThreadsBusy, q.Threads)
			p.entry("requests", "%d, %d errors, %d refused", q.Requests, q.Errors, q.Refused)
		}
		p.entry("used", "%s, log records dropped %d", used(q.CPUSeconds, q.RSSBytes), q.LogDropped)
		if q.LastExit != nil {
			p.entry("replaced", "pid %d, %s", q.LastExit.PID, exit(q.LastExit, p.now))
		}
		for j := range q.Running {
			r := &q.Running[j]
			p.entry(fmt.Sprintf("thread %d", r.Thread), "%s for %s: request %s of %s to %s", state(r.State, q.Stopped, 0), span(p.now.Sub(r.Started)), dash(r.ID), dash(r.Client), applicationGroup(r.Application))
			p.entry("", "%s %s", r.Method, r.URI)
			if r.Trace != "" {
				p.entry("", "trace %s", r.Trace)
			}
		}
	}
	p.indent = 0
}
