package convert

import (
	"path"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
)

// optionKind is how the value of an option of WSGIDaemonProcess is written.
type optionKind uint8

const (
	asText optionKind = iota
	asNumber
	asTime // seconds; 0 is no limit in both
	asPaths
	asList
	asSeconds // with a fraction
	asMode
)

// daemonOptions are options that have a twin of the same name, with _ for -.
var daemonOptions = map[string]optionKind{
	"processes": asNumber, "threads": asNumber, "display-name": asText, "supplementary-groups": asList, "umask": asMode, "home": asText,
	"chroot": asText, "lang": asText, "locale": asText, "python-home": asText, "python-path": asPaths, "python-eggs": asText,
	"switch-interval": asSeconds, "script-user": asText, "script-group": asText, "cpu-time-limit": asTime, "cpu-priority": asNumber,
	"memory-limit": asNumber, "virtual-memory-limit": asNumber, "connect-timeout": asTime, "socket-timeout": asTime,
	"queue-timeout": asTime, "response-socket-timeout": asTime, "maximum-requests": asNumber, "restart-interval": asTime,
	"inactivity-timeout": asTime, "startup-timeout": asTime, "request-timeout": asTime, "interrupt-timeout": asTime,
	"deadlock-timeout": asTime, "graceful-timeout": asTime, "eviction-timeout": asTime,
}

// withoutTwin are those that wsgid does not have, and why not.
var withoutTwin = map[string]string{
	"socket-user":          "only wsgid's router reaches the sockets of groups",
	"listen-backlog":       "requests wait in wsgid's queue (queue_length), not in the backlog",
	"send-buffer-size":     "the kernel chooses the size",
	"receive-buffer-size":  "the kernel chooses the size",
	"header-buffer-size":   "a header line may be as long as Apache takes it, 8190 bytes",
	"response-buffer-size": "responses are passed on as they come",
	"response-flush-delay": "responses are passed on as they come",
	"server-metrics":       "mod_wsgi.server_metrics() tells of Apache's own processes, and gives None in wsgid",
	"newrelic-config-file": "New Relic's agent is started in the script, or by newrelic-admin",
	"newrelic-environment": "New Relic's agent is started in the script, or by newrelic-admin",
	"user":                 "",
	"group":                "",
	"shutdown-timeout":     "",
	"stack-size":           "",
}

// daemons writes a daemon_process for each WSGIDaemonProcess.
func (c *converter) daemons() {
	for _, d := range c.model.Daemons {
		b := &block{kind: "daemon_process", label: d.Name, comment: "From " + d.Item.Position().String() + "."}
		left := c.daemonOptions(b, d)
		c.daemonLog(b, d)
		c.blocks = append(c.blocks, b)
		c.commentOut(d.Item)
		where := "daemon_process " + text(d.Name)
		if len(left) > 0 {
			where += "; without " + strings.Join(left, "; ")
		}
		c.report(d.Item, Converted, "%s", where)
	}
	if name := c.options.EmbeddedGroup; name != "" {
		b := &block{kind: "daemon_process", label: name, comment: "For what ran in Apache itself (--embedded-to-group)."}
		c.account(b, "", "")
		c.daemonDefaults(b)
		if i := c.first("WSGIPythonPath"); i != nil {
			b.list("python_path", paths(i.Words[0]))
		}
		c.blocks = append(c.blocks, b)
	}
}

// daemonDefaults are those of mod_wsgi where they are others than wsgid's, and what
// stands at server level for all.
func (c *converter) daemonDefaults(b *block) {
	b.number("connect_timeout", 15)
	b.number("queue_timeout", 0)
	b.number("startup_timeout", 0)
	b.number("max_interpreters", 0)
	if i := c.first("WSGIPythonHome"); i != nil {
		b.text("python_home", i.Words[0])
	}
	if i := c.first("WSGISlowRequests"); i != nil {
		b.text("slow_request", i.Words[0]+"s")
	}
	c.commonPython(b)
	if i := c.first("WSGIDestroyInterpreter"); i != nil && !on(i) {
		b.truth("destroy_interpreter", false)
	}
}

// account sets user and group: without them those of Apache, a group never being
// that of the user (behaviour spec 2.1).
func (c *converter) account(b *block, user, group string) {
	if user == "" {
		user = c.user
	}
	if group == "" {
		if group = c.group; group == "" && user != "" && user != c.user {
			c.note("Which group Apache runs as is not said in this configuration: process group %s gets the primary group of %s, where mod_wsgi takes Apache's. Set group of its daemon_process if that matters.", b.label, user)
		}
	}
	if user != "" {
		b.text("user", user)
	}
	if group != "" {
		b.text("group", group)
	}
}

// daemonOptions sets the options of a group, mod_wsgi's defaults where they
// are others than wsgid's; it gives those that have none, with the reason.
func (c *converter) daemonOptions(b *block, d *apacheconf.Daemon) (left []string) {
	user, _ := d.Option("user")
	group, _ := d.Option("group")
	c.account(b, user, group)
	c.daemonDefaults(b)
	told := map[string]bool{}
	for _, o := range d.Options {
		value, _ := d.Option(o.Name) // the last of several
		if told[o.Name] {
			continue
		}
		told[o.Name] = true
		name := strings.ReplaceAll(o.Name, "-", "_")
		if kind, ok := daemonOptions[o.Name]; ok {
			c.daemonOption(b, name, value, kind)
			continue
		}
		switch why := withoutTwin[o.Name]; {
		case why != "":
			left = append(left, o.Name+" ("+why+")")
		case o.Name == "shutdown-timeout":
			if n := apacheconf.Atoi(value); n > 0 {
				b.number(name, n)
			} else {
				b.text(name, "8760h") // no limit
			}
		case o.Name == "stack-size":
			switch n := apacheconf.Atoi(value); {
			case n > 0 && n < 256<<10:
				b.text(name, "256KiB")
				left = append(left, "stack-size="+value+" (256 KiB, the least)")
			case n > 0:
				b.number(name, n)
			}
		}
	}
	if value, given := d.Option("interrupt-timeout"); given && apacheconf.Atoi(value) > 0 {
		if limit, _ := d.Option("request-timeout"); apacheconf.Atoi(limit) == 0 {
			b.set("interrupt_timeout", "0")
			left = append(left, "interrupt-timeout (it has no effect without request-timeout)")
		}
	}
	return left
}

func (c *converter) daemonOption(b *block, name, value string, kind optionKind) {
	switch kind {
	case asText:
		b.text(name, value)
	case asNumber, asTime:
		b.number(name, apacheconf.Number(strings.ReplaceAll(name, "_", "-"), value))
	case asPaths:
		var list []string
		for _, dir := range paths(value) {
			if !path.IsAbs(dir) {
				c.note("python-path of process group %s names %q, which is no absolute path and was of no use: it is left out.", b.label, dir)
				continue
			}
			list = append(list, dir)
		}
		if list != nil {
			b.list(name, list)
		}
	case asList:
		b.list(name, strings.FieldsFunc(value, func(r rune) bool { return r == ',' }))
	case asSeconds:
		b.set(name, value)
	case asMode:
		b.text(name, "0"+strings.TrimLeft(value, "0"))
	}
}
