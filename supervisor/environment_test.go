package supervisor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/boot"
)

func TestWorkerEnvironment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	text := "# settings\n\nexport A=1\nB = 'two words'\nC=\"$A\"\nD=\nE=x=y # z\r\nLANG=C\nOVER=file\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	id := identity{User: "u", Home: "/home/u"}
	got, err := workerEnvironment(id, &config.DaemonProcess{
		Environment: map[string]string{"OVER": "block", "ONLY": "block"}, EnvFile: file, Lang: "de_DE.UTF-8", Locale: "POSIX",
	})
	want := []string{
		"A=1", "B=two words", "C=$A", "D=", "E=x=y # z", "HOME=/home/u", "LANG=C", "LC_ALL=POSIX", "LOGNAME=u",
		"ONLY=block", "OVER=file", "PATH=" + childPath, "USER=u",
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v\nwant %q", got, err, want)
	}
}

// TestEnvironmentMistakes: each is named with its place, and none quotes a
// line, which may be a secret.
func TestEnvironmentMistakes(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, row := range []struct {
		group config.DaemonProcess
		want  string
	}{
		{config.DaemonProcess{EnvFile: write("bare", "A=1\nhunter2\n")}, "line 2: not of the form NAME=value"},
		{config.DaemonProcess{EnvFile: write("spaces", "my hunter2=1\n")}, "line 1: not of the form NAME=value"},
		{config.DaemonProcess{EnvFile: write("large", strings.Repeat("# hunter2\n", envFileLimit/10+1))}, "larger than 1048576 bytes"},
		{config.DaemonProcess{EnvFile: write("reserved", boot.Variable+"=9\n")}, "is reserved"},
		{config.DaemonProcess{EnvFile: write("nul", "A=hunter2\x00\n")}, `"A" cannot be set`},
		{config.DaemonProcess{EnvFile: filepath.Join(dir, "missing")}, "no such file"},
		{config.DaemonProcess{EnvFile: fifo}, "not a regular file"},
		{config.DaemonProcess{EnvFile: dir}, "not a regular file"},
		{config.DaemonProcess{Environment: map[string]string{"A": "hunter2\x00"}}, `"A" cannot be set`},
		{config.DaemonProcess{Environment: map[string]string{boot.Variable: "9"}}, "is reserved"},
	} {
		_, err := workerEnvironment(identity{}, &row.group)
		if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want %q", err, row.want)
		}
	}
}
