// Package config is the HCL configuration of wsgid: its model, its defaults,
// its validation, and the reading of files. Parse, decode, defaults and
// validate are four steps in four files; all diagnostics come at once, with
// file, line and snippet.
//
// It must not know how anything is run: it opens no socket, looks at no
// process and starts nothing. User and group names stay names here; the
// supervisor looks them up.
package config

import (
	"net/netip"
	"os"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// Config is a whole configuration, with defaults filled in and validated.
type Config struct {
	// File is the path of the main file.
	File string
	// Listeners, in file order.
	Listeners []Listener
	// Router is the one router block (defaults if there is none).
	Router Router
	// DaemonProcesses are the process groups, in file order.
	DaemonProcesses []DaemonProcess
	// InterpreterBlocks are the interpreter_options blocks, in file order.
	InterpreterBlocks []InterpreterBlock
	// ScriptAliases are the global mounts; the first that matches wins.
	ScriptAliases []ScriptAlias
	// VirtualHosts, in file order.
	VirtualHosts []VirtualHost
	// ImportScripts are imported when processes start, in file order.
	ImportScripts []ImportScript
	// Dispatch is the one dispatch block, nil if there is none.
	Dispatch *Dispatch
	// DispatchScripts are those that a context may choose, in file order.
	DispatchScripts []DispatchScript
	// AuthUserScripts, AuthGroupScripts and AccessScripts are those that a
	// context may choose, in file order.
	AuthUserScripts, AuthGroupScripts, AccessScripts []AuthScript
	Control                                          Control
	Monitor                                          *Monitor // nil: nothing listens
	Tracing                                          *Tracing // nil: there is none
	Log                                              Log
	// AccessLogs are the global access_log blocks, in file order.
	AccessLogs []AccessLog
	// Source says where what stands, for Effective; nil in one that was not read.
	Source *Source `json:"-"`
}

// ListenerKind is the label of a listen block.
type ListenerKind string

// Kinds of listeners. Unix and TCP speak FastCGI.
const (
	ListenUnix ListenerKind = "unix"
	ListenTCP  ListenerKind = "tcp"
	ListenHTTP ListenerKind = "http"
)

// Listener is a listen "unix" | "tcp" | "http" block.
type Listener struct {
	Kind ListenerKind
	// Path (unix) is absolute.
	Path string
	// Owner and Group (unix) of the socket file; empty: the user that wsgid
	// runs as, and the router's group.
	Owner, Group string
	// Mode (unix) of the socket file, default 0660; never world-writable.
	Mode os.FileMode
	// AllowedUIDs (unix): user names or "#uid"; peers are checked by
	// SO_PEERCRED. Empty: whoever the file mode lets in.
	AllowedUIDs []string
	// Address (tcp, http) is host:port.
	Address string
	// AllowedClients (tcp, http): demanded when Address is not loopback (tcp).
	AllowedClients []netip.Prefix
	// TrustFrontServer (unix, tcp): WSGID_ parameters, which the web server's
	// configuration sets, count; default false.
	TrustFrontServer bool
	// SystemdSocket is the name under which systemd gives the socket; empty: wsgid
	// opens it.
	SystemdSocket string
	// RequestIDHeader is a header of requests that has their id; empty: none.
	RequestIDHeader string
	// Authorizer (unix, tcp): the web server may ask who is let in.
	Authorizer bool
	// NoResponder (responder = false; unix, tcp): that is all it may do.
	NoResponder bool
	// SeparateQuestions (unix, tcp): Apache asks about access, password and
	// require one by one, as the hooks of mod_wsgi do.
	SeparateQuestions bool
	// Backlog is the listen(2) depth, default 4096.
	Backlog int
	// HeaderTimeout, default 20 s: from the first byte to the end of headers
	// or PARAMS. BodyTimeout, default 60 s: between two reads of a body.
	// IdleTimeout (http), default 75 s: between requests.
	HeaderTimeout, BodyTimeout, IdleTimeout time.Duration
	// Static blocks (http).
	Static []Static
	Range  hcl.Range `json:"-"`
}

// Static is a static "/prefix/" { dir = … } block of a listen "http".
type Static struct {
	Prefix string
	Dir    string
	Range  hcl.Range `json:"-"`
}

// Router is the router block.
type Router struct {
	// User and Group the router runs as when started as root; default
	// www-data where it exists, else nobody; Group defaults to the user's.
	User, Group string
	// PythonOptions of the Python embedded in the router.
	PythonOptions
	// Threads of embedded applications (%{GLOBAL}), default 25; QueueLength and
	// QueueTimeout of the requests for them as in DaemonProcess.
	Threads      int
	QueueLength  int
	QueueTimeout time.Duration
	// RestrictEmbedded: there are no embedded applications; the router's Python
	// is for the dispatch script alone.
	RestrictEmbedded bool
	// MaxHeaderBytes of PARAMS, default 64 KiB.
	MaxHeaderBytes int
	// RequestOptions are the defaults of every VirtualHost and ScriptAlias.
	RequestOptions
	// FoldCase (case_sensitivity = false): scripts whose paths differ in the
	// case of letters are one module, and %{RESOURCE} is in lower case.
	FoldCase bool
	// MaxConnections of front servers at once, default 16384.
	MaxConnections int
	Range          hcl.Range `json:"-"`
}

// DaemonProcess is a daemon_process "name" block: a process group. Option
// names are mod_wsgi's (mod_wsgi behaviour 2) with underscores.
type DaemonProcess struct {
	Name string
	// Processes, default 1; ProcessesSet: the option was given, which makes
	// wsgi.multiprocess true even for 1. Threads, default 15; 0: a service,
	// which runs its import scripts and serves nothing.
	Processes    int
	ProcessesSet bool
	Threads      int
	// User is a name or "#uid"; empty: the router's user when started as
	// root. Group is a name or "#gid"; empty: the user's primary group, or
	// for "#uid" without passwd entry the gid of the same number.
	User, Group string
	// Scaling says whether Processes is how many there are, or at most.
	Scaling Scaling
	// MinProcesses (dynamic) are always there, default 1. So many as MinSpare more
	// than the load needs are started, up to MaxSpare, default 1 with dynamic, are
	// kept. IdleTimeout, default 10 s: for which one has not been needed before it
	// ends.
	MinProcesses, MinSpare, MaxSpare int
	IdleTimeout                      time.Duration
	// SupplementaryGroups: nil: those of the user (initgroups); empty: none.
	SupplementaryGroups []string
	// Umask, default 022. -1 never occurs.
	Umask int
	// Home is the working directory and sys.path[0]; empty: the user's home
	// directory as working directory if it exists, else "/".
	Home string
	// Environment is added to the clean one (HOME, USER, LOGNAME, PATH, LANG).
	Environment map[string]string
	// EnvFile is a file of NAME=value lines, read at each start of a process.
	EnvFile string
	Lang    string // LANG, default C.UTF-8
	Locale  string // LC_ALL, default unset
	PythonOptions
	// ScriptUser and ScriptGroup: whom scripts and their directories must
	// belong to, a name or "#id"; at most one is set; neither: anybody.
	ScriptUser, ScriptGroup string
	// DestroyInterpreter, default true: exit functions run when a process ends.
	DestroyInterpreter bool
	ListenBacklog      int           // default 1024
	QueueLength        int           // default 1024
	QueueTimeout       time.Duration // default 45 s; 0: no limit
	// ConnectTimeout, 0: none, is how long a request tries to get into a full
	// queue, or waits for a process while none can be started.
	ConnectTimeout time.Duration
	// ResponseSocketTimeout, 0: body_timeout of the listener, is how long the
	// front server may take nothing of a response.
	ResponseSocketTimeout time.Duration
	StartupTimeout        time.Duration // from fork to ready, default 60 s; 0: no limit
	SocketTimeout         time.Duration // for each read of a body and write of a response, default 90 s; 0: no limit
	// MaximumRequests, 0: no limit, plus a random number up to
	// MaximumRequestsJitter, are served by a process before it is replaced.
	MaximumRequests, MaximumRequestsJitter int
	RestartInterval                        time.Duration // for which a process lives; 0: for ever
	// DisplayName is argv[0]; "%{GROUP}" is "(wsgi:NAME)"; empty: wsgid.
	DisplayName string
	// ErrorLog is a file for what the processes and their applications write;
	// empty: that of the virtual host of each request, else Log.ErrorLog.
	ErrorLog string
	// LogLevel of what is said by and of the processes; empty: Log.Level.
	LogLevel string
	// LogFormat "text", "json" or "raw" of what the processes write; empty: Log.Format.
	LogFormat    string
	CPUPriority  int           // as of nice(1), default 0: unchanged
	CPUTimeLimit time.Duration // of processor time, whole seconds; 0: no limit
	// MemoryLimit (RLIMIT_DATA) and VirtualMemoryLimit (RLIMIT_AS), bytes, are what
	// a process can get; 0: no limit. One that is resident with more than
	// MemorySoftLimit is replaced.
	MemoryLimit, VirtualMemoryLimit, MemorySoftLimit int64
	EvictionTimeout                                  time.Duration // GracefulTimeout after SIGUSR1; 0: the same
	InactivityTimeout                                time.Duration // idle after a request; 0: no limit
	SlowRequest                                      time.Duration // after which a request is logged, with where it is; 0: never
	// RequestTimeout × (1 + ln Threads) is how long a request may run; 0: for
	// ever. Then RequestTimeout is raised in it for InterruptTimeout; if that is
	// over, or 0, the process is replaced.
	RequestTimeout, InterruptTimeout time.Duration
	DeadlockTimeout                  time.Duration // GIL unobtainable while requests run, default 300 s; 0: for ever
	ShutdownTimeout                  time.Duration // for requests to finish after SIGTERM, default 5 s; then SIGKILL
	GracefulTimeout                  time.Duration // for requests to finish before a planned replacement, default 15 s
	NoNewPrivileges                  bool          // default true
	Sandbox
	Limits
	MaxSurge int // processes that a restart starts beside those that are, default 1
	// ReloadOnError says what happens while changed code cannot be imported.
	ReloadOnError ReloadOnError
	// Watch are patterns of files whose change replaces the processes;
	// relative ones are made absolute when the configuration is validated.
	Watch []string
	Range hcl.Range `json:"-"`
}

// Service says whether the group only runs import scripts.
func (p *DaemonProcess) Service() bool { return p.Threads == 0 }

// Elastic says whether the number of processes follows the load.
func (p *DaemonProcess) Elastic() bool {
	return p.Scaling == ScalingDynamic || p.Scaling == ScalingOnDemand
}

// Scaling is the value of scaling.
type Scaling string

// Values of scaling.
const (
	ScalingStatic   Scaling = "static"    // always as many processes (default)
	ScalingDynamic  Scaling = "dynamic"   // as the load needs, but some always
	ScalingOnDemand Scaling = "on_demand" // none while nobody asks
)

// MaxProcesses bounds the processes of a group.
const MaxProcesses = 1000

// ReloadOnError is the value of reload_on_error.
type ReloadOnError string

// Values of reload_on_error.
const (
	ReloadFail ReloadOnError = "fail" // requests fail (default)
	ReloadKeep ReloadOnError = "keep" // the old process goes on serving
)

// ScriptAlias is a mount: a script_alias "/prefix", script_alias_match "regex",
// script_root "/dir" or handler_script "name" block.
type ScriptAlias struct {
	// Prefix of URLs; with Match a regular expression. Empty for the two kinds
	// that the web server chooses: Root, for files of the directory Target, and
	// Handler, the name by which it asks for the script.
	Prefix  string
	Match   bool
	Root    bool
	Handler string
	// Target is an absolute path; Directory: it ended in "/" or is a
	// directory when the configuration is read.
	Target    string
	Directory bool
	// Append is what of the target as written comes after a file that it goes
	// through, or with Match from the path segment of the first $n on.
	Append string
	// ProcessGroup, not expanded. Native default: the only declared group;
	// with several an error that lists them; with none "%{GLOBAL}".
	ProcessGroup string
	// ApplicationGroup, not expanded; native default "%{GLOBAL}".
	ApplicationGroup string
	// CallableObject, default "application"; of a Handler always "handle_request".
	CallableObject string
	// ScriptReloading, default true.
	ScriptReloading bool
	// Preload the script when a process starts: default true when
	// ProcessGroup and ApplicationGroup are fixed and Target is a file.
	Preload bool
	// Order among the blocks that have scripts imported.
	Order int `json:"-"`
	// RequestOptions: default those of its VirtualHost, else of Router.
	RequestOptions
	Range hcl.Range `json:"-"`
}

// ImportScript is an import_script "path" block: mod_wsgi's WSGIImportScript.
type ImportScript struct {
	Path string
	// ProcessGroup, default as in ScriptAlias; "%{GLOBAL}" is the router.
	// ApplicationGroup, default "%{GLOBAL}". Neither is another expansion.
	ProcessGroup, ApplicationGroup string
	Range                          hcl.Range `json:"-"`
	Order                          int       `json:"-"`
}

// OnLoadError is the value of on_load_error.
type OnLoadError string

// Values of on_load_error.
const (
	LoadErrorLastGood OnLoadError = "last_good"
	LoadErrorFail     OnLoadError = "fail"
	LoadErrorStatic   OnLoadError = "static"
)

// DispatchScript is a dispatch_script "path" block.
type DispatchScript struct {
	Path string
	// Default, default true: contexts that choose none have this one.
	Default bool
	// ApplicationGroup is the interpreter it runs in; empty: the one that the
	// request was statically decided to use.
	ApplicationGroup string
	Concurrency      int           // calls inside Python at once, default 16
	Timeout          time.Duration // dispatch_timeout, default 10 s
	DeadlockTimeout  time.Duration // GIL unobtainable for so long: the router is replaced; default 300 s
	OnLoadError      OnLoadError   // default last_good
	ScriptReloading  bool          // default true
	Range            hcl.Range     `json:"-"`
}

// Control is the control block: the socket of wsgid status and stop.
type Control struct {
	// Path, default /run/wsgid/control.sock, or for an ordinary user
	// $XDG_RUNTIME_DIR/wsgid/control.sock.
	Path string
	// Owner, Group, Mode of the socket file: default the user wsgid runs as, 0600.
	Owner, Group string
	Mode         os.FileMode
	// AdminUsers and AdminGroups may do everything, besides root and the user that
	// wsgid runs as; who may only connect may look.
	AdminUsers, AdminGroups []string
	// PIDFile is empty for none.
	PIDFile string
	Range   hcl.Range `json:"-"`
}

// Log is the log block.
type Log struct {
	// Format "text" (default) or "json"; Level trace, debug, info (default),
	// warn, error. Destination "stderr" (default) or an absolute path.
	Format, Level, Destination string
	// ErrorLog is a file for what applications write where neither their process
	// group nor the virtual host has one; empty: Destination.
	ErrorLog string
	Range    hcl.Range `json:"-"`
}
