package apacheconf

import (
	"path"
	"strconv"
	"strings"
)

// daemonOptionNames are those of WSGIDaemonProcess in mod_wsgi 4, 5 and 6
// (behaviour spec section 2).
var daemonOptionNames = []string{
	"processes", "threads", "display-name", "user", "group", "supplementary-groups", "umask", "home", "chroot", "lang", "locale",
	"python-home", "python-path", "python-eggs", "switch-interval", "script-user", "script-group", "cpu-time-limit", "cpu-priority",
	"memory-limit", "virtual-memory-limit", "stack-size", "server-metrics", "connect-timeout", "socket-timeout", "queue-timeout",
	"listen-backlog", "socket-user", "send-buffer-size", "receive-buffer-size", "header-buffer-size", "response-buffer-size",
	"response-socket-timeout", "response-flush-delay", "maximum-requests", "restart-interval", "inactivity-timeout", "startup-timeout",
	"request-timeout", "interrupt-timeout", "deadlock-timeout", "graceful-timeout", "eviction-timeout", "shutdown-timeout",
	"newrelic-config-file", "newrelic-environment", // until mod_wsgi 4
}

// Daemon is a WSGIDaemonProcess.
type Daemon struct {
	Item    *Item
	Name    string
	Host    *Host // that declares it; the main server's serves all
	Options []DaemonOption
}

// DaemonOption is one option as it is written; of several of a name the last counts.
type DaemonOption struct{ Name, Value string }

// Option is its value; given is false if it is not there.
func (d *Daemon) Option(name string) (value string, given bool) {
	for _, o := range d.Options {
		if o.Name == name {
			value, given = o.Value, true
		}
	}
	return value, given
}

// newDaemon reads a directive that was checked.
func newDaemon(i *Item, host *Host) *Daemon {
	d := &Daemon{Item: i, Name: i.Words[0], Host: host}
	for _, word := range i.Words[1:] {
		name, value, _ := strings.Cut(word, "=")
		d.Options = append(d.Options, DaemonOption{name, value})
	}
	return d
}

// Atoi reads a number as C's atoi does, which mod_wsgi uses: 15s is 15, abc is 0.
func Atoi(text string) int { return number(text, 32) }

// Number reads what an option of WSGIDaemonProcess is given: limits of memory are
// read as C's atol does.
func Number(option, text string) int {
	if option == "memory-limit" || option == "virtual-memory-limit" {
		return number(text, 64)
	}
	return Atoi(text)
}

func number(text string, bits int) int {
	text = strings.TrimLeft(text, " \t\n\v\f\r")
	end := 0
	if text != "" && (text[0] == '-' || text[0] == '+') {
		end = 1
	}
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(text[:end], 10, bits)
	if err != nil && n == 0 {
		return 0
	}
	return int(n)
}

// numbers are options that are read as whole numbers.
var numbers = map[string]int{ // with the least that is taken
	"processes": 1, "threads": 0, "cpu-time-limit": 0, "cpu-priority": -20, "memory-limit": 0, "virtual-memory-limit": 0, "stack-size": 0,
	"connect-timeout": 0, "socket-timeout": 0, "queue-timeout": 0, "listen-backlog": 1, "send-buffer-size": 0, "receive-buffer-size": 0,
	"header-buffer-size": 0, "response-buffer-size": 0, "response-socket-timeout": 0, "response-flush-delay": 0, "maximum-requests": 0,
	"restart-interval": 0, "inactivity-timeout": 0, "startup-timeout": 0, "request-timeout": 0, "interrupt-timeout": 0,
	"deadlock-timeout": 0, "graceful-timeout": 0, "eviction-timeout": 0, "shutdown-timeout": 0,
}

// buffers are options of which 0 is what is usual, and other values have a least.
var buffers = map[string]int{"send-buffer-size": 512, "receive-buffer-size": 512, "header-buffer-size": 8192, "response-buffer-size": 65536}

// maxThreads of one process.
const maxThreads = 65533

// lint finds what Apache refuses, and what it takes and its author did not mean.
func (d *Daemon) lint(m *Model) {
	for _, o := range d.Options {
		least, number := numbers[o.Name]
		n := Number(o.Name, o.Value)
		switch {
		case number && n < least:
			m.fail(d.Item.Problem("", "%s=%s: at least %d", o.Name, o.Value, least))
		case number && n > 0 && n < buffers[o.Name]:
			m.fail(d.Item.Problem("take it out, or write 0 for what is usual", "%s=%s: at least %d", o.Name, o.Value, buffers[o.Name]))
		case o.Name == "threads" && n > maxThreads:
			m.fail(d.Item.Problem("", "threads=%s: at most %d", o.Value, maxThreads))
		case number && strconv.Itoa(n) != o.Value:
			m.warn(d.Item.Problem("write "+o.Name+"="+strconv.Itoa(n), "%s=%s is read as %d", o.Name, o.Value, n))
		case o.Name == "umask" && !octal(o.Value):
			m.fail(d.Item.Problem("write such as umask=0022", "umask=%s is no octal number", o.Value))
		case o.Name == "server-metrics" && !flag(o.Value):
			m.fail(d.Item.Problem("write On or Off", "server-metrics=%s is neither On nor Off", o.Value))
		case o.Name == "switch-interval" && !positive(o.Value):
			m.fail(d.Item.Problem("write such as switch-interval=0.005", "switch-interval=%s is no number of seconds above 0", o.Value))
		case o.Name == "user" && (o.Value == "root" || o.Value == "#0"):
			m.fail(d.Item.Problem("write another user", "user=%s: no application runs as root", o.Value))
		case o.Name == "python-path":
			d.lintPath(m, o.Value)
		case o.Name == "python-home":
			lintHome(m, d.Item, o.Name, o.Value)
		case o.Name == "display-name" && strings.ContainsAny(o.Value, "%{}") && o.Value != "%{GROUP}":
			m.warn(d.Item.Problem("write display-name=%{GROUP}", "display-name=%s is taken as it is", o.Value))
		case (o.Name == "home" || o.Name == "chroot") && !path.IsAbs(o.Value):
			m.fail(d.Item.Problem("write an absolute path", "%s=%s", o.Name, o.Value))
		}
	}
	_, user := d.Option("script-user")
	if _, group := d.Option("script-group"); user && group {
		m.fail(d.Item.Problem("take one of them out", "script-user and script-group exclude each other"))
	}
}

// lintPath looks at python-path: what people put there instead of python-home.
func (d *Daemon) lintPath(m *Model, value string) {
	_, home := d.Option("python-home")
	for _, dir := range strings.Split(value, ":") {
		base := path.Base(path.Clean(dir))
		switch {
		case (base == "site-packages" || base == "dist-packages") && !home && !strings.HasPrefix(dir, "/usr/"):
			venv := path.Clean(dir + "/../../..")
			m.warn(d.Item.Problem("write python-home="+venv+" and take it out of python-path", "python-path names %s of a virtual environment: its own Python and .pth files are not used", base))
			home = true // said once
		case base == "bin":
			m.warn(d.Item.Problem("write python-home="+path.Dir(path.Clean(dir)), "python-path=%s: programs lie there and no modules", dir))
		case strings.HasPrefix(dir, "$"):
			m.warn(d.Item.Problem("write the directories out", "%s in python-path is taken as it is", dir))
		}
	}
}

// lintHome looks at a Python prefix.
func lintHome(m *Model, i *Item, name, value string) {
	clean := path.Clean(value)
	prefix := ""
	switch base := path.Base(clean); {
	case base == "site-packages" || base == "dist-packages":
		prefix = path.Clean(clean + "/../../..")
	case base == "lib" || base == "bin" || base == "lib64":
		prefix = path.Dir(clean)
	case strings.HasPrefix(base, "python") && path.Base(path.Dir(clean)) == "bin":
		prefix = path.Clean(clean + "/../..")
	case strings.HasPrefix(base, "python") && strings.HasPrefix(path.Base(path.Dir(clean)), "lib"):
		prefix = path.Clean(clean + "/../..")
	}
	if prefix != "" {
		m.fail(i.Problem("write the directory of the virtual environment: "+prefix, "%s=%s is no prefix of a Python: nothing would start", name, value))
	}
}
