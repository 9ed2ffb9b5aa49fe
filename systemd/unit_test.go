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

// TestSocketUnit: systemd takes it beside the service.
func TestSocketUnit(t *testing.T) {
	dir := t.TempDir()
	socket, err := os.ReadFile("wsgid.socket")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"wsgid.service": Unit("/bin/true", packagedConfig, 252), "wsgid.socket": string(socket)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("systemd-analyze", "verify", "--recursive-errors=no", filepath.Join(dir, "wsgid.socket")).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

// TestPackagedFiles: systemd makes the account and the directory that packages declare.
func TestPackagedFiles(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	// It knows root by the files below the other root.
	if err := os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0::/root:/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/group"), []byte("root:x:0:\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"systemd-sysusers", "wsgid.sysusers"}, {"systemd-tmpfiles", "--create", "wsgid.tmpfiles"}} {
		file, err := filepath.Abs(command[len(command)-1])
		if err != nil {
			t.Fatal(err)
		}
		arguments := append([]string{"--root=" + root}, command[1:len(command)-1]...)
		if out, err := exec.Command(command[0], append(arguments, file)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", command, err, out)
		}
	}
	accounts, err := os.ReadFile(filepath.Join(root, "etc/passwd"))
	if err != nil || !strings.Contains(string(accounts), "\nwsgid:") || !strings.Contains(string(accounts), "nologin\n") {
		t.Errorf("%v: %s", err, accounts)
	}
	if info, err := os.Stat(filepath.Join(root, "run/wsgid")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v: %v", err, info)
	}
}
