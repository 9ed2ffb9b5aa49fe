package supervisor

import (
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/internal/escape"
)

// logRouterLine logs a line of the router's descriptor 2: its own events are
// JSON lines of hclog and keep their level and fields; anything else (a panic,
// output of Python in it) is logged as it is.
func (s *logSink) logRouterLine(text string, traceback bool) {
	if traceback || !strings.HasPrefix(text, "{") {
		s.logRaw(text, traceback)
		return
	}
	var fields map[string]any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber() // 64-bit numbers stay what they are
	if err := decoder.Decode(&fields); err != nil {
		s.logRaw(text, false)
		return
	}
	message, ok := fields["@message"].(string)
	if !ok {
		s.logRaw(text, false)
		return
	}
	level, _ := fields["@level"].(string)
	key, _ := fields["error_log"].(string)
	module, _ := fields["@module"].(string)
	for _, name := range []string{"@message", "@level", "@module", "@timestamp", "@caller", "error_log"} {
		delete(fields, name)
	}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	sort.Strings(names)
	args := make([]any, 0, 2*len(names)+2)
	if module != "" {
		args = append(args, "module", escape.Line(module))
	}
	for _, name := range names {
		args = append(args, escape.Line(name), routerValue(fields[name]))
	}
	s.emit(recordLevel(level), message, args...)
	if host := s.of(key); host != s { // who looks after the site looks there
		host.emit(recordLevel(level), message, args...)
	}
}

// routerValue makes a decoded value fit for the log.
func routerValue(value any) any {
	switch v := value.(type) {
	case string:
		return escape.Text(v)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if n, err := strconv.ParseUint(v.String(), 10, 64); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	case bool, nil:
		return v
	default:
		encoded, err := json.Marshal(v)
		if err != nil {
			return escape.Text(fmt.Sprint(v))
		}
		return string(encoded)
	}
}

// logRaw logs what arrived on descriptors 1 and 2 of a child.
func (s *logSink) logRaw(text string, traceback bool) {
	if traceback {
		s.emit(hclog.Error, text, "source", "stdio")
		return
	}
	s.application(hclog.Info, text, "source", "stdio")
}
