// Package histogram counts durations in buckets that are the same everywhere: in
// the router, in the scoreboard of workers (pyshim/scoreboard.c) and in what is shown.
// It must not know what is measured.
package histogram

import (
	"math"
	"sync/atomic"
	"time"
)

// Bounds of the buckets, each including its own; what is longer is in one more.
var Bounds = [...]time.Duration{
	time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond,
	5 * time.Second, 10 * time.Second, 30 * time.Second,
}

// Buckets is how many counters there are.
const Buckets = len(Bounds) + 1

// Counts is a histogram at one moment. Each counter is of its bucket alone.
type Counts struct {
	Counts [Buckets]uint64 `json:"counts"`
	// Seconds of all together.
	Seconds float64 `json:"seconds"`
}

// Add adds another one.
func (c *Counts) Add(other *Counts) {
	for i, n := range other.Counts {
		c.Counts[i] += n
	}
	c.Seconds = AddSeconds(c.Seconds, other.Seconds)
}

// AddSeconds adds times of whole microseconds. What is added in another order is the same
// to the last bit: to Prometheus a counter that is smaller by a rounding error than
// before has begun anew.
func AddSeconds(a, b float64) float64 { return math.Round((a+b)*1e6) / 1e6 }

// Total is how many there are.
func (c *Counts) Total() uint64 {
	total := uint64(0)
	for _, n := range c.Counts {
		total += n
	}
	return total
}

// Quantile is the bound of the bucket that part q of them (0 to 1) do not exceed; ok:
// there is one. Those that are longer than all bounds have none.
func (c *Counts) Quantile(q float64) (bound time.Duration, ok bool) {
	sum, total := uint64(0), c.Total()
	for i, bound := range Bounds {
		if sum += c.Counts[i]; sum > 0 && float64(sum) >= q*float64(total) {
			return bound, true
		}
	}
	return 0, false
}

// Histogram counts; safe for concurrent use.
type Histogram struct {
	counts [Buckets]atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

// Observe counts one duration.
func (h *Histogram) Observe(d time.Duration) {
	i := 0
	for i < len(Bounds) && d > Bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// Snapshot is what has been counted.
func (h *Histogram) Snapshot() Counts {
	var c Counts
	for i := range h.counts {
		c.Counts[i] = h.counts[i].Load()
	}
	c.Seconds = time.Duration(h.sum.Load()).Seconds()
	return c
}
