package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/pyshim"
	"github.com/wsgid/wsgid/supervisor"
)

// checkApps imports the applications of a configuration and shows what became
// of each. An error says how many failed.
func checkApps(ctx context.Context, c *config.Config, asJSON bool, w io.Writer) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	reports := []*supervisor.AppReport{}
	failed := 0
	err := supervisor.CheckApps(ctx, c, supervisor.Options{
		Modules: pyshim.Modules(), Version: currentVersion().Version,
	}, func(r *supervisor.AppReport) {
		reports = append(reports, r)
		if r.Error != "" {
			failed++
		}
		if !asJSON {
			showApp(w, r)
		}
	})
	if err != nil {
		return failf("check applications: %w", err)
	}
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(reports); err != nil {
			return failf("write the report: %w", err)
		}
	} else if len(reports) == 0 {
		fmt.Fprintln(w, "no application has a fixed process group, application group and script: none was imported")
	}
	if failed > 0 {
		return failf("%s of %d cannot be served", count(failed, "application"), len(reports))
	}
	return nil
}

// showApp writes one report for people.
func showApp(w io.Writer, r *supervisor.AppReport) {
	verdict := "ok"
	if r.Error != "" {
		verdict = "FAILED"
	}
	fmt.Fprintf(w, "%s: %s\n", r.Script, verdict)
	field := func(name, format string, arguments ...any) {
		fmt.Fprintf(w, "  %-12s %s\n", name, fmt.Sprintf(format, arguments...))
	}
	where := r.ProcessGroup + ", interpreter " + r.ApplicationGroup
	if r.CallableObject != "" {
		where += ", callable " + r.CallableObject
	}
	field("group", "%s", where)
	field("user", "%s (%d)", r.User, r.UID)
	if r.Python != "" {
		field("python", "%s, prefix %s, library %s", r.Python, r.Prefix, r.Library)
		field("import", "%.3f s, process of %s, grown by %s", r.Seconds, bytesOf(r.ResidentBytes), bytesOf(r.GrownBytes))
		field("sys.path", "%s", strings.Join(r.Path, "\n               "))
	}
	for _, line := range r.Output {
		field("output", "%s", line)
	}
	for line := range strings.Lines(r.Error) {
		field("error", "%s", strings.TrimRight(line, "\n"))
	}
	for _, hint := range r.Hints {
		field("probably", "%s", hint)
	}
	for _, warning := range r.Warnings {
		field("warning", "%s", warning)
	}
}
