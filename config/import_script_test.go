package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPreloads: in the order of the file, each once in an interpreter, and
// nothing that only a request decides.
func TestPreloads(t *testing.T) {
	result := ReadBytes("/x/wsgid.hcl", []byte(`
listen "unix" {
  path = "/run/w.sock"
}
daemon_process "web" {}
import_script "/srv/first.py" {}
script_alias "/a" {
  target = "/srv/a.wsgi"
}
import_script "/srv/a.wsgi" {
  application_group = "sub"
}
script_alias "/again" {
  target = "/srv/a.wsgi"
}
script_alias "/request" {
  target            = "/srv/a.wsgi"
  application_group = "%{HOST}"
}
script_alias "/off" {
  target  = "/srv/off.wsgi"
  preload = false
}
script_alias "/router" {
  target        = "/srv/router.wsgi"
  process_group = "%{GLOBAL}"
}
virtual_host "www.example.com" {
  chunked_request = false
  script_alias "/host" {
    target = "/srv/host.wsgi"
  }
  script_alias_match "^/(fixed)" {
    target = "/srv/fixed.wsgi"
  }
  script_alias_match "^/(variable)" {
    target = "/srv/$1.wsgi"
  }
}
import_script "/srv/last.py" {}
import_script "/srv/first.py" {}
`), root)
	if result.Config == nil {
		t.Fatal(result.Diagnostics)
	}
	want := []Preload{{"", "/srv/first.py", false}, {"", "/srv/a.wsgi", true}, {"sub", "/srv/a.wsgi", false},
		{"", "/srv/host.wsgi", true}, {"", "/srv/fixed.wsgi", true}, {"", "/srv/last.py", false}}
	if diff := cmp.Diff(want, result.Config.Preloads("web")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Preload{{"", "/srv/router.wsgi", true}}, result.Config.Preloads("%{GLOBAL}")); diff != "" {
		t.Error(diff)
	}
}
