package dispatch

import (
	"bytes"
	"strconv"
	"time"

	"github.com/wsgid/wsgid/internal/tracing"
)

// recording is what is kept of an exchange whose spans are sent. Spans below its own
// are written when they end. All methods do nothing where nothing is recorded.
type recording struct {
	recorded bool
	start    time.Time
	own      tracing.SpanID // of the exchange
	spans    tracing.Spans
	asked    time.Time // when a script was
	gone     bool      // the client was, while it was answered
}

func (s *span) records() bool { return s != nil && s.recorded }

// record begins the span of the exchange.
func (s *span) record(start time.Time) {
	s.recorded, s.start, s.own = true, start, tracing.NewSpanID()
	s.spans.Reset(keepScratch)
}

// now is the time, for what is recorded.
func (s *span) now() (at time.Time) {
	if s.records() {
		at = time.Now()
	}
	return at
}

// asks notes that a script is asked.
func (s *span) asks(at time.Time) {
	if s.records() {
		s.asked = at
	}
}

// lost notes that the client takes no more of the answer.
func (s *span) lost() {
	if s.records() {
		s.gone = true
	}
}

// below begins a span below that of the exchange, which has ended now.
func (s *span) below(id tracing.SpanID, name string, kind tracing.Kind, begun time.Time) {
	s.spans.Begin(&tracing.Span{Parent: tracing.Parent{Trace: s.parent.Trace, Span: s.own, Flags: s.parent.Flags},
		ID: id, Name: name, Kind: kind, Start: s.at(begun), End: s.at(time.Now())})
}

// at is a time on the clock of the exchange, which nobody sets: what is inside of it
// stays inside.
func (s *span) at(t time.Time) time.Time { return s.start.Round(0).Add(t.Sub(s.start)) }

// queueSpan: the request has waited for a thread.
func (x *exchange) queueSpan(begun time.Time) {
	if s := x.span; s.records() {
		s.below(tracing.NewSpanID(), "queue", tracing.Internal, begun)
		s.spans.Text("wsgid.process_group", x.route.group.label)
		s.spans.End(false)
	}
}

// scriptSpan: a script has been asked about the request; r is why there is no answer.
func (x *exchange) scriptSpan(script *script, r *refusal) {
	s := x.span
	if !s.records() {
		return
	}
	name := "dispatch"
	if script.kind != KindDispatch {
		name = script.kind.String()
	}
	s.below(tracing.NewSpanID(), name, tracing.Internal, s.asked)
	s.spans.Text("wsgid.script", script.config.Path)
	if r != nil {
		s.spans.Text("error.type", r.code.String())
	}
	s.spans.End(r != nil)
}

// attemptSpan: a process has had the request. The application takes this span for
// its caller.
func (x *exchange) attemptSpan(begun time.Time, pid int, result attempt) {
	s := x.span
	if !s.records() {
		return
	}
	s.below(s.caller, "application", tracing.Client, begun)
	s.spans.Text("wsgid.process_group", x.route.group.label)
	s.spans.Text("wsgid.application_group", x.route.application)
	s.spans.Number("wsgid.pid", pid)
	failed := false
	switch result {
	case attemptAgain:
		s.spans.Text("error.type", "refused")
	case attemptDied:
		failed = true
		s.spans.Text("error.type", "process_ended")
	default:
		failed = x.recordOutcome(result == attemptBroken)
	}
	s.spans.End(failed)
}

// recordOutcome adds how it has ended for the client to the span that was begun, and
// says whether it is a failure of ours.
func (x *exchange) recordOutcome(cut bool) (failed bool) {
	s, answer, killed := x.span, &x.account.meter, x.killedBy()
	if answer.status > 0 {
		s.spans.Number("http.response.status_code", answer.status)
	}
	switch {
	case s.gone || killed == clientGone || killed == clientAborted:
		s.spans.Text("error.type", "client_gone")
		return false
	case answer.code != 0:
		s.spans.Text("error.type", answer.code.String())
		return answer.status >= 500
	case cut:
		s.spans.Text("error.type", "response_cut")
		return true
	case answer.status >= 500:
		s.spans.Text("error.type", strconv.Itoa(answer.status))
		return true
	}
	return false
}

// endSpan ends the span of the exchange and hands all over.
func (x *exchange) endSpan(o outcome) {
	s, e := x.span, &x.env
	if !s.records() {
		return
	}
	s.recorded = false
	method, known := methodOf(e.method)
	name := method
	if !known {
		name = "HTTP" // as the conventions have it
	}
	m := x.target.mount
	if m != nil {
		name += " " + m.title
	}
	state, _ := e.lookup(stateVariable)
	s.spans.Begin(&tracing.Span{Parent: s.parent, Remote: true, State: state, ID: s.own, Name: name, Kind: tracing.Server,
		Start: s.start.Round(0), End: s.at(time.Now())})
	s.spans.Text("http.request.method", method)
	if !known {
		s.spans.Bytes("http.request.method_original", e.method)
	}
	path, _, _ := bytes.Cut(e.requestURI, []byte("?")) // what is behind it may be secret
	if len(path) == 0 {
		path = x.path
	}
	s.spans.Bytes("url.path", path)
	if scheme, ok := e.lookup("REQUEST_SCHEME"); ok {
		s.spans.Bytes("url.scheme", scheme)
	}
	if len(e.serverName) > 0 {
		s.spans.Bytes("server.address", e.serverName)
	}
	if len(e.remoteAddr) > 0 {
		s.spans.Bytes("client.address", e.remoteAddr)
	}
	s.spans.Bytes("wsgid.request_id", x.requestID)
	if m != nil {
		s.spans.Text("wsgid.mount", m.title)
	}
	if g := x.route.group; g != nil {
		s.spans.Text("wsgid.process_group", g.label)
		s.spans.Text("wsgid.application_group", x.route.application)
	}
	if pid := x.account.pid; pid > 0 {
		s.spans.Number("wsgid.pid", pid)
	}
	s.spans.End(x.recordOutcome(o == broken))
	x.router.tracer.exporter.Add(&s.spans)
}

// methodOf is the method if it is one of those that the conventions know.
func methodOf(method []byte) (name string, known bool) {
	switch string(method) {
	case "GET":
		return "GET", true
	case "HEAD":
		return "HEAD", true
	case "POST":
		return "POST", true
	case "PUT":
		return "PUT", true
	case "PATCH":
		return "PATCH", true
	case "DELETE":
		return "DELETE", true
	case "OPTIONS":
		return "OPTIONS", true
	case "TRACE":
		return "TRACE", true
	case "CONNECT":
		return "CONNECT", true
	}
	return "_OTHER", false
}
