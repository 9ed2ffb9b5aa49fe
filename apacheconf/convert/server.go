package convert

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
)

func itoa(n int) string { return strconv.Itoa(n) }

// server converts what concerns all of wsgid: the listener, the router, which
// stands for the Python inside Apache, and the options of interpreters.
func (c *converter) server() {
	listen := &block{kind: "listen", label: "unix"}
	listen.text("path", c.options.Socket)
	listen.truth("trust_front_server", true)
	c.router = &block{kind: "router", comment: "What ran in Apache itself runs here, and Python scripts that are asked about requests."}
	if c.user != "" {
		c.router.text("user", c.user)
	}
	if c.group != "" {
		c.router.text("group", c.group)
	}
	c.router.number("queue_timeout", 0)
	c.router.number("max_interpreters", 0)
	c.router.text("max_header_bytes", "1MiB")
	c.blocks = []*block{listen, c.router}
	c.mainLog()
	c.pythonOptions()
	c.interpreters()
	for name, items := range c.model.Others {
		for _, i := range items {
			if why := notNeeded[name]; why != "" {
				c.commentOut(i)
				c.report(i, NotNeeded, "%s", why)
			}
		}
	}
}

// notNeeded are directives of the whole that nothing has to do.
var notNeeded = map[string]string{
	"WSGISocketPrefix":     "Apache reaches wsgid by its listener; sockets of process groups are wsgid's own affair",
	"WSGISocketRotation":   "the sockets of wsgid outlive a restart of Apache",
	"WSGIAcceptMutex":      "the router chooses the process",
	"WSGIVerboseDebugging": "it has no effect in mod_wsgi either",
	"WSGIServerMetrics":    "mod_wsgi.server_metrics() tells of Apache's own processes, and gives None in wsgid",
	"WSGITelemetryService": "wsgid status and wsgid status --json tell of requests and processes",
	"WSGITelemetryOptions": "wsgid status and wsgid status --json tell of requests and processes",
}

// pythonOptions reads the directives about Python that stand at server level.
func (c *converter) pythonOptions() {
	done := func(i *apacheconf.Item, where string) {
		c.commentOut(i)
		c.report(i, Converted, "%s", where)
	}
	if i := c.first("WSGIPythonHome"); i != nil {
		c.router.text("python_home", i.Words[0])
		done(i, "router python_home, and of groups without one of their own")
	}
	if i := c.first("WSGIPythonPath"); i != nil {
		c.router.list("python_path", paths(i.Words[0]))
		done(i, "router python_path")
	}
	if i := c.first("WSGIPythonEggs"); i != nil {
		c.router.text("python_eggs", i.Words[0])
		done(i, "router python_eggs")
	}
	if i := c.first("WSGISwitchInterval"); i != nil {
		c.router.set("switch_interval", i.Words[0])
		done(i, "router switch_interval")
	}
	if i := c.first("WSGISlowRequests"); i != nil {
		done(i, "slow_request of the groups")
	}
	if i := c.first("WSGIPythonOptimize"); i != nil {
		done(i, "python_optimize of router and groups")
	}
	if i := c.first("WSGIDontWriteBytecode"); i != nil {
		done(i, "python_dont_write_bytecode of router and groups")
	}
	if i := c.first("WSGIDestroyInterpreter"); i != nil {
		done(i, "destroy_interpreter of the groups")
	}
	if i := c.first("WSGIPythonHashSeed"); i != nil {
		done(i, "python_hash_seed of router and groups")
		if strings.EqualFold(i.Words[0], "random") {
			c.note("%s: WSGIPythonHashSeed random gives the seed 0 in mod_wsgi, and a random one in wsgid.", i.Position())
		}
	}
	for _, i := range c.model.Others["WSGIPythonWarnings"] {
		done(i, "python_warnings of router and groups")
	}
	if i := c.first("WSGIRestrictEmbedded"); i != nil {
		if on(i) {
			c.router.truth("restrict_embedded", true)
		}
		done(i, "router restrict_embedded")
	}
	if i := c.first("WSGICaseSensitivity"); i != nil {
		c.router.truth("case_sensitivity", on(i))
		done(i, "router case_sensitivity")
	}
	c.commonPython(c.router)
}

// first is the directive of that name at server level that counts, which is the last
// one, or the first of those that add up; nil: there is none.
func (c *converter) first(name string) *apacheconf.Item {
	if items := c.model.Others[name]; len(items) > 0 {
		return items[0]
	}
	return nil
}

func on(i *apacheconf.Item) bool { return strings.EqualFold(i.Words[0], "On") }

// commonPython sets what stands at server level and holds for embedded Python and
// for groups.
func (c *converter) commonPython(b *block) {
	if i := c.first("WSGIPythonOptimize"); i != nil {
		b.number("python_optimize", min(2, max(0, apacheconf.Atoi(i.Words[0]))))
	}
	if i := c.first("WSGIDontWriteBytecode"); i != nil {
		b.truth("python_dont_write_bytecode", on(i))
	}
	if i := c.first("WSGIPythonHashSeed"); i != nil {
		if strings.EqualFold(i.Words[0], "random") {
			b.text("python_hash_seed", "random")
		} else if seed, err := strconv.ParseUint(i.Words[0], 10, 32); err == nil { // which was checked
			b.set("python_hash_seed", strconv.FormatUint(seed, 10))
		}
	}
	var warnings []string
	for _, i := range c.model.Others["WSGIPythonWarnings"] {
		warnings = append(warnings, i.Words[0])
	}
	if warnings != nil {
		b.list("python_warnings", warnings)
	}
}

// paths splits a list of directories.
func paths(value string) []string {
	var list []string
	for _, dir := range strings.Split(value, ":") {
		if dir != "" {
			list = append(list, dir)
		}
	}
	return list
}

// interpreterOptions are directives of <WSGIInterpreterOptions>, or of all.
var interpreterOptions = []struct{ directive, option string }{
	{"WSGIPerInterpreterGIL", "per_interpreter_gil"}, {"WSGIFreeThreading", "free_threading"}, {"WSGIRestrictStdin", "restrict_stdin"},
	{"WSGIRestrictStdout", "restrict_stdout"}, {"WSGIRestrictSignal", "restrict_signal"},
}

// interpreters converts what selects interpreters, and what holds for all of them.
func (c *converter) interpreters() {
	all := &block{kind: "interpreter_options"}
	for _, o := range interpreterOptions {
		for _, i := range c.model.Others[o.directive] {
			all.truth(o.option, on(i))
			c.commentOut(i)
			c.report(i, Converted, "interpreter_options %s", o.option)
		}
	}
	if len(all.options) > 0 {
		c.blocks = append(c.blocks, all)
	}
	for _, section := range c.model.Interpreters {
		b := &block{kind: "interpreter_options", comment: "From " + section.Position().String() + "."}
		for _, name := range []string{"process-group", "application-group"} {
			if value, given := section.Option(name, 0); given {
				b.text(strings.ReplaceAll(name, "-", "_"), c.interpreterGroup(value, name))
			}
		}
		for _, i := range section.Children {
			for _, o := range interpreterOptions {
				if i.Is(o.directive) {
					b.truth(o.option, on(i))
				}
			}
			switch {
			case i.Is("WSGIPythonPath"):
				b.list("python_path", paths(i.Words[0]))
			case i.Is("WSGISwitchInterval"):
				b.set("switch_interval", i.Words[0])
			}
			c.commentOut(i)
			c.report(i, Converted, "interpreter_options")
		}
		c.commentOut(section)
		c.report(section, Converted, "interpreter_options")
		c.blocks = append(c.blocks, b)
	}
}

func (c *converter) interpreterGroup(value, kind string) string {
	if kind == "process-group" {
		return c.processGroup(value)
	}
	return applicationGroup(value)
}

// processGroup is the name of a process group in wsgid: what ran in Apache may have
// been given one, and there is none that nobody has declared.
func (c *converter) processGroup(value string) string {
	if value == "" || value == "%{GLOBAL}" {
		if c.options.EmbeddedGroup != "" {
			return c.options.EmbeddedGroup
		}
		return "%{GLOBAL}"
	}
	if expansion.MatchString(value) {
		return value
	}
	name := literalName(value)
	declared := slices.ContainsFunc(c.model.Daemons, func(d *apacheconf.Daemon) bool { return d.Name == value })
	if !declared && name != c.options.EmbeddedGroup && !slices.Contains(c.undeclared, name) {
		c.undeclared = append(c.undeclared, name)
	}
	return name
}

// applicationGroup is the name of an interpreter in wsgid.
func applicationGroup(value string) string {
	if value == "" || expansion.MatchString(value) {
		return cmp.Or(value, "%{GLOBAL}")
	}
	return literalName(value)
}

// literalName is a name that looks like an expansion and is none, as it is after a
// typing error: wsgid takes no such name.
func literalName(value string) string {
	if strings.HasPrefix(value, "%") {
		return "_" + value[1:]
	}
	return value
}

// undeclaredGroups declares the process groups that are used and that nobody has
// declared: in a part of a configuration the declaration stands in another part.
func (c *converter) undeclaredGroups() {
	for _, name := range c.undeclared {
		b := &block{kind: "daemon_process", label: name, comment: "Used, and declared nowhere in this configuration: set its options."}
		c.account(b, "", "")
		c.daemonDefaults(b)
		c.blocks = append(c.blocks, b)
		c.note("Process group %q is used and declared nowhere, which was a 500 for its requests. It is declared in wsgid.hcl, with the default options.", name)
	}
}
