package dispatch

import (
	"github.com/wsgid/wsgid/internal/tracing"
	"github.com/wsgid/wsgid/protocol"
)

// What front servers call the headers of W3C Trace Context.
const (
	parentVariable = "HTTP_TRACEPARENT"
	stateVariable  = "HTTP_TRACESTATE"
)

var parentName = []byte(parentVariable)

// span is the part of a trace that an exchange is. It is nil without tracing { }.
type span struct {
	parent tracing.Parent // Span is zero where the trace begins here
	caller tracing.SpanID // what the application takes for its caller
	// header is what it gets for a traceparent.
	header [tracing.ParentLen]byte

	recording
}

// trace is the id of the trace as it is written, nil without one.
func (s *span) trace() []byte {
	if s == nil {
		return nil
	}
	return s.header[3:35]
}

// setCaller says which span the application is to take for its caller.
func (s *span) setCaller(id tracing.SpanID) {
	s.caller = id
	p := tracing.Parent{Trace: s.parent.Trace, Span: id, Flags: s.parent.Flags}
	p.Append(s.header[:0])
}

// beginTrace goes on with the trace that the request comes with, or begins one.
// The application finds it in HTTP_TRACEPARENT; HTTP_TRACESTATE belongs to a
// traceparent that counts, and goes with any other (Trace Context, 3.3).
func (x *exchange) beginTrace() {
	t := x.router.tracer
	if t == nil {
		return
	}
	if x.span == nil {
		x.span = new(span)
	}
	s, taken := x.span, false
	*s = span{recording: recording{spans: s.spans}}
	given := x.env.find(parentVariable)
	if given != nil && !t.replace {
		s.parent, taken = tracing.ParseParent(given.value)
	}
	if !taken {
		s.parent = t.sampler.Begin()
		x.env.remove(stateVariable)
	}
	s.setCaller(tracing.NewSpanID())
	if t.exporter != nil && s.parent.Flags&tracing.Sampled != 0 {
		s.record(x.start)
	}
	p := pair{name: parentName, value: s.header[:], computed: true} // appendTraceparent writes it
	if given == nil {
		x.env.append(hashName(parentName), p)
	} else {
		given.value, given.computed = p.value, true
	}
}

// traceID is the id of the request's trace as logs have it; empty: there is none.
func (x *exchange) traceID() string { return string(x.span.trace()) }

// named adds the fields by which the log lines of a request are found.
func (x *exchange) named(fields ...any) []any {
	fields = append(fields, "request", string(x.requestID))
	if x.span != nil {
		fields = append(fields, "trace", x.traceID())
	}
	return fields
}

// traceparentAt is where the value of HTTP_TRACEPARENT lies in what goes to the
// worker: it comes first, so that it can be replaced in place.
const traceparentAt = headLen + 2 + len(parentVariable)

func (x *exchange) appendTraceparent(b []byte) []byte {
	if x.span == nil {
		return b
	}
	return protocol.AppendPair(b, parentVariable, x.span.header[:])
}

// newCaller gives another attempt at the request a span id of its own.
func (x *exchange) newCaller() {
	if x.span != nil {
		x.span.setCaller(tracing.NewSpanID())
		copy(x.out[traceparentAt:], x.span.header[:])
	}
}
