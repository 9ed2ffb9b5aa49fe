package config

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzLoad: no configuration panics, one that has no configuration as its
// result has said why, and what is written of one is the same one.
func FuzzLoad(f *testing.F) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range cases {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(getFile(archive, "wsgid.hcl")))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		if bytes.Contains(source, []byte("include")) {
			return // would read files of this machine
		}
		for _, identity := range []Identity{root, ordinary} {
			result := ReadBytes("/nonexistent/fuzz.hcl", source, identity)
			if result.Config == nil && !result.Diagnostics.HasErrors() {
				t.Error("neither a configuration nor an error")
			}
			if result.Config != nil {
				text, again := readAgain(t, result.Config, identity)
				if diff := cmp.Diff(result.Config, again.Config, sameRange, sameSource, samePrefix); diff != "" {
					t.Errorf("written out it is another configuration: %v\n%s\n%s", again.Diagnostics, diff, text)
				}
			}
			var out strings.Builder
			if err := WriteDiagnostics(&out, result, 78); err != nil {
				t.Error(err)
			}
		}
	})
}
