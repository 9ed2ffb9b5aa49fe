package config

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzLoad: no configuration panics, and one that has no configuration as its
// result has said why.
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
			var out strings.Builder
			if err := WriteDiagnostics(&out, result, 78); err != nil {
				t.Error(err)
			}
		}
	})
}
