package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/logwriter"
	"github.com/wsgid/wsgid/pyshim"
	"github.com/wsgid/wsgid/supervisor"
	"github.com/wsgid/wsgid/systemd"
)

// supervise runs a configuration until ctx ends or somebody asks for the end
// on the control socket. ready is called once, when everything is started; nil:
// nobody wants to know. more are what a configuration file makes possible.
func supervise(ctx context.Context, c *config.Config, log *logwriter.Output, ready func(), more supervisor.Options) error {
	more.Logger, more.Log = log.Logger(c.Log.Format == "json"), log
	more.Sockets = systemd.Sockets()
	more.Modules, more.Version, more.Ready = pyshim.Modules(), currentVersion().Version, ready
	s, err := supervisor.New(c, more)
	if err != nil {
		return err
	}
	defer uponSignal(ctx, syscall.SIGUSR1, func() { s.ReopenLogs() })()
	if more.Load != nil {
		defer uponSignal(ctx, syscall.SIGHUP, func() { s.Reload(nil) })()
	}
	return s.Run(ctx)
}

// uponSignal calls f, which logs how it ended, upon each signal, until stop is called,
// which waits. Signals that come while it runs make one more call.
func uponSignal(ctx context.Context, which os.Signal, f func()) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, which)
	ctx, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			select {
			case <-signals:
				f()
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		signal.Stop(signals)
		cancel()
		wait.Wait()
	}
}
