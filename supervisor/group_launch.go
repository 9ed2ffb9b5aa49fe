package supervisor

import (
	"strconv"

	"github.com/wsgid/wsgid/internal/boot"
)

// launch is the boot block and environment of the group's next process,
// without descriptors of its own (docs/internals.md section 1).
func (g *group) launch() (*launch, error) {
	env, err := workerEnvironment(g.identity, g.config)
	if err != nil {
		return nil, err
	}
	c := g.config
	spec := &launch{identity: g.identity, env: env, stdin: g.socket}
	b := &spec.block
	b.Set("role", "worker")
	setIdentity(b, g.identity)
	b.SetInt("umask", int64(c.Umask))
	if c.Home != "" {
		b.Set("chdir", c.Home)
		b.Set("home", c.Home)
	} else {
		b.Set("chdir", orRoot(g.identity.Home))
		b.Set("chdir.fallback", "/")
	}
	b.SetBool("no_new_privs", c.NoNewPrivileges)
	b.SetBool("dumpable", true)
	b.SetInt("fd.listen", 0)
	b.Set("name", c.Name)
	b.SetInt("threads", int64(c.Threads))
	b.SetBool("multiprocess", c.ProcessesSet || c.Processes > 1)
	b.SetInt("router_uid", int64(g.router.UID))
	b.SetInt("stack_size", c.StackSize)
	b.SetOptional("python", c.Python)
	b.SetOptional("python_home", c.PythonHome)
	b.SetList("python_path", c.PythonPath)
	b.SetInt("socket_timeout", c.SocketTimeout.Milliseconds())
	b.SetInt("shutdown_timeout", c.ShutdownTimeout.Milliseconds())
	b.SetList("rule.file", g.rules.files)
	b.SetList("rule.dir", g.rules.directories)
	b.SetList("preload", g.rules.preload)
	return spec, nil
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
