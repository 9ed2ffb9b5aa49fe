package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/logwriter"
	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/internal/wire"
)

// accessLogs are the files of access logs, each open once, whichever generations
// write to it.
type accessLogs struct {
	mu  sync.Mutex
	all []*accessLog // in the order in which they were opened
}

// accessLog is one file, or standard output or error.
type accessLog struct {
	path   string
	log    hclog.Logger
	file   *logwriter.File // nil: stream
	stream io.Writer
	writer *logwriter.Writer

	lost atomic.Uint64 // lines that are not in it

	// of the goroutine of writer
	failed  uint64 // lines that could not be written in a row
	midLine bool   // the last write ended inside a line
}

// open gives the log of a path. The routers read nothing and open nothing: whoever
// may write to their pipes can write here what he likes, and nowhere else.
func (l *accessLogs) open(path string, log hclog.Logger) (*accessLog, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.IndexFunc(l.all, func(a *accessLog) bool { return a.path == path }); i >= 0 {
		return l.all[i], nil
	}
	a := &accessLog{path: path, log: log}
	switch path {
	case "stdout":
		a.stream = os.Stdout
	case "stderr":
		a.stream = os.Stderr
	default:
		var err error
		if a.file, err = logwriter.OpenFile(path, true); err != nil {
			return nil, fmt.Errorf("access_log: %w", err)
		}
		a.stream = a.file
	}
	a.writer = logwriter.New(a, logwriter.Options{Lost: func(lines uint64) []byte {
		a.count(lines)
		a.missing(lines)
		return nil // no line of another kind is among them
	}})
	l.all = append(l.all, a)
	return a, nil
}

// Write appends lines. Those that cannot be written are counted, and told of once.
func (a *accessLog) Write(lines []byte) (int, error) {
	data := lines
	if a.midLine { // of that line the rest is given up
		data = append([]byte{'\n'}, lines...)
	}
	n, err := a.stream.Write(data)
	if n > 0 {
		a.midLine = data[n-1] != '\n'
	}
	if err == nil {
		a.missing(a.failed)
		a.failed = 0
		return len(lines), nil
	}
	if a.failed == 0 {
		a.log.Error("access log cannot be written, its lines are lost", "access_log", a.path, "error", err)
	}
	lost := uint64(bytes.Count(lines[max(0, n-len(data)+len(lines)):], []byte{'\n'}))
	a.failed += lost
	a.count(lost)
	return len(lines), nil
}

// missing tells of lines that are not there.
func (a *accessLog) missing(lines uint64) {
	if lines > 0 {
		a.log.Warn("access log lines are missing: they could not be written", "access_log", a.path, "lines", lines)
	}
}

func (a *accessLog) count(lines uint64) { a.lost.Add(lines) }

// lostLines counts what a router had no room for; it logs that itself.
func (l *accessLogs) lostLines(m *wire.LostLines) {
	for _, a := range l.opened() {
		if a.path == m.Path {
			a.count(m.Lines)
		}
	}
}

// snapshot is what status shows.
func (l *accessLogs) snapshot() []status.AccessLog {
	var shown []status.AccessLog
	for _, a := range l.opened() {
		shown = append(shown, status.AccessLog{Path: a.path, LostLines: a.lost.Load()})
	}
	return shown
}

// reopen opens the files anew.
func (l *accessLogs) reopen() error {
	var errs []error
	for _, a := range l.opened() {
		if a.file != nil {
			errs = append(errs, a.file.Reopen())
		}
	}
	return errors.Join(errs...)
}

// close writes what is left.
func (l *accessLogs) close() {
	for _, a := range l.opened() {
		a.writer.Close()
		if a.file != nil {
			a.file.Close()
		}
	}
}

// opened are those that are. Status and the messages of routers wait for no disk.
func (l *accessLogs) opened() []*accessLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
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
