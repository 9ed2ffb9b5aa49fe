package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/internal/urlpattern"
)

func TestLoadMissingFile(t *testing.T) {
	c, diags := Load(filepath.Join(t.TempDir(), "none.hcl"))
	if c != nil || !diags.HasErrors() {
		t.Fatalf("config %v, diagnostics %v", c, diags)
	}
	if !strings.Contains(diags.Error(), "none.hcl: no such file or directory") {
		t.Errorf("message: %v", diags)
	}
}

func TestLoadBytes(t *testing.T) {
	c, diags := LoadBytes("memory", []byte(`
listen "http" { address = "127.0.0.1:0" }
script_alias "/" { target = "/srv/a.wsgi" }
`))
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if c.File != "memory" || c.Listeners[0].Kind != ListenHTTP {
		t.Errorf("config: %+v", c)
	}
}

func TestControlCharacterInFile(t *testing.T) {
	_, diags := LoadBytes("memory", []byte("log {\x00}\n"))
	if !strings.Contains(diags.Error(), "control character at byte 5") {
		t.Errorf("diagnostics: %v", diags)
	}
}

func TestCovers(t *testing.T) {
	// With a ^ at its beginning it is the expression of a script_alias_match.
	alias := func(prefix string) *ScriptAlias {
		return &ScriptAlias{Prefix: prefix, Match: strings.HasPrefix(prefix, "^")}
	}
	for _, c := range []struct {
		earlier, later string
		want           bool
	}{
		{"/", "/a", true},
		{"//", "/a", true},
		{"/a", "/a", true},
		{"/a", "/a/b", true},
		{"/a", "/ab", false},
		{"/a/", "/a", false},
		{"/a/", "/a/b", true},
		{"/a/b", "/a", false},
		{"/", "^/a", true},
		{"/a", "^/a", false},
		{"^/a", "/a", true},
		{"^/a", "/ab", true},
		{"^/(a|b)", "/b/c", true},
		{"^/a$", "/a", false},
		{"^/a\\b", "/a", false},
		{"^/a(?!b)", "/a", false},
		{"^/b", "/a", false},
		{"^/a/b", "/a", false},
		{"^", "/a", false},
		{"^/a", "^/a/b", false},
	} {
		if got := alias(c.earlier).covers(alias(c.later), urlpattern.Compile); got != c.want {
			t.Errorf("covers(%q, %q) = %v", c.earlier, c.later, got)
		}
	}
}

func TestIdentity(t *testing.T) {
	nobody := Identity{UID: 4711, GID: 4712}
	if !nobody.isUser("#4711") || nobody.isUser("") || nobody.isUser("joe") || nobody.isGroup("") {
		t.Error("an identity without names is only its numbers")
	}
	if nobody.userName() != "#4711" || nobody.groupName() != "#4712" {
		t.Error("names of an identity without names")
	}
	if got := DefaultControlPath(nobody); got != "/run/wsgid/control.sock" {
		t.Errorf("control path without a runtime directory: %s", got)
	}
}
