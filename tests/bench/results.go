package main

import (
	"slices"
)

// results holds all samples: workload, peer, round.
type results map[string]map[string][]sample

func (r results) add(w workload, p peer, s sample) {
	if r[w.name] == nil {
		r[w.name] = map[string][]sample{}
	}
	r[w.name][p.name] = append(r[w.name][p.name], s)
}

// A metric is one figure of a sample.
type metric func(sample) float64

func rate(s sample) float64 { return s.rate }
func cpu(s sample) float64  { return s.cpu }
func back(s sample) float64 { return s.back }
func p50(s sample) float64  { return s.p50 }
func p99(s sample) float64  { return s.p99 }

// median over the rounds; false if there are none.
func (r results) median(work, name string, of metric) (float64, bool) {
	var values []float64
	for _, s := range r[work][name] {
		values = append(values, of(s))
	}
	return median(values)
}

// ratio is the median of the quotients of each round: rounds are interleaved,
// so what disturbed one peer of a round disturbed the other, and only
// quotients within a run count.
func (r results) ratio(work, name, to string, of metric) (float64, bool) {
	var values []float64
	above, below := r[work][name], r[work][to]
	for i := range min(len(above), len(below)) {
		if d := of(below[i]); d > 0 {
			values = append(values, of(above[i])/d)
		}
	}
	return median(values)
}

// errors of all rounds, and what the first was.
func (r results) errors(work, name string) (count int, note string) {
	for _, s := range r[work][name] {
		count += s.errors
		if note == "" {
			note = s.note
		}
	}
	return count, note
}

func median(values []float64) (float64, bool) {
	n := len(values)
	if n == 0 {
		return 0, false
	}
	slices.Sort(values)
	return (values[(n-1)/2] + values[n/2]) / 2, true
}
