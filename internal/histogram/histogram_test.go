package histogram

import (
	"testing"
	"time"
)

func TestObserve(t *testing.T) {
	var h Histogram
	for _, d := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, time.Second, time.Hour} {
		h.Observe(d)
	}
	c := h.Snapshot()
	if want := [Buckets]uint64{0: 2, 1: 1, 8: 1, Buckets - 1: 1}; c.Counts != want {
		t.Errorf("%v", c.Counts)
	}
	if c.Total() != 5 || c.Seconds < 3601.002 || c.Seconds > 3601.003 {
		t.Errorf("%d, %v", c.Total(), c.Seconds)
	}
	for q, want := range map[float64]time.Duration{0: time.Millisecond, 0.4: time.Millisecond, 0.5: 5 * time.Millisecond, 0.8: time.Second} {
		if bound, ok := c.Quantile(q); !ok || bound != want {
			t.Errorf("%v: %v, %v", q, bound, ok)
		}
	}
	if bound, ok := c.Quantile(0.9); ok {
		t.Errorf("one is longer than all bounds: %v", bound)
	}
	if bound, ok := new(Counts).Quantile(0.5); ok {
		t.Errorf("of nothing: %v", bound)
	}
	c.Add(&c)
	if c.Total() != 10 {
		t.Errorf("%d", c.Total())
	}
}

// TestAddSeconds: the order of additions makes no difference.
func TestAddSeconds(t *testing.T) {
	terms := []float64{0.1, 0.2, 0.3, 11.297303, 0.000001, 123456.789012, 0.7}
	sum := func(order func(i int) int) float64 {
		var total Counts
		for i := range terms {
			total.Add(&Counts{Seconds: terms[order(i)]})
		}
		return total.Seconds
	}
	forth := sum(func(i int) int { return i })
	back := sum(func(i int) int { return len(terms) - 1 - i })
	if forth != back || forth != 123469.386316 {
		t.Errorf("%v, %v", forth, back)
	}
	if a, b := 0.1+0.2, 0.3; AddSeconds(a, 0) != AddSeconds(b, 0) {
		t.Errorf("%v, %v", a, b)
	}
}
