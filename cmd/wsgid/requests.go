package main

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/internal/status"
)

// runningRequest is a request in flight, and where it runs.
type runningRequest struct {
	Group string `json:"group"`
	PID   int    `json:"pid"`
	// Seconds that it has run for.
	Seconds float64 `json:"seconds"`
	Stopped bool    `json:"stopped,omitempty"` // its process, by a signal
	status.Request
}

// newRequests is wsgid requests.
func newRequests() *cobra.Command {
	var t target
	var asJSON bool
	var older time.Duration
	cmd := &cobra.Command{
		Use:   "requests [GROUP…]",
		Short: "List the requests that run now, the oldest first",
		Long: `Lists what the threads of process groups work on. Nobody is asked: it stands in
memory that the supervisor reads, so it works while every thread hangs.
wsgid stacks PID shows where such a thread is.`,
		RunE: func(cmd *cobra.Command, groups []string) error {
			c, err := t.connect(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			var snapshot status.Snapshot
			if err := c.call(cmd.Context(), http.MethodGet, "/v1/status", &snapshot); err != nil {
				return err
			}
			for _, name := range groups {
				if !slices.ContainsFunc(snapshot.Groups, func(g status.Group) bool { return g.Name == name }) {
					return failf("there is no process group %q; wsgid status lists them", name)
				}
			}
			requests := runningRequests(&snapshot, groups, older, time.Now())
			if asJSON {
				return printJSON(cmd.OutOrStdout(), requests)
			}
			if len(requests) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "no request runs")
				return nil
			}
			p := &page{width: widthOf(cmd.OutOrStdout())}
			p.table(requestTable(requests))
			return p.print(cmd.OutOrStdout())
		},
	}
	addTargetFlags(cmd, &t)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().DurationVar(&older, "older", 0, "only those that have run for `TIME` and more")
	return cmd
}

// newRequestTable begins a table of requests, with these titles.
func newRequestTable(titles ...any) *table {
	t := &table{steps: []step{
		{title: "REQUEST", move: true}, {title: "GROUP", least: 24}, {title: "CLIENT", move: true, below: "from "}, {title: "GROUP", least: 12},
	}}
	t.row(titles...)
	return t
}

// requestTable shows requests.
func requestTable(requests []runningRequest) *table {
	t := newRequestTable("FOR", "GROUP", "PID", "STATE", "CLIENT", "ID", "REQUEST")
	for _, r := range requests {
		t.row(span(time.Duration(r.Seconds*float64(time.Second))), r.Group, r.PID, requestState(&r.Request, r.Stopped), dash(r.Client), dash(r.ID), r.Method+" "+r.URI)
	}
	return t
}

// runningRequests are those of the groups, or of all, that have run for so long.
func runningRequests(s *status.Snapshot, groups []string, older time.Duration, now time.Time) []runningRequest {
	requests := []runningRequest{}
	add := func(group string, p *status.Process) {
		for _, r := range p.Running {
			age := max(now.Sub(r.Started), 0)
			if age >= older {
				requests = append(requests, runningRequest{Group: group, PID: p.PID, Seconds: age.Seconds(), Stopped: p.Stopped, Request: r})
			}
		}
	}
	for i := range s.Groups {
		g := &s.Groups[i]
		if len(groups) > 0 && !slices.Contains(groups, g.Name) {
			continue
		}
		for j := range g.Processes {
			add(g.Name, &g.Processes[j])
		}
	}
	if len(groups) == 0 {
		for i := range s.Draining {
			for j := range s.Draining[i].Processes {
				add("(draining)", &s.Draining[i].Processes[j])
			}
		}
	}
	slices.SortStableFunc(requests, func(a, b runningRequest) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return requests
}
