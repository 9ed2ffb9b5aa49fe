package config

import (
	"strings"
	"testing"
)

// TestEveryUnknownOptionIsAnError: in every block an option with a slip of the
// finger is refused, and the message names the option that was meant.
func TestEveryUnknownOptionIsAnError(t *testing.T) {
	for title, block := range documentedBlocks() {
		for _, option := range block.options {
			if option == "static" {
				continue // a block
			}
			for _, slip := range []string{option + option[len(option)-1:], strings.ToUpper(option[:1]) + option[1:] + "x"} {
				result := block.read(slip, "1")
				want := `There is no option "` + slip + `" in `
				if text := result.Diagnostics.Error(); result.Config != nil || !strings.Contains(text, want) || !strings.Contains(text, `did you mean "`+option+`"?`) {
					t.Errorf("%s { %s = 1 }: %v", title, slip, text)
				}
			}
		}
		if result := block.read("entirely_different", "1"); result.Config != nil || strings.Contains(result.Diagnostics.Error(), "did you mean") {
			t.Errorf("%s { entirely_different = 1 }: %v", title, result.Diagnostics)
		}
	}
}

// TestUnknownBlockIsAnError: the same for the blocks.
func TestUnknownBlockIsAnError(t *testing.T) {
	for _, name := range blockNames {
		text := ReadBytes("/x/wsgid.hcl", []byte(name+"s \"x\" {\n}\n"), root).Diagnostics.Error()
		if !strings.Contains(text, `There is no block "`+name+`s"; did you mean "`+name+`"?`) {
			t.Errorf("%ss: %s", name, text)
		}
	}
	text := documentedBlock{open: "listen \"http\" {\naddress = \":80\"\nstatics \"/x\" {", close: "}"}.read("", "").Diagnostics.Error()
	if !strings.Contains(text, `There is no block "statics" in listen "http"; did you mean "static"?`) {
		t.Errorf("statics in listen: %s", text)
	}
}
