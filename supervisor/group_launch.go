package supervisor

import (
	"cmp"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/boot"
)

// launch is the boot block and environment of the group's next process,
// without descriptors of its own (docs/internals.md section 1). retried are
// scripts that others could not import; trial: it serves only when it is told to.
func (g *group) launch(retried map[scriptKey]bool, trial bool) (*launch, error) {
	env, err := workerEnvironment(g.identity, g.config)
	if err != nil {
		return nil, err
	}
	c := g.config
	spec := &launch{identity: g.identity, env: env, name: displayName(c)}
	if g.socket != nil {
		spec.stdin = g.socket.file
	}
	b := &spec.block
	b.Set("role", "worker")
	setIdentity(b, g.identity)
	b.SetInt("umask", int64(c.Umask))
	if c.CPUPriority != 0 {
		b.SetInt("nice", int64(c.CPUPriority))
	}
	if limit := int64(c.CPUTimeLimit / time.Second); limit > 0 {
		b.SetInt("cpu_time_limit", limit)
		b.SetInt("cpu_time_killed", limit+1+int64((c.GracefulTimeout+c.ShutdownTimeout)/time.Second))
	}
	if c.MemoryLimit > 0 {
		b.SetInt("memory_limit", c.MemoryLimit)
	}
	if c.VirtualMemoryLimit > 0 {
		b.SetInt("virtual_memory_limit", c.VirtualMemoryLimit)
	}
	if spec.cgroup, err = g.ownCgroup(); err != nil {
		return nil, err
	}
	setRlimits(b, c.Rlimits)
	if c.Home != "" {
		b.Set("chdir", c.Home)
		b.Set("home", c.Home)
	} else {
		b.Set("chdir", orRoot(g.identity.Home))
		b.Set("chdir.fallback", "/")
	}
	b.SetBool("no_new_privs", c.NoNewPrivileges)
	setSandbox(b, &c.Sandbox)
	b.SetBool("dumpable", true)
	if !c.Service() {
		b.SetInt("fd.listen", 0)
	}
	b.Set("name", c.Name)
	b.SetInt("threads", int64(c.Threads))
	b.SetBool("multiprocess", c.ProcessesSet || c.Processes > 1 || g.atMost() > 1)
	b.SetInt("router_uid", int64(g.router.UID))
	b.SetInt("stack_size", c.StackSize)
	b.SetOptional("python", c.Python)
	b.SetOptional("python_home", c.PythonHome)
	b.SetInt("socket_timeout", c.SocketTimeout.Milliseconds())
	b.SetList("python_path", g.interpreters.pythonPath)
	b.SetList("python_argument", pythonArguments(&c.PythonOptions))
	b.SetList("python_variable", pythonVariables(&c.PythonOptions))
	b.SetOptional("locale", c.Locale)
	b.SetInt("max_interpreters", int64(c.MaxInterpreters))
	b.SetBool("free_threading", g.interpreters.freeThreading)
	b.SetList("interpreter", g.interpreters.settings)
	b.SetBool("destroy_interpreter", c.DestroyInterpreter)
	if g.scripts.uid >= 0 {
		b.SetInt("script_uid", int64(g.scripts.uid))
	}
	if g.scripts.gid >= 0 {
		b.SetInt("script_gid", int64(g.scripts.gid))
	}
	b.SetInt("shutdown_timeout", c.ShutdownTimeout.Milliseconds())
	b.SetInt("maximum_requests", maximumRequests(c))
	b.SetInt("inactivity_timeout", c.InactivityTimeout.Milliseconds())
	b.SetInt("deadlock_timeout", c.DeadlockTimeout.Milliseconds())
	b.SetInt("request_timeout", c.RequestTimeout.Milliseconds())
	b.SetInt("request_limit", requestLimit(c).Milliseconds())
	b.SetInt("interrupt_timeout", c.InterruptTimeout.Milliseconds())
	b.SetList("rule.file", g.rules.files)
	b.SetList("rule.dir", g.rules.directories)
	for _, p := range g.preloads {
		b.Set("preload", p.Application+"\t"+p.Path)
	}
	for key := range retried {
		b.Set("retry", key.application+"\t"+key.path)
	}
	if trial {
		b.SetBool("trial", true)
	}
	b.Set("reload_on_error", string(c.ReloadOnError))
	b.SetList("watch", insideAll(&c.Sandbox, c.Watch))
	return spec, nil
}

// setRlimits adds limits of the process, in the order of their names.
func setRlimits(b *boot.Block, limits map[string]int64) {
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		value := "unlimited"
		if n := limits[name]; n != config.Unlimited {
			value = strconv.FormatInt(n, 10)
		}
		b.Set("rlimit", name+"="+value)
	}
}

// displayName is what ps shows of the group's processes; empty: the usual.
func displayName(c *config.DaemonProcess) string {
	if c.DisplayName == "%{GROUP}" {
		return "(wsgi:" + c.Name + ")"
	}
	return c.DisplayName
}

// maximumRequests is after how many requests the next process is to be
// replaced; 0: never.
func maximumRequests(c *config.DaemonProcess) int64 {
	return int64(c.MaximumRequests) + rand.Int64N(int64(c.MaximumRequestsJitter)+1)
}

// requestLimit is how long a single request may run: more of them at once may
// each take longer (mod_wsgi behaviour 2.4).
func requestLimit(c *config.DaemonProcess) time.Duration {
	return time.Duration(float64(c.RequestTimeout) * (1 + math.Log(float64(max(1, c.Threads)))))
}

// setIdentity adds the switch of user, if there is one.
func setIdentity(b *boot.Block, id identity) {
	if !id.Switch {
		return
	}
	b.SetInt("uid", int64(id.UID))
	b.SetInt("gid", int64(id.GID))
	for _, gid := range id.Groups {
		b.Set("group", strconv.Itoa(gid))
	}
}

func orRoot(dir string) string {
	if dir == "" {
		return "/"
	}
	return dir
}

// output takes what a process of the group writes: error_log of the group has all of
// it, without one each virtual host has what belongs to its requests.
func (g *group) output(pid int) *logSink {
	child := &childLog{g.log.With("pid", pid), g.errorLogs, cmp.Or(g.config.LogFormat, g.globalLog.Format), cmp.Or(g.config.LogLevel, g.globalLog.Level)}
	if own := g.config.ErrorLog; own != "" {
		return child.to(own)
	}
	return child.sink(g.globalLog.ErrorLog)
}
