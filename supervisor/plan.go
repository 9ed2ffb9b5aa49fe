package supervisor

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"time"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/wire"
)

// plan is the configuration with every name looked up. Making one has no
// effect outside the process.
type plan struct {
	users     users
	powers    powers
	router    identity
	helper    *identity // nil: no dispatch helper
	monitor   *identity // nil: no monitor
	groups    []groupPlan
	listeners []listenerPlan
	control   ownership
	admins    admins
	wire      *wire.RouterConfig // addresses are completed when the sockets are open
	grace     time.Duration      // longest shutdown_timeout
}

type groupPlan struct {
	config       *config.DaemonProcess
	identity     identity
	rules        scriptTable
	preloads     []config.Preload
	scripts      ownership // of the scripts that it runs; -1: anybody's
	interpreters interpreters
	impossible   error // nil: it can run here
	unprotected  bool  // it runs without the Landlock that it wants
}

type listenerPlan struct {
	config *config.Listener
	ownership
	allowed []int
}

// ownership of a file; -1: as created, or anybody's.
type ownership struct{ uid, gid int }

func makePlan(cfg *config.Config, version string, u users) (*plan, error) {
	p := &plan{users: u, powers: currentPowers()}
	routerUser := cfg.Router.User
	if routerUser == "" && u.root() {
		routerUser = defaultRouterUser()
	}
	var err error
	if p.router, err = u.resolve(wanted{user: routerUser, group: cfg.Router.Group}); err != nil {
		return nil, fmt.Errorf("router: %w", err)
	}
	if err := p.addHelper(cfg); err != nil {
		return nil, err
	}
	if err := p.addMonitor(cfg.Monitor); err != nil {
		return nil, err
	}
	for i := range cfg.DaemonProcesses {
		p.addGroup(cfg, i, routerUser)
	}
	for i := range cfg.Listeners {
		if err := p.addListener(&cfg.Listeners[i]); err != nil {
			return nil, err
		}
	}
	if p.control, err = p.owner(cfg.Control.Owner, cfg.Control.Group); err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	socket := p.control
	if socket.uid < 0 {
		socket.uid = u.uid
	}
	if socket.gid < 0 {
		socket.gid = u.gid
	}
	if p.admins, err = lookupAdmins(&cfg.Control, socket); err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	p.wire = p.routerConfig(cfg, version)
	return p, nil
}

// addHelper looks the user of the dispatch helper up, if there is anything for
// it to do.
func (p *plan) addHelper(cfg *config.Config) error {
	d := cfg.DispatchHelper()
	if d == nil || !routerScripts(cfg) {
		return nil
	}
	name := wanted{user: d.User, group: d.Group}
	if name.user == "" && p.users.root() {
		name.user = "nobody"
	}
	id, err := p.users.resolve(name)
	if err != nil {
		return fmt.Errorf("dispatch: %w", err)
	}
	if d.User == "" && id.Switch && (id.UID == p.router.UID || id.GID == p.router.GID) {
		return fmt.Errorf("dispatch: scripts would run as user %s in group %d, and the router as user %s in group %d: name a user of their own with the option user",
			id.User, id.GID, p.router.User, p.router.GID)
	}
	p.helper = &id
	return nil
}

// addMonitor looks the user of the monitor up.
func (p *plan) addMonitor(c *config.Monitor) error {
	if c == nil {
		return nil
	}
	name := wanted{user: c.User, group: c.Group}
	if name.user == "" && p.users.root() {
		name.user = "nobody"
	}
	id, err := p.users.resolve(name)
	if err != nil {
		return fmt.Errorf("monitor: %w", err)
	}
	p.monitor = &id
	return nil
}

// addGroup adds a group. What this machine lacks for it concerns it alone.
func (p *plan) addGroup(cfg *config.Config, i int, routerUser string) {
	c := &cfg.DaemonProcesses[i]
	name := wanted{user: c.User, group: c.Group, supplementary: c.SupplementaryGroups}
	if name.user == "" && p.users.root() {
		name.user = routerUser
	}
	id, err := p.users.resolve(name)
	scripts, ownerErr := p.owner(c.ScriptUser, c.ScriptGroup)
	switch {
	case err != nil:
		id.User = name.user // to be shown
		err = fmt.Errorf("daemon_process %q: %w", c.Name, err)
	case ownerErr != nil:
		err = fmt.Errorf("daemon_process %q: whose scripts: %w", c.Name, ownerErr)
	}
	if refused := p.powers.refuse(&c.Sandbox); err == nil && refused != nil {
		err = fmt.Errorf("daemon_process %q: %w", c.Name, refused)
	}
	if refused := refuseLimits(c); err == nil && refused != nil {
		err = fmt.Errorf("daemon_process %q: %w", c.Name, refused)
	}
	g := groupPlan{
		config: c, identity: id, rules: scriptTableOf(cfg, c.Name), preloads: cfg.Preloads(c.Name), scripts: scripts,
		interpreters: interpretersOf(cfg, c.Name, &c.PythonOptions), impossible: err,
		unprotected: p.powers.unprotected(&c.Sandbox),
	}
	g.shutIn()
	p.groups = append(p.groups, g)
	p.grace = max(p.grace, c.ShutdownTimeout)
}

func (p *plan) addListener(c *config.Listener) error {
	l := listenerPlan{config: c, ownership: ownership{-1, -1}}
	if c.Kind == config.ListenUnix {
		var err error
		if l.ownership, err = p.owner(c.Owner, c.Group); err != nil {
			return fmt.Errorf("listen %q %s: %w", c.Kind, c.Path, err)
		}
		if c.Group == "" && p.users.root() {
			l.gid = p.router.GID
		}
		for _, name := range c.AllowedUIDs {
			id, err := lookupUser(name)
			if err != nil {
				return fmt.Errorf("listen %q %s: allowed_uids: %w", c.Kind, c.Path, err)
			}
			l.allowed = append(l.allowed, id.UID)
		}
	}
	p.listeners = append(p.listeners, l)
	return nil
}

// owner looks up the owner and group of a file.
func (p *plan) owner(user, group string) (ownership, error) {
	o := ownership{-1, -1}
	if user != "" {
		id, err := lookupUser(user)
		if err != nil {
			return o, err
		}
		o.uid = id.UID
	}
	if group != "" {
		gid, err := lookupGroup(group)
		if err != nil {
			return o, err
		}
		o.gid = gid
	}
	return o, nil
}

// routerConfig is everything that the router is told.
func (p *plan) routerConfig(cfg *config.Config, version string) *wire.RouterConfig {
	w := &wire.RouterConfig{
		Embedded: embeddedOf(cfg),
		Limits: wire.Limits{
			MaxHeaderBytes: cfg.Router.MaxHeaderBytes,
			MaxConnections: cfg.Router.MaxConnections,
		},
		FoldCase:       cfg.Router.FoldCase,
		KeepScriptsOut: p.helper != nil,
		Version:        version,
		LogLevel:       cfg.Log.Level,
	}
	files := accessPaths(cfg)
	for i, path := range files {
		w.AccessFiles = append(w.AccessFiles, wire.AccessFile{Path: path, FD: firstListener + len(p.listeners) + i})
	}
	w.AccessLogs = wireAccessLogs(cfg.AccessLogs, files)
	for i, l := range p.listeners {
		w.Listeners = append(w.Listeners, l.wire(firstListener+i))
	}
	for _, g := range p.groups {
		if g.config.Service() {
			continue
		}
		w.Groups = append(w.Groups, wire.Group{
			Name: g.config.Name, Processes: g.config.Processes, Threads: g.config.Threads,
			QueueLength: g.config.QueueLength, QueueTimeout: g.config.QueueTimeout,
			ConnectTimeout: g.config.ConnectTimeout, ResponseSocketTimeout: g.config.ResponseSocketTimeout,
			Elastic: g.config.Elastic(), SpareThreads: g.config.MinSpare * g.config.Threads,
		})
	}
	w.Tracing = wireTracing(cfg.Tracing)
	w.Mounts = wireMounts(cfg, cfg.ScriptAliases)
	w.AuthScripts, w.Auth = authScriptsOf(cfg), authOf(cfg, &cfg.Router.RequestOptions)
	w.ErrorDocuments = cfg.Router.ErrorDocuments
	for i := range cfg.VirtualHosts {
		h := &cfg.VirtualHosts[i]
		w.VirtualHosts = append(w.VirtualHosts, wire.VirtualHost{
			ID: h.ID, ServerName: h.ServerName(), Names: append([]string{h.Name}, h.ServerAlias...), Ports: h.Ports,
			Mounts: wireMounts(cfg, h.ScriptAliases), Inherited: wireMounts(cfg, h.Inherited),
			Auth: authOf(cfg, &h.RequestOptions), ErrorDocuments: h.ErrorDocuments,
			AccessLogs: wireAccessLogs(h.AccessLogs, files),
		})
	}
	for _, d := range cfg.DispatchScripts {
		w.DispatchScripts = append(w.DispatchScripts, wire.Script{
			Path: d.Path, ApplicationGroup: d.ApplicationGroup, Concurrency: d.Concurrency, Timeout: d.Timeout,
			DeadlockTimeout: d.DeadlockTimeout, OnLoadError: wire.OnLoadError(d.OnLoadError),
			ScriptReloading: d.ScriptReloading,
		})
	}
	return w
}

// wireTracing is the tracing block as the router is told of it.
func wireTracing(c *config.Tracing) *wire.Tracing {
	if c == nil {
		return nil
	}
	w := &wire.Tracing{Replace: c.Traceparent == config.TraceparentReplace, Sample: c.Sample}
	if c.Endpoint != "" {
		w.Endpoint, w.Headers, w.Timeout = c.SpansURL(), c.Headers, c.Timeout
		w.Resource = map[string]string{"service.name": c.ServiceName}
		maps.Copy(w.Resource, c.Resource)
	}
	return w
}

// wireMounts are mounts as the router is told of them.
func wireMounts(cfg *config.Config, mounts []config.ScriptAlias) []wire.Mount {
	var told []wire.Mount
	for i := range mounts {
		m := &mounts[i]
		told = append(told, wire.Mount{
			Prefix: m.Prefix, Match: m.Match, Root: m.Root, Handler: m.Handler, Target: m.Target, Directory: m.Directory, Append: m.Append,
			ProcessGroup: m.ProcessGroup, ApplicationGroup: m.ApplicationGroup, CallableObject: m.CallableObject,
			ScriptReloading: m.ScriptReloading, RequestBuffer: m.RequestBuffer, MaxBodyBytes: m.MaxBodyBytes,
			DropAuthorization: !m.PassAuthorization, RefuseChunked: !m.ChunkedRequest,
			MapHeadToGet:        m.MapHeadToGet == config.MapHeadOn,
			TrustedProxyHeaders: m.TrustedProxyHeaders, TrustedProxies: m.TrustedProxies,
			RestrictProcess: restricted(m.RestrictProcess), DispatchScript: m.DispatchScript, Priority: m.Priority,
			IgnoreActivity: m.IgnoreActivity, ErrorOverride: m.ErrorOverride, RefusePathInfo: !m.AcceptPathInfo,
			AllowOverride: m.Overrides(), ErrorDocuments: m.ErrorDocuments,
			Auth: authOf(cfg, &m.RequestOptions),
		})
	}
	return told
}

func (l *listenerPlan) wire(fd int) wire.Listener {
	c := l.config
	w := wire.Listener{
		Kind: wire.ListenerKind(c.Kind), FD: fd, Address: c.Address, AllowedUIDs: l.allowed,
		HeaderTimeout: c.HeaderTimeout, BodyTimeout: c.BodyTimeout, IdleTimeout: c.IdleTimeout,
		TrustFrontServer: c.TrustFrontServer,
		Authorizer:       c.Authorizer,
		NoResponder:      c.NoResponder, SeparateQuestions: c.SeparateQuestions,
	}
	if c.Kind == config.ListenUnix {
		w.Address = c.Path
	}
	if c.RequestIDHeader != "" {
		w.RequestIDHeader = "HTTP_" + strings.ToUpper(strings.ReplaceAll(c.RequestIDHeader, "-", "_"))
	}
	for _, prefix := range c.AllowedClients {
		w.AllowedClients = append(w.AllowedClients, netip.Prefix.String(prefix))
	}
	for _, s := range c.Static {
		w.Static = append(w.Static, wire.Static{Prefix: s.Prefix, Dir: s.Dir})
	}
	return w
}
