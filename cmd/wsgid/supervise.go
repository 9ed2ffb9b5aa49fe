package main

import (
	"context"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/logwriter"
	"github.com/wsgid/wsgid/pyshim"
	"github.com/wsgid/wsgid/supervisor"
)

// supervise runs a configuration until ctx ends or somebody asks for the end
// on the control socket. ready is called once, when everything is started; nil:
// nobody wants to know. more are what a configuration file makes possible.
func supervise(ctx context.Context, c *config.Config, log *logwriter.Output, ready func(), more supervisor.Options) error {
	more.Logger, more.Log = log.Logger(c.Log.Format == "json"), log
	more.Modules, more.Version, more.Ready = pyshim.Modules(), currentVersion().Version, ready
	s, err := supervisor.New(c, more)
	if err != nil {
		return err
	}
	if more.Load != nil {
		defer reloadOnHangup(ctx, s)()
	}
	return s.Run(ctx)
}
