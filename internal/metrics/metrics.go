// Package metrics writes a status snapshot as Prometheus reads it (text exposition
// format 0.0.4). It must not know where the snapshot comes from, nor who asks.
package metrics

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wsgid/wsgid/internal/histogram"
	"github.com/wsgid/wsgid/internal/status"
)

// ContentType of what Write writes.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// writer collects samples by metric: those of one metric have to stand together.
type writer struct {
	order   []string
	metrics map[string]*metric
}

type metric struct {
	kind, help string
	samples    []string
}

// labels are name, value, name, value, …
type labels []string

func (l labels) String() string {
	if len(l) == 0 {
		return ""
	}
	var out strings.Builder
	for i := 0; i+1 < len(l); i += 2 {
		if i > 0 {
			out.WriteByte(',')
		}
		// Exactly these are escaped in label values.
		out.WriteString(l[i] + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(l[i+1], "?")) + `"`)
	}
	return "{" + out.String() + "}"
}

func (w *writer) add(name, kind, help, suffix string, l labels, value float64) {
	m := w.metrics[name]
	if m == nil {
		m = &metric{kind: kind, help: help}
		w.metrics[name], w.order = m, append(w.order, name)
	}
	m.samples = append(m.samples, name+suffix+l.String()+" "+strconv.FormatFloat(value, 'g', -1, 64))
}

func (w *writer) gauge(name, help string, value float64, l ...string) {
	w.add("wsgid_"+name, "gauge", help, "", l, value)
}

func (w *writer) counter(name, help string, value float64, l ...string) {
	w.add("wsgid_"+name+"_total", "counter", help, "", l, value)
}

func (w *writer) histogram(name, help string, c *histogram.Counts, l ...string) {
	name = "wsgid_" + name
	sum := uint64(0)
	for i, n := range c.Counts {
		sum += n
		bound := "+Inf"
		if i < len(histogram.Bounds) {
			bound = strconv.FormatFloat(histogram.Bounds[i].Seconds(), 'g', -1, 64)
		}
		w.add(name, "histogram", help, "_bucket", append(slices.Clone(l), "le", bound), float64(sum))
	}
	w.add(name, "histogram", help, "_sum", l, c.Seconds)
	w.add(name, "histogram", help, "_count", l, float64(sum))
}

func (w *writer) restarts(name, help string, by map[string]uint64, l ...string) {
	for _, reason := range slices.Sorted(maps.Keys(by)) {
		w.counter(name, help, float64(by[reason]), append(slices.Clone(l), "reason", reason)...)
	}
}

// Write writes the metrics of a snapshot.
func Write(out io.Writer, s *status.Snapshot) error {
	w := &writer{metrics: map[string]*metric{}}
	w.whole(s)
	w.router(&s.Router)
	if h := s.DispatchHelper; h != nil {
		w.gauge("dispatch_helper_up", "Whether the process that evaluates scripts for the router is ready.", truth(h.State == "ready"))
		w.counter("dispatch_helper_cpu_seconds", "Processor time of the dispatch helper that runs.", h.CPUSeconds)
		w.gauge("dispatch_helper_resident_memory_bytes", "Resident memory of the dispatch helper.", float64(h.RSSBytes))
		w.restarts("dispatch_helper_restarts", "Dispatch helpers that ended and were replaced.", h.Restarts)
	}
	for i := range s.Groups {
		w.group(&s.Groups[i])
	}
	w.logs("log", s.Logs)
	w.logs("access_log", s.AccessLogs)
	b := bufio.NewWriter(out)
	for _, name := range w.order {
		m := w.metrics[name]
		fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, m.help, name, m.kind)
		for _, sample := range m.samples {
			fmt.Fprintln(b, sample) // an error stays for Flush
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	return nil
}

func truth(v bool) float64 {
	if v {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// logs are destinations of one kind.
func (w *writer) logs(kind string, logs []status.Log) {
	for _, l := range logs {
		w.counter(kind+"_lines", "Lines written to logs of this kind.", float64(l.Lines), "destination", l.Destination)
		w.counter(kind+"_lost_lines", "Lines that could not be written to them, or not in time.", float64(l.Lost), "destination", l.Destination)
	}
}

// whole is the supervisor.
func (w *writer) whole(s *status.Snapshot) {
	w.gauge("info", "The running wsgid.", 1, "version", s.Version)
	w.gauge("start_time_seconds", "When the supervisor was started, since the epoch.", seconds(s.Started))
	w.gauge("ready", "Whether wsgid is ready: every group that must be has been, and it is not stopping.", truth(s.State == "ready"))
	w.gauge("config_generation", "Configurations that were begun with.", float64(s.Generation))
	w.gauge("config_loaded_timestamp_seconds", "When the configuration that runs was read, since the epoch.", seconds(s.Loaded))
	if r := s.LastReload; r != nil {
		w.gauge("last_reload_success", "Whether the last reload has been carried out.", truth(r.Error == ""))
		w.gauge("last_reload_timestamp_seconds", "When the last reload was, since the epoch.", seconds(r.At))
	}
	draining := 0
	for _, d := range s.Draining {
		draining += len(d.Processes)
	}
	w.gauge("draining_processes", "Processes of generations before this one, whose requests still run.", float64(draining))
}

func (w *writer) router(r *status.Router) {
	w.gauge("router_up", "Whether the router is ready and answers.", truth(r.State == "ready" && r.Answered))
	w.restarts("router_restarts", "Routers that ended and were replaced.", r.Restarts)
	w.counter("router_cpu_seconds", "Processor time of the router that runs.", r.CPUSeconds)
	w.gauge("router_resident_memory_bytes", "Resident memory of the router.", float64(r.RSSBytes))
	if !r.Answered {
		return
	}
	w.gauge("router_connections", "Connections of front servers.", float64(r.Connections))
	w.gauge("router_in_flight", "Requests that have not been answered yet.", float64(r.InFlight))
	w.counter("router_requests", "Requests since the router was started.", float64(r.Requests))
	w.counter("router_errors", "Requests that the router itself has answered with 500 or more.", float64(r.Errors))
	for i := range r.Scripts {
		script := &r.Scripts[i]
		l := []string{"kind", script.Kind, "path", script.Path}
		w.histogram("script_seconds", "How long calls of dispatch and access scripts took.", &script.Latency, l...)
		w.counter("script_errors", "Calls of scripts that gave no answer.", float64(script.Failed), l...)
		w.gauge("script_running", "Calls of scripts that are inside Python.", float64(script.Running), l...)
		w.gauge("script_lost", "Calls of scripts that did not come back.", float64(script.Lost), l...)
		w.gauge("script_loaded", "Whether the script can be loaded.", truth(script.LoadError == ""), l...)
	}
	if s := r.Spans; s != nil {
		w.counter("spans_exported", "Spans that the collector has taken, since the router was started.", float64(s.Exported))
		w.counter("spans_dropped", "Spans that it has not, or not in time.", float64(s.Dropped))
	}
	if e := r.Embedded; e != nil {
		w.gauge("group_threads", threadsHelp, float64(e.Threads), "group", "%{GLOBAL}")
		w.gauge("group_threads_busy", busyHelp, float64(e.ThreadsBusy), "group", "%{GLOBAL}")
		w.counter("group_requests", requestsHelp, float64(e.Requests), "group", "%{GLOBAL}")
		w.queue(&e.Queue, "%{GLOBAL}")
	}
}

// What more than one kind of group has.
const (
	threadsHelp  = "Request threads of the processes that are ready: the capacity."
	busyHelp     = "Threads that have a request."
	requestsHelp = "Requests that threads of the group have ended."
)

func (w *writer) queue(q *status.Queue, group string) {
	w.gauge("group_queued", "Requests that wait for a thread.", float64(q.Queued), "group", group)
	w.gauge("group_queue_limit", "How many may (queue_length).", float64(q.QueueLength), "group", group)
	w.gauge("group_longest_wait_seconds", "How long the first of them has waited.", q.LongestWait, "group", group)
	w.counter("group_queued", "Requests that had to wait, since the router was started.", float64(q.QueuedTotal), "group", group)
	w.counter("group_queue_timeouts", "Requests that waited for queue_timeout, since the router was started.", float64(q.QueueTimeouts), "group", group)
	w.counter("group_rejected", "Requests that found the queue full, or no process, since the router was started.", float64(q.Rejected), "group", group)
	w.histogram("group_wait_seconds", "How long the requests waited that had to, since the router was started.", &q.Waits, "group", group)
}

func (w *writer) group(g *status.Group) {
	l := []string{"group", g.Name}
	w.gauge("group_up", "Whether a process of the group is ready.", truth(g.Ready > 0), l...)
	w.gauge("group_processes", "Processes that are ready.", float64(g.Ready), l...)
	w.gauge("group_processes_wanted", "Processes that there should be now.", float64(g.Wanted), l...)
	w.gauge("group_processes_least", "The least number of processes.", float64(g.Least), l...)
	w.gauge("group_processes_most", "The largest number of processes.", float64(g.Most), l...)
	stopped := 0
	for i := range g.Processes {
		if g.Processes[i].Stopped {
			stopped++
		}
	}
	w.gauge("group_processes_stopped", "Processes that a signal has stopped (SIGSTOP).", float64(stopped), l...)
	if !g.Service {
		w.gauge("group_threads", threadsHelp, float64(g.Threads), l...)
		w.gauge("group_threads_busy", busyHelp, float64(g.ThreadsBusy), l...)
		w.gauge("group_connections", "Connections of the router.", float64(g.Connections), l...)
		w.counter("group_requests", requestsHelp, float64(g.Requests), l...)
		w.counter("group_errors", "Requests that ended in an exception or with 500 or more.", float64(g.Errors), l...)
		w.counter("group_refused", "Requests that a process gave back, for another one to take.", float64(g.Refused), l...)
		w.histogram("group_request_seconds", "How long requests took in their threads.", &g.Latency, l...)
		w.queue(&g.Queue, g.Name)
		oldest := 0.0
		for i := range g.Processes {
			for _, r := range g.Processes[i].Running {
				if !r.Started.IsZero() {
					oldest = max(oldest, time.Since(r.Started).Seconds())
				}
			}
		}
		w.gauge("group_oldest_request_seconds", "How long the oldest request has run.", oldest, l...)
	}
	w.restarts("group_restarts", "Processes that ended, or could not be started, and were replaced.", g.Restarts, l...)
	w.counter("group_cpu_seconds", "Processor time of the processes, those included that have ended.", g.CPUSeconds, l...)
	w.gauge("group_resident_memory_bytes", "Resident memory of the processes; what they share counts in each.", float64(g.RSSBytes), l...)
	w.counter("group_log_dropped", "Log records that could not be written in time.", float64(g.LogDropped), l...)
	w.gauge("group_load_errors", "Scripts that cannot be imported.", float64(len(g.LoadErrors)), l...)
	if c := g.Cgroup; c != nil {
		w.gauge("group_cgroup_memory_bytes", "Memory of the control group.", float64(c.MemoryBytes), l...)
		w.gauge("group_cgroup_memory_max_bytes", "Its limit; 0 is none.", float64(c.MemoryMax), l...)
		w.counter("group_cgroup_oom_kills", "Processes that the kernel has killed for it.", float64(c.OOMKills), l...)
	}
}
