package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/internal/status"
)

// newStop is wsgid stop.
func newStop() *cobra.Command {
	var t target
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "stop [GROUP…]",
		Short: "Stop a running wsgid, or process groups of it, and wait until they are gone",
		Long: `Asks the running wsgid to finish its requests and end, as SIGTERM does, and
waits until its process is gone. Each process gets the shutdown_timeout of its
group for what it runs.

With GROUP only the processes of these groups end, in the same way. Requests for
them are answered 503 until wsgid start GROUP; a reload does not start them. To
let what runs there end first, drain the group.`,
		RunE: func(cmd *cobra.Command, groups []string) error {
			c, err := t.connect(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if len(groups) > 0 {
				return groupCommand(cmd, c, "stop", groups, nil, "stopped")
			}
			return stop(cmd.Context(), cmd, c, timeout)
		},
	}
	addTargetFlags(cmd, &t)
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait; 0: as long as it takes")
	return cmd
}

// stop asks for the end and waits for it. The process is held before it is
// asked, so that its number cannot have gone to another one.
func stop(ctx context.Context, cmd *cobra.Command, c *client, timeout time.Duration) error {
	var running status.Version
	if err := c.call(ctx, http.MethodGet, "/v1/version", &running); err != nil {
		return err
	}
	process, err := holdProcess(running.PID)
	if err != nil {
		return failf("%w", err)
	}
	defer process.release()
	if err := c.call(ctx, http.MethodPost, "/v1/stop", nil); err != nil {
		return err
	}
	gone, err := process.wait(timeout)
	if err != nil {
		return failf("%w", err)
	}
	if !gone {
		return &exitError{exitTimeout, fmt.Errorf("wsgid (pid %d) is still finishing requests after %s: wait longer with --timeout, or look with wsgid status", running.PID, timeout)}
	}
	fmt.Fprintf(cmd.OutOrStdout(), "wsgid (pid %d) has stopped\n", running.PID)
	return nil
}
