package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// newRun is wsgid run.
func newRun() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Serve what the configuration says, in the foreground",
		Long: `Reads the configuration, opens the sockets, starts the router and the processes
of every group, and looks after them until SIGTERM or SIGINT. SIGHUP is wsgid
reload. It stays in the foreground and logs to stderr unless the log block says
otherwise.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
				return noConfiguration(file)
			}
			c, err := readConfiguration(file, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			logger, done, err := openLog(c.Log)
			if err != nil {
				return err
			}
			defer done()
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			options, err := upgradable(file)
			if err != nil {
				return err
			}
			if err := supervise(ctx, c, logger, nil, options); err != nil {
				return failf("%w", err)
			}
			return nil
		},
	}
	addConfigFlag(cmd, &file)
	return cmd
}

// untilSignal is done with the first SIGTERM or SIGINT. A second one kills:
// the children die with their parent.
//
// SIGPIPE is taken and forgotten: whoever reads our log may go away, and Go
// would end the process at the next line otherwise, with no orderly shutdown.
func untilSignal(parent context.Context) (context.Context, context.CancelFunc) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(parent, syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// noConfiguration is what somebody sees who has just installed wsgid.
func noConfiguration(file string) error {
	return failf(`there is no configuration file %s.
  To try an application without any configuration:
    wsgid serve site.wsgi
    wsgid serve package.module:callable
  To write a configuration, begin with examples/wsgid.hcl and docs/configuration.md
  from https://github.com/wsgid/wsgid; name another place with --config FILE, and
  look for mistakes with
    wsgid check --config FILE`, file)
}
