package main

import (
	"io"
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/logwriter"
)

// openLog makes the logger that the log block asks for. The returned function
// closes its file.
func openLog(c config.Log) (hclog.Logger, func(), error) {
	var destination io.Writer = os.Stderr
	done := func() {}
	if c.Destination != "stderr" {
		// Applications write into it through us only; others of the group may read.
		file, err := logwriter.OpenFile(c.Destination, false)
		if err != nil {
			return nil, nil, failf("%w", err)
		}
		destination, done = file, file.Close
	}
	options := hclog.LoggerOptions{
		Name:       "wsgid",
		Level:      hclog.LevelFromString(c.Level),
		JSONFormat: c.Format == "json",
	}
	failed := func(error) {} // there is nowhere else to say it
	if destination != os.Stderr {
		failed = func(err error) {
			logwriter.Elsewhere(options, os.Stderr).Error("log cannot be written, its lines are lost", "destination", c.Destination, "error", err)
		}
	}
	logger, end := logwriter.Logger(options, destination, failed)
	return logger, func() { end(); done() }, nil
}
