package main

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
)

// newHealthcheck is wsgid healthcheck.
func newHealthcheck() *cobra.Command {
	var t target
	var alive bool
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Say whether a running wsgid is ready, by the exit status",
		Long: `Ends with 0 if wsgid is ready for requests, with 1 if it starts or stops, and with 3
if nobody listens on the control socket: for container images without curl.
With --alive it ends with 0 also while wsgid starts or stops.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.connect(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			path := "/readyz"
			if alive {
				path = "/healthz"
			}
			if err := c.call(cmd.Context(), http.MethodGet, path, nil); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "ok")
			return nil
		},
	}
	addTargetFlags(cmd, &t)
	cmd.Flags().BoolVar(&alive, "alive", false, "also while it starts or stops")
	return cmd
}
