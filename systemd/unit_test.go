package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnit: systemd of this machine takes the unit, and newer ones get their own type.
func TestUnit(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "a b 100%", "wsgid")
	if err := os.MkdirAll(filepath.Dir(binary), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "wsgid.service")
	text := Unit(binary, "/etc/w s$/wsgid.hcl", 252)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", "--recursive-errors=no", path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s\n%s", err, out, text)
	}
	if want := `ExecStart="` + dir + `/a b 100%%/wsgid" run --config "/etc/w s$$/wsgid.hcl"`; !strings.Contains(text, want) || !strings.Contains(text, "Type=notify\nExecStart=") || !strings.Contains(text, "\nExecReload=") {
		t.Errorf("no %s in\n%s", want, text)
	}
	if text := Unit(packagedPath, packagedConfig, 252); text != unit {
		t.Errorf("not what packages install:\n%s", text)
	}
	if text := Unit(packagedPath, packagedConfig, 253); !strings.Contains(text, "\nType=notify-reload\nExecStart=") || strings.Contains(text, "ExecReload") || strings.Contains(text, "refused") {
		t.Errorf("%s", text)
	}
}
