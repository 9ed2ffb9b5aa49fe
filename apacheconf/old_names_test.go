package apacheconf

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	oldNameRow = regexp.MustCompile("(?m)^\\| `([A-Za-z0-9-]+)` \\| (.*?) \\| .* \\|$")
	newName    = regexp.MustCompile("^\\[`([^`]+)`\\]\\(configuration\\.md#([a-z_-]+)\\)(?: `([a-z_]+)`)?$")
)

// TestOldNames: docs/old-names.md has every directive of mod_wsgi and every option of
// WSGIDaemonProcess, each once and in order, and what it leads to is in
// docs/configuration.md.
func TestOldNames(t *testing.T) {
	read := func(name string) string {
		content, err := os.ReadFile("../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	names, options, found := strings.Cut(read("old-names.md"), "\n## Options of WSGIDaemonProcess\n")
	if !found {
		t.Fatal("no section for the options of WSGIDaemonProcess")
	}
	configuration := "\n" + read("configuration.md")
	for part, want := range map[string][]string{names: directiveNames, options: daemonOptionNames} {
		var got []string
		for _, row := range oldNameRow.FindAllStringSubmatch(part, -1) {
			got = append(got, row[1])
			if row[2] == "–" {
				continue
			}
			to := newName.FindStringSubmatch(row[2])
			if to == nil {
				t.Errorf("%s leads to %q", row[1], row[2])
				continue
			}
			_, section, found := strings.Cut(configuration, "\n## "+to[1]+"\n")
			if section, _, _ = strings.Cut(section, "\n## "); !found || to[3] != "" && !strings.Contains(section, "\n| `"+to[3]+"` |") {
				t.Errorf("%s leads to %s %s, which docs/configuration.md does not have", row[1], to[1], to[3])
			}
			if anchor := strings.NewReplacer(" ", "-", `"`, "").Replace(to[1]); anchor != to[2] {
				t.Errorf("%s leads to #%s, want #%s", row[1], to[2], anchor)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("the page has %v, mod_wsgi %v", got, want)
		}
	}
}
