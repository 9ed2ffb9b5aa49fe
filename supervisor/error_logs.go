package supervisor

import (
	"crypto/rand"
	"fmt"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/logwriter"
)

// errorLogs are the files that error_log names, each open once, whichever groups,
// virtual hosts and generations write to it.
type errorLogs struct {
	log     hclog.Logger            // what is said of them
	general *logwriter.Output       // of wsgid; nil: nobody knows
	options logwriter.OutputOptions // level and format of the log
	set     logwriter.Set           // all that are open, that of wsgid included

	opening sync.Mutex // held while a file is opened

	mu      sync.Mutex
	outputs map[string]*logwriter.Output // by path
	keys    map[string]string            // by path
	paths   map[string]string            // by key
}

// key gives the word by which a record says that the virtual host of its request
// has this file. Nobody can guess it: a process knows those of the hosts that it has
// served, and can write to no other. Empty for no file.
func (l *errorLogs) key(name string) string {
	if name == "" {
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.keys[name] == "" {
		if l.keys == nil {
			l.keys, l.paths = map[string]string{}, map[string]string{}
		}
		key := rand.Text()
		l.keys[name], l.paths[key] = key, name
	}
	return l.keys[name]
}

// path is the file of a key; empty: it is none.
func (l *errorLogs) path(key string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.paths[key]
}

// opened gives the file of the name, nil if it is not open.
func (l *errorLogs) opened(name string) *logwriter.Output {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.outputs[name]
}

// output gives the file of the name. raw: lines of applications alone are written.
func (l *errorLogs) output(name string, raw bool) (*logwriter.Output, error) {
	if output := l.opened(name); output != nil {
		return output, nil
	}
	// A disk that hangs keeps those waiting who want another file, and nobody else.
	l.opening.Lock()
	defer l.opening.Unlock()
	if output := l.opened(name); output != nil {
		return output, nil
	}
	options := l.options
	options.Name = name
	options.Failed = func(err error) {
		l.log.Error("error_log cannot be written, its lines are lost", "error_log", name, "error", err)
	}
	options.Recovered = func(lines uint64) {
		l.log.Warn("error_log can be written again, lines are missing there", "error_log", name, "lines", lines)
	}
	output, err := openErrorLog(options, raw)
	if err != nil {
		return nil, fmt.Errorf("error_log: %w", err)
	}
	l.set.Add(output)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.outputs == nil {
		l.outputs = map[string]*logwriter.Output{}
	}
	l.outputs[name] = output
	return output, nil
}

func openErrorLog(o logwriter.OutputOptions, raw bool) (*logwriter.Output, error) {
	if service, ok, err := logwriter.ParseService(o.Name); err != nil {
		return nil, err //nolint:wrapcheck // by output
	} else if ok {
		return logwriter.NewService(service, o) //nolint:wrapcheck // by output
	}
	f, err := logwriter.OpenFile(o.Name, true)
	if err != nil {
		return nil, err //nolint:wrapcheck // by output
	}
	o.File, o.Quiet = f, raw
	return logwriter.NewOutput(f, o), nil
}

// close writes what is left.
func (l *errorLogs) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, output := range l.outputs {
		output.Close()
	}
	l.outputs = nil
}

// childLog is where goes what one child of the supervisor writes.
type childLog struct {
	log   hclog.Logger // of wsgid, with what tells the child
	files *errorLogs
	// format and level of what it writes, as in config.Log; raw: applications alone.
	format, level string
}

// sink takes what the child writes: what belongs to no virtual host with an
// error_log of its own goes to the file named, without one to the log of wsgid.
func (c *childLog) sink(name string) *logSink {
	s := c.to(name)
	s.hosts, s.hostLogs = c, map[string]*logSink{}
	return s
}

// to gives the sink for a file, or while that cannot be opened for the log of wsgid.
func (c *childLog) to(name string) *logSink {
	raw := c.format == config.LogRaw
	output := c.files.general
	if name != "" {
		file, err := c.files.output(name, raw)
		if err != nil {
			c.log.Error("error_log cannot be opened: what would be written to it goes here", "error", err)
		} else {
			output = file
		}
	}
	s := &logSink{log: c.log, json: c.format == "json" || output != nil && output.Events()}
	switch {
	case output == nil:
	case raw && !output.Events(): // what wsgid says of the child is not written among it
		s.raw, s.json = output, c.files.options.JSON || c.files.general != nil && c.files.general.Events()
	default:
		s.log = output.Logger(s.json).ResetNamed(c.log.Name()).With(c.log.ImpliedArgs()...)
	}
	if level := hclog.LevelFromString(c.level); level != hclog.NoLevel && s.log != c.log {
		s.log.SetLevel(level)
	}
	return s
}
