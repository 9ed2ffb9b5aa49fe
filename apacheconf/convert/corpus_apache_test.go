package convert

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/apacheconf"
	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/apachetest"
)

// TestCorpusInApache: each configuration of the corpus is converted, or refused for
// the reason that it gives. Apache takes what becomes of those that it took,
// without mod_wsgi, and wsgid takes its part.
func TestCorpusInApache(t *testing.T) {
	all, err := apachetest.Corpus("../testdata/corpus")
	if err != nil || len(all) < 90 {
		t.Fatalf("%d configurations: %v", len(all), err)
	}
	for _, c := range all {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			p := apachetest.NewPlace(t)
			cfg, err := apacheconf.Load(p.Put(t, c), apacheconf.Options{ServerRoot: p.Root, Environment: p.Environment})
			var result *Result
			if err == nil {
				result, err = Convert(cfg, Options{OutDir: filepath.Join(p.Dir, "out"), DocumentRoot: p.Dir})
			}
			switch {
			case err != nil && (c.Refused == "" || !strings.Contains(err.Error(), c.Refused)):
				t.Fatalf("%v, want %q", err, c.Refused)
			case err == nil && c.Refused != "":
				t.Fatalf("it is converted, want %q", c.Refused)
			case err == nil:
				takenByBoth(t, p, c, result)
			}
		})
	}
}

// takenByBoth: Apache reads what its configuration became, and wsgid its own.
func takenByBoth(t *testing.T, p *apachetest.Place, c *apachetest.Configuration, result *Result) {
	t.Helper()
	if len(result.Access) > 0 != c.Access() {
		t.Errorf("%d files .htaccess change", len(result.Access))
	}
	for _, f := range append(result.Files, result.Access...) {
		if f.Path == f.Name {
			t.Fatalf("%s would be written over", f.Name)
		}
		if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.Path, f.After, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range result.Access {
		if _, err := apacheconf.Parse(f.Path, f.After); err != nil {
			t.Error(err)
		}
		if left := ofModWSGI.FindString(string(f.After)); left != "" {
			t.Errorf("%s is left in\n%s", left, f.After)
		}
	}
	if read := config.ReadBytes("/wsgid.hcl", result.HCL, config.Identity{}); read.Config == nil {
		t.Errorf("wsgid: %v\n%s", read.Diagnostics, result.HCL)
	}
	if c.Apache == apachetest.Refuses {
		return
	}
	if accepts, said := p.Apache(t, result.Files[0].Path, "wsgi"); !accepts {
		t.Errorf("Apache took the original, and not the result: %s\n%s", said, result.Files[0].After)
	}
}

// ofModWSGI finds directives that only mod_wsgi has.
var ofModWSGI = regexp.MustCompile(`(?mi)^[ \t]*(WSGI\w+|(Set|Add)Handler[ \t]+wsgi-script)`)

// TestLargeNumbers: numbers beyond 31 bits are what they were.
func TestLargeNumbers(t *testing.T) {
	result, err := convertFiles(t, map[string]string{"/etc/apache2/apache2.conf": "WSGIPythonHashSeed 4000000000\nWSGIDaemonProcess web memory-limit=8589934592\nWSGIScriptAlias / /s/a.wsgi process-group=web\n"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"4000000000", "8589934592"} {
		if !strings.Contains(string(result.HCL), want) {
			t.Errorf("no %s in\n%s", want, result.HCL)
		}
	}
}

// TestRefusedValues: what mod_wsgi refuses when Apache starts is refused here.
func TestRefusedValues(t *testing.T) {
	for source, want := range map[string]string{
		"WSGIDaemonProcess a umask=0999":                                                   "umask=0999 is no octal number",
		"WSGIDaemonProcess a server-metrics=yes":                                           "neither On nor Off",
		"WSGIDaemonProcess a switch-interval=soon":                                         "no number of seconds above 0",
		"WSGIDaemonProcess a send-buffer-size=100":                                         "send-buffer-size=100: at least 512",
		"WSGIDaemonProcess a response-buffer-size=9":                                       "at least 65536",
		"WSGIDaemonProcess a threads=65534":                                                "at most 65533",
		"WSGIDaemonProcess a user=#0":                                                      "no application runs as root",
		"WSGIAcceptMutex spin":                                                             `there is no lock "spin"`,
		"WSGIPythonHashSeed 5x":                                                            `"5x" is no seed`,
		"WSGIMapHEADToGET Maybe":                                                           "none of On, Off and Auto",
		"WSGISwitchInterval 0":                                                             "no number of seconds above 0",
		"WSGITrustedProxies FE80::1":                                                       `"FE80::1" is no address`,
		"WSGIScriptAliasMatch ^/[a /s/b.wsgi":                                              "missing closing ]",
		"WSGIScriptAliasMatch ^/a) /s/b.wsgi":                                              "unexpected )",
		"WSGIScriptAlias /b /s/b.wsgi callable-object=":                                    "callable-object= is empty",
		"WSGIScriptAlias /b /s/b.wsgi process-group=":                                      "process-group= is empty",
		"WSGIImportScript /s/b.py process-group=%{ENV:A} application-group=%{GLOBAL}":      "is not yet configured",
		"WSGIImportScript /s/b.py process-group=nowhere application-group=%{SERVER}":       "is not yet configured",
		"WSGIHandlerScript b /s/b.wsgi pass-authorization=maybe":                           "neither On nor Off",
		"WSGIScriptAlias /b /s/b.wsgi application-group= process-group=%{GLOBAL}":          "application-group= is empty",
		"WSGIDaemonProcess a memory-limit=-1":                                              "at least 0",
		"<Location /x>\nWSGIAccessScript /s/x.py application-group=\n</Location>":          "application-group= is empty",
		"WSGIScriptAliasMatch \"^/(a|b(?=c)\" /s/$1.wsgi\nWSGIDaemonProcess a processes=0": "processes=0: at least 1",
	} {
		_, err := convertFiles(t, map[string]string{"/etc/apache2/apache2.conf": "WSGIScriptAlias /ok /s/a.wsgi\n" + source + "\n"}, Options{})
		var refused *RefusedError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", source, err, want)
		}
	}
}
