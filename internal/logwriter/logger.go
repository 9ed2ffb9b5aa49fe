package logwriter

import (
	"io"

	"github.com/hashicorp/go-hclog"
)

// Logger makes a logger that nobody who reads or stores its lines holds up. failed
// is told once when writing begins to fail. The returned function ends it when
// all is written.
func Logger(options hclog.LoggerOptions, destination io.Writer, failed func(error)) (hclog.Logger, func()) {
	writer := New(destination, Options{Failed: failed, Lost: func(lines uint64) []byte { return missing(options, lines) }})
	options.Output = writer
	return hclog.New(&options), writer.Close
}

// Elsewhere is the same logger to another place, which it may have to wait for.
func Elsewhere(options hclog.LoggerOptions, destination io.Writer) hclog.Logger {
	options.Output = destination
	return hclog.New(&options)
}
