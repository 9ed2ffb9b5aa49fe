package tests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// climbs are ways to write "one directory up" that some server has taken for
// it: plain, encoded once, twice and half, with the separators of other systems,
// overlong, full width, with parameters, spaces, control bytes and NUL.
var climbs = []string{
	"../", "..%2f", "..%2F", "%2e%2e/", "%2E%2E/", "%2e%2e%2f", ".%2e/", "%2e./", "%252e%252e/", "%252e%252e%252f", "..%252f", "%25252e%25252e/",
	`..\`, "..%5c", "%2e%2e%5c", "%2e%2e%255c", `..\/`, "..;/", "..;x=1/", "..%3b/", "..%00/", "%00../", "..%01/", "..%09/", "..%0a/", "..%0d%0a/",
	"..%20/", "%20../", "..%7f/", "..%ff/", "%c0%ae%c0%ae/", "%c0%ae%c0%ae%c0%af", "..%c0%af", "..%c1%9c", "..%e0%80%af", "..%f0%80%80%af",
	"%e0%80%ae%e0%80%ae/", "%ef%bc%8e%ef%bc%8e/", "..%ef%bc%8f", "%uff0e%uff0e/", "%u002e%u002e%u2215", ".../", "....//", "..//", "./../", "/../",
	"..%23/", "..%3f/", "..?/", "..%", "..%2", "..%zz/", "..+/",
}

// targets are the request targets of the attack.
func (a *attacked) targets() []string {
	var all []string
	secrets := []string{"secret/evil.py", "secret/plain.txt", "scripts/helper.py"}
	for i, climb := range climbs {
		for j, base := range []string{"/w/", "/w/sub/", "/w/one.py/", "/h/", "/app/", "/static/", "/"} {
			for _, times := range []int{1, 2, 7} {
				all = append(all, base+strings.Repeat(climb, times)+secrets[(i+j+times)%len(secrets)])
			}
		}
	}
	// Everything that lies in the directories, as it is and dressed up.
	for _, base := range []string{"/w/", "/h/", "/static/", "/static/scripts/", "/static/up/scripts/", "/"} {
		names := append([]string{"", ".", "..", "sub", "sub/", "one.py", "sub/two.py", "helper.py", "link.py", "out.py", "out.py/x", "absolute.py", "absolute.txt",
			"up/secret/evil.py", "up/scripts/one.py", "root/etc/passwd", "root" + a.evil, "__pycache__/one.cpython-311.pyc", "__pycache__/", "ONE.PY", "One.py",
			"public.txt", "PUBLIC.TXT"}, besides...)
		for _, name := range names {
			all = append(all, base+strings.ReplaceAll(name, "#", "%23"))
		}
		for _, dress := range []string{".", "..", "%20", "%00", "%00.txt", "%0a", "%0d", "/", "//", "/.", "/..", `\`, "%5c", "::$DATA", ";x=1", ";.txt", "%3b.css", "?source", "%3fsource",
			"%23", "~", "%7e", ".txt", "%2etxt", "%252etxt", "/x.css", "/..%2fhelper.py", "%2f", "%2f..%2fhelper.py", "%ff"} {
			all = append(all, base+"one.py"+dress)
		}
	}
	// Paths of the file system in the place of the URL's, and absolute forms.
	for _, file := range []string{a.evil, a.Path("secret/plain.txt"), a.Path("scripts/one.py"), a.Path("scripts/helper.py"), a.Path("apps/environ.py"), "/etc/passwd"} {
		all = append(all, file, "/"+file, "//"+file, file+"/", "/w"+file, "/w/"+file, "/h"+file, "/static"+file, "/static/"+file, "/app"+file,
			strings.ReplaceAll(file, "/", "%2f"), "/w"+strings.ReplaceAll(file, "/", "%2f"), "/."+file, "http://x"+file, "http://x/w/.."+file, "http://x/w"+file,
			"http://x"+strings.ReplaceAll(file, "/", "%2f"), "file://"+file, "fcgi://x"+file, "proxy:fcgi://x"+file, "unix:"+a.Socket+"|fcgi://x"+file, "http:"+file)
	}
	return append(all, "*", "http://", "http://x", "http://x?/w/one.py", "?/w/one.py", "/w/%", "/w/%2", "/%", "/"+strings.Repeat("../", 1000), "/"+strings.Repeat("a/", 3000)+strings.Repeat("../", 3000)+"w/one.py",
		"/w/"+strings.Repeat("sub/../", 500)+"one.py", "/w/"+strings.Repeat("a", 300), "/w/"+strings.Repeat("/", 5000)+"one.py")
}

// TestAttackPaths sends every target through a front server.
func TestAttackPaths(t *testing.T) {
	t.Parallel()
	type front struct {
		name, host string
		start      func(*attacked) (base string)
		// known are URLs that must be answered by a script, else the attack
		// proves nothing.
		known []string
	}
	apacheStart := func(a *attacked) string {
		site := func(name, directives string) string {
			return "<VirtualHost *:*>\n  ServerName " + name + "\n  " + directives + "\n" + proxyAll + "</VirtualHost>\n"
		}
		const handled = "Alias \"/h/\" \"{{.Dir}}/scripts/\"\n<Directory \"{{.Dir}}/scripts\">\n" + harness.Handler + "\nOptions All\n</Directory>\nProxyPass \"/h/\" !\n"
		return a.StartApache(harness.ApacheOptions{Config: site("plain.test", handled) +
			site("on.test", "AllowEncodedSlashes On\nMergeSlashes Off\n"+handled) +
			site("nodecode.test", "AllowEncodedSlashes NoDecode\nProxyFCGIBackendType GENERIC\n"+handled) +
			site("nocanon.test", "AllowEncodedSlashes On\n<Location />\nProxyFCGIBackendType GENERIC\n</Location>\nProxyPass \"/\" \"unix:{{.Socket}}|fcgi://raw/\" nocanon\n")}).Base
	}
	mounted := []string{"/w/one.py", "/w/sub/two.py/x", "/w/link.py", "/app/x"}
	both := append([]string{"/h/one.py", "/h/sub/two.py/x"}, mounted...)
	for _, f := range []front{
		{"Apache", "plain.test", apacheStart, both},
		{"Apache with encoded slashes", "on.test", apacheStart, both},
		{"Apache with slashes left encoded", "nodecode.test", apacheStart, both},
		{"Apache with nocanon", "nocanon.test", apacheStart, mounted},
		{"nginx", "x", func(a *attacked) string { return a.StartNginx().Base }, mounted},
		{"lighttpd", "x", func(a *attacked) string { return a.StartLighttpd().Base }, mounted},
		{"Caddy", "x", func(a *attacked) string { return a.StartCaddy().Base }, mounted},
		{"HTTP front", "x", func(a *attacked) string { return "http://" + a.address }, mounted},
	} {
		t.Run(f.name, func(t *testing.T) {
			a := startAttacked(t, "")
			base := f.start(a)
			get := func(target string) string {
				return rawHTTP(t, base, "GET "+target+" HTTP/1.1\r\nHost: "+f.host+"\r\nConnection: close\r\n\r\n")
			}
			for _, url := range f.known {
				if got := get(url); !strings.HasPrefix(got, "HTTP/1.1 200") || !strings.Contains(got, `"SCRIPT_FILENAME": "`+a.Dir) {
					t.Fatalf("%s: %.500q", url, got)
				}
			}
			for _, target := range a.targets() {
				got := get(target)
				a.harmless(t, target, got)
				if _, rest, found := strings.Cut(got, `"SCRIPT_NAME": "`); found && !strings.HasPrefix(rest, "/w/") && !strings.HasPrefix(rest, "/h/") && !strings.HasPrefix(rest, `/app"`) {
					t.Errorf("%s reaches an application past its mount: %.500q", target, got)
				}
				if strings.Contains(got, "root:x:0") {
					t.Errorf("%s: %.500q", target, got)
				}
			}
			a.unharmed(t)
		})
	}
}

const proxyAll = "ProxyPass \"/\" \"unix:{{.Socket}}|fcgi://wsgid/\"\n"

// TestAttackPathsPeer sends the same as a FastCGI peer that writes what it
// likes into each of the variables that tell of a path.
func TestAttackPathsPeer(t *testing.T) {
	a := startAttacked(t, "")
	for i, target := range a.targets() {
		for j, names := range [][]string{
			{"SCRIPT_NAME"}, {"PATH_INFO"}, {"REQUEST_URI"}, {"SCRIPT_NAME", "PATH_INFO"}, {"SCRIPT_FILENAME"}, {"SCRIPT_NAME", "SCRIPT_FILENAME"},
		} {
			if !turn(i+j, 3) {
				continue
			}
			texts := []string{"REQUEST_METHOD", "GET"}
			for _, name := range names {
				value := target
				if name == "SCRIPT_FILENAME" {
					value = "proxy:fcgi://localhost" + a.Path("scripts") + target
				}
				texts = append(texts, name, value)
			}
			answer := askRaw(t, a.World, fcgiRequest(texts...))
			a.harmless(t, fmt.Sprint(names, target), answer.stdout)
			if answer.status() == 0 || !answer.ended {
				t.Errorf("%v %q: %+v", names, target, answer)
			}
		}
	}
	a.unharmed(t)
}
