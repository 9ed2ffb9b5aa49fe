package supervisor

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/logwriter"
)

// TestErrorLogKeys: a record goes to the file whose key it has, one with a key that
// is none to where all others go, and so does one for a file that cannot be opened.
func TestErrorLogKeys(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	files := &errorLogs{log: hclog.NewNullLogger(), options: logwriter.OutputOptions{Level: hclog.Info}}
	file, missing := filepath.Join(dir, "a.log"), filepath.Join(dir, "no", "a.log")
	key := files.key(file)
	if key == "" || key != files.key(file) || key == files.key(missing) || files.key("") != "" || len(key) >= 40 {
		t.Errorf("keys: %q", key)
	}
	child := &childLog{log: hclog.New(&hclog.LoggerOptions{Name: "wsgid.worker", Output: &out, DisableTime: true}).With("group", "g"), files: files, format: "text", level: "info"}
	sink := child.sink("")
	for _, r := range [][2]string{{"one", key}, {"two", "guessed"}, {"three", ""}, {"four", files.key(missing)}, {"five", files.key(missing)}, {"six", key}} {
		sink.logRecord(parseRecord("level\x00error\x00error_log\x00" + r[1] + "\x00message\x00" + r[0]))
	}
	sink.logRouterLine(`{"@level":"error","@message":"seven","error_log":"`+key+`"}`, false)
	files.close()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(content)) {
		_, text, _ := strings.Cut(line, " ")
		lines = append(lines, text)
	}
	if got, want := strings.Join(lines, ""), "[ERROR] wsgid.worker: one: group=g source=unknown\n[ERROR] wsgid.worker: six: group=g source=unknown\n[ERROR] wsgid.worker: seven: group=g\n"; got != want {
		t.Errorf("file: %s", got)
	}
	for _, text := range []string{"two: group=g source=unknown\n", "three: group=g source=unknown\n", "four: group=g source=unknown\n", "five: group=g source=unknown\n", "seven: group=g\n"} {
		if strings.Count(out.String(), text) != 1 {
			t.Errorf("%q is not there once: %s", text, out.String())
		}
	}
	if strings.Count(out.String(), "cannot be opened") != 1 || strings.Contains(out.String(), key) {
		t.Error(out.String())
	}
}

// TestGroupLog: level and format of a group hold for what its processes write; raw
// takes the lines of applications as they are, and nothing else.
func TestGroupLog(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.log")
	var out bytes.Buffer
	general := logwriter.NewOutput(&out, logwriter.OutputOptions{Level: hclog.Info})
	files := &errorLogs{log: hclog.NewNullLogger(), general: general, options: logwriter.OutputOptions{Level: hclog.Info}}
	log := general.Logger(false).With("group", "g")
	record := func(level, source, text string) (map[string]string, string) {
		return map[string]string{"level": level, "source": source}, text
	}
	for _, child := range []*childLog{
		{log: log, files: files, format: config.LogRaw, level: "info"},
		{log: log, files: files, format: "json", level: "debug"},
		{log: log, files: files, format: "text", level: "warn"},
	} {
		sink := child.to(name)
		sink.logRecord(record("info", "logging", "{\"a\": 1.50}\n"))
		sink.logRecord(record("debug", "logging", "fine\x1b"))
		sink.logRecord(record("warn", ownSource, "of wsgid"))
		sink.logRecord(record("info", "", "who knows"))
		lines := &lineJoiner{emit: sink.logRaw, apart: sink.raw != nil}
		lines.write([]byte("  raw\t\n\n"))
	}
	child := &childLog{log: log, files: files, format: config.LogRaw, level: "info"}
	child.sink("").logRaw("general", false)
	files.close()
	general.Close()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	stamp := regexp.MustCompile(`\d{4}-\d\d-\d\dT[^" ]*`)
	want := "{\"a\": 1.50}\nwho knows\n  raw\t\n\n" +
		`{"@level":"info","@message":"","@module":"wsgid","@timestamp":"T","a":1.50,"group":"g","source":"logging"}
{"@level":"debug","@message":"fine\\x1b","@module":"wsgid","@timestamp":"T","group":"g","source":"logging"}
{"@level":"warn","@message":"of wsgid","@module":"wsgid","@timestamp":"T","group":"g","source":"wsgid"}
{"@level":"info","@message":"who knows","@module":"wsgid","@timestamp":"T","group":"g","source":"unknown"}
{"@level":"info","@message":"  raw\t","@module":"wsgid","@timestamp":"T","group":"g","source":"stdio"}
T [WARN]  wsgid: of wsgid: group=g source=wsgid
`
	if diff := cmp.Diff(want, stamp.ReplaceAllString(string(content), "T")); diff != "" {
		t.Error(diff)
	}
	if got, want := stamp.ReplaceAllString(out.String(), "T"), "T [WARN]  wsgid: of wsgid: group=g source=wsgid\ngeneral\n"; got != want {
		t.Errorf("the log of wsgid has %q, want %q", got, want)
	}
}
