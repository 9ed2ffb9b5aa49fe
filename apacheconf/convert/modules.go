package convert

import (
	"path"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
)

// neededModules are those of Apache that the result needs, in the order in which
// they are loaded.
var neededModules = []string{"alias", "env", "proxy", "proxy_fcgi"}

// modules replaces mod_wsgi by the modules that the result needs, and asks for
// them where mod_wsgi was asked for.
func (c *converter) modules() {
	loaded := false
	for _, i := range c.all {
		if !i.Is("LoadModule") || len(i.Words) < 2 || i.Words[0] != "wsgi_module" {
			continue
		}
		var lines []string
		if !loaded {
			lines = c.loadLines(c.needs(), path.Dir(i.Words[1]))
			if c.asked() {
				lines = append(lines, c.providerLines()...)
			}
		}
		loaded = true
		c.commentOut(i.Item, lines...)
		c.report(i.Item, Converted, "modules %s instead, where they are missing", strings.Join(c.needs(), ", "))
	}
	if !loaded && c.asked() {
		c.replace(c.mainFile(), 0, 0, layOut(c.mainFile(), 0, c.providerLines()))
		c.note("Apache needs the modules authnz_fcgi and setenvif as well.")
	}
	if !loaded {
		c.note("Apache needs the modules alias, env, proxy and proxy_fcgi (on Debian: a2enmod proxy_fcgi), and no longer wsgi.")
	}
	for _, i := range c.config.Conditions {
		if !i.Is("IfModule") {
			continue
		}
		name, negated := strings.CutPrefix(strings.TrimSpace(i.Args), "!")
		if apacheconf.ModuleName(strings.Trim(strings.TrimSpace(name), `"'`)) != "wsgi_module" || i.Held == negated {
			continue // mod_wsgi was not loaded when this was read, and is not now
		}
		argument := "proxy_fcgi_module"
		if negated {
			argument = "!" + argument
		}
		c.replace(i.File, i.Node.Start, i.Node.OpenEnd, indent(i.File, i.Node.Start)+"<IfModule "+argument+">"+lineEnd(i.File))
		c.report(i, Converted, "<IfModule %s>", argument)
	}
}

// needs are the modules that the result needs.
func (c *converter) needs() []string {
	if c.asked() {
		return append(neededModules[:len(neededModules):len(neededModules)], "setenvif", "authnz_fcgi")
	}
	return neededModules
}

// loadLines are LoadModule lines for those modules of which none is loaded.
func (c *converter) loadLines(names []string, dir string) []string {
	for _, i := range c.all { // beside the others: mod_wsgi may lie in a Python environment
		if i.Is("LoadModule") && len(i.Words) > 1 && i.Words[0] != "wsgi_module" {
			dir = path.Dir(i.Words[1])
			break
		}
	}
	var lines []string
	for _, name := range names {
		if !c.config.Modules[name+"_module"] {
			lines = append(lines,
				"<IfModule !"+name+"_module>",
				"    LoadModule "+name+"_module "+apacheconf.Quote(path.Join(dir, "mod_"+name+".so")),
				"</IfModule>")
		}
	}
	return lines
}

// proxyBlock tells mod_proxy how to keep connections to wsgid, at the end of all.
func (c *converter) proxyBlock() {
	options := "enablereuse=on flushpackets=on iobuffersize=65528"
	if seconds := c.patience(); seconds != "" {
		options += " timeout=" + seconds
	}
	lines := append([]string{
		"",
		"# wsgid: connections are kept, and responses passed on as they come.",
		"<Proxy " + quoted(c.backend()) + " " + options + ">",
		"</Proxy>",
	}, c.mainLines...)
	c.atEnd(c.mainFile(), nil, lines...)
}

// patience is how long Apache waits for wsgid, where its own Timeout is not it:
// the longest socket-timeout of a group, or that Timeout where a ProxyTimeout
// stands for other proxies. Empty: nothing needs to be said.
func (c *converter) patience() string {
	longest := 0
	for _, d := range c.model.Daemons {
		if value, given := d.Option("socket-timeout"); given {
			longest = max(longest, apacheconf.Atoi(value))
		}
	}
	timeout, proxy := "60", false
	for _, i := range c.all {
		switch {
		case i.Is("Timeout") && len(i.Words) == 1 && i.Parent == nil:
			timeout = i.Words[0]
		case i.Is("ProxyTimeout"):
			proxy = true
		}
	}
	switch {
	case longest > apacheconf.Atoi(timeout):
		return itoa(longest)
	case proxy:
		return timeout
	}
	return ""
}

// quoted is a word in quotes.
func quoted(word string) string {
	if q := apacheconf.Quote(word); strings.HasPrefix(q, `"`) {
		return q
	}
	return `"` + word + `"`
}
