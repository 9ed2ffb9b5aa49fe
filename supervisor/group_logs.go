package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

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
	f := &logFile{name: name}
	if err := f.open(); err != nil {
		return nil, err
	}
	logger, end := logwriter.Logger(hclog.LoggerOptions{Name: "wsgid", Level: hclog.LevelFromString(c.Level), JSONFormat: c.Format == "json"}, f, func(err error) {
		instead.Error("error_log cannot be written, its lines are lost", "error_log", name, "error", err)
	})
	if l.loggers == nil {
		l.loggers = map[string]hclog.Logger{}
	}
	l.loggers[key] = logger
	l.ends = append(l.ends, func() { end(); f.close() })
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

// logFile is a file that is appended to, and opened anew when it has been moved
// away. Its writer is one goroutine.
type logFile struct {
	name   string
	file   *os.File
	looked time.Time
}

// lookAgain is how often it is asked whether the file is still there.
const lookAgain = time.Second

// open opens the file. A symbolic link is refused: who may write in the directory
// could have root append to any file.
func (f *logFile) open() error {
	fd, err := unix.Open(f.name, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o640)
	if errors.Is(err, unix.ELOOP) {
		return fmt.Errorf("opening error_log %s: it is a symbolic link: name the file itself", f.name)
	}
	if err != nil {
		return fmt.Errorf("opening error_log: %w", &fs.PathError{Op: "open", Path: f.name, Err: err})
	}
	file := os.NewFile(uintptr(fd), f.name)
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		file.Close()
		return fmt.Errorf("opening error_log %s: it is no regular file", f.name)
	}
	f.close()
	f.file, f.looked = file, time.Now()
	return nil
}

// Write appends.
func (f *logFile) Write(b []byte) (int, error) {
	if time.Since(f.looked) > lookAgain {
		f.looked = time.Now()
		was, err := f.file.Stat()
		is, missing := os.Lstat(f.name)
		if err != nil || missing != nil || !os.SameFile(was, is) {
			if err := f.open(); err != nil {
				return 0, err
			}
		}
	}
	return f.file.Write(b) //nolint:wrapcheck // an io.Writer
}

func (f *logFile) close() {
	if f.file != nil {
		f.file.Close()
	}
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
