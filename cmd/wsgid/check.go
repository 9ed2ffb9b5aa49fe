package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/config"
)

// newCheck is wsgid check.
func newCheck() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and show every mistake",
		Long: `Reads the configuration as wsgid run would, shows all errors and warnings with
file and line, looks users and groups up, and ends with 0 if wsgid could run
with it, with 1 if not. It starts nothing. Run it as the user who will start
wsgid: only root can give groups users of their own.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := readConfiguration(file, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if err := lookUp(c); err != nil {
				return failf("%s: %w", file, err)
			}
			summarize(cmd.OutOrStdout(), c)
			return nil
		},
	}
	addConfigFlag(cmd, &file)
	return cmd
}

// summarize says in one line what a good configuration holds.
func summarize(w io.Writer, c *config.Config) {
	processes := 0
	for _, p := range c.DaemonProcesses {
		processes += p.Processes
	}
	fmt.Fprintf(w, "%s: ok: %s, %s with %s, %s", c.File,
		count(len(c.Listeners), "listener"), count(len(c.DaemonProcesses), "group"),
		count(processes, "process"), count(len(c.ScriptAliases), "mount"))
	if c.DispatchScript != nil {
		fmt.Fprint(w, ", a dispatch script")
	}
	fmt.Fprintln(w)
}
