package main

import (
	"fmt"
	"io"
	"math"
)

// bar is one performance target. It is shown, never enforced: a machine's
// speed is no property of the program.
type bar struct {
	text  string
	value func(results) (float64, bool)
	limit float64
	most  bool // value must be at most limit; else at least
}

func bars() []bar {
	ratio := func(work, name, to string, of metric) func(results) (float64, bool) {
		return func(r results) (float64, bool) { return r.ratio(work, name, to, of) }
	}
	return []bar{
		{"hello, 16 connections: CPU per request / floor", ratio("hello-16", "wsgid", "floor", cpu), 1.4, true},
		{"hello, 16 connections: requests/s / mod_wsgi daemon mode", ratio("hello-16", "wsgid", "mod_wsgi", rate), 1.5, false},
		{"hello, 16 connections: requests/s / uWSGI", ratio("hello-16", "wsgid", "uwsgi", rate), 0.9, false},
		{"hello, 16 connections, dispatch script: requests/s / mod_wsgi with WSGIDispatchScript", ratio("hello-16", "wsgid-dispatch", "mod_wsgi-dispatch", rate), 1.6, false},
		{"1 MiB streamed: requests/s / fastest peer", fastest("stream"), 0.9, false},
		{"10 MiB upload: requests/s / fastest peer", fastest("upload"), 0.9, false},
		{"100 ms sleep, 60 clients on 10 threads: p99 / ideal 600 ms", func(r results) (float64, bool) {
			v, ok := r.median("sleep", "wsgid", p99)
			return v / 600, ok
		}, 1.1, true},
		{"hello, 16 connections, access log, metrics and tracing ids: CPU per request / without", ratio("hello-16-observed", observed, "wsgid", cpu), 1.05, true},
		{"errors of wsgid in all workloads", func(r results) (float64, bool) {
			count, ok := 0, false
			for work := range r {
				for _, name := range []string{"wsgid", "wsgid-handler", "wsgid-dispatch", "wsgid-embedded", observed, migrated} {
					n, _ := r.errors(work, name)
					count += n
					ok = ok || len(r[work][name]) > 0
				}
			}
			return float64(count), ok
		}, 0, true},
	}
}

// fastest compares wsgid with the fastest Python server beside it.
func fastest(work string) func(results) (float64, bool) {
	return func(r results) (float64, bool) {
		least, ok := math.Inf(1), false
		for _, name := range []string{"mod_wsgi", "uwsgi", "gunicorn"} {
			if v, have := r.ratio(work, "wsgid", name, rate); have {
				least, ok = min(least, v), true
			}
		}
		return least, ok
	}
}

// writeBars writes a line for each target that could be judged.
func writeBars(out io.Writer, r results) {
	lines := ""
	for _, b := range bars() {
		v, ok := b.value(r)
		if !ok {
			continue
		}
		verdict, sign := "not met", "at least"
		if b.most {
			sign = "at most"
		}
		if (b.most && v <= b.limit) || (!b.most && v >= b.limit) {
			verdict = "met"
		}
		lines += fmt.Sprintf("* %s: %.2f, wanted %s %g: **%s**\n", b.text, v, sign, b.limit, verdict)
	}
	if lines != "" {
		fmt.Fprintf(out, "## Targets\n\n%s", lines)
	}
}
