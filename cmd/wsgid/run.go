package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"sync"
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
			log, err := openLog(c.Log)
			if err != nil {
				return err
			}
			defer log.Close()
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			options, err := upgradable(file)
			if err != nil {
				return err
			}
			if err := supervise(ctx, c, log, nil, options); err != nil {
				return failf("%w", err)
			}
			return nil
		},
	}
	addConfigFlag(cmd, &file)
	return cmd
}

// untilSignal is done with the first SIGTERM or SIGINT. A second one ends wsgid
// at once: the children die with their parent.
//
// SIGPIPE is taken and forgotten: whoever reads our log may go away, and Go
// would end the process at the next line otherwise, with no orderly shutdown.
func untilSignal(parent context.Context) (context.Context, context.CancelFunc) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	ctx, cancel := context.WithCancel(parent)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for first := true; ; first = false {
			select {
			case s := <-signals:
				if !first {
					endBy(s)
				}
				cancel()
			case <-quit:
				return
			}
		}
	}()
	return ctx, sync.OnceFunc(func() {
		signal.Stop(signals)
		close(quit)
		<-done
		cancel()
	})
}

// endBy ends this process as the signal does by default. Process 1 of a
// container is spared that by the kernel, and has to exit itself.
func endBy(s os.Signal) {
	number, ok := s.(syscall.Signal)
	if ok && os.Getpid() != 1 {
		signal.Reset(number)
		if syscall.Kill(os.Getpid(), number) == nil {
			select {}
		}
	}
	os.Exit(128 + int(number))
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
