// Package tracingtest is a collector for tests: it reads what it gets by OTLP over HTTP
// with the types that the specification generates, strictly. It must not know who
// sends.
package tracingtest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Request is what an exporter sends.
type Request = collector.ExportTraceServiceRequest

// longWait is for what surely comes; only a failing test waits so long.
const longWait = time.Minute

// Span is one that has come.
type Span struct {
	*trace.Span
	Trace, ID, Parent string // in hexadecimal; Parent is empty at the root
	Attributes        map[string]any
	// Resource are the attributes of who has sent it.
	Resource map[string]any
}

// Collector is one that listens.
type Collector struct {
	// URL without /v1/traces.
	URL string
	// Got are the requests.
	Got chan *Request

	t       testing.TB
	answer  func(n int, w http.ResponseWriter)
	mu      sync.Mutex
	changed chan struct{}
	count   int
	header  http.Header
	spans   []Span
}

// New starts one for the time of the test. answer is for the nth request and may be
// nil; what it has not answered is taken.
func New(t testing.TB, answer func(n int, w http.ResponseWriter)) *Collector {
	c := &Collector{t: t, answer: answer, Got: make(chan *Request, 10000), changed: make(chan struct{})}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// ServeHTTP takes a request.
func (c *Collector) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	message := new(Request)
	if err := errors.Join(err, proto.Unmarshal(body, message)); err != nil {
		c.t.Error(err)
	}
	// Fields stand in their order, none is unknown, and none has its default.
	if req.Method != http.MethodPost || req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" ||
		!bytes.Equal(Marshal(c.t, message), body) {
		c.t.Errorf("%s %s %v: not what the specification has", req.Method, req.URL, req.Header)
	}
	c.mu.Lock()
	c.count++
	n := c.count
	c.header = req.Header.Clone()
	for _, r := range message.ResourceSpans {
		for _, s := range r.ScopeSpans {
			for _, span := range s.Spans {
				c.spans = append(c.spans, Span{Span: span, Trace: hex.EncodeToString(span.TraceId), ID: hex.EncodeToString(span.SpanId),
					Parent: hex.EncodeToString(span.ParentSpanId), Attributes: attributes(span), Resource: attributes(r.Resource)})
			}
		}
	}
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	if c.answer != nil {
		c.answer(n, w)
	}
	c.Got <- message
}

// Marshal is what the generated code makes of a message.
func Marshal(t testing.TB, m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Error(err)
	}
	return b
}

// Requests that have come, those that are not answered yet included, and the headers
// of the last.
func (c *Collector) Requests() (int, http.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count, c.header
}

// Await waits until the spans that have come are those that are waited for.
func (c *Collector) Await(what string, are func([]Span) bool) []Span {
	c.t.Helper()
	limit := time.After(longWait)
	for {
		c.mu.Lock()
		spans, changed := c.spans, c.changed
		c.mu.Unlock()
		if are(spans) {
			return spans
		}
		select {
		case <-changed:
		case <-limit:
			c.t.Fatalf("still not: %s: %v", what, spans)
		}
	}
}

// Of waits until the span of kind SERVER has come in a trace, and gives all that have
// come in it. Those of one request come together, in the order of their ends.
func (c *Collector) Of(trace string) []Span {
	c.t.Helper()
	var found []Span
	c.Await("trace "+trace, func(all []Span) bool {
		found = nil
		whole := false
		for _, s := range all {
			if s.Trace == trace {
				found = append(found, s)
				whole = whole || s.Kind == serverKind
			}
		}
		return whole
	})
	return found
}

const serverKind = trace.Span_SPAN_KIND_SERVER
