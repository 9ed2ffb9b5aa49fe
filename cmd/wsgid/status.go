package main

import (
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/internal/status"
)

// newStatus is wsgid status.
func newStatus() *cobra.Command {
	var t target
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what a running wsgid is doing",
		Long: `Shows the supervisor, the router, every process group and every process of a
running wsgid. It works while every worker is busy or dead.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.connect(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			var snapshot status.Snapshot
			if err := c.call(cmd.Context(), http.MethodGet, "/v1/status", &snapshot); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), snapshot)
			}
			return writeStatus(cmd.OutOrStdout(), &snapshot, time.Now())
		},
	}
	addTargetFlags(cmd, &t)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
