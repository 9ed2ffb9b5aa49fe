// Package exitreason is the one enumeration of why a worker process ended:
// the log line, the metric label and wsgid status all take it from here. It
// must not know how a reason is found out. docs/status.md explains each.
package exitreason

// Reason says why a process ended. The numbers stand in the scoreboard.
type Reason uint32

// Reasons.
const (
	None              Reason = iota // still running, or never said
	Crash                           // killed by a signal, or exited with a status ≠ 0
	StartFailed                     // could not start: Python missing, user unknown, …
	StartupTimeout                  // not ready within startup_timeout
	ScriptReload                    // its script changed on disk
	ShutdownSignal                  // wsgid stops, or SIGTERM
	ShutdownTimeout                 // did not end within shutdown_timeout and was killed
	Reload                          // configuration reload
	OutOfMemory                     // killed by SIGKILL, not by us, and the OOM killer was at work in our cgroup
	Exited                          // the application ended the process with status 0
	ImportFailed                    // it was started to try changed code and could not import it
	RequestTimeout                  // a request ran longer than request_timeout and could not be interrupted
	MaximumRequests                 // it has served maximum_requests
	RestartInterval                 // it has lived for restart_interval
	InactivityTimeout               // it was idle for inactivity_timeout
	DeadlockTimeout                 // no thread got a GIL for deadlock_timeout
	CPUTimeLimit                    // it has used cpu_time_limit of processor time
	EvictionSignal                  // SIGUSR1
	Unresponsive                    // it was stopped for too long, or the dispatch helper did not return what it was asked
	Restart                         // wsgid restart
	Stopped                         // wsgid stop or wsgid drain, of its group
	ScaledDown                      // the group needs fewer processes
	MemorySoftLimit                 // it is larger than memory_soft_limit
)

var names = [...]string{
	"", "crash", "start_failed", "startup_timeout", "script_reload", "shutdown_signal",
	"shutdown_timeout", "reload", "out_of_memory", "exited", "import_failed",
	"request_timeout", "maximum_requests", "restart_interval", "inactivity_timeout", "deadlock_timeout", "cpu_time_limit", "eviction_signal",
	"unresponsive", "restart", "stopped", "scaled_down", "memory_soft_limit",
}

// String is the reason as it stands in logs, metrics and status; empty for None.
func (r Reason) String() string {
	if int(r) < len(names) {
		return names[r]
	}
	return "unknown"
}
