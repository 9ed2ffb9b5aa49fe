package supervisor

import (
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/logwriter"
	"github.com/wsgid/wsgid/internal/wire"
)

// accessLogs are the files of access logs, each open once, whichever generations
// write to it.
type accessLogs struct {
	set logwriter.Set // all that are open

	mu  sync.Mutex
	all []*accessLog
}

// accessLog is one file, or standard output or error.
type accessLog struct {
	*logwriter.Output
	lost atomic.Uint64 // lines that have not come here
}

// count notes lines that have not come here.
func (a *accessLog) count(lines uint64) { a.lost.Add(lines) }

// Stats are those of the file, and what has not come here.
func (a *accessLog) Stats() logwriter.Stats {
	stats := a.Output.Stats()
	stats.Lost += a.lost.Load()
	return stats
}

// open gives the log of a path. The routers read nothing and open nothing: whoever
// may write to their pipes can write here what he likes, and nowhere else. It is not
// called twice at the same time.
func (l *accessLogs) open(path string, log hclog.Logger) (*accessLog, error) {
	for _, a := range l.opened() {
		if a.Name() == path {
			return a, nil
		}
	}
	destination, file := io.Writer(nil), (*logwriter.File)(nil)
	switch path {
	case "stdout":
		destination = os.Stdout
	case "stderr":
		destination = os.Stderr
	default:
		var err error
		if file, err = logwriter.OpenFile(path, true); err != nil { // a disk that hangs holds up nobody else
			return nil, fmt.Errorf("access_log: %w", err)
		}
		destination = file
	}
	a := newAccessLog(path, destination, file, log)
	l.set.Add(a)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, a)
	return a, nil
}

// newAccessLog writes to a destination, which is the file if there is one.
func newAccessLog(path string, destination io.Writer, file *logwriter.File, log hclog.Logger) *accessLog {
	return &accessLog{Output: logwriter.NewOutput(destination, logwriter.OutputOptions{
		Name: path, File: file, Quiet: true, // no line of another kind is among them
		Failed: func(err error) {
			log.Error("access log cannot be written, its lines are lost", "access_log", path, "error", err)
		},
		Recovered: func(lines uint64) {
			log.Warn("access log lines are missing: they could not be written", "access_log", path, "lines", lines)
		},
	})}
}

// opened are those that are open.
func (l *accessLogs) opened() []*accessLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

// lostLines counts what a router had no room for; it logs that itself.
func (l *accessLogs) lostLines(m *wire.LostLines) {
	for _, a := range l.opened() {
		if a.Name() == m.Path {
			a.count(m.Lines)
		}
	}
}

// close writes what is left.
func (l *accessLogs) close() {
	for _, a := range l.opened() {
		a.Close()
	}
}

// accessPaths are the files that the configuration names, each once.
func accessPaths(cfg *config.Config) []string {
	var paths []string
	add := func(logs []config.AccessLog) {
		for i := range logs {
			if !slices.Contains(paths, logs[i].Path) {
				paths = append(paths, logs[i].Path)
			}
		}
	}
	add(cfg.AccessLogs)
	for i := range cfg.VirtualHosts {
		add(cfg.VirtualHosts[i].AccessLogs)
	}
	return paths
}

// wireAccessLogs are access logs as the router is told of them.
func wireAccessLogs(logs []config.AccessLog, paths []string) []wire.AccessLog {
	var told []wire.AccessLog
	for i := range logs {
		l := &logs[i]
		told = append(told, wire.AccessLog{File: slices.Index(paths, l.Path), Format: l.Format, SuppressPaths: l.SuppressPaths})
	}
	return told
}

// openAccessLogs opens those of the generation.
func (g *generation) openAccessLogs(open *accessLogs, log hclog.Logger) error {
	g.router.accessLogs = nil
	for _, f := range g.plan.wire.AccessFiles {
		a, err := open.open(f.Path, log)
		if err != nil {
			return err
		}
		g.router.accessLogs = append(g.router.accessLogs, a)
	}
	return nil
}
