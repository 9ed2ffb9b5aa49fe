package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/status"
)

// table collects rows of cells and writes them aligned.
type table struct {
	buffer bytes.Buffer
	writer *tabwriter.Writer
}

func newTable() *table {
	t := &table{}
	t.writer = tabwriter.NewWriter(&t.buffer, 0, 0, 2, ' ', 0)
	return t
}

// row adds a line. Cells come from other processes: they are escaped.
func (t *table) row(cells ...any) {
	for i, cell := range cells {
		if i > 0 {
			fmt.Fprint(t.writer, "\t")
		}
		fmt.Fprint(t.writer, escape.Line(fmt.Sprint(cell)))
	}
	fmt.Fprintln(t.writer)
}

// writeTo writes the table without spaces at line ends.
func (t *table) writeTo(w io.Writer) error {
	if err := t.writer.Flush(); err != nil {
		return failf("writing the status: %w", err)
	}
	for line := range bytes.Lines(t.buffer.Bytes()) {
		if _, err := fmt.Fprintf(w, "%s\n", bytes.TrimRight(line, " \n")); err != nil {
			return failf("writing the status: %w", err)
		}
	}
	return nil
}

// writeReload shows what reloads have made, if there were any.
func writeReload(w io.Writer, s *status.Snapshot, now time.Time) error {
	t := newTable()
	if r := s.LastReload; r != nil {
		outcome := "done"
		switch {
		case r.Error != "":
			outcome = "refused: " + firstLine(r.Error)
		case len(r.Problems) > 0:
			outcome = "done, but " + firstLine(r.Problems[0])
		}
		t.row("reload", fmt.Sprintf("generation %d", s.Generation), span(now.Sub(r.At))+" ago", outcome)
	}
	for _, d := range s.Draining {
		t.row("draining", fmt.Sprintf("generation %d", d.Generation), fmt.Sprintf("router pid %d", d.Router),
			count(d.Connections, "connection"), count(len(d.Processes), "process"))
	}
	return t.writeTo(w)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// writeStatus shows a snapshot for people: supervisor and router, a table of
// groups, a table of processes, and the requests that run.
func writeStatus(w io.Writer, s *status.Snapshot, now time.Time) error {
	head := newTable()
	head.row(fmt.Sprintf("wsgid %s", s.Version), s.State, fmt.Sprintf("pid %d", s.PID), "up "+span(time.Duration(s.Uptime*float64(time.Second))), s.Config)
	r := &s.Router
	head.row("router", state(r.State, r.Stopped, r.Backoff), fmt.Sprintf("pid %d", r.PID), since(r.Started, now), "user "+r.User, python(r.Python))
	if err := head.writeTo(w); err != nil {
		return err
	}
	if err := writeReload(w, s, now); err != nil {
		return err
	}
	writeRouter(w, r, now)
	if err := writeDispatchHelper(w, s.DispatchHelper, now); err != nil {
		return err
	}
	if m := s.Monitor; m != nil {
		fmt.Fprintf(w, "monitor %s  pid %d  user %s", escape.Line(m.Address), m.PID, escape.Line(m.User))
		if n := sum(m.Restarts); n > 0 {
			fmt.Fprintf(w, "  %s, last: %s", count(int(n), "restart"), escape.Line(exit(m.LastExit, now)))
		}
		fmt.Fprintln(w)
	}
	groups, processes, running, broken := newTable(), newTable(), newTable(), newTable()
	groups.row("GROUP", "STATE", "USER", "PROCESSES", "THREADS", "QUEUE", "WAITED", "TIMEOUTS", "REJECTED", "REQUESTS", "ERRORS", "RESTARTS", "LAST EXIT")
	processes.row("GROUP", "PID", "STATE", "USER", "PYTHON", "THREADS", "REQUESTS", "ERRORS", "CPU", "MEMORY", "UP", "REPLACED")
	running.row("GROUP", "PID", "STATE", "FOR", "CLIENT", "ID", "REQUEST")
	broken.row("GROUP", "SCRIPT THAT CANNOT BE IMPORTED", "APPLICATION", "TRIED", "SERVED BY", "ERROR")
	anything := false
	addLoadErrors(broken, "router", r.LoadErrors, now)
	failures := len(r.LoadErrors) > 0
	for i := range s.Groups {
		g := &s.Groups[i]
		threads, queue := fmt.Sprintf("%d/%d", g.ThreadsBusy, g.Threads), waiting(&g.Queue)
		if g.Service {
			threads, queue = "service", "-"
		}
		groups.row(g.Name, state(g.State, false, g.Backoff), g.User, fmt.Sprintf("%d/%d", g.Ready, g.Wanted), threads, queue, g.QueuedTotal, g.QueueTimeouts, g.Rejected,
			g.Requests, g.Errors, sum(g.Restarts), exit(g.LastExit, now))
		addLoadErrors(broken, g.Name, g.LoadErrors, now)
		failures = failures || len(g.LoadErrors) > 0
		for j := range g.Processes {
			p := &g.Processes[j]
			processes.row(g.Name, p.PID, state(p.State, p.Stopped, 0), p.User, dash(p.Python), fmt.Sprintf("%d/%d", p.ThreadsBusy, p.Threads),
				p.Requests, p.Errors, fmt.Sprintf("%.1fs", p.CPUSeconds), bytesOf(p.RSSBytes), span(now.Sub(p.Started)), exit(p.LastExit, now))
			for _, q := range p.Running {
				anything = true
				running.row(g.Name, p.PID, requestState(&q, p.Stopped), span(now.Sub(q.Started)), dash(q.Client), dash(q.ID), q.Method+" "+q.URI)
			}
		}
	}
	var tables []*table
	if len(s.Groups) > 0 {
		tables = append(tables, groups, processes)
	}
	if anything {
		tables = append(tables, running)
	}
	if failures {
		tables = append(tables, broken)
	}
	for _, t := range tables {
		fmt.Fprintln(w)
		if err := t.writeTo(w); err != nil {
			return err
		}
	}
	return nil
}

// addLoadErrors adds the scripts that a group, or the router, cannot import.
func addLoadErrors(t *table, group string, errors []status.LoadError, now time.Time) {
	for _, e := range errors {
		t.row(group, e.Script, applicationGroup(e.Application), span(now.Sub(e.At))+" ago", servedBy(e), e.Error)
	}
}

// writeRouter shows the router's figures, which it gives itself.
func writeRouter(w io.Writer, r *status.Router, now time.Time) {
	if r.Answered {
		fmt.Fprintf(w, "        %s, %d in flight, %s, %s, CPU %.1fs, %s\n", count(r.Connections, "connection"), r.InFlight,
			count(int(r.Requests), "request"), count(int(r.Errors), "error"), r.CPUSeconds, bytesOf(r.RSSBytes))
	} else if r.PID != 0 {
		fmt.Fprintln(w, "        does not answer: its figures are unknown")
	}
	if e := r.Embedded; e != nil {
		fmt.Fprintf(w, "        embedded applications: %d/%d threads busy, queue %s, %d waited, %d timeouts, %d rejected, %s\n",
			e.ThreadsBusy, e.Threads, waiting(&e.Queue), e.QueuedTotal, e.QueueTimeouts, e.Rejected, count(int(e.Requests), "request"))
	}
	for _, s := range r.Scripts {
		fmt.Fprintf(w, "        %s %s: %s, %d running", s.Kind, escape.Line(s.Path), count(int(s.Calls), "call"), s.Running)
		if s.Lost > 0 {
			fmt.Fprintf(w, ", %d lost", s.Lost)
		}
		fmt.Fprintln(w)
		if s.LoadError != "" {
			fmt.Fprintf(w, "          cannot be loaded: %s\n", escape.Line(s.LoadError))
		}
	}
	if n := sum(r.Restarts); n > 0 {
		fmt.Fprintf(w, "        %s, last: %s\n", count(int(n), "restart"), escape.Line(exit(r.LastExit, now)))
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

// writeDispatchHelper shows the process that evaluates scripts, if there is one.
func writeDispatchHelper(w io.Writer, h *status.DispatchHelper, now time.Time) error {
	if h == nil {
		return nil
	}
	head := newTable()
	head.row("dispatch", state(h.State, h.Stopped, h.Backoff), fmt.Sprintf("pid %d", h.PID), since(h.Started, now), "user "+h.User, python(h.Python))
	if err := head.writeTo(w); err != nil {
		return err
	}
	fmt.Fprintf(w, "        %s, CPU %.1fs, %s\n", count(int(h.Calls), "call"), h.CPUSeconds, bytesOf(h.RSSBytes))
	if n := sum(h.Restarts); n > 0 {
		fmt.Fprintf(w, "        %s, last: %s\n", count(int(n), "restart"), escape.Line(exit(h.LastExit, now)))
	}
	return nil
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
