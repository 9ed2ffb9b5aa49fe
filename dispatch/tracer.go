package dispatch

import (
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/internal/tracing"
	"github.com/wsgid/wsgid/internal/wire"
)

// flushTime is how long a router that ends may take to send the last spans: the
// supervisor waits little longer for it.
const flushTime = 500 * time.Millisecond

// tracer is what the router does about traces; nil: nothing.
type tracer struct {
	replace  bool // the trace that a request comes with does not go on
	sampler  tracing.Sampler
	exporter *tracing.Exporter // nil: spans are for nobody
	running  bool
}

func newTracer(c *wire.Tracing, version string, log hclog.Logger) *tracer {
	t := &tracer{replace: c.Replace, sampler: tracing.NewSampler(c.Sample)}
	if c.Endpoint != "" {
		t.exporter = tracing.NewExporter(tracing.Options{URL: c.Endpoint, Headers: c.Headers, Resource: c.Resource,
			Timeout: c.Timeout, Version: version, Logger: log})
	}
	return t
}

// start begins to send spans.
func (t *tracer) start(r *Router) {
	if t != nil && t.exporter != nil {
		t.running = true
		r.background(t.exporter.Run)
	}
}

// close sends what is left, if start was called.
func (t *tracer) close() {
	if t != nil && t.running {
		t.exporter.Close(flushTime)
	}
}

func (t *tracer) status() *wire.SpanStatus {
	if t == nil || t.exporter == nil {
		return nil
	}
	return &wire.SpanStatus{Exported: t.exporter.Exported(), Dropped: t.exporter.Dropped()}
}
