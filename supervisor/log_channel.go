package supervisor

import (
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/internal/escape"
)

// maxRecord bounds a packet on the log channel (docs/internals.md section 3).
const maxRecord = 64 << 10

// recordFields are the fields of a record that become fields of the log, in
// this order, with the names that they have there.
var recordFields = []struct{ from, to string }{
	{"source", "source"}, {"application", "application"}, {"script", "script"},
	{"request", "request"}, {"trace", "trace"}, {"code", "code"}, {"logger", "logger"}, {"place", "place"},
}

// ownSource is that of records that are not the application's.
const ownSource = "wsgid"

// logRecord writes one record of the log channel into the log.
func (s *logSink) logRecord(values map[string]string, message string) {
	if values["source"] == "" { // it comes from somebody who writes to the channel himself
		values["source"] = "unknown"
	}
	fields := make([]any, 0, 2*len(recordFields))
	for _, f := range recordFields {
		value, present := values[f.from]
		if !present || value == "" && f.from != "application" {
			continue
		}
		fields = append(fields, f.to, escape.Line(value))
	}
	if s.about != nil && values["code"] == errcode.RequestTimeout.String() {
		fields = append(fields, s.about(values["request"])...)
	}
	to := s.of(values["error_log"])
	if to.raw == nil && streams[values["source"]] {
		if message = strings.Trim(message, "\r\n"); message == "" {
			return
		}
	}
	write := to.application
	if values["source"] == ownSource {
		write = to.emit
	}
	write(recordLevel(values["level"]), message, fields...)
}

// streams are the sources whose records are lines as they were written: those that are
// empty are no event.
var streams = map[string]bool{"stdout": true, "stderr": true, "wsgi.errors": true}

// parseRecord splits a packet into its fields and the message, which runs to
// the end of the packet. What is no record is all message.
func parseRecord(packet string) (values map[string]string, message string) {
	values = map[string]string{}
	rest := packet
	for rest != "" {
		name, after, ok := strings.Cut(rest, "\x00")
		if !ok {
			return values, rest
		}
		if name == "message" {
			return values, strings.TrimSuffix(after, "\x00")
		}
		value, next, ok := strings.Cut(after, "\x00")
		values[name] = value
		if !ok {
			return values, ""
		}
		rest = next
	}
	return values, ""
}

// recordLevel reads a level; an unknown one is info.
func recordLevel(text string) hclog.Level {
	if level := hclog.LevelFromString(text); level != hclog.NoLevel && level != hclog.Off {
		return level
	}
	return hclog.Info
}
