package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// control validates the control block.
func (v *validator) control(c *Control) {
	v.socketPath(c.Range, "path", c.Path)
	v.absolute(c.Range, "pid_file", c.PIDFile)
	v.owner(c.Range, c.Owner, c.Group)
	if c.Mode&0o002 != 0 {
		v.add(v.place(c.Range, "mode"), "Socket is world-writable", "With mode %04o every user of this machine could stop wsgid: use \"0600\", or \"0660\" and a group.", c.Mode)
	}
	for i := range v.config.Listeners {
		if l := &v.config.Listeners[i]; l.Kind == ListenUnix && l.Path == c.Path {
			v.add(v.place(l.Range, "path"), "Duplicate listener", "%s is the path of the control socket.", l.Path)
		}
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
	if !slices.Contains(logLevels, l.Level) {
		v.add(v.place(l.Range, "level"), "Wrong value", "level is trace, debug, info, warn or error; %q is none of them%s", l.Level, didYouMean(l.Level, logLevels))
	}
	if l.Destination != "stderr" {
		v.absoluteOr(l, "stderr")
	}
	v.errorLog(l.Range, l.ErrorLog)
}

// errorLog validates an error_log of the block.
func (v *validator) errorLog(block hcl.Range, name string) {
	at := v.place(block, "error_log")
	switch {
	case name == "":
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

// absoluteOr validates a destination that is a path or the word given.
func (v *validator) absoluteOr(l *Log, word string) {
	if len(l.Destination) == 0 || l.Destination[0] != '/' {
		v.add(v.place(l.Range, "destination"), "Wrong value", "destination is %q or an absolute path; %q is neither.", word, l.Destination)
	}
}
