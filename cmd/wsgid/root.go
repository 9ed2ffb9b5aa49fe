package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/config"
)

// newRoot is the command line: one verb a file.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "wsgid",
		Short: "Runs Python WSGI applications behind a web server",
		Long: `wsgid runs Python WSGI applications for Apache, nginx, Caddy or lighttpd, which
speak FastCGI to it, in groups of Python processes, each group as its own user.

  wsgid serve site.wsgi      try an application, without any configuration
  wsgid run                  serve what ` + config.DefaultFile + ` says`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, arguments []string) error {
			if len(arguments) == 0 {
				return nil
			}
			hint := "wsgid --help lists the verbs"
			if near := cmd.SuggestionsFor(arguments[0]); len(near) > 0 {
				hint = "did you mean " + near[0] + "?"
			}
			return usagef("there is no verb %q; %s", arguments[0], hint)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.SuggestionsMinimumDistance = 2
	root.SetHelpTemplate(root.HelpTemplate() + "\n" + exitCodes)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; %q lists the options", err, cmd.CommandPath()+" --help")
	})
	root.AddCommand(newRun(), newCheck(), newConfig(), newRoutes(), newDispatch(), newApache(), newStatus(), newTop(), newRequests(), newStacks(), newInterrupt(), newHealthcheck(), newReload(), newReopenLogs(), newRestart(), newScale(), newUpgrade(), newMaintenance(), newDrain(), newStart(), newStop(), newServe(), newService(), newVersion())
	return root
}

// execute runs the command line and gives the exit code. Errors go to stderr,
// one sentence each.
func execute(arguments []string) int {
	root := newRoot()
	root.SetArgs(arguments)
	err := root.Execute()
	if err != nil {
		message := strings.TrimSuffix(err.Error(), ".")
		fmt.Fprintln(os.Stderr, "wsgid: "+message)
	}
	return codeOf(err)
}

// noArguments refuses arguments.
func noArguments(cmd *cobra.Command, arguments []string) error {
	if len(arguments) > 0 {
		return usagef("%s takes no argument, but %q was given; %q lists the options", cmd.CommandPath(), arguments[0], cmd.CommandPath()+" --help")
	}
	return nil
}

// addConfigFlag adds --config, where it is the configuration to work with.
func addConfigFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", config.DefaultFile, "configuration `FILE`")
}
