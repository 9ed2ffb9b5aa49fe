package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/internal/escape"
)

// What is larger is no object, but text.
const (
	maxObject       = 64 << 10 // bytes
	maxObjectFields = 256
	maxObjectDepth  = 32
)

// logObject is a line of an application that is a JSON object.
type logObject map[string]any

// ownFields are those that wsgid itself gives to events: of an application they are
// kept under another name, also where wsgid has none, so that they mean one thing.
var ownFields = func() map[string]bool {
	own := map[string]bool{"group": true, "pid": true, "module": true, "trace": true}
	for _, f := range recordFields {
		own[f.to] = true
	}
	return own
}()

// Where level and message are found, the first one first.
var (
	levelFields   = []string{"level", "levelname", "severity", "lvl", "log.level"}
	messageFields = []string{"message", "msg", "event"}
)

// parseObject gives the object that the whole text is; nil: it is none.
func parseObject(text string) logObject {
	text = strings.TrimSpace(text)
	if len(text) > maxObject || !strings.HasPrefix(text, "{") || !strings.HasSuffix(text, "}") || tooDeep(text) {
		return nil
	}
	var object logObject
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber() // numbers stay what they are
	if decoder.Decode(&object) != nil || len(object) > maxObjectFields {
		return nil
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil
	}
	return object
}

// tooDeep says whether JSON is nested more deeply than anybody reads.
func tooDeep(text string) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxObjectDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// merge gives what the object says as an event: level, if it has none the one given,
// message, and the fields for hclog.
func (o logObject) merge(given hclog.Level) (level hclog.Level, message string, fields []any) {
	level = o.takeLevel(given)
	for _, name := range messageFields {
		if text, ok := o[name].(string); ok {
			message = text
			delete(o, name)
			break
		}
	}
	names := slices.Sorted(maps.Keys(o))
	renamed := map[string]bool{}
	for _, name := range names {
		if shown := shownName(name); shown != name {
			renamed[shown] = true
		}
	}
	for _, name := range names {
		if renamed[name] {
			continue // of two fields by one name one is kept
		}
		fields = append(fields, escape.Line(shownName(name)), exactly(o[name]))
	}
	return level, message, fields
}

// shownName is the name that a field of an application has in the log.
func shownName(name string) string {
	if name == "" || name[0] == '@' || ownFields[name] {
		return "app." + name
	}
	return name
}

// takeLevel finds the level. The field is taken out unless it says more than that.
func (o logObject) takeLevel(given hclog.Level) hclog.Level {
	for _, name := range levelFields {
		switch value := o[name].(type) {
		case string:
			if level, same := levelNamed(value); level != hclog.NoLevel {
				if same {
					delete(o, name)
				}
				return level
			}
		case json.Number: // of Pino and Bunyan
			// What other numbers mean differs: 3 is an error for syslog.
			if n, err := value.Int64(); err == nil && n >= 10 && n <= 60 && n%10 == 0 {
				delete(o, name)
				return min(hclog.Level(n/10), hclog.Error)
			}
		}
	}
	if inner, ok := o["log"].(map[string]any); ok { // of the Elastic Common Schema
		if text, ok := inner["level"].(string); ok {
			if level, _ := levelNamed(text); level != hclog.NoLevel {
				return level
			}
		}
	}
	return given
}

// levelNamed reads the level of a logging library; same: it is one of ours.
func levelNamed(text string) (level hclog.Level, same bool) {
	switch strings.ToLower(text) {
	case "trace":
		return hclog.Trace, true
	case "debug":
		return hclog.Debug, true
	case "info":
		return hclog.Info, true
	case "warn", "warning":
		return hclog.Warn, true
	case "error":
		return hclog.Error, true
	case "notice", "information", "informational":
		return hclog.Info, false
	case "err", "critical", "fatal", "severe", "alert", "emergency", "emerg", "panic", "exception":
		return hclog.Error, false
	}
	return hclog.NoLevel, false
}

// exactly gives a value that JSON shows as it was, without a character that could
// do something to a terminal.
func exactly(value any) any {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil { // it was JSON
		return escape.Text(fmt.Sprint(value))
	}
	return json.RawMessage(escape.JSON(strings.TrimSuffix(text.String(), "\n")))
}
