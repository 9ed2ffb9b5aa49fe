package main

import (
	"net/http"

	"github.com/spf13/cobra"

	"github.com/wsgid/wsgid/config"
)

// newConfig is wsgid config.
func newConfig() *cobra.Command {
	var t target
	var running, asJSON bool
	cmd := &cobra.Command{
		Use:   "config [FILE]",
		Short: "Print the whole configuration and where every value comes from",
		Long: `Reads the configuration as wsgid run would and prints it as one file, includes
and defaults filled in, each value with the file and line that set it, the block
that it is inherited from, or "default". What is printed is a configuration that
means the same: what nobody set is a comment in it.

With --running it is the configuration that the running wsgid works with; if it
is another than that of the file, a wsgid reload is due:

  diff <(wsgid config) <(wsgid config --running)

The output has the environment of applications as it is, passwords too. --running
is for root and the user that wsgid runs as.`,
		Args: func(cmd *cobra.Command, arguments []string) error {
			if len(arguments) > 1 {
				return usagef("%s prints one configuration, but %q was given as well", cmd.CommandPath(), arguments[1])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, arguments []string) error {
			var e *config.Effective
			var err error
			switch {
			case running && len(arguments) > 0:
				return usagef("--running is about the wsgid that runs, not about the file %q: name its socket with --control or its configuration with --config", arguments[0])
			case !running && t.control != "":
				return usagef("--control goes with --running")
			case len(arguments) > 0 && t.config != "":
				return usagef("name the configuration once, as argument or with --config")
			case running:
				e, err = runningConfig(cmd, &t)
			case len(arguments) > 0:
				e, err = effectiveConfig(cmd, arguments[0])
			case t.config != "":
				e, err = effectiveConfig(cmd, t.config)
			default:
				e, err = effectiveConfig(cmd, config.DefaultFile)
			}
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), e)
			}
			if err := e.WriteHCL(cmd.OutOrStdout()); err != nil {
				return failf("%w", err)
			}
			return nil
		},
	}
	addTargetFlags(cmd, &t)
	cmd.Flags().BoolVar(&running, "running", false, "what the running wsgid works with")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func effectiveConfig(cmd *cobra.Command, file string) (*config.Effective, error) {
	result := config.Read(file, config.CurrentIdentity())
	if err := showDiagnostics(result, cmd.ErrOrStderr()); err != nil {
		return nil, err
	}
	if result.Config == nil {
		return nil, failf("%s: %s", file, count(errorsIn(result.Diagnostics), "error"))
	}
	return result.Config.Effective(), nil
}

func runningConfig(cmd *cobra.Command, t *target) (*config.Effective, error) {
	c, err := t.connect(cmd.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	e := &config.Effective{}
	if err := c.call(cmd.Context(), http.MethodGet, "/v1/config", e); err != nil {
		return nil, err
	}
	return e, nil
}
