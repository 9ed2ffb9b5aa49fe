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
	mu      sync.Mutex
	loggers map[string]hclog.Logger // by path and level
	keys    map[string]string       // by path
	paths   map[string]string       // by key
	ends    []func()
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

// logger gives the logger of a file. Those that are lost while it cannot be
// written are told to instead.
func (l *errorLogs) logger(name string, c *config.Log, instead hclog.Logger) (hclog.Logger, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := name + "\x00" + c.Level
	if logger := l.loggers[key]; logger != nil {
		return logger, nil
	}
	f, err := logwriter.OpenFile(name, true)
	if err != nil {
		return nil, fmt.Errorf("error_log: %w", err)
	}
	logger, end := logwriter.Logger(hclog.LoggerOptions{Name: "wsgid", Level: hclog.LevelFromString(c.Level), JSONFormat: c.Format == "json"}, f, func(err error) {
		instead.Error("error_log cannot be written, its lines are lost", "error_log", name, "error", err)
	})
	if l.loggers == nil {
		l.loggers = map[string]hclog.Logger{}
	}
	l.loggers[key] = logger
	l.ends = append(l.ends, func() { end(); f.Close() })
	return logger, nil
}

// close writes what is left.
func (l *errorLogs) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, end := range l.ends {
		end()
	}
	l.ends, l.loggers = nil, nil
}

// childLog is where goes what one child of the supervisor writes.
type childLog struct {
	log    hclog.Logger // of wsgid, with what tells the child
	files  *errorLogs
	global *config.Log // whose format and level the files have
	json   bool        // as in logSink
}

// to gives the logger of a file, or while that cannot be opened the log of wsgid.
func (c *childLog) to(name string) hclog.Logger {
	if name == "" {
		return c.log
	}
	logger, err := c.files.logger(name, c.global, c.log)
	if err != nil {
		c.log.Error("error_log cannot be opened: what would be written to it goes here", "error", err)
		return c.log
	}
	return logger.ResetNamed(c.log.Name()).With(c.log.ImpliedArgs()...)
}

// sink takes what the child writes: what belongs to no virtual host with an
// error_log of its own goes to the file named, without one to the log of wsgid.
func (c *childLog) sink(name string) *logSink {
	return &logSink{log: c.to(name), json: c.json, hosts: c, hostLogs: map[string]hclog.Logger{}}
}
