package main

import (
	"fmt"
	"io"
)

// writeTables writes one table a workload.
func writeTables(out io.Writer, r results, works []workload, chosen []peer) {
	for _, w := range works {
		fmt.Fprintf(out, "## %s\n\n", w.title)
		fmt.Fprintln(out, "| server | req/s | CPU µs/request | of it behind Apache | p50 ms | p99 ms | errors | CPU / floor | CPU / uWSGI | req/s / uWSGI | req/s / mod_wsgi |")
		fmt.Fprintln(out, "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
		notes := ""
		for _, p := range chosen {
			if len(r[w.name][p.name]) == 0 {
				continue
			}
			count, note := r.errors(w.name, p.name)
			fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %d | %s | %s | %s | %s |\n", p.title,
				figure(r.median(w.name, p.name, rate)),
				figure(r.median(w.name, p.name, cpu)),
				figure(r.median(w.name, p.name, back)),
				milliseconds(r.median(w.name, p.name, p50)),
				milliseconds(r.median(w.name, p.name, p99)),
				count,
				quotient(r.ratio(w.name, p.name, "floor", cpu)),
				quotient(r.ratio(w.name, p.name, "uwsgi", cpu)),
				quotient(r.ratio(w.name, p.name, "uwsgi", rate)),
				quotient(r.ratio(w.name, p.name, "mod_wsgi", rate)))
			if note != "" {
				notes += fmt.Sprintf("First error of %s: %s.\n", p.title, note)
			}
		}
		fmt.Fprintln(out)
		if notes != "" {
			fmt.Fprintln(out, notes)
		}
	}
}

func figure(v float64, ok bool) string {
	switch {
	case !ok:
		return "–"
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.1f", v)
	}
}

func milliseconds(v float64, ok bool) string {
	switch {
	case !ok:
		return "–"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func quotient(v float64, ok bool) string {
	if !ok {
		return "–"
	}
	return fmt.Sprintf("%.2f", v)
}
