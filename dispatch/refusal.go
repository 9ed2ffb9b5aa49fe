package dispatch

import (
	"fmt"
	"html"
	"net/http"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/internal/errcode"
)

// refusal is a request that the router answers itself. A front server ignores
// the codes of END_REQUEST, so every refusal is a whole response.
type refusal struct {
	code       errcode.Code
	status     int
	title      string
	retryAfter time.Duration // 0: no Retry-After
	more       string        // header lines, each with CR LF
	quiet      bool          // of interest only when debugging
	plain      bool          // with wsgid's own page: nobody may wait for a file
	args       []any         // of the log line
}

// What Retry-After says at least, on every 503 (docs/errors.md).
const (
	// retrySoon: a queue drains, and another wsgid starts, within moments.
	retrySoon = time.Second
	// retryInterpreter: interpreters stay as long as their process, which only
	// a replacement ends. pyshim/error_page.c has the same.
	retryInterpreter = time.Minute
)

var entries = func() map[errcode.Code]errcode.Entry {
	m := make(map[errcode.Code]errcode.Entry)
	for _, e := range errcode.All() {
		m[e.Code] = e
	}
	return m
}()

// refuse makes a refusal; args are key/value pairs for the log.
func refuse(code errcode.Code, args ...any) *refusal {
	e := entries[code]
	r := &refusal{code: code, status: e.Status, title: e.Title, args: args}
	switch {
	case code == errcode.InterpreterLimit:
		r.retryAfter = retryInterpreter
	case e.Status == http.StatusServiceUnavailable:
		r.retryAfter = retrySoon
	}
	return r
}

// level is how loud a refusal is in the log: what the client did wrong is
// quiet, what the administrator must mend is an error.
func (r *refusal) level() hclog.Level {
	if r.quiet {
		return hclog.Debug
	}
	switch r.code {
	case errcode.NoMount, errcode.PathInfoRefused:
		return hclog.Debug
	case errcode.BadContentLength, errcode.ChunkedForbidden, errcode.BodyTooLarge, errcode.TransferEncoding,
		errcode.Unauthenticated, errcode.NotPermitted, errcode.AccessDenied:
		return hclog.Info
	case errcode.MalformedParams, errcode.HeaderTooLarge, errcode.ShortBody, errcode.QueueFull,
		errcode.QueueTimeout, errcode.BodyTimeout, errcode.PeerForbidden, errcode.AuthorizerOnly, errcode.RouterStopping,
		errcode.GroupUnavailable, errcode.GroupClosed, errcode.HelperUnavailable: // an error once a state change, by whoever changes the state
		return hclog.Warn
	}
	return hclog.Error
}

// body is the page for the client: code, title and request id, no more.
func (r *refusal) body(id string) string {
	title := html.EscapeString(strconv.Itoa(r.status) + " " + r.title)
	return fmt.Sprintf("<!DOCTYPE html>\n<title>%s</title>\n<h1>%s</h1>\n<p>%s, request %s</p>\n",
		title, title, r.code, html.EscapeString(id))
}

// header is the CGI header of the answer with a page.
func (r *refusal) header(p *page) string {
	h := fmt.Sprintf("Status: %d %s\r\n", p.status, http.StatusText(p.status))
	if p.location != "" {
		h += "Location: " + p.location + "\r\n"
	} else {
		h += "Content-Type: " + p.kind + "\r\n"
	}
	h += fmt.Sprintf("Content-Length: %d\r\nX-WSGID-Error: %s\r\n%s", len(p.body), r.code, r.more)
	if r.retryAfter > 0 {
		h += fmt.Sprintf("Retry-After: %d\r\n", int64((r.retryAfter+time.Second-1)/time.Second))
	}
	return h + "\r\n"
}
