package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/status"
)

// newStacks is wsgid stacks.
func newStacks() *cobra.Command {
	var t target
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "stacks GROUP|PID",
		Short: "Show where the threads of a process or of a group are",
		Long: `Shows for each thread what the kernel says of it, the request that it serves and
its Python stack. The processes tell it themselves; no debugger is attached, and
requests go on. While an extension holds the GIL, and always in services, the
router ("%{GLOBAL}") and the dispatch helper, threads are interrupted by a signal
and write their stacks without it, the newest call first. Of a process that is
stopped there is only what the kernel says.

Threads that wait for a request, and those of wsgid itself, are shown with --all.`,
		RunE: func(cmd *cobra.Command, arguments []string) error {
			if len(arguments) != 1 {
				return usagef("stacks takes a process group or the number of a process, as in wsgid stacks web; wsgid status lists them")
			}
			c, err := t.connect(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			var answer []status.Stacks
			if err := c.call(cmd.Context(), http.MethodGet, "/v1/stacks?of="+url.QueryEscape(arguments[0]), &answer); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), answer)
			}
			return writeStacks(cmd.OutOrStdout(), answer, all, time.Now())
		},
	}
	addTargetFlags(cmd, &t)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&all, "all", false, "threads that do nothing, too")
	return cmd
}

// writeStacks shows processes one after another.
func writeStacks(w io.Writer, processes []status.Stacks, all bool, now time.Time) error {
	var out strings.Builder
	for i, p := range processes {
		if i > 0 {
			out.WriteByte('\n')
		}
		name := p.Group
		if name == "" {
			name = "dispatch helper"
		}
		fmt.Fprintf(&out, "%s, process %d", escape.Line(name), p.PID)
		if !p.Answered {
			out.WriteString(", does not answer: only what the kernel says")
		}
		out.WriteByte('\n')
		shown := 0
		for _, t := range p.Threads {
			if all || t.Stack != "" || t.Request != nil || !p.Answered {
				writeThread(&out, &t, p.BySignal, now)
				shown++
			}
		}
		if shown == 0 {
			fmt.Fprintf(&out, "  no thread runs Python; %s wait\n", count(len(p.Threads), "thread"))
		}
	}
	if _, err := io.WriteString(w, out.String()); err != nil {
		return failf("writing the stacks: %w", err)
	}
	return nil
}

func writeThread(out *strings.Builder, t *status.Thread, bySignal bool, now time.Time) {
	fmt.Fprintf(out, "\n  thread %d %s: %s", t.TID, escape.Line(t.Name), escape.Line(t.State))
	if t.Wait != "" && t.Wait != "0" {
		fmt.Fprintf(out, " in %s", escape.Line(t.Wait))
	}
	fmt.Fprintf(out, ", CPU %.1fs", t.CPUSeconds)
	if t.Application != "" {
		fmt.Fprintf(out, ", application %s", escape.Line(t.Application))
	}
	out.WriteByte('\n')
	if r := t.Request; r != nil {
		fmt.Fprintf(out, "    request %s from %s, for %s: %s %s\n", escape.Line(r.ID), escape.Line(r.Client),
			span(now.Sub(r.Started)), escape.Line(r.Method), escape.Line(r.URI))
	}
	switch {
	case t.Interrupted && bySignal:
		out.WriteString("    the newest call first:\n")
	case t.Interrupted:
		out.WriteString("    interrupted, as somebody holds the GIL:\n")
	}
	for line := range strings.Lines(t.Stack) {
		out.WriteString("    " + escape.Line(strings.TrimSuffix(line, "\n")) + "\n")
	}
}
