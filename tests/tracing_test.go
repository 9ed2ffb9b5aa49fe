package tests

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/wsgid/wsgid/internal/tracing"
	"github.com/wsgid/wsgid/internal/tracingtest"
	"github.com/wsgid/wsgid/tests/internal/harness"
)

const callerSpan = "b7ad6b7169203331"

// seenTrace is what the application saw, checked: its HTTP_TRACEPARENT in parts.
type seenTrace struct {
	trace, span, flags string
	state              any
}

func traceOf(t *testing.T, what string, response *harness.Response) seenTrace {
	t.Helper()
	wantStatus(t, what, response, 200)
	var seen map[string]any
	fromJSON(t, response.Text(), &seen)
	parent, _ := seen["HTTP_TRACEPARENT"].(string)
	if _, ok := tracing.ParseParent([]byte(parent)); !ok || seen["WSGID_TRACE"] != nil {
		t.Fatalf("%s: %v", what, seen)
	}
	part := strings.Split(parent, "-")
	return seenTrace{part[1], part[2], part[3], seen["HTTP_TRACESTATE"]}
}

// TestTracing: a trace goes on from Apache, or over HTTP, through router, dispatch
// script and application; every line about the request has it, and the collector gets
// what belongs to it.
func TestTracing(t *testing.T) {
	w := newWorld(t)
	w.App("traced.py")
	openDirectory(t, w, "apps/open")
	w.Write("dispatch.py", "def process_group(environ):\n    print('asked about', environ['REQUEST_URI'], environ['HTTP_TRACEPARENT'][:35])\n    if 'fail' in environ['REQUEST_URI']:\n        raise KeyError\n")
	var refuses atomic.Bool
	collector := tracingtest.New(t, func(_ int, answer http.ResponseWriter) {
		if refuses.Load() {
			answer.WriteHeader(http.StatusBadRequest)
		}
	})
	web := freeAddress(t)
	configure := func(tracing string) {
		w.Configure(tracing + "access_log {\n  path = \"{{.Dir}}/access.log\"\n  format = \"%U %>s %{wsgid:trace}x.\"\n}\nlisten \"http\" {\n  address = \"" + web + "\"\n}\ndispatch_script \"{{.Dir}}/dispatch.py\" {\n}\n" +
			group("one", "#64001", 1, 1, `slow_request = "200ms"`) + mount("/in", "apps/traced.py", option("process_group", "%{GLOBAL}")) +
			mount("/", "apps/traced.py", option("process_group", "one")))
	}
	spans := "tracing {\n  endpoint = \"" + collector.URL + "\"\n  service_name = \"shop\"\n"
	configure(spans + "}\n")
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	trace := func(n int) string { return fmt.Sprintf("%032x", n) }
	header := func(n int, flags string) string {
		return "traceparent: 00-" + trace(n) + "-" + callerSpan + "-" + flags
	}
	// below checks that the spans of a trace are those of the router and its parts.
	below := func(what, trace, caller string, names ...string) []tracingtest.Span {
		t.Helper()
		all := collector.Of(trace)
		server := all[len(all)-1]
		var got []string
		for _, s := range all[:len(all)-1] {
			got = append(got, s.Name)
			if s.Parent != server.ID || s.StartTimeUnixNano < server.StartTimeUnixNano || s.EndTimeUnixNano > server.EndTimeUnixNano {
				t.Errorf("%s: %v is not in %v", what, s, server)
			}
		}
		if !slices.Equal(got, names) || server.Parent != caller || server.Resource["service.name"] != "shop" {
			t.Errorf("%s: %v below %v", what, got, server)
		}
		return all
	}
	// told checks that the line about a request has its trace.
	told := func(text, trace string) {
		t.Helper()
		if record := d.Log.Await(t, text, harness.Containing(text, trace)); record.Text("trace") != trace || record.Text("request") == "" {
			t.Errorf("trace %s: %s", trace, record.Line)
		}
	}

	accepted := traceOf(t, "taken over", apache.Get("/accepted", header(1, "01"), "tracestate: a=1", "tracestate: b=2"))
	if accepted.trace != trace(1) || accepted.flags != "01" || accepted.state != "a=1, b=2" {
		t.Errorf("%v", accepted)
	}
	pid := d.Status().PIDs("one")[0]
	told("traced /accepted", trace(1))
	told("asked about /accepted 00-"+trace(1), trace(1))

	made := traceOf(t, "made", apache.Get("/made", "tracestate: a=1"))
	if made.state != nil || made.flags != "01" {
		t.Errorf("%v", made)
	}
	told("traced /made", made.trace)
	for _, invalid := range [][]string{{header(2, "01") + "-more"}, {strings.ToUpper(header(2, "01"))}, {header(2, "01"), header(2, "01")}} {
		if seen := traceOf(t, invalid[0], apache.Get("/invalid", append(invalid, "tracestate: a=1")...)); seen.trace == trace(2) || seen.state != nil {
			t.Errorf("%q: %v", invalid, seen)
		}
	}
	if seen := traceOf(t, "not sampled", apache.Get("/unsampled", header(3, "00"))); seen.trace != trace(3) || seen.flags != "00" {
		t.Errorf("%v", seen)
	}
	told("traced /unsampled", trace(3))
	if got := apache.Get("/fail", header(4, "01")); got.Status != 500 {
		t.Errorf("%d", got.Status)
	}
	told("dispatch script raised an exception", trace(4))
	if seen := traceOf(t, "over HTTP", harness.NewClient(t, "http://"+web).Get("/http", header(5, "01"))); seen.trace != trace(5) {
		t.Errorf("%v", seen)
	}
	if seen := traceOf(t, "embedded", apache.Get("/in/router", header(6, "01"))); seen.trace != trace(6) {
		t.Errorf("%v", seen)
	}
	told("traced /in/router", trace(6))
	for _, line := range []string{"/accepted 200 " + trace(1), "/fail 500 " + trace(4), "/http 200 " + trace(5), "/in/router 200 " + trace(6)} {
		awaitText(t, w, "access.log", line+".\n")
	}

	// The only process dies with the request, which then waits for the next one.
	twice := traceOf(t, "tried twice", apache.Get("/die", header(7, "01")))
	told("worker died, trying another", trace(7))

	// The only thread is busy: one request is slow, the other waits.
	slow := make(chan *harness.Response, 1)
	go func() {
		response, err := apache.Try(t.Context(), "GET", "/wait?open/go", nil, header(8, "01"))
		if err != nil {
			t.Error(err)
		}
		slow <- response
	}()
	told("request runs for longer than slow_request", trace(8))
	waits := make(chan *harness.Response, 1)
	go func() {
		response, err := apache.Try(t.Context(), "GET", "/waits", nil, header(9, "01"))
		if err != nil {
			t.Error(err)
		}
		waits <- response
	}()
	d.AwaitStatus("a request waits", func(s harness.Status) error {
		if n := s.Group("one").Queued; n != 1 {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
	var running []struct{ Trace string }
	if code, out, errs := w.CLI("requests", "--json", "--control", w.Control); code != 0 {
		t.Errorf("%d: %s", code, errs)
	} else if fromJSON(t, out, &running); len(running) != 1 || running[0].Trace != trace(8) {
		t.Errorf("%s", out)
	}
	w.Write("apps/open/go", "")
	traceOf(t, "slow", <-slow)
	traceOf(t, "waited", <-waits)

	all := below("taken over", trace(1), callerSpan, "dispatch", "application")
	server := all[2]
	if a := server.Attributes; all[1].ID != accepted.span || server.Name != "GET /" || a["url.path"] != "/accepted" || a["http.response.status_code"] != 200 ||
		a["client.address"] != "127.0.0.1" || a["wsgid.process_group"] != "one" || all[1].Attributes["wsgid.pid"] != pid {
		t.Errorf("%v, %v", accepted, all)
	}
	below("made", made.trace, "", "dispatch", "application")
	below("the dispatch script fails", trace(4), callerSpan, "dispatch")
	below("over HTTP", trace(5), callerSpan, "dispatch", "application")
	all = below("tried twice", trace(7), callerSpan, "dispatch", "application", "queue", "application")
	if all[1].ID == twice.span || all[3].ID != twice.span || all[1].Attributes["error.type"] != "process_ended" {
		t.Errorf("%v, %v", twice, all)
	}
	below("waited", trace(9), callerSpan, "dispatch", "queue", "application")
	for _, s := range collector.Await("spans", func([]tracingtest.Span) bool { return true }) {
		if s.Trace == trace(3) {
			t.Errorf("not sampled: %v", s)
		}
	}

	// A collector that does not want them costs the spans, and no request.
	figure := func(name string) float64 {
		_, text := controlClient(t, w)("/metrics")
		return samples(t, text)[name]
	}
	harness.Eventually(t, "all are exported", func() error {
		if n := figure("wsgid_spans_exported_total"); n < 30 || figure("wsgid_spans_dropped_total") != 0 {
			return fmt.Errorf("%v are", n)
		}
		return nil
	})
	refuses.Store(true)
	traceOf(t, "without a collector", apache.Get("/"))
	d.Log.Await(t, "the collector", harness.Containing("spans cannot be delivered", "400"))
	if n := figure("wsgid_spans_dropped_total"); n < 3 {
		t.Errorf("%v dropped", n)
	}
	refuses.Store(false)

	// What the router before a reload has recorded comes all the same.
	seen := traceOf(t, "before a reload", apache.Get("/", header(10, "01")))
	reload := func() {
		t.Helper()
		if code, _, errs := w.CLI("reload", "--control", w.Control); code != 0 {
			t.Fatalf("%d: %s", code, errs)
		}
	}
	configure(spans + "  traceparent = \"replace\"\n  sample = 0\n}\n")
	reload()
	below("before a reload", seen.trace, callerSpan, "dispatch", "application")
	if seen := traceOf(t, "replaced", apache.Get("/", header(11, "01"), "tracestate: a=1")); seen.trace == trace(11) || seen.flags != "00" || seen.state != nil {
		t.Errorf("%v", seen)
	}
	w.Write("dispatch.py", "")
	configure("")
	reload()
	if got := apache.Get("/", "traceparent: anything", "tracestate: a=1"); got.Text() != `{"HTTP_TRACEPARENT": "anything", "HTTP_TRACESTATE": "a=1"}` {
		t.Errorf("without tracing: %s", got.Body)
	}
	d.NoteDescriptors()
}
