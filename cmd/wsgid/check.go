package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/supervisor"
)

// newCheck is wsgid check.
func newCheck() *cobra.Command {
	var file string
	var apps, asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and show every mistake",
		Long: `Reads the configuration as wsgid run would, shows all errors and warnings with
file and line, looks users and groups up, and ends with 0 if wsgid could run
with it, with 1 if not. For groups with chroot it lists what their root
directories lack. It starts nothing. Run it as the user who will start
wsgid: only root can give groups users of their own.

With --apps it also imports every application whose process group, application
group and script are fixed, and the dispatch script, each in a process of its own
as the group's user and with the group's Python, and shows Python, sys.path, time,
memory, and for a failure the traceback and what is probably wrong.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON && !apps {
				return usagef("--json goes with --apps")
			}
			c, err := readConfiguration(file, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if err := supervisor.Check(c); err != nil {
				return failf("%s: %w", file, err)
			}
			if !asJSON {
				summarize(cmd.OutOrStdout(), c)
				hintCredentials(cmd.OutOrStdout(), c)
			}
			shown := cmd.OutOrStdout()
			if asJSON {
				shown = cmd.ErrOrStderr()
			}
			if err := checkChroots(c, shown); err != nil {
				return err
			}
			if !apps {
				return nil
			}
			return checkApps(cmd.Context(), c, asJSON, cmd.OutOrStdout())
		},
	}
	addConfigFlag(cmd, &file)
	cmd.Flags().BoolVar(&apps, "apps", false, "import the applications")
	cmd.Flags().BoolVar(&asJSON, "json", false, "with --apps: the reports as JSON")
	return cmd
}

// summarize says in one line what a good configuration holds.
func summarize(w io.Writer, c *config.Config) {
	processes := 0
	for _, p := range c.DaemonProcesses {
		processes += p.Processes
	}
	mounts := len(c.ScriptAliases)
	for i := range c.VirtualHosts {
		mounts += len(c.VirtualHosts[i].ScriptAliases)
	}
	fmt.Fprintf(w, "%s: ok: %s, %s with %s, %s", c.File,
		count(len(c.Listeners), "listener"), count(len(c.DaemonProcesses), "group"),
		count(processes, "process"), count(mounts, "mount"))
	if n := len(c.VirtualHosts); n > 0 {
		fmt.Fprintf(w, ", %s", count(n, "virtual host"))
	}
	if n := len(c.DispatchScripts); n > 0 {
		fmt.Fprint(w, ", "+count(n, "dispatch script"))
	}
	fmt.Fprintln(w)
}

// hintCredentials tells what a configuration cannot see: Apache holds back what
// auth_type needs.
func hintCredentials(w io.Writer, c *config.Config) {
	fastcgi := slices.ContainsFunc(c.Listeners, func(l config.Listener) bool { return l.Kind != config.ListenHTTP && !l.NoResponder })
	for _, s := range c.Mounts() {
		if fastcgi && s.Enforced() {
			fmt.Fprintln(w, "wsgid asks for passwords itself (auth_type): Apache passes the Authorization header on only with CGIPassAuth On.")
			return
		}
	}
}
