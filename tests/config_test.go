package tests

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestConfigCommand: wsgid config prints what wsgid can run with, and --running
// shows that the file is another one until it is reloaded.
func TestConfigCommand(t *testing.T) {
	w := newWorld(t)
	w.App("hello.py")
	text := func(secret string) string {
		return group("web", "#64001", 1, 2, `environment = { PASSWORD = "`+secret+`" }`) + mount("/", "apps/hello.py")
	}
	w.Configure(text("first"))
	wsgid := w.Start(harness.Options{})
	printed := func(arguments ...string) string {
		t.Helper()
		status, stdout, stderr := w.CLI(append([]string{"config"}, arguments...)...)
		if status != 0 || stderr != "" {
			t.Fatalf("wsgid config %v: %d %q", arguments, status, stderr)
		}
		return stdout
	}
	first := printed(w.Path("wsgid.hcl"))
	if running := printed("--running", "--control", w.Control); running != first {
		t.Errorf("the file says\n%s\nand wsgid runs with\n%s", first, running)
	}
	w.Configure(text("second"))
	second := printed("--config", w.Path("wsgid.hcl"))
	if second == first || !strings.Contains(second, `"PASSWORD" = "second" } # `+w.Path("wsgid.hcl")+":") {
		t.Errorf("the changed file:\n%s", second)
	}
	if running := printed("--running", "--config", w.Path("wsgid.hcl")); running != first {
		t.Errorf("wsgid was not reloaded and runs with\n%s", running)
	}
	w.Write("printed.hcl", second)
	if status, stdout, stderr := w.CLI("check", "--config", w.Path("printed.hcl")); status != 0 {
		t.Errorf("what was printed is no configuration: %d %q %q", status, stdout, stderr)
	}
	if status, stdout, stderr := w.CLI("reload", "--control", w.Control); status != 0 {
		t.Fatalf("reload: %d %q %q", status, stdout, stderr)
	}
	wsgid.AwaitReady("web")
	if running := printed("--running", "--control", w.Control); running != second {
		t.Errorf("after a reload wsgid runs with\n%s", running)
	}
	if err := os.Chmod(w.Control, 0o666); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := w.CLIAs(64001, "status", "--control", w.Control); status != 0 {
		t.Errorf("status as another user: %d %q", status, stderr)
	}
	if status, stdout, stderr := w.CLIAs(64001, "config", "--running", "--control", w.Control); status != 1 || stdout != "" || !strings.Contains(stderr, "uid 64001 may only look") {
		t.Errorf("configuration as another user: %d %q %q", status, stdout, stderr)
	}
	var effective config.Effective
	if err := json.Unmarshal([]byte(printed("--json", w.Path("wsgid.hcl"))), &effective); err != nil || len(effective.Blocks) < 5 {
		t.Errorf("JSON: %v, %+v", err, effective)
	}
}
