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
	var asJSON, again, full bool
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what a running wsgid is doing",
		Long: `Shows the supervisor, the router, every process group and every process of a
running wsgid. It works while every worker is busy or dead.

Tables are as wide as the terminal, or COLUMNS, has room for; --full shows
everything there is, one thing a line, with each request that runs.`,
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
			write := writeStatus
			if full {
				write = writeFullStatus
			}
			if full && asJSON {
				return usagef("--json shows everything already: without --full")
			}
			if again {
				if asJSON || interval < 100*time.Millisecond {
					return usagef("--watch goes without --json, and with an --interval of at least 100ms")
				}
				ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
				defer stop()
				return watch(ctx, watching{out: cmd.OutOrStdout(), interval: interval, look: look, key: func(byte) {}, draw: func(width int) ([]string, error) {
					var text strings.Builder
					err := write(&text, &snapshot, time.Now(), width)
					return strings.Split(strings.TrimRight(text.String(), "\n"), "\n"), err
				}})
			}
			if err := look(cmd.Context()); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), snapshot)
			}
			return write(cmd.OutOrStdout(), &snapshot, time.Now(), widthOf(cmd.OutOrStdout()))
		},
	}
	addTargetFlags(cmd, &t)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&full, "full", false, "show everything, also each request that runs")
	cmd.Flags().BoolVar(&again, "watch", false, "show it again and again; on a terminal q ends it")
	cmd.Flags().DurationVar(&interval, "interval", 2*time.Second, "`TIME` between two looks of --watch")
	return cmd
}
