package supervisor

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/internal/escape"
)

// drainAfterExit is how long the exit line of a process waits for the rest of
// its output. A child that it left behind may hold the pipe much longer.
const drainAfterExit = 500 * time.Millisecond

// joinWindow is how long an unfinished traceback waits for its next line.
const joinWindow = 100 * time.Millisecond

// logSink writes the output of one child into the log.
type logSink struct {
	log  hclog.Logger // with group and pid
	json bool         // line ends in messages need no mark
	raw  io.Writer    // takes what applications write, as it is; nil: log does
	// hosts says where goes what is written for requests of virtual hosts that have
	// an error_log; nil: to log.
	hosts *childLog
	// about tells more of the request of a time-out; nil: nobody knows.
	about    func(request string) []any
	hostLogs map[string]*logSink // by key; nil: it has no file
}

// of gives the sink for the key of a virtual host: this one, if it has no file.
func (s *logSink) of(key string) *logSink {
	if key == "" || s.hosts == nil {
		return s
	}
	host, known := s.hostLogs[key]
	if !known {
		if name := s.hosts.files.path(key); name != "" {
			host = s.hosts.to(name)
			host.about = s.about
		}
		s.hostLogs[key] = host
	}
	if host == nil {
		return s
	}
	return host
}

// application logs what an application has written.
func (s *logSink) application(level hclog.Level, text string, fields ...any) {
	if s.raw != nil {
		if level >= s.log.GetLevel() {
			_, _ = s.raw.Write([]byte(strings.TrimSuffix(text, "\n") + "\n")) // it never fails
		}
		return
	}
	if s.json {
		if object := parseObject(text); object != nil {
			level, message, own := object.merge(level)
			s.log.Log(level, escape.Text(message), append(fields, own...)...)
			return
		}
	}
	s.emit(level, text, fields...)
}

// emit logs one event of a child. Whatever the text is, it cannot look like an
// event of its own: control bytes are escaped and further lines are marked.
func (s *logSink) emit(level hclog.Level, text string, fields ...any) {
	text = escape.Text(strings.TrimRight(text, "\r\n"))
	if !s.json {
		text = strings.ReplaceAll(text, "\n", "\n  | ")
	}
	s.log.Log(level, text, fields...)
}

// logPump copies the raw pipe and the framed channel of one child into the
// log until both end.
type logPump struct {
	raw, records *os.File
	done         chan struct{}
}

// startLogPump takes the files over. lines and record are called from one
// goroutine each.
func startLogPump(raw, records *os.File, lines *lineJoiner, record func(values map[string]string, message string)) *logPump {
	p := &logPump{raw: raw, records: records, done: make(chan struct{})}
	var wait sync.WaitGroup
	wait.Go(func() { defer raw.Close(); pumpLines(raw, lines) })
	wait.Go(func() { defer records.Close(); pumpRecords(records, &recordJoiner{emit: record}) })
	go func() { wait.Wait(); close(p.done) }()
	return p
}

// drain waits for the end of the output, but not long.
func (p *logPump) drain() {
	timer := time.NewTimer(drainAfterExit)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	}
}

// stop ends the pump: somebody else still holds the pipe.
func (p *logPump) stop() {
	p.raw.Close()
	p.records.Close()
	<-p.done
}

// pumpLines reads until end of file or until the file is closed.
func pumpLines(raw *os.File, lines *lineJoiner) {
	defer lines.flushAll()
	buf := make([]byte, 32<<10)
	for {
		var deadline time.Time
		if lines.pending() {
			deadline = time.Now().Add(joinWindow)
		}
		if err := raw.SetReadDeadline(deadline); err != nil {
			return
		}
		n, err := raw.Read(buf)
		if n > 0 {
			lines.write(buf[:n])
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			lines.flush()
		default:
			return
		}
	}
}

// pumpRecords reads packets until the peer has gone.
func pumpRecords(records *os.File, joiner *recordJoiner) {
	defer joiner.flush()
	buf := make([]byte, maxRecord)
	for {
		var deadline time.Time
		if joiner.pending() {
			deadline = time.Now().Add(partPatience)
		}
		if err := records.SetReadDeadline(deadline); err != nil {
			return
		}
		n, err := records.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			joiner.flush() // whoever wrote them has given up
			continue
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
				joiner.emit(map[string]string{"level": "warn", "source": ownSource}, "log channel failed: "+err.Error())
			}
			return
		}
		joiner.packet(buf[:n])
	}
}
