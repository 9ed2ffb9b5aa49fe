package config

import (
	"path/filepath"
	"time"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// DefaultFile is the configuration file when none is named.
const DefaultFile = "/etc/wsgid/wsgid.hcl"

// defaultListener: timeouts long enough for a slow client, short enough that a
// silent one does not hold a connection for ever. backlog: Linux's somaxconn.
func defaultListener(kind ListenerKind) Listener {
	l := Listener{
		Kind:          kind,
		Backlog:       4096,
		HeaderTimeout: 20 * time.Second,
		BodyTimeout:   60 * time.Second,
	}
	switch kind {
	case ListenUnix:
		l.Mode = 0o660
	case ListenHTTP:
		l.IdleTimeout = 75 * time.Second
	}
	return l
}

// defaultRouter: the user is found by the supervisor.
func defaultRouter() Router {
	return Router{
		PythonOptions:  defaultPythonOptions(),
		Threads:        25,
		QueueLength:    1024,
		QueueTimeout:   45 * time.Second,
		MaxHeaderBytes: 64 * kib,
		RequestOptions: defaultRequestOptions(),
		MaxConnections: 16384,
	}
}

// defaultDaemonProcess: mod_wsgi's values (mod_wsgi behaviour 2) where it has
// one that is good, else those that mod_wsgi-express generates.
func defaultDaemonProcess() DaemonProcess {
	return DaemonProcess{
		Processes:          1,
		Threads:            15,
		Umask:              0o022,
		Lang:               "C.UTF-8",
		ListenBacklog:      1024,
		QueueLength:        1024,
		QueueTimeout:       45 * time.Second,
		StartupTimeout:     60 * time.Second,
		DeadlockTimeout:    300 * time.Second,
		SocketTimeout:      90 * time.Second, // more than BodyTimeout, whose answer is the better one
		ShutdownTimeout:    5 * time.Second,
		GracefulTimeout:    15 * time.Second,
		NoNewPrivileges:    true,
		MaxSurge:           1,
		Scaling:            ScalingStatic,
		ReloadOnError:      ReloadFail,
		PythonOptions:      defaultPythonOptions(),
		DestroyInterpreter: true,
	}
}

// defaultPythonOptions: an interpreter costs 4 to 10 MB, and a client that may
// choose names (%{HOST}) must not be able to fill the memory with them.
func defaultPythonOptions() PythonOptions {
	return PythonOptions{StackSize: 8 * mib, MaxInterpreters: 64}
}

// defaultScriptAlias: what depends on other blocks is filled in by
// resolveScriptAlias.
func defaultScriptAlias() ScriptAlias {
	return ScriptAlias{
		ApplicationGroup: "%{GLOBAL}",
		CallableObject:   "application",
		ScriptReloading:  true,
	}
}

func defaultImportScript() ImportScript { return ImportScript{ApplicationGroup: "%{GLOBAL}"} }

// defaultDispatch: the user is found by the supervisor.
func defaultDispatch() Dispatch { return Dispatch{Isolation: IsolationNone} }

func defaultDispatchScript() DispatchScript {
	return DispatchScript{
		Default:         true,
		Concurrency:     16,
		Timeout:         10 * time.Second,
		DeadlockTimeout: 300 * time.Second,
		OnLoadError:     LoadErrorLastGood,
		ScriptReloading: true,
	}
}

// defaultControl: an ordinary user has no /run/wsgid.
func defaultControl(identity Identity) Control {
	return Control{Path: DefaultControlPath(identity), Mode: 0o600}
}

// DefaultControlPath is where the control socket of this identity lies unless
// the configuration says otherwise.
func DefaultControlPath(identity Identity) string {
	if identity.Root() || identity.RuntimeDir == "" {
		return "/run/wsgid/control.sock"
	}
	return filepath.Join(identity.RuntimeDir, "wsgid", "control.sock")
}

func defaultTracing() Tracing {
	return Tracing{Traceparent: TraceparentAccept, Sample: 1, ServiceName: "wsgid", Timeout: 10 * time.Second}
}

func defaultLog() Log {
	return Log{Format: "text", Level: "info", Destination: "stderr"}
}
