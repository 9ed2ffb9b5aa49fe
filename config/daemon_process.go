package config

import (
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxMemory bounds limits of memory: more than any machine has.
const maxMemory = 1 << 50

// daemonProcessOptions are those of daemon_process "name" { … }.
func (d *decoder) daemonProcessOptions(p *DaemonProcess) options {
	return options{
		"processes":               d.integer(&p.Processes, 1, MaxProcesses),
		"threads":                 d.integer(&p.Threads, 0, maxThreads),
		"user":                    d.str(&p.User),
		"group":                   d.str(&p.Group),
		"supplementary_groups":    d.list(&p.SupplementaryGroups),
		"umask":                   d.umask(&p.Umask),
		"home":                    d.str(&p.Home),
		"environment":             d.environment(&p.Environment),
		"env_file":                d.str(&p.EnvFile),
		"lang":                    d.str(&p.Lang),
		"locale":                  d.str(&p.Locale),
		"listen_backlog":          d.integer(&p.ListenBacklog, 1, 65535),
		"queue_length":            d.integer(&p.QueueLength, 0, maxQueueLength),
		"queue_timeout":           d.duration(&p.QueueTimeout),
		"connect_timeout":         d.duration(&p.ConnectTimeout),
		"response_socket_timeout": d.duration(&p.ResponseSocketTimeout),
		"startup_timeout":         d.duration(&p.StartupTimeout),
		"socket_timeout":          d.duration(&p.SocketTimeout),
		"maximum_requests":        d.integer(&p.MaximumRequests, 0, 1<<31-1),
		"maximum_requests_jitter": d.integer(&p.MaximumRequestsJitter, 0, 1<<31-1),
		"restart_interval":        d.duration(&p.RestartInterval),
		"display_name":            d.str(&p.DisplayName),
		"error_log":               d.str(&p.ErrorLog),
		"log_level":               d.str(&p.LogLevel),
		"log_format":              d.str(&p.LogFormat),
		"cpu_priority":            d.integer(&p.CPUPriority, -20, 19),
		"cpu_time_limit":          d.duration(&p.CPUTimeLimit),
		"memory_limit":            d.size(&p.MemoryLimit, 0, maxMemory),
		"virtual_memory_limit":    d.size(&p.VirtualMemoryLimit, 0, maxMemory),
		"memory_soft_limit":       d.size(&p.MemorySoftLimit, 0, maxMemory),
		"eviction_timeout":        d.duration(&p.EvictionTimeout),
		"inactivity_timeout":      d.duration(&p.InactivityTimeout),
		"deadlock_timeout":        d.duration(&p.DeadlockTimeout),
		"slow_request":            d.duration(&p.SlowRequest),
		"request_timeout":         d.duration(&p.RequestTimeout),
		"interrupt_timeout":       d.duration(&p.InterruptTimeout),
		"shutdown_timeout":        d.duration(&p.ShutdownTimeout),
		"graceful_timeout":        d.duration(&p.GracefulTimeout),
		"no_new_privileges":       d.boolean(&p.NoNewPrivileges),
		"scaling":                 d.str((*string)(&p.Scaling)),
		"min_processes":           d.integer(&p.MinProcesses, 1, MaxProcesses),
		"min_spare":               d.integer(&p.MinSpare, 0, MaxProcesses),
		"max_spare":               d.integer(&p.MaxSpare, 0, MaxProcesses),
		"idle_timeout":            d.duration(&p.IdleTimeout),
		"max_surge":               d.integer(&p.MaxSurge, 1, 1000),
		"reload_on_error":         d.str((*string)(&p.ReloadOnError)),
		"watch":                   d.list(&p.Watch),
		"script_user":             d.str(&p.ScriptUser),
		"script_group":            d.str(&p.ScriptGroup),
		"destroy_interpreter":     d.boolean(&p.DestroyInterpreter),
	}.with(d.pythonOptions(&p.PythonOptions)).with(d.sandboxOptions(&p.Sandbox)).with(d.limitOptions(&p.Limits))
}

func (d *decoder) decodeDaemonProcess(block *hclsyntax.Block) {
	name, ok := d.label(block, "the name of the process group", `daemon_process "web"`)
	if !ok {
		return
	}
	p := defaultDaemonProcess()
	p.Name = name
	p.Range = d.decodeBody("daemon_process", block, d.daemonProcessOptions(&p), "landlock")
	if p.PrivateTmp && p.PrivateTmpSize == 0 {
		p.PrivateTmpSize = defaultPrivateTmpSize
	}
	d.decodeLandlock(block, &p)
	p.ProcessesSet = d.given(p.Range, "processes")
	d.scalingDefaults(&p)
	d.config.DaemonProcesses = append(d.config.DaemonProcesses, p)
}

// scalingDefaults fills in what has a meaning only if the group grows and shrinks.
func (d *decoder) scalingDefaults(p *DaemonProcess) {
	if p.Scaling == ScalingDynamic && !d.given(p.Range, "min_processes") {
		p.MinProcesses = 1
	}
	if p.Scaling == ScalingDynamic && !d.given(p.Range, "max_spare") {
		p.MaxSpare = 1
	}
	if !d.given(p.Range, "max_spare") {
		p.MaxSpare = max(p.MaxSpare, p.MinSpare)
	}
	if p.Elastic() && !d.given(p.Range, "idle_timeout") {
		p.IdleTimeout = 10 * time.Second
	}
}
