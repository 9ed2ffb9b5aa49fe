package main

import (
	"context"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/internal/status"
)

// newStatus is wsgid status.
func newStatus() *cobra.Command {
	var t target
	var asJSON, again bool
	var interval time.Duration
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
			look := func(ctx context.Context) error {
				snapshot = status.Snapshot{}
				return c.call(ctx, http.MethodGet, "/v1/status", &snapshot)
			}
			if again {
				if asJSON || interval < 100*time.Millisecond {
					return usagef("--watch goes without --json, and with an --interval of at least 100ms")
				}
				ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
				defer stop()
				return watch(ctx, watching{out: cmd.OutOrStdout(), interval: interval, look: look, key: func(byte) {}, draw: func() ([]string, error) {
					var text strings.Builder
					err := writeStatus(&text, &snapshot, time.Now())
					return strings.Split(strings.TrimRight(text.String(), "\n"), "\n"), err
				}})
			}
			if err := look(cmd.Context()); err != nil {
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
	cmd.Flags().BoolVar(&again, "watch", false, "show it again and again; on a terminal q ends it")
	cmd.Flags().DurationVar(&interval, "interval", 2*time.Second, "`TIME` between two looks of --watch")
	return cmd
}
