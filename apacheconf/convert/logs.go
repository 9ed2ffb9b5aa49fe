package convert

import (
	"path"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
)

// mod_wsgi writes what concerns a request to the ErrorLog of its host, also in
// daemon mode, unless the process group is declared in a host: that one's has all
// of it. What concerns no request goes to the ErrorLog of the main server (mod_wsgi
// behaviour section 4.4).

// mainLog has what concerns no host logged where the main server logs.
func (c *converter) mainLog() {
	name := c.main().errorLog
	if name == "" { // Apache's default, if this is a whole configuration
		name = path.Join(c.config.ServerRoot, "logs/error_log")
		if info, err := c.options.FS.Stat(path.Dir(name)); err != nil || !info.IsDir() {
			return
		}
	}
	b := &block{kind: "log"}
	if c.errorLog(b, name, "The main server") {
		c.blocks = append(c.blocks, b)
	}
}

// hostLog has what concerns requests of a host logged where that one logs.
func (c *converter) hostLog(b *block, s *site) {
	if s != c.main() && s.errorLog != "" && s.errorLog != c.main().errorLog {
		c.errorLog(b, s.errorLog, "The virtual host "+s.id)
	}
}

// daemonLog has a group log where the host logs that declares it.
func (c *converter) daemonLog(b *block, d *apacheconf.Daemon) {
	for _, s := range c.sites {
		if s.host == d.Host && s != c.main() && s.errorLog != "" {
			c.errorLog(b, s.errorLog, "The virtual host "+s.id)
		}
	}
}

// errorLog writes the option, unless only Apache can write there.
func (c *converter) errorLog(b *block, name, whose string) bool {
	if strings.HasPrefix(name, "/dev/") || strings.HasPrefix(name, "/proc/") || strings.HasPrefix(name, "|") || name == "syslog" || strings.HasPrefix(name, "syslog:") || strings.Contains(name, "${") {
		c.note("%s has the ErrorLog %s, which is no file that wsgid can write: what applications write goes to the log of wsgid.", whose, name)
		return false
	}
	if !path.IsAbs(name) {
		name = path.Join(c.config.ServerRoot, name)
	}
	b.text("error_log", name)
	return true
}
