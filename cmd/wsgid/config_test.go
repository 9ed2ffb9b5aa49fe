package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigCommandMistakes(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.hcl")
	if err := os.WriteFile(bad, []byte("log {\n  colour = \"info\"\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		arguments string
		code      int
		want      string
	}{
		{"a b", exitUsage, `but "b" was given as well`},
		{"--running a", exitUsage, `not about the file "a"`},
		{"--control /x", exitUsage, "--control goes with --running"},
		{"--config a b", exitUsage, "name the configuration once"},
		{"--running --control /nonexistent/x.sock", exitUnreachable, "cannot reach wsgid"},
		{bad, exitFailed, "bad.hcl line 2"},
		{"/nonexistent/wsgid.hcl", exitFailed, "no such file"},
	} {
		out, errors, code := runVerb(append([]string{"config"}, strings.Fields(row.arguments)...)...)
		if out != "" || code != row.code || !strings.Contains(errors, row.want) {
			t.Errorf("wsgid config %s: %d %q %q", row.arguments, code, out, errors)
		}
	}
}
