package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// daemonProcessBlock is daemon_process "name" { … }.
type daemonProcessBlock struct {
	Processes           *hcl.Attribute `hcl:"processes,optional"`
	Threads             *hcl.Attribute `hcl:"threads,optional"`
	User                *hcl.Attribute `hcl:"user,optional"`
	Group               *hcl.Attribute `hcl:"group,optional"`
	SupplementaryGroups *hcl.Attribute `hcl:"supplementary_groups,optional"`
	Umask               *hcl.Attribute `hcl:"umask,optional"`
	Home                *hcl.Attribute `hcl:"home,optional"`
	Environment         *hcl.Attribute `hcl:"environment,optional"`
	EnvFile             *hcl.Attribute `hcl:"env_file,optional"`
	Lang                *hcl.Attribute `hcl:"lang,optional"`
	Locale              *hcl.Attribute `hcl:"locale,optional"`
	Python              *hcl.Attribute `hcl:"python,optional"`
	PythonHome          *hcl.Attribute `hcl:"python_home,optional"`
	PythonPath          *hcl.Attribute `hcl:"python_path,optional"`
	StackSize           *hcl.Attribute `hcl:"stack_size,optional"`
	ListenBacklog       *hcl.Attribute `hcl:"listen_backlog,optional"`
	QueueLength         *hcl.Attribute `hcl:"queue_length,optional"`
	QueueTimeout        *hcl.Attribute `hcl:"queue_timeout,optional"`
	StartupTimeout      *hcl.Attribute `hcl:"startup_timeout,optional"`
	ShutdownTimeout     *hcl.Attribute `hcl:"shutdown_timeout,optional"`
	GracefulTimeout     *hcl.Attribute `hcl:"graceful_timeout,optional"`
	NoNewPrivileges     *hcl.Attribute `hcl:"no_new_privileges,optional"`
	Remain              hcl.Body       `hcl:",remain"`
}

func (d *decoder) decodeDaemonProcess(block *hclsyntax.Block) {
	name, ok := d.label(block, "the name of the process group", `daemon_process "web"`)
	if !ok {
		return
	}
	p := defaultDaemonProcess()
	p.Name = name
	var b daemonProcessBlock
	p.Range = d.decodeBody("daemon_process", block, &b)
	d.integer(b.Processes, &p.Processes, 1, 1000)
	p.ProcessesSet = d.given(p.Range, "processes")
	d.integer(b.Threads, &p.Threads, 1, maxThreads)
	d.str(b.User, &p.User)
	d.str(b.Group, &p.Group)
	d.list(b.SupplementaryGroups, &p.SupplementaryGroups)
	if umask, ok := d.octal(b.Umask); ok {
		p.Umask = umask
	}
	d.str(b.Home, &p.Home)
	d.environment(b.Environment, &p.Environment)
	d.str(b.EnvFile, &p.EnvFile)
	d.str(b.Lang, &p.Lang)
	d.str(b.Locale, &p.Locale)
	d.str(b.Python, &p.Python)
	d.str(b.PythonHome, &p.PythonHome)
	d.list(b.PythonPath, &p.PythonPath)
	// Below 256 KiB Python's own recursion check comes too late; above 1 GiB a
	// group of many threads does not fit into any address space limit.
	d.size(b.StackSize, &p.StackSize, 256*kib, gib)
	d.integer(b.ListenBacklog, &p.ListenBacklog, 1, 65535)
	d.integer(b.QueueLength, &p.QueueLength, 0, 1<<20)
	d.duration(b.QueueTimeout, &p.QueueTimeout)
	d.duration(b.StartupTimeout, &p.StartupTimeout)
	d.duration(b.ShutdownTimeout, &p.ShutdownTimeout)
	d.duration(b.GracefulTimeout, &p.GracefulTimeout)
	d.boolean(b.NoNewPrivileges, &p.NoNewPrivileges)
	d.config.DaemonProcesses = append(d.config.DaemonProcesses, p)
}
