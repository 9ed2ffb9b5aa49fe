package accesslog

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for value, want := range map[string]string{
		"plain ~": "plain ~", "": "",
		`a"b\c`:                         `a\"b\\c`,
		"\n\r\t\v\b\x00\x1b\x7f":        `\n\r\t\v\b\x00\x1b\x7f`,
		"ü":                             `\xc3\xbc`,
		strings.Repeat("x", maxValue+1): strings.Repeat("x", maxValue),
	} {
		if got := string(appendText(nil, value)); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
	for value, want := range map[string]string{
		`a"b\c ü €`: `"a\"b\\c ü €"`, "😀": `"😀"`,
		"\n\r\t\x00\x1b\x7f":    `"\n\r\t\u0000\u001b\u007f"`,
		"\u0085\u2028\u2029":    `"\u0085\u2028\u2029"`,
		"\u202egnp.\u2066":      `"\u202egnp.\u2066"`,
		"a\xffb\xc3":            `"a\ufffdb\ufffd"`,
		"\ufffd\xed\xa0\x80":    `"\ufffd\ufffd\ufffd\ufffd"`,
		"\xf0\x9f\x98 \xe2\x82": `"\ufffd\ufffd\ufffd \ufffd\ufffd"`,
	} {
		if got := string(appendJSON(nil, value)); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

// FuzzLine: whatever a client sends, a line is one line, its values end where they
// should, and JSON is JSON.
func FuzzLine(f *testing.F) {
	f.Add("/a\"b", "Mozilla/5.0", "x\ny")
	f.Add("/\\", "\\\"", "\\")
	f.Add("/\x00\xff\u2028", "\\\n\\\"", "ü")
	text, _ := Parse(`"%r" "%{User-agent}i" "%{X-Other}i" "%u" "%q"`)
	object, _ := Parse(JSON)
	f.Fuzz(func(t *testing.T, uri, agent, other string) {
		r := sample()
		r.URI, r.Query, r.Method = []byte(uri), []byte(other), []byte(agent)
		r.Params = params{"HTTP_USER_AGENT": agent, "HTTP_X_OTHER": other, "REMOTE_USER": uri, "SERVER_PROTOCOL": other}
		line := string(text.Append(nil, r))
		rest, ended := strings.CutSuffix(line, "\n")
		if !ended || strings.ContainsFunc(rest, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Fatalf("%q", line)
		}
		quotes := 0
		for i := 0; i < len(rest); i++ {
			switch rest[i] {
			case '\\':
				i++
			case '"':
				quotes++
			}
		}
		if quotes != 10 {
			t.Fatalf("%d quotes in %q", quotes, line)
		}
		line = string(object.Append(nil, r))
		var decoded map[string]any
		if err := json.Unmarshal([]byte(line), &decoded); err != nil || strings.Count(line, "\n") != 1 || !utf8.ValidString(line) {
			t.Fatalf("%v: %q", err, line)
		}
		if want := strings.ToValidUTF8(agent, "\ufffd"); len(agent) < maxValue && utf8.ValidString(agent) && agent != "" && decoded["user_agent"] != want {
			t.Fatalf("%q, want %q", decoded["user_agent"], want)
		}
	})
}
