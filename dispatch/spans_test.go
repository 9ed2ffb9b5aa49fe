package dispatch

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	otlp "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/internal/tracingtest"
	"github.com/wsgid/wsgid/internal/wire"
)

const failed = otlp.Status_STATUS_CODE_ERROR

// spanning has the spans of all requests sent to a collector.
func spanning(config *wire.RouterConfig, c *tracingtest.Collector) {
	config.Version = "1.2"
	config.Tracing = &wire.Tracing{Sample: 1, Endpoint: c.URL + "/v1/traces", Timeout: longWait, Resource: map[string]string{"service.name": "shop"}}
}

// family checks that the spans are one of kind SERVER and those below it, one after
// the other and inside of it, and gives their names.
func family(t *testing.T, spans []tracingtest.Span, caller string) (server tracingtest.Span, names string) {
	t.Helper()
	server = spans[len(spans)-1]
	if server.Kind != otlp.Span_SPAN_KIND_SERVER || server.Parent != caller || server.Resource["service.name"] != "shop" {
		t.Errorf("%v", server)
	}
	last := server.StartTimeUnixNano
	for _, s := range spans[:len(spans)-1] {
		names += s.Name + " "
		if s.Parent != server.ID || s.StartTimeUnixNano < last || s.EndTimeUnixNano < s.StartTimeUnixNano || s.EndTimeUnixNano > server.EndTimeUnixNano {
			t.Errorf("%v is not in %v, or before what ended at %d", s, server, last)
		}
		last = s.EndTimeUnixNano
	}
	return server, strings.TrimSuffix(names, " ")
}

// wantAttributes checks that these are among the attributes.
func wantAttributes(t *testing.T, s tracingtest.Span, want map[string]any) {
	t.Helper()
	for key, value := range want {
		if got := s.Attributes[key]; got != value {
			t.Errorf("%s: %s is %v, not %v", s.Name, key, got, value)
		}
	}
}

// TestSpans: the spans of a request are its own, and below it those of its wait and of
// each process that had it; the application's caller is the last of them.
func TestSpans(t *testing.T) {
	c := tracingtest.New(t, nil)
	callers := make(chan string, 2)
	handle, release := blocking()
	var refuses atomic.Bool
	r, _ := oneGroup(t, func(config *wire.RouterConfig) { spanning(config, c) }, func(q *fakeRequest) {
		if q.env["PATH_INFO"] == "/blocks" {
			handle(q)
			return
		}
		callers <- q.env["HTTP_TRACEPARENT"]
		if refuses.CompareAndSwap(true, false) {
			q.refuse()
			return
		}
		q.reply("ok")
	}, 1, 1)
	busy, f := []*fakeFront{r.front(), r.front()}, r.front()
	for _, f := range busy {
		f.begin("/blocks")
	}
	r.await("no free thread", func(s *wire.RouterStatus) bool { return s.Groups[0].Busy == 2 })
	refuses.Store(true)
	f.begin("/shop/list")
	r.await("a wait", func(s *wire.RouterStatus) bool { return s.Groups[0].Queued == 1 })
	close(release)
	if a, err := f.read(); err != nil || a.status() != "200 OK" {
		t.Fatal(a, err)
	}
	first, second := <-callers, <-callers
	spans := c.Of(first[3:35])
	server, names := family(t, spans, "")
	if names != "queue application queue application" && names != "queue application application" {
		t.Fatal(names)
	}
	attempts := slices.DeleteFunc(slices.Clone(spans), func(s tracingtest.Span) bool { return s.Name != "application" })
	if attempts[0].ID != first[36:52] || attempts[1].ID != second[36:52] || attempts[1].Kind != otlp.Span_SPAN_KIND_CLIENT {
		t.Errorf("%s and %s are the callers, %v", first, second, attempts)
	}
	pid, _ := attempts[1].Attributes["wsgid.pid"].(int)
	wantAttributes(t, attempts[0], map[string]any{"error.type": "refused", "wsgid.pid": 201 - pid, "http.response.status_code": nil})
	wantAttributes(t, attempts[1], map[string]any{"error.type": nil, "wsgid.process_group": "web", "http.response.status_code": 200})
	wantAttributes(t, spans[0], map[string]any{"wsgid.process_group": "web"})
	wantAttributes(t, server, map[string]any{"http.request.method": "GET", "url.path": "/shop/list", "url.query": nil, "http.response.status_code": 200,
		"wsgid.mount": "/", "wsgid.process_group": "web", "wsgid.application_group": "", "wsgid.pid": pid, "error.type": nil})
	if server.Name != "GET /" || server.Status.GetCode() != 0 || server.Attributes["wsgid.request_id"] == "" {
		t.Errorf("%v", spans)
	}
	for _, f := range busy {
		if _, err := f.read(); err != nil {
			t.Fatal(err)
		}
	}

	// With a caller, and a state; one that does not record has nothing recorded.
	r.mustGet(f, "/x", "HTTP_TRACEPARENT", callerText[:53]+"00")
	r.mustGet(f, "/x", "REQUEST_URI", "/x?token=secret", "HTTP_TRACEPARENT", callerText, "HTTP_TRACESTATE", "a=1", "REMOTE_ADDR", "192.0.2.7", "REQUEST_SCHEME", "https", "UNIQUE_ID", "id-7")
	server, names = family(t, c.Of(callerTrace), callerSpan)
	if names != "application" || strings.Contains(server.String(), "secret") || server.TraceState != "a=1" || server.Flags != 0x301 {
		t.Errorf("%s %v", names, server)
	}
	wantAttributes(t, server, map[string]any{"url.path": "/x", "url.query": nil, "client.address": "192.0.2.7", "url.scheme": "https", "wsgid.request_id": "id-7"})
	r.await("all of them counted", func(s *wire.RouterStatus) bool {
		return s.Spans != nil && s.Spans.Exported >= 8 && s.Spans.Dropped == 0
	})
}

// TestSpansOfFailures: what goes wrong is in the span that it happened in.
func TestSpansOfFailures(t *testing.T) {
	c := tracingtest.New(t, nil)
	r, _ := oneGroup(t, func(config *wire.RouterConfig) {
		spanning(config, c)
		config.Mounts = append([]wire.Mount{fileMount("/nowhere", "/srv/x.wsgi", "none")}, config.Mounts...)
	}, func(q *fakeRequest) {
		q.body()
		switch q.env["REQUEST_URI"] {
		case "/fails":
			q.w.Write(append(stdout([]byte("Status: 503 Busy\r\n\r\n")), endRequest()...))
		case "/cut":
			q.w.Write(stdout([]byte("Status: 200 OK\r\n\r\nbegins")))
			q.w.Close()
		case "/dies":
			q.w.Close()
		}
	}, 1, 1, 1, 1)
	rows := []struct {
		method, uri string
		name        string
		below       string
		status      int
		code, last  string // error.type of the span and of that below
	}{
		{"GET", "/fails", "GET /", "application", 503, "503", "503"},
		{"POST", "/dies", "POST /", "application", 502, errcode.WorkerDied.String(), "process_ended"},
		{"GET", "/cut", "GET /", "application", 200, "response_cut", "response_cut"},
		{"BREW", "/nowhere/x", "HTTP /nowhere", "", 500, errcode.UnknownGroup.String(), ""},
	}
	trace := func(i int) string { return fmt.Sprintf("%032x", i+1) }
	for i, row := range rows {
		f := r.front()
		f.send(requestBytes(1, 1, nil, "REQUEST_METHOD", row.method, "REQUEST_URI", row.uri, "SCRIPT_NAME", row.uri,
			"SERVER_NAME", "localhost", "HTTP_TRACEPARENT", "00-"+trace(i)+"-"+callerSpan+"-01"))
		_, _ = f.read() // an answer or none
	}
	for i, row := range rows {
		spans := c.Of(trace(i))
		server, names := family(t, spans, callerSpan)
		if server.Name != row.name || names != row.below || server.Status.GetCode() != failed {
			t.Errorf("%s: %v", row.uri, spans)
		}
		wantAttributes(t, server, map[string]any{"http.response.status_code": row.status, "error.type": row.code})
		if row.below != "" {
			wantAttributes(t, spans[0], map[string]any{"error.type": row.last})
			if spans[0].Status.GetCode() != failed {
				t.Errorf("%s: %v", row.uri, spans[0])
			}
		} else {
			wantAttributes(t, server, map[string]any{"http.request.method": "_OTHER", "http.request.method_original": "BREW"})
		}
	}
}

// TestSpanOfScript: a dispatch script has a span, also if it does not come back.
func TestSpanOfScript(t *testing.T) {
	everywhere(t, func(t *testing.T, h *fakeHost) {
		c := tracingtest.New(t, nil)
		never := make(chan struct{})
		t.Cleanup(func() { close(never) })
		h.decide = func(env map[string]string, c *ScriptCall) (ScriptAnswer, error) {
			switch env["REQUEST_URI"] {
			case "/fails":
				return ScriptAnswer{}, &ScriptError{Kind: ScriptRaised, Message: "no"}
			case "/hangs":
				<-never
			}
			return ScriptAnswer{}, nil
		}
		r := dispatching(t, h, func(config *wire.RouterConfig) {
			spanning(config, c)
			config.DispatchScripts[0].Timeout, config.DispatchScripts[0].Concurrency = 100*time.Millisecond, 16
		})
		rows := []struct{ uri, names, code string }{
			{"/works", "dispatch application", ""},
			{"/fails", "dispatch", errcode.DispatchException.String()},
			{"/hangs", "dispatch", errcode.DispatchTimeout.String()},
		}
		trace := func(i int) string { return fmt.Sprintf("%032x", i+1) }
		for i, row := range rows {
			if _, err := r.front().get(row.uri, "HTTP_TRACEPARENT", "00-"+trace(i)+"-"+callerSpan+"-01"); err != nil {
				t.Fatal(err)
			}
		}
		for i, row := range rows {
			spans := c.Of(trace(i))
			server, names := family(t, spans, callerSpan)
			if names = strings.Replace(names, "queue ", "", 1); names != row.names { // perhaps it was not connected yet
				t.Errorf("%s: %s", row.uri, names)
			}
			for _, s := range []tracingtest.Span{server, spans[0]} {
				if got, _ := s.Attributes["error.type"].(string); got != row.code || s.Status.GetCode() == failed != (row.code != "") {
					t.Errorf("%s: %v", row.uri, s)
				}
			}
			wantAttributes(t, spans[0], map[string]any{"wsgid.script": "/etc/d.py"})
		}
	})
}

// TestSpansWithoutCollector: nobody waits for one that is away, what is lost is
// counted, and the log is told once.
func TestSpansWithoutCollector(t *testing.T) {
	refusing := httptest.NewServer(http.NotFoundHandler())
	defer refusing.Close()
	r, _ := oneGroup(t, func(config *wire.RouterConfig) {
		config.Tracing = &wire.Tracing{Sample: 1, Endpoint: refusing.URL + "/v1/traces", Timeout: longWait}
	}, echoPath, 1)
	f := r.front()
	for range 3 {
		r.mustGet(f, "/x")
		r.await("lost spans", func(s *wire.RouterStatus) bool {
			return s.Spans.Exported == 0 && s.Spans.Dropped > 0 && s.Spans.Dropped%2 == 0
		})
	}
	r.wantLog("spans cannot be delivered", "404")
	if n := strings.Count(r.log.String(), "[WARN]"); n != 1 {
		t.Errorf("%d warnings", n)
	}
}
