package tracing

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// Spans that wait for the collector, at most; further ones are dropped.
	maxWaiting      = 8192
	maxWaitingBytes = 4 << 20
	keepBuffer      = 1 << 20 // larger ones are given back
	// A batch goes when so many spans wait, or the first has waited so long.
	enough     = 512
	batchDelay = time.Second
	// After a failure it is tried again: pauses from the first to the last of
	// these, each twice the one before, until a batch has been tried for patience.
	firstPause = time.Second
	lastPause  = 30 * time.Second
	patience   = time.Minute
	// maxRetryAfter bounds what a collector can ask for.
	maxRetryAfter = 5 * time.Minute
)

// Options are what an exporter is made of.
type Options struct {
	URL      string            // of the collector
	Headers  map[string]string // that are sent to it
	Resource map[string]string // attributes of the sender
	Version  string            // of wsgid
	Timeout  time.Duration     // of one request to the collector
	Logger   hclog.Logger
}

// Exporter sends spans to a collector, one batch after the other. Whoever hands it
// spans never waits: what the collector does not take in time is dropped and counted.
// It reads no OTEL_ or proxy variables: the configuration says everything.
type Exporter struct {
	options Options
	client  *http.Client
	pause   time.Duration // firstPause, in tests less
	delay   time.Duration // batchDelay, in tests less
	ctx     context.Context
	cancel  context.CancelFunc
	wake    chan struct{} // something waits
	full    chan struct{} // a batch waits
	stop    chan struct{} // closed by Close
	ended   chan struct{} // closed when Run has ended
	failing bool          // the log has been told; of Run alone

	exported, dropped atomic.Uint64

	mu      sync.Mutex
	waiting []byte // spans, as Spans writes them
	count   int    // of them
}

// NewExporter makes one, which sends when Run runs.
func NewExporter(o Options) *Exporter {
	e := &Exporter{options: o, pause: firstPause, delay: batchDelay, client: newClient(o.Timeout),
		wake: make(chan struct{}, 1), full: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{})}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e
}

// Exported counts the spans that the collector has taken.
func (e *Exporter) Exported() uint64 { return e.exported.Load() }

// Dropped counts those that it has not.
func (e *Exporter) Dropped() uint64 { return e.dropped.Load() }

// Add takes spans. It copies them and does not wait.
func (e *Exporter) Add(s *Spans) {
	e.mu.Lock()
	if e.count+s.count > maxWaiting || len(e.waiting)+len(s.buf) > maxWaitingBytes {
		e.mu.Unlock()
		e.dropped.Add(uint64(s.count))
		return
	}
	first := e.count == 0
	e.waiting = append(e.waiting, s.buf...)
	e.count += s.count
	many := e.count >= enough
	e.mu.Unlock()
	if first {
		signal(e.wake)
	}
	if many {
		signal(e.full)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take gives what waits, for another buffer.
func (e *Exporter) take(buffer []byte) (spans []byte, count int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	spans, count = e.waiting, e.count
	e.waiting, e.count = buffer[:0], 0
	return spans, count
}

// Run sends until Close is called, and then what still waits. It wakes up only
// when there is something to send.
func (e *Exporter) Run() {
	defer close(e.ended)
	defer e.client.CloseIdleConnections()
	var spans []byte
	for {
		select {
		case <-e.wake:
			e.collect()
		case <-e.stop:
		}
		if cap(spans) > keepBuffer {
			spans = nil
		}
		var count int
		if spans, count = e.take(spans); count > 0 {
			e.deliver(spans, count)
		}
		if e.stopping() && count == 0 {
			return
		}
	}
}

// collect waits until a batch is worth it.
func (e *Exporter) collect() {
	t := time.NewTimer(e.delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-e.full:
	case <-e.stop:
	}
	select {
	case <-e.full: // it is for the batch that goes now
	default:
	}
}

func (e *Exporter) stopping() bool {
	select {
	case <-e.stop:
		return true
	default:
		return false
	}
}

// Close has what waits sent, once and within a time, and ends Run. Spans that come
// later are for nobody. It is called once, while Run runs.
func (e *Exporter) Close(limit time.Duration) {
	close(e.stop)
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-e.ended:
	case <-t.C:
	}
	e.cancel()
	<-e.ended
}

// deliver sends a batch, again and again while that may help.
func (e *Exporter) deliver(spans []byte, count int) {
	body := e.body(spans)
	begun := time.Now()
	for pause := e.pause; ; pause = min(2*pause, lastPause) {
		before := e.dropped.Load()
		rejected, err := e.send(body)
		if err == nil {
			e.delivered(count, rejected, e.dropped.Load() > before)
			return
		}
		var refused *refusedError
		asked := time.Duration(0)
		if errors.As(err, &refused) {
			asked = refused.after
		}
		wait := asked
		if asked == 0 { // spread, lest all come back at once
			wait = pause/2 + rand.N(pause/2)
		}
		last := refused != nil && !refused.again || time.Since(begun)+wait > patience || e.stopping()
		if last {
			e.dropped.Add(uint64(count))
		}
		e.tell("spans cannot be delivered", "error", err)
		if !last || asked > 0 {
			e.sleep(wait)
		}
		if last {
			return
		}
	}
}

func (e *Exporter) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-e.stop:
	}
}

// delivered counts a batch that was taken, but for the spans that were not. slowly:
// others were dropped meanwhile.
func (e *Exporter) delivered(count int, rejected rejection, slowly bool) {
	lost := min(rejected.spans, uint64(count))
	e.exported.Add(uint64(count) - lost)
	e.dropped.Add(lost)
	switch {
	case rejected != (rejection{}):
		e.tell("the collector rejects spans", "rejected", rejected.spans, "reason", rejected.message)
	case slowly:
		e.tell("spans are dropped: the collector takes them too slowly")
	case e.failing:
		e.failing = false
		e.options.Logger.Info("the collector takes spans again", "endpoint", e.options.URL, "dropped", e.dropped.Load())
	}
}

// tell warns once until everything is delivered again.
func (e *Exporter) tell(message string, fields ...any) {
	level := hclog.Warn
	if e.failing {
		level = hclog.Debug
	}
	e.failing = true
	e.options.Logger.Log(level, message, append(fields, "endpoint", e.options.URL, "dropped", e.dropped.Load())...)
}
