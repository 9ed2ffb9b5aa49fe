package logwriter

import (
	"bytes"
	"io"

	"github.com/hashicorp/go-hclog"
)

// Output is one destination of log lines, with loggers to it that whoever reads or
// stores the lines never holds up.
type Output struct {
	name   string
	file   *File // nil: it is none that could be opened anew
	writer *Writer
	socket *datagrams // nil: it is none of a service
	text   hclog.Logger
	json   hclog.Logger
}

// OutputOptions tell an Output apart from others.
type OutputOptions struct {
	Name  string // as the administrator knows it
	File  *File  // nil: the destination is no file
	Level hclog.Level
	JSON  bool // what is said of lines that are missing is JSON
	// Quiet: that is not said among the lines, which are not of this program.
	Quiet bool
	// Failed and Recovered as in Options.
	Failed    func(error)
	Recovered func(lines uint64)
}

// NewOutput starts to write to a destination, which Close does not close.
func NewOutput(destination io.Writer, o OutputOptions) *Output {
	options := hclog.LoggerOptions{Name: "wsgid", Level: o.Level, JSONFormat: o.JSON}
	lost := func(lines uint64) []byte { return missing(options, lines) }
	if o.Quiet {
		lost = nil
	}
	out := &Output{name: o.Name, file: o.File, writer: New(destination, Options{Failed: o.Failed, Recovered: o.Recovered, Lost: lost})}
	// Process groups have levels of their own.
	options.IndependentLevels, options.Output = true, out.writer
	options.JSONFormat = false
	out.text = hclog.New(&options)
	options.JSONFormat = true
	out.json = hclog.New(&options)
	return out
}

// NewService starts to send events to a service.
func NewService(s Service, o OutputOptions) (*Output, error) {
	socket, err := dial(s, o.JSON)
	if err != nil {
		return nil, err
	}
	o.JSON = true
	out := NewOutput(socket, o)
	out.socket, out.text = socket, out.json
	return out, nil
}

// Events says whether it takes events only, which the loggers write, and no lines.
func (o *Output) Events() bool { return o.socket != nil }

// Name is what the administrator calls it.
func (o *Output) Name() string { return o.name }

// Logger gives the logger of a format. The level can be set in each one that is
// made of it, and holds for that alone.
func (o *Output) Logger(json bool) hclog.Logger {
	if json {
		return o.json
	}
	return o.text
}

// Write writes whole lines as they are.
func (o *Output) Write(lines []byte) (int, error) { return o.writer.Write(lines) }

// Reopen opens the file anew, if it is one.
func (o *Output) Reopen() error {
	if o.file == nil {
		return nil
	}
	return o.file.Reopen()
}

// Stats gives the counters.
func (o *Output) Stats() Stats { return o.writer.Stats() }

// Close writes what is left, if it can be written soon.
func (o *Output) Close() {
	o.writer.Close()
	if o.file != nil {
		o.file.Close()
	}
	if o.socket != nil {
		o.socket.close()
	}
}

// missing is the line that stands where lines were lost.
func missing(options hclog.LoggerOptions, lines uint64) []byte {
	var line bytes.Buffer
	Elsewhere(options, &line).Warn("log lines are missing here: they could not be written in time", "lines", lines)
	return line.Bytes()
}
