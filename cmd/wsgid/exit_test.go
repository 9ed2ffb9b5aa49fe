package main

import "testing"

func TestExitCodes(t *testing.T) {
	tests := []struct {
		arguments []string
		want      int
	}{
		{[]string{"version"}, exitOK},
		{[]string{"help", "run"}, exitOK},
		{[]string{"check", "--config", "testdata/plain.hcl"}, exitOK},
		{[]string{"check", "--config", "/nonexistent/wsgid.hcl"}, exitFailed},
		{[]string{"run", "--config", "/nonexistent/wsgid.hcl"}, exitFailed},
		{[]string{"serve", "/nonexistent/site.wsgi"}, exitFailed},
		{[]string{"frobnicate"}, exitUsage},
		{[]string{"check", "--frobnicate"}, exitUsage},
		{[]string{"status", "extra"}, exitUsage},
		{[]string{"serve"}, exitUsage},
		{[]string{"serve", "a:b:c"}, exitUsage},
		{[]string{"serve", "site.wsgi", "--python", "a", "--python-home", "b"}, exitUsage},
		{[]string{"status", "--control", "/nonexistent/control.sock"}, exitUnreachable},
		{[]string{"stop", "--control", "/nonexistent/control.sock"}, exitUnreachable},
	}
	for _, test := range tests {
		if got := execute(test.arguments); got != test.want {
			t.Errorf("wsgid %q ended with %d, want %d", test.arguments, got, test.want)
		}
	}
}
