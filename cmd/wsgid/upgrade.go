package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/internal/status"
	"github.com/wsgid/wsgid/supervisor"
)

// newUpgrade is wsgid upgrade.
func newUpgrade() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Put the installed binary into the place of the running one, losing no request",
		Long: `Has the running wsgid start the binary that is now where it was started from,
with the same arguments. The new one inherits the listeners, reads the
configuration and starts processes of its own; when they serve it takes over, and
the old one finishes what it runs, at most graceful_timeout, and ends.

If the new binary does not take the configuration or does not come up, the old
one serves on, and this command ends with 1 and says why. The process id changes;
systemd is told of it. A wsgid that is process 1 of a container cannot be upgraded.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.connect(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			c.http.Timeout = 0 // applications take their time to start
			outcome := &status.Upgrade{}
			if err := c.call(cmd.Context(), http.MethodPost, "/v1/upgrade", outcome); err != nil {
				return err
			}
			if outcome.Error != "" {
				return failf("not upgraded, everything serves as before: %s", escape.Text(outcome.Error))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "wsgid %s (pid %d) serves\n", escape.Line(outcome.Version), outcome.PID)
			return nil
		},
	}
	addTargetFlags(cmd, &t)
	return cmd
}

// upgradable are the options of a wsgid that runs a configuration file: it can be
// reloaded and upgraded, and is perhaps the product of an upgrade.
func upgradable(file string) (supervisor.Options, error) {
	options := supervisor.Options{Load: loader(file)}
	binary, err := os.Executable()
	if err != nil {
		return options, failf("finding the binary: %w", err)
	}
	absolute, err := filepath.Abs(file)
	if err != nil {
		return options, failf("finding the configuration: %w", err)
	}
	options.Command = []string{binary, "run", "--config", absolute}
	options.Predecessor, err = supervisor.PredecessorOf(os.Getenv(supervisor.UpgradeVariable))
	if err != nil {
		return options, failf("%w", err)
	}
	if err := os.Unsetenv(supervisor.UpgradeVariable); err != nil {
		return options, failf("%w", err)
	}
	return options, nil
}
