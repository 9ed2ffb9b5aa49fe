package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
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
	d := &decoder{}
	http := append(sortedKeys(d.listenOptions(&Listener{Kind: ListenHTTP})), "static")
	for title, want := range map[string][]string{
		`listen "unix"`:   sortedKeys(d.listenOptions(&Listener{Kind: ListenUnix})),
		`listen "tcp"`:    sortedKeys(d.listenOptions(&Listener{Kind: ListenTCP})),
		`listen "http"`:   http,
		"static":          sortedKeys(d.staticOptions(&Static{})),
		"router":          sortedKeys(d.routerOptions(&Router{})),
		"daemon_process":  sortedKeys(d.daemonProcessOptions(&DaemonProcess{})),
		"script_alias":    sortedKeys(d.scriptAliasOptions(&ScriptAlias{})),
		"dispatch_script": sortedKeys(d.dispatchScriptOptions(&DispatchScript{})),
		"control":         sortedKeys(d.controlOptions(&Control{})),
		"log":             sortedKeys(d.logOptions(&Log{})),
	} {
		var got []string
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
