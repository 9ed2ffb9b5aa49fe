package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/wsgid/wsgid/internal/logwriter"
)

// control validates the control block.
func (v *validator) control(c *Control) {
	v.socketPath(c.Range, "path", c.Path)
	v.absolute(c.Range, "pid_file", c.PIDFile)
	v.owner(c.Range, c.Owner, c.Group)
	if c.Mode&0o002 != 0 {
		v.add(v.place(c.Range, "mode"), "Socket is world-writable", "With mode %04o every user of this machine could stop wsgid: use \"0600\", or \"0660\" and a group.", c.Mode)
	}
	v.admins(c)
	for i := range v.config.Listeners {
		if l := &v.config.Listeners[i]; l.Kind == ListenUnix && l.Path == c.Path {
			v.add(v.place(l.Range, "path"), "Duplicate listener", "%s is the path of the control socket.", l.Path)
		}
	}
}

// admins validates who may do everything, and whether the socket lets them in.
func (v *validator) admins(c *Control) {
	good := true
	for _, name := range c.AdminUsers {
		good = v.account(c.Range, "admin_users", name) && good
	}
	for _, name := range c.AdminGroups {
		good = v.account(c.Range, "admin_groups", name) && good
	}
	if !good {
		return
	}
	if c.Mode&0o020 != 0 {
		for _, name := range c.AdminGroups {
			if name != c.Group {
				v.warn(v.place(c.Range, "admin_groups"), "No way to the socket",
					"Only members of the socket's group can connect: set group = %q, or see to it that all of %q are in that group, too.", name, name)
			}
		}
		return
	}
	shutOut := slices.Concat(slices.DeleteFunc(slices.Clone(c.AdminUsers), func(name string) bool { return name == c.Owner }), c.AdminGroups)
	if len(shutOut) > 0 {
		v.warn(v.place(c.Range, "mode"), "No way to the socket",
			"With mode %04o only the owner of the socket and root can connect, not %s: set mode = \"0660\" and group.", c.Mode, strings.Join(shutOut, ", "))
	}
}

var (
	logFormats = []string{"text", "json"}
	logLevels  = []string{"trace", "debug", "info", "warn", "error"}
)

// log validates the log block.
func (v *validator) log(l *Log) {
	if !slices.Contains(logFormats, l.Format) {
		v.add(v.place(l.Range, "format"), "Wrong value", "format is \"text\" or \"json\"; %q is neither.", l.Format)
	}
	v.logLevel(l.Range, "level", l.Level)
	if _, ok, err := logwriter.ParseService(l.Destination); err != nil {
		v.add(v.place(l.Range, "destination"), "Wrong value", "destination: %s.", err)
	} else if !ok && l.Destination != "stderr" && !filepath.IsAbs(l.Destination) {
		v.add(v.place(l.Range, "destination"), "Wrong value", "destination is \"stderr\", \"journal\", \"syslog\" or an absolute path; %q is none of them.", l.Destination)
	}
	v.errorLog(l.Range, l.ErrorLog)
}

func (v *validator) logLevel(block hcl.Range, option, level string) {
	if !slices.Contains(logLevels, level) {
		v.add(v.place(block, option), "Wrong value", "%s is trace, debug, info, warn or error; %q is none of them%s", option, level, didYouMean(level, logLevels))
	}
}

// groupLog validates where and how the group's lines are written.
func (v *validator) groupLog(p *DaemonProcess) {
	v.errorLog(p.Range, p.ErrorLog)
	if p.LogLevel != "" {
		v.logLevel(p.Range, "log_level", p.LogLevel)
	}
	if p.LogFormat != "" && p.LogFormat != LogRaw && !slices.Contains(logFormats, p.LogFormat) {
		v.add(v.place(p.Range, "log_format"), "Wrong value", "log_format is \"text\", \"json\" or \"raw\"; %q is none of them.", p.LogFormat)
	}
}

// errorLog validates an error_log of the block.
func (v *validator) errorLog(block hcl.Range, name string) {
	at := v.place(block, "error_log")
	_, service, err := logwriter.ParseService(name)
	switch {
	case name == "":
	case err != nil:
		v.add(at, "Wrong value", "error_log: %s.", err)
	case service:
	case !filepath.IsAbs(name):
		v.add(at, "Wrong value", "error_log is the absolute path of a file; %q is not.", name)
	case name == v.config.Log.Destination:
		v.warn(at, "The same log", "%s is the destination of the log already: take error_log out.", name)
	default:
		if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
			v.add(at, "No file", "error_log %s is no regular file: name one, or take it out for the log of wsgid.", name)
		}
		if info, err := os.Stat(filepath.Dir(name)); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
			v.warn(at, "No directory", "There is no directory %s: until there is, what would be written to it goes to the log of wsgid.", filepath.Dir(name))
		}
	}
}
