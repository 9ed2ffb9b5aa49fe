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
	where := c.Destination
	if where == "stderr" && c.Format == "text" && connectedToJournal(os.Getenv("JOURNAL_STREAM"), os.Stderr) {
		where = "journal" // it takes levels and fields, too
	}
	if service, ok, err := logwriter.ParseService(where); ok {
		if err != nil {
			return nil, failf("%w", err)
		}
		options.Failed = failedOnStderr(c)
		return logwriter.NewService(service, options) //nolint:wrapcheck // it says all
	}
	if c.Destination != "stderr" { // of which there is nowhere else to say that it fails
		// Applications write into it through us only; others of the group may read.
		file, err := logwriter.OpenFile(c.Destination, false)
		if err != nil {
			return nil, failf("%w", err)
		}
		destination, options.File = file, file
		options.Failed = failedOnStderr(c)
	}
	return logwriter.NewOutput(destination, options), nil
}

// failedOnStderr says there that the log cannot be written.
func failedOnStderr(c config.Log) func(error) {
	return func(err error) {
		elsewhere := logwriter.Elsewhere(hclog.LoggerOptions{Name: "wsgid", Level: hclog.LevelFromString(c.Level), JSONFormat: c.Format == "json"}, os.Stderr)
		elsewhere.Error("log cannot be written, its lines are lost", "destination", c.Destination, "error", err)
	}
}
