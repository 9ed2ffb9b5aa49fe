package dispatch

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"github.com/wsgid/wsgid/internal/accesslog"
	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

// accessLogs are those of the router; nil: nobody wants any.
type accessLogs struct {
	files  []*accessFile
	global []*accessLog
}

// accessLog is a wire.AccessLog that was compiled.
type accessLog struct {
	format   *accesslog.Format
	file     *accessFile
	suppress []string
}

// openAccessLogs takes the pipes over and gives hosts their logs.
func (r *Router) openAccessLogs() error {
	if len(r.config.AccessFiles) == 0 {
		return nil
	}
	r.access = &accessLogs{}
	for _, c := range r.config.AccessFiles {
		f, err := openAccessFile(c, r.log, r.lostLines)
		if err != nil {
			return err
		}
		r.access.files = append(r.access.files, f)
	}
	var err error
	if r.access.global, err = r.access.compile(r.config.AccessLogs); err != nil {
		return err
	}
	for i := range r.config.VirtualHosts {
		if r.hosts.hosts[i].accessLogs, err = r.access.compile(r.config.VirtualHosts[i].AccessLogs); err != nil {
			return err
		}
	}
	return nil
}

func (a *accessLogs) compile(configs []wire.AccessLog) ([]*accessLog, error) {
	var logs []*accessLog
	for _, c := range configs {
		format, err := accesslog.Parse(c.Format)
		if err != nil {
			return nil, fmt.Errorf("format of an access log: %w", err)
		}
		logs = append(logs, &accessLog{format, a.files[c.File], c.SuppressPaths})
	}
	return logs, nil
}

// close writes what is left.
func (a *accessLogs) close() {
	if a == nil {
		return
	}
	for _, f := range a.files {
		f.close()
	}
}

// lostLines tells of lines that found no room.
func (r *Router) lostLines(path string, lines uint64) {
	r.send(&wire.Message{Type: wire.TypeLostLines, Lost: &wire.LostLines{Path: path, Lines: lines}})
}

// account is what an access log tells of a request beyond its parameters.
type account struct {
	meter    meter
	pid      int           // of the worker that had it last
	waited   time.Duration // for a thread
	scripted time.Duration // in scripts
	asking   time.Time     // since when one is asked, that has not answered
	cut      bool          // the answer failed half-way, not because of the client
}

// accessLogs are those that the request has a line in.
func (x *exchange) accessLogs() []*accessLog {
	switch {
	case x.router.access == nil:
		return nil
	case x.host != nil && len(x.host.accessLogs) > 0:
		return x.host.accessLogs
	}
	return x.router.access.global
}

// watch gives what watches the answer of a worker.
func (x *exchange) watch(w *workerConn) *meter {
	if len(x.accessLogs()) == 0 && !x.span.records() {
		return nil
	}
	x.account.pid = w.process.pid
	return &x.account.meter
}

// refused notes the answer of the router itself.
func (a *account) refused(code errcode.Code, status, bytes int) {
	a.meter = meter{status: status, code: code, bytes: int64(bytes), inBody: true}
}

// told: the script has answered.
func (a *account) told() {
	a.scripted += time.Since(a.asking)
	a.asking = time.Time{}
}

// settled notes how the answer of a worker ended.
func (a *account) settled(p *reply, end replyEnd, killed killReason) {
	left := killed == clientGone || killed == clientAborted
	a.cut = p.started && (end == replyTruncated || end == replyLost && !left)
}

// logAccess writes the lines of a request that has ended. kept: the front server may
// use the connection again. Questions who is let in belong to requests that the front
// server logs, and get none.
func (x *exchange) logAccess(o outcome, kept bool) {
	logs := x.accessLogs()
	if len(logs) == 0 || x.env.authRequest || x.role == protocol.Authorizer {
		return
	}
	q := x.accessRequest(o, kept)
	for _, l := range logs {
		if l.suppresses(x.path, &q) {
			continue
		}
		x.line = l.format.Append(x.line[:0], &q)
		l.file.add(x.line)
	}
	if cap(x.line) > keepScratch {
		x.line = nil
	}
}

// suppresses: only what does well is left out, and asks for nothing but the path.
func (l *accessLog) suppresses(path []byte, q *accesslog.Request) bool {
	if len(l.suppress) == 0 || q.Status < 200 || q.Status > 299 || q.End != accesslog.Complete || len(q.Query) > 0 {
		return false
	}
	if m := string(q.Method); m != http.MethodGet && m != http.MethodHead {
		return false
	}
	for _, p := range l.suppress {
		if p == string(path) {
			return true
		}
	}
	return false
}

// accessRequest puts together what is known of a request at its end.
func (x *exchange) accessRequest(o outcome, kept bool) accesslog.Request {
	e, a := &x.env, &x.account
	if !a.asking.IsZero() {
		a.told()
	}
	q := accesslog.Request{
		Start: x.start, Duration: time.Since(x.start), Wait: a.waited, Dispatch: a.scripted,
		Status: a.meter.status, Bytes: a.meter.bytes, Code: a.meter.code, KeptAlive: kept, PID: a.pid,
		ID: x.requestID, Method: e.method, URI: e.requestURI, Path: x.path, Query: e.queryString, Peer: e.remoteAddr,
		ServerName: e.serverName, Trace: x.span.trace(), Script: x.target.script, Listener: x.listener.Address, Params: e,
	}
	switch {
	case o == answered || o == left:
	case a.cut:
		q.End = accesslog.Truncated
	default:
		q.End = accesslog.Aborted
	}
	switch {
	case q.Status != 0:
	case q.End == accesslog.Truncated: // what front servers make of it
		q.Status = http.StatusBadGateway
	default:
		q.Status = accesslog.StatusAborted
	}
	if x.role == 0 && (q.Status == http.StatusNoContent || q.Status == http.StatusNotModified || string(e.method) == http.MethodHead) {
		q.Bytes = 0 // the HTTP listener knows better than the application
	}
	if len(q.Path) == 0 {
		q.Path, _, _ = bytes.Cut(e.requestURI, []byte{'?'})
	}
	if m := x.target.mount; m != nil {
		q.Mount = m.title
	}
	if g := x.route.group; g != nil {
		if q.Group, q.Application = g.label, x.route.application; q.Application == "" {
			q.Application = "%{GLOBAL}"
		}
	}
	return q
}

// Param is a parameter for the access log.
func (e *environ) Param(name string) []byte {
	value, _ := e.lookup(name)
	return value
}
