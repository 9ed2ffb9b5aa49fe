package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/internal/status"
)

// newTop is wsgid top.
func newTop() *cobra.Command {
	var t target
	var interval time.Duration
	var rounds int
	var sortBy string
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show what processes do, again and again",
		Long: `Shows the processes of all groups with what they have used and served since the
last look. On a terminal the keys c, m, b, r, e and o sort by processor, memory, busy
threads, requests a second, errors a second and the oldest request, g by group, and q
ends it. Elsewhere one look after the other is printed, with --rounds so many.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			view, ok := sortings[sortBy]
			switch {
			case !ok:
				return usagef("--sort is one of %s; %q is none of them", strings.Join(sortNames(), ", "), sortBy)
			case interval < 100*time.Millisecond:
				return usagef("--interval is at least 100ms")
			}
			c, err := t.connect(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			top := &topView{client: c, out: cmd.OutOrStdout(), interval: interval, rounds: rounds, by: view}
			return top.run(ctx)
		},
	}
	addTargetFlags(cmd, &t)
	cmd.Flags().DurationVar(&interval, "interval", 2*time.Second, "`TIME` between two looks")
	cmd.Flags().IntVar(&rounds, "rounds", 0, "end after so many looks; 0: never")
	cmd.Flags().StringVar(&sortBy, "sort", "cpu", "`COLUMN` to sort by: "+strings.Join(sortNames(), ", "))
	return cmd
}

// topRow is a process between two looks.
type topRow struct {
	group, state     string
	pid              int
	cpu              float64 // part of a processor
	memory           uint64
	busy, threads    int
	requests, errors float64 // a second
	oldest           time.Duration
	what             string // the oldest request
}

// sorting is an order of rows.
type sorting struct {
	key  byte
	name string
	less func(a, b *topRow) int
}

// sortings by name; the largest figure is first.
var sortings = func() map[string]sorting {
	all := map[string]sorting{}
	for _, s := range []sorting{
		{'c', "cpu", func(a, b *topRow) int { return cmp.Compare(b.cpu, a.cpu) }},
		{'m', "memory", func(a, b *topRow) int { return cmp.Compare(b.memory, a.memory) }},
		{'b', "busy", func(a, b *topRow) int { return cmp.Compare(b.busy, a.busy) }},
		{'r', "requests", func(a, b *topRow) int { return cmp.Compare(b.requests, a.requests) }},
		{'e', "errors", func(a, b *topRow) int { return cmp.Compare(b.errors, a.errors) }},
		{'o', "oldest", func(a, b *topRow) int { return cmp.Compare(b.oldest, a.oldest) }},
		{'g', "group", func(a, b *topRow) int { return cmp.Compare(a.group, b.group) }},
	} {
		all[s.name] = s
	}
	return all
}()

func sortNames() []string {
	names := []string{}
	for name := range sortings {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// topView looks again and again.
type topView struct {
	client   *client
	out      io.Writer
	interval time.Duration
	rounds   int
	by       sorting
	last     *status.Snapshot
	lastAt   time.Time
}

func (v *topView) run(ctx context.Context) error {
	var rows []topRow
	return watch(ctx, watching{
		out: v.out, interval: v.interval, rounds: v.rounds,
		look: func(ctx context.Context) error {
			var s status.Snapshot
			if err := v.client.call(ctx, http.MethodGet, "/v1/status", &s); err != nil {
				return err
			}
			now := time.Now()
			rows = topRows(v.last, &s, now.Sub(v.lastAt), now)
			v.last, v.lastAt = &s, now
			return nil
		},
		draw: func(width int) ([]string, error) { return topLines(v.last, rows, v.by, v.lastAt, width), nil },
		key: func(key byte) {
			for _, s := range sortings {
				if s.key == key {
					v.by = s
				}
			}
		},
	})
}

// topRows are the processes, with what they have done since the look before; before is
// nil at the first one.
func topRows(before, now *status.Snapshot, between time.Duration, at time.Time) []topRow {
	type total struct {
		cpu              float64
		requests, errors uint64
	}
	last := map[int]total{}
	if before != nil {
		for i := range before.Groups {
			for _, p := range before.Groups[i].Processes {
				last[p.PID] = total{p.CPUSeconds, p.Requests, p.Errors}
			}
		}
	}
	rows := []topRow{}
	for i := range now.Groups {
		g := &now.Groups[i]
		for _, p := range g.Processes {
			row := topRow{group: g.Name, pid: p.PID, state: p.State, memory: p.RSSBytes, busy: p.ThreadsBusy, threads: p.Threads}
			if p.Stopped {
				row.state = "stopped"
			}
			if was, ok := last[p.PID]; ok && between > 0 {
				row.cpu = max(0, p.CPUSeconds-was.cpu) / between.Seconds()
				row.requests = float64(p.Requests-min(was.requests, p.Requests)) / between.Seconds()
				row.errors = float64(p.Errors-min(was.errors, p.Errors)) / between.Seconds()
			}
			for _, r := range p.Running {
				if age := at.Sub(r.Started); !r.Started.IsZero() && age >= row.oldest {
					row.oldest, row.what = age, r.Method+" "+r.URI
				}
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// topLines is a look, none of its lines longer than width; 0: any.
func topLines(s *status.Snapshot, rows []topRow, by sorting, at time.Time, width int) []string {
	busy, threads, queued := 0, 0, 0
	for i := range s.Groups {
		busy, threads, queued = busy+s.Groups[i].ThreadsBusy, threads+s.Groups[i].Threads, queued+s.Groups[i].Queued
	}
	requests := 0.0
	for i := range rows {
		requests += rows[i].requests
	}
	router := fmt.Sprintf("%s, %d in flight", count(s.Router.Connections, "connection"), s.Router.InFlight)
	if !s.Router.Answered {
		router = "does not answer"
	}
	lines := wrap(fmt.Sprintf("wsgid %s, up %s, %s; %s", s.State, span(time.Duration(s.Uptime*float64(time.Second))), at.Format("15:04:05"), count(len(rows), "process")), width, 2)
	lines = append(lines, wrap(fmt.Sprintf("threads %d/%d busy, %d waiting, %.1f requests/s; router: %s", busy, threads, queued, requests, router), width, 2)...)
	slices.SortStableFunc(rows, func(a, b topRow) int {
		return cmp.Or(by.less(&a, &b), cmp.Compare(a.group, b.group), cmp.Compare(a.pid, b.pid))
	})
	t := &table{
		dense: true, right: []string{"PID", "CPU%", "MEMORY", "BUSY", "REQ/S", "ERR/S", "OLDEST"},
		steps: []step{{title: "REQUEST", least: 24}, {title: "GROUP", least: 16}, {title: "REQUEST", least: 16}, {title: "GROUP", least: 12}, {title: "ERR/S"}, {title: "REQ/S"}, {title: "REQUEST", least: 8}},
	}
	t.row("GROUP", "PID", "STATE", "CPU%", "MEMORY", "BUSY", "REQ/S", "ERR/S", "OLDEST", "REQUEST")
	for i := range rows {
		r := &rows[i]
		oldest := "-"
		if r.what != "" {
			oldest = span(r.oldest)
		}
		// Columns whose figures grow and shrink do not move with every look.
		t.row(r.group, r.pid, r.state, fmt.Sprintf("%5.1f", 100*r.cpu), fmt.Sprintf("%7s", shortBytes(r.memory)), fmt.Sprintf("%d/%d", r.busy, r.threads),
			fmt.Sprintf("%6.1f", r.requests), fmt.Sprintf("%5.1f", r.errors), oldest, r.what)
	}
	return append(append(lines, ""), t.lines(width)...)
}

// shortBytes is a size in at most seven columns.
func shortBytes(n uint64) string {
	if n >= 10<<30 {
		return fmt.Sprintf("%.1fGiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%dMiB", n>>20)
}
