package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/status"
)

// writeStatus shows a snapshot for people: supervisor and router, a table of
// groups, a table of processes, and the requests that run.
func writeStatus(w io.Writer, s *status.Snapshot, now time.Time, width int) error {
	out := &page{width: width}
	out.head(s, now)
	groups := &table{steps: []step{
		{title: "LAST EXIT", move: true, below: "last exit: "}, {title: "USER"}, {title: "GROUP", least: 24}, {title: "WAITED"},
		{title: "TIMEOUTS"}, {title: "REJECTED"}, {title: "GROUP", least: 12}, {title: "REQUESTS"}, {title: "RESTARTS"}, {title: "ERRORS"},
	}}
	processes := &table{steps: []step{
		{title: "REPLACED", move: true, below: "replaced: "}, {title: "USER"}, {title: "PYTHON"}, {title: "GROUP", least: 24},
		{title: "UP"}, {title: "GROUP", least: 12}, {title: "REQUESTS"}, {title: "ERRORS"}, {title: "CPU"},
	}}
	running := newRequestTable("GROUP", "PID", "STATE", "FOR", "CLIENT", "ID", "REQUEST")
	broken := &table{steps: []step{
		{title: "ERROR", move: true}, {title: "SCRIPT THAT CANNOT BE IMPORTED", least: 36}, {title: "APPLICATION", least: 16}, {title: "GROUP", least: 12},
		{title: "SCRIPT THAT CANNOT BE IMPORTED", move: true}, {title: "APPLICATION", move: true, below: "application "},
	}}
	groups.row("GROUP", "STATE", "USER", "PROCESSES", "THREADS", "QUEUE", "WAITED", "TIMEOUTS", "REJECTED", "REQUESTS", "ERRORS", "RESTARTS", "LAST EXIT")
	processes.row("GROUP", "PID", "STATE", "USER", "PYTHON", "THREADS", "REQUESTS", "ERRORS", "CPU", "MEMORY", "UP", "REPLACED")
	broken.row("GROUP", "SCRIPT THAT CANNOT BE IMPORTED", "APPLICATION", "TRIED", "SERVED BY", "ERROR")
	addLoadErrors(broken, "router", s.Router.LoadErrors, now)
	for i := range s.Groups {
		g := &s.Groups[i]
		threads, queue := fmt.Sprintf("%d/%d", g.ThreadsBusy, g.Threads), waiting(&g.Queue)
		if g.Service {
			threads, queue = "service", "-"
		}
		groups.row(g.Name, state(g.State, false, g.Backoff), g.User, fmt.Sprintf("%d/%d", g.Ready, g.Wanted), threads, queue, g.QueuedTotal, g.QueueTimeouts, g.Rejected,
			g.Requests, g.Errors, sum(g.Restarts), exit(g.LastExit, now))
		addLoadErrors(broken, g.Name, g.LoadErrors, now)
		for j := range g.Processes {
			p := &g.Processes[j]
			processes.row(g.Name, p.PID, state(p.State, p.Stopped, 0), p.User, dash(p.Python), fmt.Sprintf("%d/%d", p.ThreadsBusy, p.Threads),
				p.Requests, p.Errors, fmt.Sprintf("%.1fs", p.CPUSeconds), bytesOf(p.RSSBytes), span(now.Sub(p.Started)), exit(p.LastExit, now))
			for _, q := range p.Running {
				running.row(g.Name, p.PID, requestState(&q, p.Stopped), span(now.Sub(q.Started)), dash(q.Client), dash(q.ID), q.Method+" "+q.URI)
			}
		}
	}
	for _, t := range []*table{groups, processes, running, broken} {
		if len(t.rows) > 1 {
			out.WriteString("\n")
			out.table(t)
		}
	}
	return out.print(w)
}

// head shows what there is one of: supervisor, router, dispatch helper, monitor.
func (p *page) head(s *status.Snapshot, now time.Time) {
	head := &table{}
	head.row(fmt.Sprintf("wsgid %s", s.Version), s.State, fmt.Sprintf("pid %d", s.PID), "up "+span(time.Duration(s.Uptime*float64(time.Second))), s.Config)
	r := &s.Router
	head.row("router", state(r.State, r.Stopped, r.Backoff), fmt.Sprintf("pid %d", r.PID), since(r.Started, now), "user "+r.User, python(r.Python))
	p.table(head)
	p.reload(s, now)
	p.router(r, now)
	p.dispatchHelper(s.DispatchHelper, now)
	if m := s.Monitor; m != nil {
		text := fmt.Sprintf("monitor %s  pid %d  user %s", escape.Line(m.Address), m.PID, escape.Line(m.User))
		if n := sum(m.Restarts); n > 0 {
			text += fmt.Sprintf("  %s, last: %s", count(int(n), "restart"), escape.Line(exit(m.LastExit, now)))
		}
		p.line(8, text)
	}
	p.logs("log", s.Logs)
	p.logs("access log", s.AccessLogs)
}

// reload shows what reloads have made, if there were any.
func (p *page) reload(s *status.Snapshot, now time.Time) {
	t := &table{}
	if r := s.LastReload; r != nil {
		t.row("reload", fmt.Sprintf("generation %d", s.Generation), span(now.Sub(r.At))+" ago", reloadOutcome(r))
	}
	for _, d := range s.Draining {
		t.row("draining", fmt.Sprintf("generation %d", d.Generation), fmt.Sprintf("router pid %d", d.Router),
			count(d.Connections, "connection"), count(len(d.Processes), "process"))
	}
	p.table(t)
}

func reloadOutcome(r *status.Reload) string {
	switch {
	case r.Error != "":
		return "refused: " + firstLine(r.Error)
	case len(r.Problems) > 0:
		return "done, but " + firstLine(r.Problems[0])
	}
	return "done"
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// logs shows the destinations of log lines that are in trouble.
func (p *page) logs(kind string, logs []status.Log) {
	for _, l := range logs {
		if l.Lost == 0 && l.Error == "" {
			continue
		}
		text := fmt.Sprintf("%s %s  %s lost, %d written", kind, escape.Line(l.Destination), count(int(l.Lost), "line"), l.Lines)
		if l.Error != "" {
			text += "  " + escape.Line(l.Error)
		}
		p.line(4, text)
	}
}

// addLoadErrors adds the scripts that a group, or the router, cannot import.
func addLoadErrors(t *table, group string, errors []status.LoadError, now time.Time) {
	for _, e := range errors {
		t.row(group, e.Script, applicationGroup(e.Application), span(now.Sub(e.At))+" ago", servedBy(e), e.Error)
	}
}

// router shows the router's figures, which it gives itself.
func (p *page) router(r *status.Router, now time.Time) {
	if r.Answered {
		p.line(10, fmt.Sprintf("        %s, %d in flight, %s, %s, CPU %.1fs, %s", count(r.Connections, "connection"), r.InFlight,
			count(int(r.Requests), "request"), count(int(r.Errors), "error"), r.CPUSeconds, bytesOf(r.RSSBytes)))
	} else if r.PID != 0 {
		p.line(10, "        does not answer: its figures are unknown")
	}
	if e := r.Embedded; e != nil {
		p.line(10, fmt.Sprintf("        embedded applications: %d/%d threads busy, queue %s, %d waited, %d timeouts, %d rejected, %s",
			e.ThreadsBusy, e.Threads, waiting(&e.Queue), e.QueuedTotal, e.QueueTimeouts, e.Rejected, count(int(e.Requests), "request")))
	}
	for _, s := range r.Scripts {
		text := fmt.Sprintf("        %s %s: %s, %d running", s.Kind, escape.Line(s.Path), count(int(s.Calls), "call"), s.Running)
		if s.Lost > 0 {
			text += fmt.Sprintf(", %d lost", s.Lost)
		}
		p.line(10, text)
		if s.LoadError != "" {
			p.line(12, "          cannot be loaded: "+escape.Line(s.LoadError))
		}
	}
	if n := sum(r.Restarts); n > 0 {
		p.line(10, fmt.Sprintf("        %s, last: %s", count(int(n), "restart"), escape.Line(exit(r.LastExit, now))))
	}
}

// waiting is how many requests wait, of how many that may, and how long the
// first of them has.
func waiting(q *status.Queue) string {
	text := fmt.Sprintf("%d/%d", q.Queued, q.QueueLength)
	if q.Queued > 0 {
		text += " " + span(time.Duration(q.LongestWait*float64(time.Second)))
	}
	return text
}

// dispatchHelper shows the process that evaluates scripts, if there is one.
func (p *page) dispatchHelper(h *status.DispatchHelper, now time.Time) {
	if h == nil {
		return
	}
	head := &table{}
	head.row("dispatch", state(h.State, h.Stopped, h.Backoff), fmt.Sprintf("pid %d", h.PID), since(h.Started, now), "user "+h.User, python(h.Python))
	p.table(head)
	p.line(10, fmt.Sprintf("        %s, CPU %.1fs, %s", count(int(h.Calls), "call"), h.CPUSeconds, bytesOf(h.RSSBytes)))
	if n := sum(h.Restarts); n > 0 {
		p.line(10, fmt.Sprintf("        %s, last: %s", count(int(n), "restart"), escape.Line(exit(h.LastExit, now))))
	}
}

// applicationGroup writes the name of an application group as it is configured.
func applicationGroup(name string) string {
	if name == "" {
		return "%{GLOBAL}"
	}
	return name
}

// servedBy is what requests for a broken script get.
func servedBy(e status.LoadError) string {
	if e.OldCodeServes {
		return "old code"
	}
	return "500"
}

// state adds the waiting time to a state of backing off, and what a signal has
// stopped.
func state(name string, stopped bool, backoff float64) string {
	switch {
	case backoff > 0:
		return fmt.Sprintf("%s %.1fs", name, backoff)
	case stopped:
		return name + ", stopped"
	}
	return dash(name)
}

// requestState is where a request is; in a process that is stopped, nowhere else.
func requestState(r *status.Request, stopped bool) string {
	if stopped {
		return "stopped"
	}
	return r.State
}

// exit says in one cell how a process ended.
func exit(e *status.Exit, now time.Time) string {
	if e == nil {
		return "-"
	}
	text := e.Reason
	switch {
	case e.Signal != "":
		text += " (" + e.Signal + ")"
	case e.Status > 0:
		text += fmt.Sprintf(" (status %d)", e.Status)
	}
	text += ", " + span(now.Sub(e.At)) + " ago"
	if e.Error != "" {
		text += ": " + e.Error
	}
	return text
}

// since is how long something has been up, or nothing.
func since(started, now time.Time) string {
	if started.IsZero() {
		return "-"
	}
	return "up " + span(now.Sub(started))
}

func python(version string) string {
	if version == "" {
		return "no Python loaded"
	}
	return "Python " + version
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func sum(counts map[string]uint64) uint64 {
	var total uint64
	for _, n := range counts {
		total += n
	}
	return total
}

// span writes a duration with its two largest units.
func span(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// bytesOf writes a size in MiB, the unit in which processes are compared.
func bytesOf(n uint64) string { return fmt.Sprintf("%.1fMiB", float64(n)/(1<<20)) }
