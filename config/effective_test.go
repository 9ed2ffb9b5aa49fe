package config

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var samePrefix = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

// readAgain writes a configuration and reads what was written. It goes through
// JSON, as what a running wsgid answers does.
func readAgain(t *testing.T, c *Config, identity Identity) (text string, again Result) {
	t.Helper()
	encoded, err := json.Marshal(c.Effective())
	if err != nil {
		t.Fatal(err)
	}
	e := &Effective{}
	if err := json.Unmarshal(encoded, e); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := e.WriteHCL(&out); err != nil {
		t.Fatal(err)
	}
	return out.String(), ReadBytes(c.File, out.Bytes(), identity)
}

// TestEffectiveRoundTrip: every good configuration of testdata is, written out
// and read again, the same configuration, and written out again the same text
// but for the places.
func TestEffectiveRoundTrip(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	good := 0
	for _, name := range cases {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for _, file := range archive.Files {
			path := filepath.Join(dir, file.Name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, file.Data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		identity := root
		if strings.Contains(string(archive.Comment), "user joe") {
			identity = ordinary
		}
		c := Read(filepath.Join(dir, "wsgid.hcl"), identity).Config
		if c == nil {
			continue
		}
		good++
		text, again := readAgain(t, c, identity)
		if again.Config == nil {
			t.Errorf("%s: %v\n%s", name, again.Diagnostics, text)
			continue
		}
		if diff := cmp.Diff(c, again.Config, sameRange, sameSource, samePrefix); diff != "" {
			t.Errorf("%s: another configuration (-first +again):\n%s\n%s", name, diff, text)
		}
		for at, n := range c.Source.order {
			if !slices.ContainsFunc(flat(c.blocks()), func(b modelBlock) bool { return b.at == at }) {
				t.Errorf("%s: block %d at %v is not in what is written", name, n, at)
			}
		}
	}
	if good < 45 {
		t.Errorf("only %d good configurations", good)
	}
}

func flat(blocks []modelBlock) []modelBlock {
	var all []modelBlock
	for _, b := range blocks {
		all = append(append(all, b), flat(b.nested)...)
	}
	return all
}

// TestEffectiveOptions: every option of every block is shown, as set with its
// line where it is given and as default where not, and its reader reads what it
// shows.
func TestEffectiveOptions(t *testing.T) {
	for title, block := range documentedBlocks() {
		alone := block.read("", "")
		if alone.Config == nil {
			t.Fatalf("%s: %v", title, alone.Diagnostics)
		}
		model := lastOf(t, alone.Config, title)
		for name, option := range model.options {
			if option.read == nil || option.show == nil {
				t.Errorf("%s: %s cannot be read and shown", title, name)
				continue
			}
			shown := option.show()
			if _, needed := block.needs[name]; shown.IsNull() || needed {
				continue
			}
			written := block.read(name, literal(plain(shown)))
			if written.Config == nil {
				if only := written.Diagnostics.Error(); !strings.Contains(only, "Option without effect") {
					t.Errorf("%s: %s = %s: %v", title, name, literal(plain(shown)), only)
				}
				continue
			}
			if again := lastOf(t, written.Config, title).options[name].show(); !again.RawEquals(shown) {
				t.Errorf("%s: %s is shown as %#v and read as %#v", title, name, shown, again)
			}
			effective := effectiveOf(written.Config, model.kind, model.label)
			at := slices.IndexFunc(effective.Options, func(o EffectiveOption) bool { return o.Name == name })
			if o := effective.Options[at]; o.Origin != OriginSet || o.At == nil || o.At.File != "/x/wsgid.hcl" || o.At.Line < 9 {
				t.Errorf("%s: origin of %s: %+v", title, name, o)
			}
		}
		shown := effectiveOf(alone.Config, model.kind, model.label)
		var names []string
		for _, o := range shown.Options {
			names = append(names, o.Name)
			if _, needed := block.needs[o.Name]; !needed && o.Origin != OriginDefault {
				t.Errorf("%s: %s is %s, and nobody set it", title, o.Name, o.Origin)
			}
		}
		for _, name := range block.options {
			if name != "static" && !slices.Contains(hostBlocks, name) && !slices.Contains(names, name) {
				t.Errorf("%s: %s is missing among %v", title, name, names)
			}
		}
	}
}

// lastOf is the last block of a kind: the one that a documented block added.
func lastOf(t *testing.T, c *Config, title string) modelBlock {
	t.Helper()
	var found *modelBlock
	for _, b := range flat(c.blocks()) {
		if b.kind == title || b.title() == title {
			found = &b
		}
	}
	if found == nil {
		t.Fatalf("there is no %s", title)
	}
	return *found
}

func effectiveOf(c *Config, kind, label string) *EffectiveBlock {
	var find func(blocks []EffectiveBlock) *EffectiveBlock
	find = func(blocks []EffectiveBlock) *EffectiveBlock {
		var found *EffectiveBlock
		for i := range blocks {
			if blocks[i].Block == kind && blocks[i].Label == label {
				found = &blocks[i]
			} else if inner := find(blocks[i].Blocks); inner != nil {
				found = inner
			}
		}
		return found
	}
	return find(c.Effective().Blocks)
}

// TestEffectiveText: what people see.
func TestEffectiveText(t *testing.T) {
	result := ReadBytes("/etc/wsgid.hcl", []byte(`listen "http" {
  address = "127.0.0.1:0"
  body_timeout = 90
}
router {
  priority = 7
}
daemon_process "web" {
  environment = { SECRET = "a$${b} %{GLOBAL}", N = 12345678901234567890.5 }
  queue_timeout = null
}
virtual_host "h" {
  error_override = true
  script_alias "/" {
    target = "/srv/a.wsgi"
    application_group = "%{RESOURCE}"
  }
}
`), root)
	if result.Config == nil {
		t.Fatal(result.Diagnostics)
	}
	text, again := readAgain(t, result.Config, root)
	if again.Config == nil {
		t.Fatalf("%v\n%s", again.Diagnostics, text)
	}
	for _, want := range []string{
		"# /etc/wsgid.hcl and what it includes.",
		"listen \"http\" { # /etc/wsgid.hcl:1\n  address = \"127.0.0.1:0\" # /etc/wsgid.hcl:2\n  body_timeout = 90 # /etc/wsgid.hcl:3\n",
		"\n  # idle_timeout = \"1m15s\" # default\n",
		"\n  environment = { \"N\" = 12345678901234567890.5, \"SECRET\" = \"a$${b} %{GLOBAL}\" } # /etc/wsgid.hcl:9\n",
		"\n  # queue_timeout = \"45s\" # default\n",
		"\n    application_group = \"%{RESOURCE}\" # /etc/wsgid.hcl:16\n",
		"\n    # error_override = true # inherited from virtual_host \"h\", /etc/wsgid.hcl:13\n",
		"\n    # priority = 7 # inherited from router, /etc/wsgid.hcl:6\n",
		"\n    # process_group = \"web\" # default\n",
		"\n  # priority = 7 # inherited from router, /etc/wsgid.hcl:6\n",
		"\nlog { # default\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}

// TestEffectivePlaces: each file of several is named, and one whose name would
// end the comment does no harm.
func TestEffectivePlaces(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a\nb")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "more.hcl"), []byte("\nlog {\n  level = \"debug\"\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	result := ReadBytes(filepath.Join(dir, "wsgid.hcl"), []byte("include = [\"more.hcl\"]\nlisten \"http\" {\n  address = \"127.0.0.1:0\"\n}\nscript_alias \"/\" {\n  target = \"/srv/a.wsgi\"\n}\n"), root)
	if result.Config == nil {
		t.Fatal(result.Diagnostics)
	}
	text, again := readAgain(t, result.Config, root)
	if again.Config == nil {
		t.Fatalf("%v\n%s", again.Diagnostics, text)
	}
	if want := `more.hcl":3` + "\n"; !strings.Contains(text, want) {
		t.Errorf("%q is missing in:\n%s", want, text)
	}
}

// TestEffectiveCredentials: a mount that asks for passwords does not inherit
// whether they are passed on.
func TestEffectiveCredentials(t *testing.T) {
	result := ReadBytes("/etc/wsgid.hcl", []byte(`listen "http" { address = "127.0.0.1:0" }
router { pass_authorization = true }
auth_user_script "/etc/a.py" {}
script_alias "/" {
  target = "/srv/a.wsgi"
  auth_type = "basic"
  auth_name = "x"
  auth_user_script = "/etc/a.py"
}
`), root)
	if result.Config == nil {
		t.Fatal(result.Diagnostics)
	}
	if text, _ := readAgain(t, result.Config, root); !strings.Contains(text, "\n  # pass_authorization = false # default\n") {
		t.Error(text)
	}
}

func TestShowDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 10 * time.Second: "10s", 10 * time.Minute: "10m", time.Hour: "1h", 90 * time.Minute: "1h30m",
		3*time.Hour + time.Second: "3h0m1s", 1500 * time.Millisecond: "1.5s", 20 * time.Minute: "20m",
	} {
		if got := showDuration(d).AsString(); got != want {
			t.Errorf("%v is shown as %s, want %s", d, got, want)
		}
	}
}
