package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/status"
)

// newReload is wsgid reload.
func newReload() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "reload [GROUP…]",
		Short: "Read the configuration again and replace every process, losing no request",
		Long: `Has the running wsgid read its configuration again. New processes of every
group are started beside the old ones; when they have imported their
applications they take over, and the old ones finish what they run, at most
graceful_timeout. No request is refused or lost, no listener closes.

With GROUP only the processes of these groups are replaced. Other groups must be
as they were in the configuration; all else in it takes effect.

A configuration with errors is refused, and so is one whose processes do not come
up or cannot import what the old ones could: then everything serves as before,
and this command ends with 1 and says why. SIGHUP does the same as a reload
without GROUP, and the log says how it ended.`,
		RunE: func(cmd *cobra.Command, groups []string) error {
			c, err := t.connect(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			c.http.Timeout = 0 // applications take their time to start
			outcome := &status.Reload{}
			query := url.Values{"group": groups}
			if err := c.call(cmd.Context(), http.MethodPost, "/v1/reload?"+query.Encode(), outcome); err != nil {
				return err
			}
			return showReload(cmd, outcome)
		},
	}
	addTargetFlags(cmd, &t)
	return cmd
}

// showReload says how a reload has ended.
func showReload(cmd *cobra.Command, outcome *status.Reload) error {
	if outcome.Error != "" {
		return failf("not reloaded, everything serves as before: %s", escape.Text(outcome.Error))
	}
	what := "all process groups"
	if len(outcome.Groups) > 0 {
		what = strings.Join(outcome.Groups, ", ")
	}
	fmt.Fprintf(cmd.OutOrStdout(), "reloaded %s in %.1f s; generation %d serves\n", escape.Line(what), outcome.Seconds, outcome.Generation)
	for _, problem := range outcome.Problems {
		fmt.Fprintf(cmd.ErrOrStderr(), "wsgid: %s\n", escape.Text(problem))
	}
	if n := len(outcome.Problems); n > 0 {
		return failf("reloaded, but %s: the rest serves", count(n, "problem"))
	}
	return nil
}

// loader reads a configuration file again; its error has all diagnostics.
func loader(file string) func() (*config.Config, error) {
	return func() (*config.Config, error) {
		result := config.Read(file, config.CurrentIdentity())
		if result.Config != nil {
			return result.Config, nil
		}
		var text bytes.Buffer
		if err := config.WriteDiagnostics(&text, result, 0); err != nil {
			return nil, err
		}
		return nil, errors.New(strings.TrimSpace(text.String()))
	}
}
