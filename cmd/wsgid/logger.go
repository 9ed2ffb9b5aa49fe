package main

import (
	"io"
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/logwriter"
)

// openLog opens the destination that the log block asks for.
func openLog(c config.Log) (*logwriter.Output, error) {
	var destination io.Writer = os.Stderr
	options := logwriter.OutputOptions{Name: c.Destination, Level: hclog.LevelFromString(c.Level), JSON: c.Format == "json"}
	if c.Destination != "stderr" { // of which there is nowhere else to say that it fails
		// Applications write into it through us only; others of the group may read.
		file, err := logwriter.OpenFile(c.Destination, false)
		if err != nil {
			return nil, failf("%w", err)
		}
		destination, options.File = file, file
		options.Failed = func(err error) {
			elsewhere := logwriter.Elsewhere(hclog.LoggerOptions{Name: "wsgid", Level: options.Level, JSONFormat: options.JSON}, os.Stderr)
			elsewhere.Error("log cannot be written, its lines are lost", "destination", c.Destination, "error", err)
		}
	}
	return logwriter.NewOutput(destination, options), nil
}
