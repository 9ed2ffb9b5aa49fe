package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFindControl(t *testing.T) {
	tests := []struct {
		name, text, want string
	}{
		{"default", "", "/run/user/1000/wsgid/control.sock"},
		{"named", "control {\n path = \"/run/c.sock\"\n}\n", "/run/c.sock"},
		{"the rest is broken", "daemon_process {\n thread = 5\n}\nnonsense {}\ncontrol {\n path = \"/run/c.sock\"\n}\n", "/run/c.sock"},
		{"included", "include = [\"more.hcl\"]\n", "/run/more.sock"},
		{"relative", "control {\n path = \"c.sock\"\n}\n", ""},
		{"not HCL", "control {", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{"wsgid.hcl": test.text, "more.hcl": "control {\n path = \"/run/more.sock\"\n}\n"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, result := FindControl(filepath.Join(dir, "wsgid.hcl"), ordinary)
			if got != test.want || result.Diagnostics.HasErrors() != (test.want == "") {
				t.Errorf("%q, %v", got, result.Diagnostics)
			}
		})
	}
	if got, result := FindControl("/nonexistent/wsgid.hcl", ordinary); got != "" || !result.Diagnostics.HasErrors() {
		t.Errorf("a missing file gave %q", got)
	}
}
