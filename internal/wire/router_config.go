package wire

import (
	"net/netip"
	"time"
)

// RouterConfig is everything the router is told. All values are resolved:
// defaults filled in, durations parsed, names looked up.
type RouterConfig struct {
	Listeners    []Listener    `json:"listeners"`
	Groups       []Group       `json:"groups"`
	Mounts       []Mount       `json:"mounts"` // the global ones
	VirtualHosts []VirtualHost `json:"virtual_hosts,omitempty"`
	// DispatchScripts are those that a mount or a request may name.
	DispatchScripts []Script `json:"dispatch_scripts,omitempty"`
	// AuthScripts are those that an Auth may name. Auth holds for URLs that no
	// mount and no virtual host has.
	AuthScripts []AuthScript `json:"auth_scripts,omitempty"`
	Auth        *Auth        `json:"auth,omitempty"`
	// ErrorDocuments hold for URLs that no mount and no virtual host has.
	ErrorDocuments map[int]string `json:"error_documents,omitempty"`
	// HelperSocket is where the dispatch helper evaluates the scripts; empty:
	// they are evaluated in the router's own Python.
	HelperSocket string `json:"helper_socket,omitempty"`
	// KeepScriptsOut: they are evaluated outside of the router, and bring no
	// request into it that RestrictProcess does not permit by name.
	KeepScriptsOut bool `json:"keep_scripts_out,omitempty"`
	// FoldCase: %{RESOURCE} is in lower case (case_sensitivity = false).
	FoldCase bool     `json:"fold_case,omitempty"`
	Embedded Embedded `json:"embedded"`
	Limits   Limits   `json:"limits"`
	// Tracing is nil where traceparent is a header like any other.
	Tracing  *Tracing `json:"tracing,omitempty"`
	Version  string   `json:"version"` // of wsgid, for SERVER_SOFTWARE of the HTTP front
	LogLevel string   `json:"log_level"`
	// AccessFiles are where lines of access logs go. AccessLogs hold for requests of
	// no virtual host, or of one that has none of its own.
	AccessFiles []AccessFile `json:"access_files,omitempty"`
	AccessLogs  []AccessLog  `json:"access_logs,omitempty"`
}

// ListenerKind is how a front server speaks to a listener.
type ListenerKind string

// Kinds of listeners. Unix and TCP speak FastCGI.
const (
	ListenUnix ListenerKind = "unix"
	ListenTCP  ListenerKind = "tcp"
	ListenHTTP ListenerKind = "http"
)

// Listener is one inherited listening socket.
type Listener struct {
	Kind ListenerKind `json:"kind"`
	// FD is the number of the descriptor in the router process.
	FD int `json:"fd"`
	// Address is the path or host:port, for logs.
	Address string `json:"address"`
	// AllowedUIDs limits unix peers by SO_PEERCRED; empty: whoever the file
	// mode lets in.
	AllowedUIDs []int `json:"allowed_uids,omitempty"`
	// AllowedClients limits TCP and HTTP peers (CIDR prefixes); empty: any.
	AllowedClients []string `json:"allowed_clients,omitempty"`
	// TrustFrontServer: WSGID_ parameters count.
	TrustFrontServer bool `json:"trust_front_server,omitempty"`
	// RequestIDHeader is the parameter that has the id of a request, if it is sane;
	// empty: none.
	RequestIDHeader string `json:"request_id_header,omitempty"`
	// Authorizer, FastCGI only: the front server may ask who is let in.
	Authorizer bool `json:"authorizer,omitempty"`
	// NoResponder, FastCGI only: that is all it may do.
	NoResponder bool `json:"no_responder,omitempty"`
	// SeparateQuestions, with Authorizer: Apache asks about access, password and
	// require one by one.
	SeparateQuestions bool `json:"separate_questions,omitempty"`
	// Static directories, HTTP only, tried before the mounts, first match wins.
	Static []Static `json:"static,omitempty"`
	// HeaderTimeout, BodyTimeout, IdleTimeout: HTTP: from the first byte of a
	// request to the end of its headers, between two reads of a body, and
	// between two requests. FastCGI listeners use HeaderTimeout from the first
	// byte of BEGIN_REQUEST to the end of PARAMS, and BodyTimeout; they have no
	// idle timeout.
	HeaderTimeout time.Duration `json:"header_timeout"`
	BodyTimeout   time.Duration `json:"body_timeout"`
	IdleTimeout   time.Duration `json:"idle_timeout"`
}

// Static serves files below Dir for URLs below Prefix.
type Static struct {
	Prefix string `json:"prefix"`
	Dir    string `json:"dir"`
}

// Group is a process group that the router may send requests to.
type Group struct {
	Name string `json:"name"`
	// Socket is the path of the listening socket that its processes share.
	Socket       string        `json:"socket"`
	Processes    int           `json:"processes"`
	Threads      int           `json:"threads"`
	QueueLength  int           `json:"queue_length"`  // requests that may wait
	QueueTimeout time.Duration `json:"queue_timeout"` // enforced while waiting; 0: no limit
	// ConnectTimeout is how long a request waits for a place in a full queue, or
	// for a process while the group is not available; 0: it does not.
	ConnectTimeout time.Duration `json:"connect_timeout,omitempty"`
	// ResponseSocketTimeout is how long the front server may take nothing of an
	// answer; 0: the listener's BodyTimeout.
	ResponseSocketTimeout time.Duration `json:"response_socket_timeout,omitempty"`
	// Elastic: it may get further processes when requests wait (TypeWanted).
	Elastic bool `json:"elastic,omitempty"`
	// SpareThreads are to be free in an elastic group before anybody waits.
	SpareThreads int `json:"spare_threads,omitempty"`
}

// VirtualHost is what requests for some names see.
type VirtualHost struct {
	// ID is the WSGID_VIRTUAL_HOST that alone chooses it; empty: Names do.
	ID string `json:"id,omitempty"`
	// ServerName, as configured, stands in %{SERVER}, %{HOST} and %{RESOURCE}
	// for the front server's SERVER_NAME; empty: that one stays.
	ServerName string `json:"server_name,omitempty"`
	// Names it answers to: complete ones, "*.x" for those below x, "*" for all.
	Names []string `json:"names"`
	// ErrorLog is the key of the file for what is written while requests of the
	// host are served; empty: none.
	ErrorLog string `json:"error_log,omitempty"`
	// AccessLogs instead of RouterConfig.AccessLogs; empty: these.
	AccessLogs []AccessLog `json:"access_logs,omitempty"`
	// Ports that the request must have come to; empty: any.
	Ports []int `json:"ports,omitempty"`
	// Mounts of its own come first, then Inherited, the global ones as they
	// hold in this host; nil: RouterConfig.Mounts.
	Mounts    []Mount `json:"mounts,omitempty"`
	Inherited []Mount `json:"inherited,omitempty"`
	// ErrorDocuments hold for URLs that no mount has.
	ErrorDocuments map[int]string `json:"error_documents,omitempty"`
	// Auth holds for URLs that no mount has.
	Auth *Auth `json:"auth,omitempty"`
}

// Mount binds URLs to a script file or to a directory of scripts.
type Mount struct {
	// Prefix is the URL path as configured ("/", "/name", "/w/"); with Match a
	// regular expression (internal/urlpattern).
	Prefix string `json:"prefix"`
	Match  bool   `json:"match,omitempty"`
	// Root: no prefix; for files of the directory Target, to which a trusted web
	// server maps the request and says that they may run.
	Root bool `json:"root,omitempty"`
	// Handler: no prefix; for requests whose trusted web server asks for this
	// name. The file of the request is the application's to read.
	Handler string `json:"handler,omitempty"`
	// Target is an absolute path of a file or, with Directory, of a directory.
	Target    string `json:"target"`
	Directory bool   `json:"directory"`
	// Append comes between Target and the rest of the URL; with Match $n in it
	// is a group, and a backslash takes its meaning from the next character.
	Append string `json:"append,omitempty"`
	// ProcessGroup, ApplicationGroup, CallableObject are the static decision,
	// not yet expanded (may be "%{GLOBAL}", "%{ENV:x}", …).
	ProcessGroup     string `json:"process_group"`
	ApplicationGroup string `json:"application_group"`
	CallableObject   string `json:"callable_object"`
	// ScriptReloading: compare the script's modification time on each request.
	ScriptReloading bool `json:"script_reloading"`
	// RequestBuffer is how much of a body is collected before a thread is
	// taken, bytes. MaxBodyBytes is the largest body, 0: no limit.
	RequestBuffer int64 `json:"request_buffer"`
	MaxBodyBytes  int64 `json:"max_body_bytes"`
	// DropAuthorization: the application does not see the Authorization header.
	DropAuthorization bool `json:"drop_authorization,omitempty"`
	// RefuseChunked: 411 for a body without a length.
	RefuseChunked bool `json:"refuse_chunked,omitempty"`
	// MapHeadToGet: the application sees GET for HEAD.
	MapHeadToGet bool `json:"map_head_to_get,omitempty"`
	// TrustedProxyHeaders by their names in HTTP, in the order in which they
	// apply. TrustedProxies may send them; nil: everybody may, empty: nobody.
	TrustedProxyHeaders []string       `json:"trusted_proxy_headers,omitempty"`
	TrustedProxies      []netip.Prefix `json:"trusted_proxies"`
	// RestrictProcess are the process groups that may serve, "" is embedded
	// mode; empty: all.
	RestrictProcess []string `json:"restrict_process,omitempty"`
	// DispatchScript is the path of the one that decides; empty: none does.
	DispatchScript string `json:"dispatch_script,omitempty"`
	// Priority of its requests where several wait for a thread, 0 to
	// Priorities-1; the higher is served first.
	Priority int `json:"priority,omitempty"`
	// IgnoreActivity: the request does not keep an idle process alive.
	IgnoreActivity bool `json:"ignore_activity,omitempty"`
	// ErrorOverride: the body of an error response of the application is not sent.
	ErrorOverride bool `json:"error_override,omitempty"`
	// ErrorDocuments are what clients get, by status, for errors that wsgid finds:
	// a file if it begins with a slash, an http URL to go to, or the text; empty:
	// wsgid's own page.
	ErrorDocuments map[int]string `json:"error_documents,omitempty"`
	// RefusePathInfo: 404 for a URL that goes on behind the script.
	RefusePathInfo bool `json:"refuse_path_info,omitempty"`
	// AllowOverride are options (of Overrides) that the web server's
	// configuration may set for a request.
	AllowOverride []string `json:"allow_override,omitempty"`
	// Auth says who may use it; nil: everybody.
	Auth *Auth `json:"auth,omitempty"`
}

// Priorities is how many there are.
const Priorities = 10

// OnLoadError says what happens while a script cannot be loaded.
type OnLoadError string

// Values of on_load_error.
const (
	LoadErrorLastGood OnLoadError = "last_good" // serve with the last version that loaded, else 500
	LoadErrorFail     OnLoadError = "fail"      // 500
	LoadErrorStatic   OnLoadError = "static"    // as if there were no such script
)

// Script is a script that the router evaluates itself, and how.
type Script struct {
	Path string `json:"path"`
	// ApplicationGroup is the interpreter it runs in, unexpanded; empty: the
	// one that the request was statically decided to use.
	ApplicationGroup string        `json:"application_group"`
	Concurrency      int           `json:"concurrency"`
	Timeout          time.Duration `json:"timeout"`
	DeadlockTimeout  time.Duration `json:"deadlock_timeout"`
	OnLoadError      OnLoadError   `json:"on_load_error"`
	ScriptReloading  bool          `json:"script_reloading"`
}

// Embedded describes the Python inside the router: for dispatch scripts and
// for applications of the process group %{GLOBAL}.
type Embedded struct {
	// Needed is true when a dispatch script or a %{GLOBAL} mount exists; the
	// library is loaded only then.
	Needed     bool     `json:"needed"`
	Python     string   `json:"python,omitempty"`      // an executable
	PythonHome string   `json:"python_home,omitempty"` // a venv or prefix
	PythonPath []string `json:"python_path,omitempty"`
	// Variables (NAME=value) exist while Python is initialised; Interpreters
	// are settings as in the boot block (docs/internals.md section 1).
	Variables       []string `json:"variables,omitempty"`
	Interpreters    []string `json:"interpreters,omitempty"`
	FreeThreading   bool     `json:"free_threading,omitempty"`
	MaxInterpreters int      `json:"max_interpreters"` // 0: no limit
	StackSize       int64    `json:"stack_size"`       // of each thread
	// Threads of embedded applications; started with the first such request.
	// QueueLength and QueueTimeout are as in Group.
	Threads      int           `json:"threads"`
	QueueLength  int           `json:"queue_length"`
	QueueTimeout time.Duration `json:"queue_timeout"`
	// Restricted: requests for %{GLOBAL} are refused; the Python is for scripts
	// that the router itself asks.
	Restricted bool `json:"restricted,omitempty"`
	// DeadlockTimeout is that of scripts where there is none; 0:
	// 300 s.
	DeadlockTimeout time.Duration `json:"deadlock_timeout,omitempty"`
	// Preload is imported when the router starts, in this order, before the
	// first request for %{GLOBAL}.
	Preload []Import `json:"preload,omitempty"`
	// Scripts that %{GLOBAL} may run (the router's own script table).
	Scripts []ScriptRule `json:"scripts,omitempty"`
}

// Import is a script and the interpreter that imports it, "" the main one.
type Import struct {
	Application string `json:"application"`
	Path        string `json:"path"`
}

// ScriptRule allows a process to run one file, or the files below a directory.
type ScriptRule struct {
	Path      string `json:"path"`
	Directory bool   `json:"directory"`
}

// Limits bound what a peer can make the router hold.
type Limits struct {
	MaxHeaderBytes int           `json:"max_header_bytes"` // PARAMS of a request
	MaxConnections int           `json:"max_connections"`  // front connections at once
	IdleTimeout    time.Duration `json:"idle_timeout"`     // of a kept FastCGI connection; 0: none
}
