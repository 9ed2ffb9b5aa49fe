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
// nobody wants to know.
func supervise(ctx context.Context, c *config.Config, logger hclog.Logger, ready func()) error {
	s, err := supervisor.New(c, supervisor.Options{
		Logger:  logger,
		Modules: pyshim.Modules(),
		Version: currentVersion().Version,
		Ready:   ready,
	})
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// lookUp says whether the users and groups of a configuration exist here.
func lookUp(c *config.Config) error {
	_, err := supervisor.New(c, supervisor.Options{Version: currentVersion().Version})
	return err
}
