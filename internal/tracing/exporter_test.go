package tracing

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"go.uber.org/goleak"

	"github.com/wsgid/wsgid/internal/tracingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// longWait is for what surely comes; only a failing test waits so long.
const longWait = time.Minute

// start runs an exporter until the test ends.
func start(t *testing.T, url string) (*Exporter, *syncBuffer) {
	log := &syncBuffer{}
	e := NewExporter(Options{URL: url + "/v1/traces", Headers: map[string]string{"X-Tenant": "7"}, Version: "1.2", Timeout: longWait,
		Resource: map[string]string{"service.name": "shop", "at": "caf\xe9"}, Logger: hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Debug})})
	e.pause, e.delay = 2*time.Millisecond, time.Millisecond
	var wait sync.WaitGroup
	wait.Go(e.Run)
	t.Cleanup(func() {
		if !e.stopping() {
			e.Close(longWait)
		}
		wait.Wait()
	})
	return e, log
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// add hands n spans over.
func add(e *Exporter, n int) {
	var s Spans
	for range n {
		s.Begin(&Span{Parent: Parent{Trace: NewTraceID(), Flags: Sampled}, ID: NewSpanID(), Name: "x", Kind: Server, Start: time.Now(), End: time.Now()})
		s.End(false)
	}
	e.Add(&s)
}

// spansOf are the spans of a request, which has them in one scope.
func spansOf(t *testing.T, m *tracingtest.Request) []*trace.Span {
	t.Helper()
	if len(m.ResourceSpans) != 1 || len(m.ResourceSpans[0].ScopeSpans) != 1 {
		t.Fatalf("%v", m)
	}
	return m.ResourceSpans[0].ScopeSpans[0].Spans
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(longWait); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// TestExport: what is handed over arrives as it was, one batch after the other.
func TestExport(t *testing.T) {
	r := tracingtest.New(t, nil)
	e, _ := start(t, r.URL)
	p, _ := ParseParent([]byte(parent))
	begin := time.Unix(1_700_000_000, 123456789)
	id := NewSpanID()
	var s Spans
	s.Begin(&Span{Parent: p, Remote: true, State: []byte("a=1"), ID: id, Name: "GET /", Kind: Server, Start: begin, End: begin.Add(time.Second)})
	s.Text("text", "x")
	s.Text("empty", "")
	s.Bytes("bytes", []byte("caf\xe9 \u00e9"))
	s.Bytes("long", []byte(strings.Repeat("x", maxText-1)+"\u00e9 and more"))
	s.Number("number", -7)
	s.Number("large", 1<<40)
	s.End(true)
	s.Begin(&Span{Parent: Parent{Trace: p.Trace}, ID: NewSpanID(), Name: strings.Repeat("n", 300), Kind: Internal, Start: begin, End: begin})
	s.End(false)
	e.Add(&s)
	m := <-r.Got
	spans := spansOf(t, m)
	if len(spans) != 2 {
		t.Fatalf("%v", spans)
	}
	one, two := spans[0], spans[1]
	if !bytes.Equal(one.TraceId, p.Trace[:]) || !bytes.Equal(one.SpanId, id[:]) || !bytes.Equal(one.ParentSpanId, p.Span[:]) || one.TraceState != "a=1" ||
		one.Name != "GET /" || one.Kind != trace.Span_SPAN_KIND_SERVER || one.Flags != 0x301 ||
		one.StartTimeUnixNano != 1_700_000_000_123456789 || one.EndTimeUnixNano != 1_700_000_001_123456789 || one.Status.GetCode() != trace.Status_STATUS_CODE_ERROR {
		t.Errorf("%v", one)
	}
	if two.ParentSpanId != nil || two.Flags != 0x100 || two.Kind != trace.Span_SPAN_KIND_INTERNAL || len(two.Name) != 300 || two.Status != nil || two.Attributes != nil {
		t.Errorf("%v", two)
	}
	want := map[string]any{"text": "x", "empty": "", "bytes": "caf\ufffd \u00e9", "long": strings.Repeat("x", maxText-1), "number": int64(-7), "large": int64(1 << 40)}
	for _, a := range one.Attributes {
		got := any(a.Value.GetIntValue())
		if a.Key != "number" && a.Key != "large" {
			got = a.Value.GetStringValue()
		}
		if got != want[a.Key] {
			t.Errorf("%s: %v", a.Key, a.Value)
		}
		delete(want, a.Key)
	}
	if len(want) > 0 {
		t.Errorf("%v are missing", want)
	}
	of := m.ResourceSpans[0]
	if a := of.Resource.Attributes; len(a) != 2 || a[0].Key != "at" || a[0].Value.GetStringValue() != "caf\ufffd" || a[1].Key != "service.name" || a[1].Value.GetStringValue() != "shop" {
		t.Errorf("%v", a)
	}
	if scope := of.ScopeSpans[0].Scope; scope.Name != "wsgid" || scope.Version != "1.2" {
		t.Errorf("%v", scope)
	}
	if _, header := r.Requests(); header.Get("X-Tenant") != "7" || header.Get("User-Agent") != "wsgid/1.2" {
		t.Errorf("%v", header)
	}
	add(e, 3)
	if n := len(spansOf(t, <-r.Got)); n != 3 {
		t.Errorf("%d spans", n)
	}
	await(t, "exported", func() bool { return e.Exported() == 5 && e.Dropped() == 0 })
}

// TestBatches: a batch is collected, and goes before the delay when it is large.
func TestBatches(t *testing.T) {
	r := tracingtest.New(t, nil)
	e := NewExporter(Options{URL: r.URL + "/v1/traces", Version: "1.2", Timeout: longWait, Logger: hclog.NewNullLogger()})
	e.delay = time.Hour
	go e.Run()
	for range enough - 1 {
		add(e, 1)
	}
	select {
	case <-r.Got:
		t.Error("too early")
	default:
	}
	add(e, 1)
	if n := len(spansOf(t, <-r.Got)); n != enough {
		t.Errorf("%d spans", n)
	}
	add(e, 2) // goes when it is closed
	e.Close(longWait)
	if n := len(spansOf(t, <-r.Got)); n != 2 || e.Exported() != enough+2 {
		t.Errorf("%d spans, exported %d", n, e.Exported())
	}
}

// TestRetry: what may pass is tried again, as soon as the collector says if it does;
// nothing else is. The log is told once, and when it is over.
func TestRetry(t *testing.T) {
	for name, c := range map[string]struct {
		status   int
		header   string
		attempts int
	}{
		"throttled":    {429, "", 3},
		"unavailable":  {503, "1", 2},
		"bad gateway":  {502, "", 3},
		"timeout":      {504, "", 3},
		"bad request":  {400, "1", 1},
		"unauthorised": {401, "", 1},
		"redirect":     {307, "", 1},
		"server error": {500, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			r := tracingtest.New(t, func(n int, w http.ResponseWriter) {
				if n < c.attempts || c.attempts == 1 && n == 1 {
					w.Header().Set("Retry-After", c.header)
					w.Header().Set("Location", "/v1/traces")
					w.Header().Set("Content-Type", "text/plain")
					w.WriteHeader(c.status)
					io.WriteString(w, "not \x1b[31mnow")
				}
			})
			e, log := start(t, r.URL)
			add(e, 2)
			for range c.attempts {
				if n := len(spansOf(t, <-r.Got)); n != 2 {
					t.Errorf("%d spans", n)
				}
			}
			exported, dropped := uint64(2), uint64(0)
			if c.attempts == 1 {
				exported, dropped = 0, 2
			}
			await(t, "counted", func() bool { return e.Exported() == exported && e.Dropped() == dropped })
			if c.header != "" && c.attempts > 1 && time.Since(begun) < time.Second {
				t.Error("Retry-After does not count")
			}
			add(e, 1)
			<-r.Got
			await(t, "that all is well in the log", func() bool { return strings.Contains(log.String(), "the collector takes spans again") })
			if text := log.String(); strings.Count(text, "[WARN]") != 1 || !strings.Contains(text, `not \x1b[31mnow`) {
				t.Error(text)
			}
		})
	}
}

// TestRetryAfter: seconds or a date, and nobody can ask for too much.
func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "-1": 0, "x": 0, "99999999": maxRetryAfter,
		"Fri, 02 Jan 2026 03:04:35 GMT": 30 * time.Second, "Fri, 02 Jan 2026 03:00:00 GMT": 0, "Fri, 02 Jan 2037 03:00:00 GMT": maxRetryAfter} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}

// TestPartialSuccess: what the collector rejects is counted and told.
func TestPartialSuccess(t *testing.T) {
	r := tracingtest.New(t, func(n int, w http.ResponseWriter) {
		if n == 1 {
			w.Write(tracingtest.Marshal(t, &collector.ExportTraceServiceResponse{PartialSuccess: &collector.ExportTracePartialSuccess{
				RejectedSpans: 1, ErrorMessage: "too\nold"}}))
		} else {
			w.Write([]byte("\xff\xff no message"))
		}
	})
	e, log := start(t, r.URL)
	add(e, 3)
	<-r.Got
	await(t, "counted", func() bool { return e.Exported() == 2 && e.Dropped() == 1 })
	add(e, 3)
	<-r.Got
	await(t, "counted", func() bool { return e.Exported() == 5 && e.Dropped() == 1 })
	if text := log.String(); !strings.Contains(text, `reason=too\nold`) || !strings.Contains(text, "rejected=1") {
		t.Error(text)
	}
}

// TestSlowCollector: nobody waits for one, what does not fit is dropped and counted,
// and the log is told once.
func TestSlowCollector(t *testing.T) {
	release := make(chan struct{})
	r := tracingtest.New(t, func(n int, _ http.ResponseWriter) {
		if n == 1 {
			<-release
		}
	})
	e, log := start(t, r.URL)
	add(e, 1)
	await(t, "a request", func() bool {
		n, _ := r.Requests()
		return n == 1
	})
	for range maxWaiting + 10 {
		add(e, 1)
	}
	if e.Dropped() != 10 {
		t.Errorf("%d are dropped", e.Dropped())
	}
	close(release)
	<-r.Got
	if n := len(spansOf(t, <-r.Got)); n != maxWaiting {
		t.Errorf("%d spans", n)
	}
	await(t, "the end in the log", func() bool { return strings.Contains(log.String(), "takes spans again: ") })
	if text := log.String(); strings.Count(text, "[WARN]") != 1 || !strings.Contains(text, "too slowly") {
		t.Error(text)
	}
}

// TestCloseWithoutCollector: the end waits for nobody longer than it is told to.
func TestCloseWithoutCollector(t *testing.T) {
	hang := make(chan struct{})
	r := tracingtest.New(t, func(int, http.ResponseWriter) { <-hang })
	e, log := start(t, r.URL)
	add(e, 4)
	await(t, "a request", func() bool {
		n, _ := r.Requests()
		return n == 1
	})
	add(e, 3)
	e.Close(10 * time.Millisecond)
	close(hang)
	if e.Dropped() != 7 || e.Exported() != 0 || strings.Count(log.String(), "[WARN]") != 1 {
		t.Errorf("%d dropped, %d exported\n%s", e.Dropped(), e.Exported(), log.String())
	}

	gone := httptest.NewServer(nil)
	gone.Close()
	e, _ = start(t, gone.URL)
	add(e, 2)
	e.Close(longWait)
	if e.Dropped() != 2 {
		t.Errorf("%d dropped", e.Dropped())
	}
}

// FuzzResponse: no answer of a collector harms.
func FuzzResponse(f *testing.F) {
	f.Add([]byte("\x0a\x06\x08\x01\x12\x02no"))
	f.Fuzz(func(_ *testing.T, b []byte) { parseResponse(b) })
}

// BenchmarkSpan is a span like those of a request.
func BenchmarkSpan(b *testing.B) {
	var s Spans
	p := Span{Parent: Parent{Trace: NewTraceID(), Span: NewSpanID(), Flags: Sampled}, ID: NewSpanID(), Name: "GET /shop", Kind: Server, Start: time.Now(), End: time.Now()}
	b.ReportAllocs()
	for range b.N {
		s.Reset(8 << 10)
		s.Begin(&p)
		for range 8 {
			s.Text("http.request.method", "GET")
		}
		s.Number("http.response.status_code", 200)
		s.End(false)
	}
}
