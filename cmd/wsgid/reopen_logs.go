package main

import (
	"net/http"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/status"
)

// newReopenLogs is wsgid reopen-logs.
func newReopenLogs() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "reopen-logs",
		Short: "Open all log files anew, after they were moved away",
		Long: `Opens the log and every error_log anew. When it returns nothing is written to
the old files any more; new ones have their owner and mode. A file that cannot be
opened anew is written on, and this command ends with 1 and says why. SIGUSR1 to
wsgid does the same.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.connect(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			var answer status.Reopened
			if err := c.call(cmd.Context(), http.MethodPost, "/v1/logs/reopen", &answer); err != nil {
				return err
			}
			if answer.Error != "" {
				return failf("%s", escape.Text(answer.Error))
			}
			return nil
		},
	}
	addTargetFlags(cmd, &t)
	return cmd
}
