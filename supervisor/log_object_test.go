package supervisor

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

func jsonSink(out *bytes.Buffer) *logSink {
	return &logSink{json: true, log: hclog.New(&hclog.LoggerOptions{Output: out, DisableTime: true, JSONFormat: true}).With("group", "g")}
}

// TestObjectsAreMerged: a line that is a JSON object is the event, not its text.
func TestObjectsAreMerged(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"plain", `{"b": 1, "a": "x"}`, `{"@level":"info","@message":"","a":"x","b":1,"group":"g","source":"stdio"}`},
		{"python-json-logger", `{"asctime": "2026-01-01 00:00:00,000", "levelname": "WARNING", "message": "hot", "user": {"id": 12345678901234567890}}`,
			`{"@level":"warn","@message":"hot","asctime":"2026-01-01 00:00:00,000","group":"g","source":"stdio","user":{"id":12345678901234567890}}`},
		{"structlog", `{"event": "in", "level": "error", "timestamp": "2026-01-01T00:00:00Z"}`,
			`{"@level":"error","@message":"in","group":"g","source":"stdio","timestamp":"2026-01-01T00:00:00Z"}`},
		{"pino", `{"level":50,"time":1,"msg":"m","v":1.50}`, `{"@level":"error","@message":"m","group":"g","source":"stdio","time":1,"v":1.50}`},
		{"of another scale", `{"level":3,"msg":"m"}`, `{"@level":"info","@message":"m","group":"g","level":3,"source":"stdio"}`},
		{"more than our levels say", `{"severity":"CRITICAL","msg":"m"}`, `{"@level":"error","@message":"m","group":"g","severity":"CRITICAL","source":"stdio"}`},
		{"no level", `{"level":"purple","message":7,"msg":"m"}`, `{"@level":"info","@message":"m","group":"g","level":"purple","message":7,"source":"stdio"}`},
		{"dotted", `{"log.level":"error","message":"m"}`, `{"@level":"error","@message":"m","group":"g","source":"stdio"}`},
		{"nested", `{"log":{"level":"error"},"message":"m"}`, `{"@level":"error","@message":"m","group":"g","log":{"level":"error"},"source":"stdio"}`},
		{"our fields", `{"group":"other","request":"forged","@timestamp":"T","@level":"warn","app.group":1,"pid":2,"":3}`,
			`{"@level":"info","@message":"","app.":3,"app.@level":"warn","app.@timestamp":"T","app.group":"other","app.pid":2,"app.request":"forged","group":"g","source":"stdio"}`},
		{"twice", `{"a":1,"a":2}`, `{"@level":"info","@message":"","a":2,"group":"g","source":"stdio"}`},
		{"below the threshold", `{"level":"debug","message":"m"}`, ``},
		{"control characters", "{\"a\u009b\":\"\u202e\u007f\",\"message\":\"\\u001b\"}",
			`{"@level":"info","@message":"\\x1b","a\\u009b":"\u202e\u007f","group":"g","source":"stdio"}`},
		{"no object", `[1]`, `{"@level":"info","@message":"[1]","group":"g","source":"stdio"}`},
		{"two", `{}{}`, `{"@level":"info","@message":"{}{}","group":"g","source":"stdio"}`},
		{"broken", `{"a":}`, `{"@level":"info","@message":"{\"a\":}","group":"g","source":"stdio"}`},
	} {
		var out bytes.Buffer
		jsonSink(&out).logRaw(test.in, false)
		if got := strings.TrimSuffix(out.String(), "\n"); got != test.want {
			t.Errorf("%s: got  %s\nwant %s", test.name, got, test.want)
		}
	}
	deep := `{"a":` + strings.Repeat("[", maxObjectDepth) + strings.Repeat("]", maxObjectDepth) + `}`
	many := `{"f":0` + strings.Repeat(`,"\u0061":0`, maxObjectFields) + `}`
	if parseObject(deep) != nil || parseObject(`{"a":"`+strings.Repeat("x", maxObject)+`"}`) != nil || parseObject(many) == nil {
		t.Error("bounds")
	}
}

// FuzzObject: whatever an application writes, an event is one line of JSON, and tells
// the truth about what is ours.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{`{"a":1}`, `{"level":"error","message":"m\n"}`, `{"@level":{}}`, `{"a":1e999,"group":[]}`, "{\"\xff\":\"\xff\u2028\"}", `{"source":{"a":[{}]}}`, `{`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var out bytes.Buffer
		jsonSink(&out).application(hclog.Error, text, "source", "stdio")
		if out.Len() == 0 {
			return // of a level that is not logged
		}
		var event map[string]any
		decoder := json.NewDecoder(bytes.NewReader(out.Bytes()))
		decoder.UseNumber() // Go has none for 1e999
		if err := decoder.Decode(&event); err != nil || bytes.Count(out.Bytes(), []byte("\n")) != 1 || bytes.ContainsAny(out.Bytes(), "\x1b\x7f") {
			t.Fatalf("%v: %q", err, out.String())
		}
		if event["group"] != "g" || event["source"] != "stdio" {
			t.Errorf("forged: %s", out.String())
		}
	})
}
