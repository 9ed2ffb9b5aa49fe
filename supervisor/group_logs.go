package supervisor

import (
	"fmt"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/logwriter"
)

// groupLogs are the log files of process groups, each open once, whichever groups
// and generations write to it.
type groupLogs struct {
	mu      sync.Mutex
	loggers map[string]hclog.Logger // by path, format and level
	ends    []func()
}

// logger gives the logger of a file. Those that are lost while it cannot be
// written are told to instead.
func (l *groupLogs) logger(name string, c *config.Log, instead hclog.Logger) (hclog.Logger, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := name + "\x00" + c.Format + "\x00" + c.Level
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
func (l *groupLogs) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, end := range l.ends {
		end()
	}
	l.ends, l.loggers = nil, nil
}

// outputLog is where what the processes of the group write goes: the file that
// error_log names, or while that cannot be opened the log of wsgid.
func (g *group) outputLog() hclog.Logger {
	if g.config.ErrorLog == "" {
		return g.log
	}
	logger, err := g.files.logger(g.config.ErrorLog, g.globalLog, g.log)
	if err != nil {
		g.log.Error("error_log cannot be opened: what the group writes goes here", "error", err)
		return g.log
	}
	return logger.Named("worker").With("group", g.config.Name)
}
