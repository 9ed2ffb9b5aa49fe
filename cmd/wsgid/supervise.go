package main

import (
	"context"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/pyshim"
	"github.com/wsgid/wsgid/supervisor"
)

// supervise runs a configuration until ctx ends or somebody asks for the end
// on the control socket. ready is called once, when everything is started; nil:
// nobody wants to know. load reads the configuration again for a reload; nil: it
// has no file.
func supervise(ctx context.Context, c *config.Config, logger hclog.Logger, ready func(), load func() (*config.Config, error)) error {
	s, err := supervisor.New(c, supervisor.Options{
		Logger:  logger,
		Modules: pyshim.Modules(),
		Version: currentVersion().Version,
		Ready:   ready,
		Load:    load,
	})
	if err != nil {
		return err
	}
	if load != nil {
		defer reloadOnHangup(ctx, s)()
	}
	return s.Run(ctx)
}

