package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/gohcl"
)

var documentedRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|")

// TestDocumentation: docs/configuration.md has exactly the options that exist,
// block by block.
func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, section := range strings.Split(string(page), "\n## ")[1:] {
		title, text, _ := strings.Cut(section, "\n")
		sections[title] = text
	}
	for title, into := range map[string]any{
		`listen "unix"`:   &listenUnixBlock{},
		`listen "tcp"`:    &listenTCPBlock{},
		`listen "http"`:   &listenHTTPBlock{},
		"static":          &staticBlock{},
		"router":          &routerBlock{},
		"daemon_process":  &daemonProcessBlock{},
		"script_alias":    &scriptAliasBlock{},
		"dispatch_script": &dispatchScriptBlock{},
		"control":         &controlBlock{},
		"log":             &logBlock{},
	} {
		schema, _ := gohcl.ImpliedBodySchema(into)
		var want, got []string
		for _, a := range schema.Attributes {
			want = append(want, a.Name)
		}
		for _, b := range schema.Blocks {
			want = append(want, b.Type)
		}
		for _, row := range documentedRow.FindAllStringSubmatch(sections[title], -1) {
			got = append(got, row[1])
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("section %s documents %v, there is %v", title, got, want)
		}
	}
	for _, name := range blockNames {
		if !strings.Contains(string(page), "[`"+name+"`](#"+name) {
			t.Errorf("block %s is not in the list of blocks", name)
		}
	}
}
