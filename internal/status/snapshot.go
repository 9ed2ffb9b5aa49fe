// Package status holds the one status snapshot: what the control socket
// answers and what wsgid status shows; table, JSON and other forms are views
// of it. It holds data only and must not know how it is gathered.
package status

import (
	"time"

	"github.com/wsgid/wsgid/internal/histogram"
)

// Snapshot is wsgid at one moment.
type Snapshot struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"`     // of the supervisor
	State   string    `json:"state"`   // starting, ready, stopping
	Started time.Time `json:"started"` // of the supervisor
	// Uptime in seconds.
	Uptime float64 `json:"uptime_seconds"`
	Config string  `json:"config,omitempty"` // path of the main file
	// Generation counts the configurations that were begun with; the first is 1.
	Generation int       `json:"generation"`
	Loaded     time.Time `json:"loaded"`                // when its configuration was read
	LastReload *Reload   `json:"last_reload,omitempty"` // nil: none was asked for
	// Draining are generations before this one whose requests still run.
	Draining []Draining `json:"draining,omitempty"`
	Router   Router     `json:"router"`
	// DispatchHelper evaluates the router's scripts; nil: the router does it itself.
	DispatchHelper *DispatchHelper `json:"dispatch_helper,omitempty"`
	Groups         []Group         `json:"groups"`
	// Monitor serves metrics and health on TCP; nil: there is none.
	Monitor *Monitor `json:"monitor,omitempty"`
	// AccessLogs are those that wsgid writes itself.
	AccessLogs []Log `json:"access_logs,omitempty"`
	// Logs are the destinations of log lines that are open.
	Logs []Log `json:"logs"`
}

// Log is a destination of log lines, or of an access log.
type Log struct {
	Destination string `json:"destination"`
	Lines       uint64 `json:"lines"`           // written since it was opened
	Lost        uint64 `json:"lost"`            // given up because they could not be written, or not in time
	Error       string `json:"error,omitempty"` // of the last write; empty: it did not fail
}

// Monitor is the process that serves metrics and health on TCP.
type Monitor struct {
	Address  string            `json:"address"`
	PID      int               `json:"pid"` // 0 while there is none
	User     string            `json:"user"`
	UID      int               `json:"uid"`
	Restarts map[string]uint64 `json:"restarts"`
	LastExit *Exit             `json:"last_exit,omitempty"`
}

// Reload is how a reload has ended.
type Reload struct {
	At      time.Time `json:"at"`
	Seconds float64   `json:"seconds"`          // that it took
	Groups  []string  `json:"groups,omitempty"` // that were named; empty: all
	// Generation that serves.
	Generation int `json:"generation"`
	// Error is why nothing has changed; empty: it has.
	Error string `json:"error,omitempty"`
	// Problems are what does not serve all the same, and did not before.
	Problems []string `json:"problems,omitempty"`
}

// Reopened is how opening the logs anew has ended.
type Reopened struct {
	Error string `json:"error,omitempty"` // files that are written on as they were
}

// Upgrade is how an upgrade has ended.
type Upgrade struct {
	PID     int    `json:"pid"`     // of the supervisor that serves
	Version string `json:"version"` // its version
	Error   string `json:"error,omitempty"`
}

// Restart is how a restart of groups has ended.
type Restart struct {
	Groups   []string `json:"groups,omitempty"`
	Replaced int      `json:"replaced"` // processes
	Seconds  float64  `json:"seconds"`
	Error    string   `json:"error,omitempty"` // why it stopped
}

// Draining is a generation that another one has succeeded.
type Draining struct {
	Generation  int       `json:"generation"`
	Router      int       `json:"router_pid"`  // 0: it has ended
	Connections int       `json:"connections"` // of front servers that it has not handed over yet
	Processes   []Process `json:"processes"`
}

// Router is the router process. The figures that only it knows are zero when
// Answered is false: it did not answer in time.
type Router struct {
	PID        int       `json:"pid"` // 0 while there is none
	User       string    `json:"user"`
	UID        int       `json:"uid"`
	State      string    `json:"state"`             // starting, ready, stopping, gone, backoff
	Stopped    bool      `json:"stopped,omitempty"` // by a signal (SIGSTOP)
	Started    time.Time `json:"started,omitzero"`
	Python     string    `json:"python,omitempty"`
	Answered   bool      `json:"answered"`
	CPUSeconds float64   `json:"cpu_seconds"`
	RSSBytes   uint64    `json:"rss_bytes"`

	Connections int    `json:"connections"`
	Requests    uint64 `json:"requests"`
	Errors      uint64 `json:"errors"`
	InFlight    int    `json:"in_flight"`
	// Scripts are those that the router evaluates itself.
	Scripts []Script `json:"scripts,omitempty"`
	// Embedded is there when the router may run applications.
	Embedded *Embedded `json:"embedded,omitempty"`
	// LoadErrors are the scripts of applications in the router that cannot be
	// imported, until they can.
	LoadErrors []LoadError `json:"load_errors,omitempty"`

	// Spans is there when the router sends some.
	Spans *Spans `json:"spans,omitempty"`

	// Restarts are the routers that ended and were replaced, by the reason of
	// the end; the end with wsgid itself is none.
	Restarts map[string]uint64 `json:"restarts"`
	LastExit *Exit             `json:"last_exit,omitempty"`
	Backoff  float64           `json:"backoff_seconds,omitempty"`
}

// Spans are those of tracing { }, since the router started.
type Spans struct {
	Exported uint64 `json:"exported"`
	Dropped  uint64 `json:"dropped"` // the collector did not take them, or not in time
}

// DispatchHelper is the process that evaluates scripts for the router.
type DispatchHelper struct {
	PID        int       `json:"pid"` // 0 while there is none
	User       string    `json:"user"`
	UID        int       `json:"uid"`
	State      string    `json:"state"`             // starting, ready, stopping, backoff
	Stopped    bool      `json:"stopped,omitempty"` // by a signal (SIGSTOP)
	Started    time.Time `json:"started,omitzero"`
	Python     string    `json:"python,omitempty"`
	CPUSeconds float64   `json:"cpu_seconds"`
	RSSBytes   uint64    `json:"rss_bytes"`
	// Calls since the router started, of all helpers.
	Calls uint64 `json:"calls"`

	// Restarts are the helpers that ended and were replaced, by the reason of
	// the end; the end with wsgid itself is none.
	Restarts map[string]uint64 `json:"restarts"`
	LastExit *Exit             `json:"last_exit,omitempty"`
	Backoff  float64           `json:"backoff_seconds,omitempty"`
}

// Script is a script that the router evaluates, itself or in the dispatch helper.
type Script struct {
	Kind      string `json:"kind"` // dispatch script
	Path      string `json:"path"`
	Calls     uint64 `json:"calls"`
	Running   int    `json:"running"`              // calls inside Python
	Lost      int    `json:"lost"`                 // calls that did not come back and were written off
	LoadError string `json:"load_error,omitempty"` // why the file cannot be loaded, until mended
	// Failed calls gave no answer. Latency is of all that came back.
	Failed  uint64           `json:"failed"`
	Latency histogram.Counts `json:"latency"`
}

// Queue is what the router knows of the requests of a group that have no
// thread. The counters begin with each router.
type Queue struct {
	Queued      int `json:"queued"`       // wait now
	QueueLength int `json:"queue_length"` // limit
	// LongestWait, in seconds, of those that wait now.
	LongestWait   float64 `json:"longest_wait_seconds"`
	QueuedTotal   uint64  `json:"queued_total"`   // had to wait
	QueueTimeouts uint64  `json:"queue_timeouts"` // waited for queue_timeout: 504
	Rejected      uint64  `json:"rejected"`       // 503: the queue was full, or no process was there
	// Waits of the requests that had to wait; the buckets are those of internal/histogram.
	Waits histogram.Counts `json:"waits"`
}

// Embedded are the applications in the router's own Python (%{GLOBAL}).
type Embedded struct {
	Threads     int    `json:"threads"` // 0 before the first request
	ThreadsBusy int    `json:"threads_busy"`
	Requests    uint64 `json:"requests"`
	Queue
}

// Group is one process group.
type Group struct {
	Name   string `json:"name"`
	User   string `json:"user"`
	UID    int    `json:"uid"`
	Wanted int    `json:"processes_wanted"`
	// Scaling is static, dynamic or on_demand; Least and Most bound Wanted.
	Scaling string `json:"scaling"`
	Least   int    `json:"processes_least"`
	Most    int    `json:"processes_most"`
	// State is idle (on demand, and nobody asks), starting, ready, degraded (fewer processes ready than wanted),
	// backoff (none ready, waiting before the next attempt), failed (the same, and
	// this machine lacks something: its user, directory or Python) or stopping.
	State string `json:"state"`
	// Or as an administrator has closed the group: in maintenance, drained, stopped.
	ClosedSince time.Time `json:"closed_since,omitzero"`
	// Backoff is the number of seconds until the next attempt.
	Backoff float64 `json:"backoff_seconds,omitempty"`
	Ready   int     `json:"processes_ready"`
	// Service: its processes run import scripts and take no requests (threads = 0).
	Service bool `json:"service,omitempty"`

	Threads     int `json:"threads"` // of ready processes
	ThreadsBusy int `json:"threads_busy"`

	Queue
	Connections int `json:"connections"` // of the router

	// Cgroup of the group's processes; nil: they share that of wsgid.
	Cgroup *Cgroup `json:"cgroup,omitempty"`

	// Requests and Errors since the supervisor started, processes that have
	// ended included.
	Requests uint64 `json:"requests"`
	Errors   uint64 `json:"errors"`
	Refused  uint64 `json:"refused"`
	// Latency of these requests in their threads; CPUSeconds, LogDropped: likewise of all processes.
	Latency    histogram.Counts `json:"latency"`
	CPUSeconds float64          `json:"cpu_seconds"`
	LogDropped uint64           `json:"log_dropped"`
	RSSBytes   uint64           `json:"rss_bytes"` // of those that are

	// Restarts are the processes that ended, or could not even be started, and
	// that another one took or will take the place of, by the reason of the end.
	Restarts  map[string]uint64 `json:"restarts"`
	LastExit  *Exit             `json:"last_exit,omitempty"`
	Processes []Process         `json:"processes"`
	// LoadErrors are the scripts that cannot be imported, until they can.
	LoadErrors []LoadError `json:"load_errors,omitempty"`
}

// Inherit adds the counters of a group of the same name that this one succeeds.
func (g *Group) Inherit(from *Group) {
	g.Requests += from.Requests
	g.Errors += from.Errors
	g.Refused += from.Refused
	g.LogDropped += from.LogDropped
	g.CPUSeconds = histogram.AddSeconds(g.CPUSeconds, from.CPUSeconds)
	g.Latency.Add(&from.Latency)
	for reason, n := range from.Restarts {
		if g.Restarts == nil {
			g.Restarts = map[string]uint64{}
		}
		g.Restarts[reason] += n
	}
}

// LoadError is why a script could not be imported the last time.
type LoadError struct {
	Script string `json:"script"`
	// Application group, expanded: empty is the main interpreter.
	Application string    `json:"application"`
	At          time.Time `json:"at"`
	PID         int       `json:"pid"` // of the process that tried
	// OldCodeServes: the processes go on with the code from before
	// (reload_on_error = "keep").
	OldCodeServes bool   `json:"old_code_serves,omitempty"`
	Error         string `json:"error"` // last line of the traceback
	Traceback     string `json:"traceback"`
}

// Process is one worker process.
type Process struct {
	PID    int    `json:"pid"`
	User   string `json:"user"`
	UID    int    `json:"uid"`
	Python string `json:"python,omitempty"`
	State  string `json:"state"` // starting, ready, draining, stopping
	// Stopped by a signal (SIGSTOP): it gets no requests, what it runs stands still,
	// and it is killed unless it goes on soon.
	Stopped     bool      `json:"stopped,omitempty"`
	Started     time.Time `json:"started"`
	Threads     int       `json:"threads"`
	ThreadsBusy int       `json:"threads_busy"`
	Requests    uint64    `json:"requests"`
	Errors      uint64    `json:"errors"`
	Refused     uint64    `json:"refused"`
	LogDropped  uint64    `json:"log_dropped"`
	CPUSeconds  float64   `json:"cpu_seconds"` // user and system
	RSSBytes    uint64    `json:"rss_bytes"`
	Running     []Request `json:"running,omitempty"`
	// Latency is shown of the group.
	Latency histogram.Counts `json:"-"`
	// LastExit is that of the process which this one replaced.
	LastExit *Exit `json:"last_exit,omitempty"`
}

// Cgroup is what the processes of a group use together, and may use; a limit of
// 0 is none, and then what is used is not counted.
type Cgroup struct {
	Path             string  `json:"path"`
	MemoryBytes      int64   `json:"memory_bytes,omitempty"`
	MemoryMax        int64   `json:"memory_max,omitempty"`
	MemoryHigh       int64   `json:"memory_high,omitempty"`
	Pids             int64   `json:"pids,omitempty"` // processes and threads
	PidsMax          int     `json:"pids_max,omitempty"`
	CPUMax           float64 `json:"cpu_max,omitempty"` // processors
	CPUWeight        int     `json:"cpu_weight,omitempty"`
	ThrottledSeconds float64 `json:"throttled_seconds,omitempty"`
	OOMKills         uint64  `json:"oom_kills,omitempty"`
}

// Request is what a thread works on. Texts are the client's, escaped.
type Request struct {
	Thread      int       `json:"thread"`
	State       string    `json:"state"` // reading, application, writing
	ID          string    `json:"id,omitempty"`
	Method      string    `json:"method,omitempty"`
	URI         string    `json:"uri,omitempty"`
	Client      string    `json:"client,omitempty"`
	Application string    `json:"application"`
	Trace       string    `json:"trace,omitempty"` // id of its trace, with tracing { }
	Started     time.Time `json:"started"`
}

// Exit is how a process ended.
type Exit struct {
	PID    int       `json:"pid"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"` // internal/exitreason
	Status int       `json:"status"` // exit status; -1 when it was a signal
	Signal string    `json:"signal,omitempty"`
	Error  string    `json:"error,omitempty"` // what the process said about it
}

// Version is the answer of GET /v1/version.
type Version struct {
	Version string `json:"version"`
	PID     int    `json:"pid"`
}

// Done is the answer to a command that has nothing to tell.
type Done struct{}

// Error is the answer to a refused control request.
type Error struct {
	Error string `json:"error"`
}
