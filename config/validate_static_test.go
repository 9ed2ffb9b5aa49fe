package config

import (
	"os"
	"path/filepath"
	"testing"
)

// A directory is the same by whatever name it is reached.
func TestHoldsFollowsLinks(t *testing.T) {
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	for _, dir := range []string{"site", "public"} {
		if err := os.Mkdir(at(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"files": "site", "public/linked.wsgi": "../site/site.wsgi"} {
		if err := os.Symlink(target, at(link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(at("site/site.wsgi"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		dir, path string
		want      bool
	}{
		{"site", "site/site.wsgi", true},
		{"files", "site/site.wsgi", true},
		{"site", "files/site.wsgi", true},
		{"site", "public/linked.wsgi", true},
		{"public", "public/linked.wsgi", true},
		{"public", "site/site.wsgi", false},
		{"site", "site/missing.wsgi", true},
		{"site/missing", "site/site.wsgi", false},
	} {
		if got := holds(at(tt.dir), at(tt.path)); got != tt.want {
			t.Errorf("%s holds %s: %v", tt.dir, tt.path, got)
		}
	}
}
