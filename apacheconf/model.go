package apacheconf

import (
	"strings"
)

// Model is mod_wsgi's part of a configuration.
type Model struct {
	Config *Config
	// Hosts: the main server first, then the <VirtualHost>s.
	Hosts   []*Host
	Daemons []*Daemon
	// Others are directives of mod_wsgi at server level that concern the whole:
	// by name the last one, of WSGIPythonWarnings all.
	Others map[string][]*Item
	// Interpreters are the <WSGIInterpreterOptions>.
	Interpreters []*Item
	// Errors are what Apache would not start with, or every request fails with;
	// Warnings what it takes and hardly anybody means.
	Errors, Warnings []*SyntaxError
}

// Host is the main server or a virtual host.
type Host struct {
	Section    *Item  // nil: the main server
	ServerName string // as it is written; empty: none
	Aliases    []string
	// Mounts of its own in the order in which they are tried.
	Mounts []*Mount
	// Imports and Handlers (WSGIHandlerScript) of its own.
	Imports, Handlers []*Item
	Scope             // of the host itself
	// Scopes are its directory contexts that hold something of mod_wsgi.
	Scopes []*Scope
}

// Mount is a WSGIScriptAlias or WSGIScriptAliasMatch.
type Mount struct {
	Item        *Item
	Match       bool
	URL, Target string
}

// Option is the value of process-group, application-group, callable-object or
// pass-authorization.
func (m *Mount) Option(name string) (value string, given bool) { return m.Item.Option(name, 2) }

// Scope holds what mod_wsgi's request directives say in one place.
type Scope struct {
	Section  *Item // nil: the main server
	Settings map[string]*Item
}

// Value is the first word of a setting; given is false if it is not there.
func (s *Scope) Value(name string) (value string, given bool) {
	item := s.Settings[name]
	if item == nil || len(item.Words) == 0 {
		return "", false
	}
	return item.Words[0], true
}

// NewModel reads mod_wsgi's directives. What is wrong is in Errors and Warnings.
func NewModel(c *Config) *Model {
	m := &Model{Config: c, Others: map[string][]*Item{}}
	main := &Host{Scope: Scope{Settings: map[string]*Item{}}}
	m.Hosts = []*Host{main}
	m.read(c.Items, main, &main.Scope)
	m.lint()
	return m
}

func (m *Model) fail(e *SyntaxError) { m.Errors = append(m.Errors, e) }
func (m *Model) warn(e *SyntaxError) { m.Warnings = append(m.Warnings, e) }

// read goes through items of a host, in a scope.
func (m *Model) read(items []*Item, host *Host, scope *Scope) {
	for _, i := range items {
		known, k, problem := i.check(false)
		switch {
		case problem != nil:
			m.fail(problem)
			if known == "WSGIDaemonProcess" && len(i.Words) > 0 { // whoever uses it makes no mistake
				m.Daemons = append(m.Daemons, &Daemon{Item: i, Name: i.Words[0], Host: host})
			}
		case k.form == nothing && known != "":
			m.warn(i.Problem("take it out", "%s is gone: %s", known, k.removed))
		case known != "":
			m.take(known, k, i, host, scope)
		case i.Node.Kind == Section && i.Is("VirtualHost"):
			h := &Host{Section: i, Scope: Scope{Section: i, Settings: map[string]*Item{}}}
			m.Hosts = append(m.Hosts, h)
			m.read(i.Children, h, &h.Scope)
		case i.Node.Kind == Section && i.DirectoryContext():
			s := &Scope{Section: i, Settings: map[string]*Item{}}
			before := len(host.Scopes)
			m.read(i.Children, host, s)
			if len(s.Settings) > 0 { // before those inside it
				host.Scopes = append(host.Scopes[:before:before], append([]*Scope{s}, host.Scopes[before:]...)...)
			}
			m.lintSection(i)
		case i.Node.Kind == Section && !i.Is("Macro"):
			m.read(i.Children, host, scope)
		case i.Is("ServerName") && len(i.Words) == 1 && i.Parent == host.Section:
			host.ServerName = i.Words[0]
		case i.Is("ServerAlias") && i.Parent == host.Section:
			host.Aliases = append(host.Aliases, i.Words...)
		}
	}
}

// take keeps a directive that was checked.
func (m *Model) take(known string, k kind, i *Item, host *Host, scope *Scope) {
	switch known {
	case "WSGIDaemonProcess":
		m.declare(newDaemon(i, host))
	case "WSGIScriptAlias", "WSGIScriptAliasMatch":
		mount := &Mount{Item: i, Match: known == "WSGIScriptAliasMatch", URL: i.Words[0], Target: i.Words[1]}
		m.lintMount(host, mount)
		host.Mounts = append(host.Mounts, mount)
	case "WSGIImportScript":
		for _, name := range groupOptions {
			if _, given := i.Option(name, 1); !given {
				m.fail(i.Problem("add it", "WSGIImportScript needs %s=", name))
			}
		}
		m.declared(i, host, 1)
		host.Imports = append(host.Imports, i)
	case "WSGIHandlerScript":
		host.Handlers = append(host.Handlers, i)
	case "WSGIInterpreterOptions":
		m.Interpreters = append(m.Interpreters, i)
		for _, child := range i.Children {
			if _, _, problem := child.check(false); problem != nil {
				m.fail(problem)
			} else if !OfWSGI(child.Name) {
				m.fail(child.Problem("move it", "%s may not stand in <WSGIInterpreterOptions>", child.Name))
			}
		}
	case "WSGIAccessScript", "WSGIAuthUserScript", "WSGIAuthGroupScript":
		m.lintGuard(i)
		m.set(known, k, i, scope)
	default:
		m.set(known, k, i, scope)
	}
}

// set keeps a directive of a request context, or one of the whole.
func (m *Model) set(known string, k kind, i *Item, scope *Scope) {
	if k.context&inHost == 0 && k.context&inDir == 0 {
		if known == "WSGIPythonHome" {
			lintHome(m, i, known, i.Words[0])
		}
		if known == "WSGIPythonWarnings" {
			m.Others[known] = append(m.Others[known], i)
			return
		}
		m.Others[known] = []*Item{i}
		return
	}
	if before := scope.Settings[known]; before != nil && k.form != more && strings.Join(before.Words, " ") != strings.Join(i.Words, " ") {
		m.warn(i.Problem("take one of them out", "%s stands here twice, and the last one counts; the other one is in %s", known, before.Position()))
	}
	if before := scope.Settings[known]; before != nil && (known == "WSGITrustedProxies" || known == "WSGITrustedProxyHeaders") {
		both := *i // in one context they add up
		both.Words = append(before.Words[:len(before.Words):len(before.Words)], i.Words...)
		i = &both
	}
	scope.Settings[known] = i
}

// declare adds a process group.
func (m *Model) declare(d *Daemon) {
	if before := m.daemon(d.Name); before != nil {
		m.fail(d.Item.Problem("declare it once, such as before the first <VirtualHost>, and use it in all", "process group %s is declared already, in %s", d.Name, before.Item.Position()))
		return
	}
	d.lint(m)
	m.Daemons = append(m.Daemons, d)
}

func (m *Model) daemon(name string) *Daemon {
	for _, d := range m.Daemons {
		if d.Name == name {
			return d
		}
	}
	return nil
}

// declared checks what Apache checks when it reads a directive that preloads a
// script: the group must stand before it, and be the host's or the main server's.
func (m *Model) declared(i *Item, host *Host, n int) {
	group, _ := i.Option("process-group", n)
	application, both := i.Option("application-group", n)
	if group == "" || !both || group == "%{GLOBAL}" {
		return
	}
	// An alias preloads nothing if a request chooses; a script to import has no request.
	if !i.Is("WSGIImportScript") && (fixed(group) == "" || strings.HasPrefix(application, "%{") && application != "%{GLOBAL}") {
		return
	}
	d := m.daemon(group)
	switch {
	case d == nil:
		m.fail(i.Problem("write WSGIDaemonProcess "+group+" before it", "process group %s is not yet configured", group))
	case d.Host != m.Hosts[0] && d.Host != host && !sameName(d.Host, host):
		m.fail(i.Problem("declare it outside of <VirtualHost>", "process group %s is not accessible here: it is declared in the virtual host of %s", group, d.Item.Position()))
	}
}

// fixed is a name of a process group that no request changes; empty: there is none.
func fixed(group string) string {
	if strings.HasPrefix(group, "%{") {
		return ""
	}
	return group
}

// sameName says whether two hosts are one site (behaviour spec 4.4).
func sameName(a, b *Host) bool { return a.ServerName != "" && a.ServerName == b.ServerName }
