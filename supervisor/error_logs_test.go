package supervisor

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/wsgid/wsgid/config"
)

// TestErrorLogKeys: a record goes to the file whose key it has, one with a key that
// is none to where all others go, and so does one for a file that cannot be opened.
func TestErrorLogKeys(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	files := &errorLogs{}
	file, missing := filepath.Join(dir, "a.log"), filepath.Join(dir, "no", "a.log")
	key := files.key(file)
	if key == "" || key != files.key(file) || key == files.key(missing) || files.key("") != "" || len(key) >= 40 {
		t.Errorf("keys: %q", key)
	}
	child := &childLog{log: hclog.New(&hclog.LoggerOptions{Name: "wsgid.worker", Output: &out, DisableTime: true}).With("group", "g"), files: files, global: &config.Log{Level: "info"}}
	sink := child.sink("")
	for _, r := range [][2]string{{"one", key}, {"two", "guessed"}, {"three", ""}, {"four", files.key(missing)}, {"five", files.key(missing)}, {"six", key}} {
		sink.logRecord([]byte("level\x00error\x00error_log\x00" + r[1] + "\x00message\x00" + r[0]))
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
	if got, want := strings.Join(lines, ""), "[ERROR] wsgid.worker: one: group=g\n[ERROR] wsgid.worker: six: group=g\n[ERROR] wsgid.worker: seven: group=g\n"; got != want {
		t.Errorf("file: %s", got)
	}
	for _, text := range []string{"two: group=g\n", "three: group=g\n", "four: group=g\n", "five: group=g\n", "seven: group=g\n"} {
		if strings.Count(out.String(), text) != 1 {
			t.Errorf("%q is not there once: %s", text, out.String())
		}
	}
	if strings.Count(out.String(), "cannot be opened") != 1 || strings.Contains(out.String(), key) {
		t.Error(out.String())
	}
}
