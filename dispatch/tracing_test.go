package dispatch

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/wsgid/wsgid/internal/tracing"
	"github.com/wsgid/wsgid/internal/wire"
)

const (
	callerTrace = "0af7651916cd43dd8448eb211c80319c"
	callerSpan  = "b7ad6b7169203331"
	callerText  = "00-" + callerTrace + "-" + callerSpan + "-01"
)

// traced is what an application sees of its trace.
type traced struct{ parent, state, id string }

// tracedRouter answers each request with what the application sees, and tells it.
func tracedRouter(t *testing.T, change func(*wire.RouterConfig), seen chan<- traced) *running {
	r, _ := oneGroup(t, func(c *wire.RouterConfig) {
		c.Tracing = &wire.Tracing{Sample: 1}
		if change != nil {
			change(c)
		}
	}, func(q *fakeRequest) {
		q.body()
		seen <- traced{q.env["HTTP_TRACEPARENT"], q.env["HTTP_TRACESTATE"], q.env["WSGID_TRACE"]}
		q.reply("ok")
	}, 1)
	return r
}

// parentOf reads what must be a traceparent.
func parentOf(t *testing.T, text string) tracing.Parent {
	t.Helper()
	p, ok := tracing.ParseParent([]byte(text))
	if !ok {
		t.Fatalf("%q is no traceparent", text)
	}
	return p
}

// TestTraceparent: a trace goes on where it comes with one that is valid, else it
// begins here; the caller of the application is always wsgid.
func TestTraceparent(t *testing.T) {
	seen := make(chan traced, 1)
	r := tracedRouter(t, nil, seen)
	f := r.front()
	ids := map[string]bool{}
	for _, c := range []struct {
		name    string
		headers []string
		taken   bool
		flags   byte
		state   string
	}{
		{name: "taken over", headers: []string{"HTTP_TRACEPARENT", callerText, "HTTP_TRACESTATE", "a=1,b=2"}, taken: true, flags: 1, state: "a=1,b=2"},
		{name: "not sampled", headers: []string{"HTTP_TRACEPARENT", callerText[:53] + "02"}, taken: true, flags: 2},
		{name: "two states", headers: []string{"HTTP_TRACEPARENT", callerText, "HTTP_TRACESTATE", "a=1", "HTTP_TRACESTATE", "b=2"}, taken: true, flags: 1, state: "a=1, b=2"},
		{name: "a later version", headers: []string{"HTTP_TRACEPARENT", "cc" + callerText[2:] + "-more"}, taken: true, flags: 1},
		{name: "none", flags: 1},
		{name: "a state alone", headers: []string{"HTTP_TRACESTATE", "a=1"}, flags: 1},
		{name: "invalid", headers: []string{"HTTP_TRACEPARENT", strings.ToUpper(callerText), "HTTP_TRACESTATE", "a=1"}, flags: 1},
		{name: "two", headers: []string{"HTTP_TRACEPARENT", callerText, "HTTP_TRACEPARENT", callerText, "HTTP_TRACESTATE", "a=1"}, flags: 1},
		{name: "empty", headers: []string{"HTTP_TRACEPARENT", ""}, flags: 1},
		{name: "of wsgid's own", headers: []string{"WSGID_TRACE", callerTrace}, flags: 1},
	} {
		r.mustGet(f, "/x", c.headers...)
		got := <-seen
		p := parentOf(t, got.parent)
		trace := got.parent[3:35]
		if taken := trace == callerTrace; taken != c.taken || p.Flags != c.flags || got.state != c.state || got.id != trace {
			t.Errorf("%s: %+v", c.name, got)
		}
		span := got.parent[36:52]
		if span == callerSpan || ids[span] || (!c.taken && ids[trace]) {
			t.Errorf("%s: an id again: %+v", c.name, got)
		}
		ids[span], ids[trace] = true, true
	}
	for _, c := range []struct {
		name   string
		config *wire.Tracing
		want   traced
		flags  byte
	}{
		{"without tracing", nil, traced{parent: "as it came", state: "b"}, 0},
		{"replaced", &wire.Tracing{Replace: true, Sample: 1}, traced{}, 1},
		{"none is sampled", &wire.Tracing{Replace: true}, traced{}, 0},
	} {
		r := tracedRouter(t, func(config *wire.RouterConfig) { config.Tracing = c.config }, seen)
		sent := callerText
		if c.config == nil {
			sent = "as it came"
		}
		r.mustGet(r.front(), "/x", "HTTP_TRACEPARENT", sent, "HTTP_TRACESTATE", "b")
		got := <-seen
		if c.config == nil {
			if got != c.want {
				t.Errorf("%s: %+v", c.name, got)
			}
		} else if p := parentOf(t, got.parent); p.Flags != c.flags || got.id == callerTrace || got.id != got.parent[3:35] || got.state != "" {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// TestTraceparentOverHTTP: the header of a client is one, and nothing that looks like it.
func TestTraceparentOverHTTP(t *testing.T) {
	seen := make(chan string, 1)
	_, address := httpRouter(t, func(c *wire.RouterConfig) { c.Tracing = &wire.Tracing{Sample: 1} }, func(q *fakeRequest) {
		q.body()
		seen <- q.env["HTTP_TRACEPARENT"]
		q.reply("ok")
	})
	for name, taken := range map[string]bool{"traceparent": true, "TraceParent": true, "Trace-Parent": false, "Trace_Parent": false} {
		req, err := http.NewRequest(http.MethodGet, "http://"+address, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header[name] = []string{callerText}
		a, err := httpClient(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		if got := <-seen; (parentOf(t, got).Trace == parentOf(t, callerText).Trace) != taken {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestTraceOfAttempts: each process that gets the request has a caller of its own,
// also in a request whose parameters need several records.
func TestTraceOfAttempts(t *testing.T) {
	for _, n := range []int{10, 200 << 10} {
		seen := make(chan traced, 2)
		var refused atomic.Bool
		r, _ := oneGroup(t, func(c *wire.RouterConfig) {
			c.Tracing, c.Limits.MaxHeaderBytes = &wire.Tracing{}, 1<<20
		}, func(q *fakeRequest) {
			q.body()
			if len(q.env["LONG"]) != n {
				t.Errorf("%d of %d bytes", len(q.env["LONG"]), n)
			}
			seen <- traced{parent: q.env["HTTP_TRACEPARENT"]}
			if refused.CompareAndSwap(false, true) {
				q.refuse()
				return
			}
			q.reply("ok")
		}, 1, 1)
		r.mustGet(r.front(), "/x", "LONG", strings.Repeat("x", n), "HTTP_TRACEPARENT", callerText)
		first, second := parentOf(t, (<-seen).parent), parentOf(t, (<-seen).parent)
		if first.Trace != second.Trace || first.Span == second.Span || first.Flags != 1 || second.Flags != 1 {
			t.Errorf("%v, then %v", first, second)
		}
	}
}

// TestTraceOfScript: a dispatch script sees what the application will see, and what
// it logs has the trace. Lines of the router have it, too.
func TestTraceOfScript(t *testing.T) {
	everywhere(t, func(t *testing.T, h *fakeHost) {
		calls := make(chan traced, 1)
		h.decide = func(env map[string]string, c *ScriptCall) (ScriptAnswer, error) {
			calls <- traced{env["HTTP_TRACEPARENT"], env["HTTP_TRACESTATE"], c.Trace}
			if env["REQUEST_URI"] == "/fails" {
				return ScriptAnswer{}, &ScriptError{Kind: ScriptRaised, Message: "no"}
			}
			return ScriptAnswer{}, nil
		}
		r := dispatching(t, h, func(c *wire.RouterConfig) { c.Tracing = &wire.Tracing{Sample: 1} })
		f := r.front()
		for _, path := range []string{"/works", "/fails"} {
			if _, err := f.get(path, "HTTP_TRACEPARENT", callerText, "HTTP_TRACESTATE", "a=1"); err != nil {
				t.Fatal(err)
			}
			if got := <-calls; got.parent[:35] != callerText[:35] || got.parent[36:52] == callerSpan || got.state != "a=1" || got.id != callerTrace {
				t.Errorf("%s: %+v", path, got)
			}
		}
		r.wantLog("dispatch script", "uri=/fails", "trace="+callerTrace)
	})
}
