package tests

import (
	"fmt"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// mountCase is one URL and where it ends. at is the application group of the
// mount, which names it; status 0 means 200.
type mountCase struct {
	url      string
	status   int
	code     string
	at       string
	script   string // SCRIPT_NAME
	pathInfo string
}

// mountCases hold behind every front server.
var mountCases = []mountCase{
	{url: "/Name", at: "Name", script: "/Name"},
	{url: "/Name/x", at: "Name", script: "/Name", pathInfo: "/x"},
	{url: "/name", at: "name", script: "/name"},
	{url: "/name?q=%41", at: "name", script: "/name"},
	{url: "/name/", at: "name", script: "/name", pathInfo: "/"},
	{url: "/n%61me", at: "name", script: "/name"},
	{url: "/n%61me/x", at: "name", script: "/name", pathInfo: "/x"},
	{url: "/%4Eame/x", at: "Name", script: "/Name", pathInfo: "/x"},
	{url: "/NAME", status: 404, code: "WSGID-1003"},
	{url: "/name2", status: 404, code: "WSGID-1003"},
	{url: "/nam", status: 404, code: "WSGID-1003"},
	{url: "/other", status: 404, code: "WSGID-1003"},
	{url: "/", status: 404, code: "WSGID-1003"},
	{url: "/name/a%20b", at: "name", script: "/name", pathInfo: "/a b"},
	{url: "/name/a+b", at: "name", script: "/name", pathInfo: "/a+b"},
	{url: "/name/a;p=1", at: "name", script: "/name", pathInfo: "/a;p=1"},
	{url: "/name/%C3%A9", at: "name", script: "/name", pathInfo: "/\u00c3\u00a9"},
	{url: "/name/a%FFb", at: "name", script: "/name", pathInfo: "/a\u00ffb"},
	{url: "/name/a%3Fb?q=1", at: "name", script: "/name", pathInfo: "/a?b"},
	{url: "/name/a%252Fb", at: "name", script: "/name", pathInfo: "/a%2Fb"},
	{url: "//name//x", at: "name", script: "/name", pathInfo: "/x"},
	{url: "/name//", at: "name", script: "/name", pathInfo: "/"},
	{url: "/name/../name/x", at: "name", script: "/name", pathInfo: "/x"},
	{url: "/name/./x", at: "name", script: "/name", pathInfo: "/x"},
	{url: "/first/longer", at: "first", script: "/first", pathInfo: "/longer"},
	{url: "/w/one.py", at: "directory", script: "/w/one.py"},
	{url: "/w/one.py/x/y", at: "directory", script: "/w/one.py", pathInfo: "/x/y"},
	{url: "/w//one.py/x", at: "directory", script: "/w/one.py", pathInfo: "/x"},
	{url: "/w/sub/two.py/x", at: "directory", script: "/w/sub/two.py", pathInfo: "/x"},
	{url: "/w/sub/../one.py/x", at: "directory", script: "/w/one.py", pathInfo: "/x"},
	{url: "/w/missing", status: 404, code: "WSGID-1023"},
	{url: "/w/missing/x", status: 404, code: "WSGID-1023"},
	{url: "/w/", status: 403, code: "WSGID-1022"},
	{url: "/w", status: 404, code: "WSGID-1003"},
	{url: "/w/sub/", status: 403, code: "WSGID-1022"},
	{url: "/w/../secret.py", status: 404, code: "WSGID-1003"},
	{url: "/w/%2e%2e/secret.py", status: 404, code: "WSGID-1003"},
}

func mountWorld(t *testing.T, more string) *harness.World {
	w := newWorld(t)
	w.App("environ.py")
	w.App("hello.py")
	source := "from urllib.parse import quote\nimport sys\nsys.path.insert(0, " + fmt.Sprintf("%q", w.Path("apps")) + ")\nfrom environ import application\n"
	w.Write("scripts/one.py", source)
	w.Write("scripts/sub/two.py", source)
	w.Write("secret.py", source)
	at := func(name string) string { return option("application_group", name) }
	w.Configure(more + group("only", "#64001", 1, 4) +
		mount("/Name", "apps/environ.py", at("Name")) + mount("/name", "apps/environ.py", at("name")) +
		mount("/first", "apps/environ.py", at("first")) + mount("/first/longer", "apps/hello.py", at("longer")) +
		mount("/w/", "scripts/", at("directory")))
	return w
}

func runMountCases(t *testing.T, client *harness.Client) {
	for _, c := range mountCases {
		t.Run(c.url, func(t *testing.T) {
			response := client.Get(c.url)
			if c.status != 0 {
				wantError(t, response, c.status, c.code)
				return
			}
			v := look(t, response)
			got := mountCase{url: c.url, at: v.env("mod_wsgi.application_group"), script: v.env("SCRIPT_NAME"), pathInfo: v.env("PATH_INFO")}
			if got != c {
				t.Errorf("got %+v, want %+v", got, c)
			}
		})
	}
}

// TestMounts: which URL ends where, and how its path is split.
func TestMounts(t *testing.T) {
	w := mountWorld(t, "")
	w.Start(harness.Options{})
	runMountCases(t, w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass}).Client)
}

// TestMountsHTTP is the same on the built-in HTTP front, which gets the path
// as the client wrote it.
func TestMountsHTTP(t *testing.T) {
	address := fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t))
	w := mountWorld(t, fmt.Sprintf("listen \"http\" {\n  address = %q\n}\n", address))
	w.Start(harness.Options{})
	runMountCases(t, harness.NewClient(t, "http://"+address))
}

// TestRootMount: a mount at / leaves SCRIPT_NAME empty, also when Apache has
// split the path itself.
func TestRootMount(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	w.Configure(group("only", "#64001", 1, 2) + mount("/", "apps/environ.py"))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: `
Alias "/handled" "{{.Dir}}/apps/environ.py"
` + harness.HandlerProxy + "<Directory {{.Dir}}/apps>\n  " + harness.Handler + "\n</Directory>\n" +
		"ProxyPass \"/handled\" !\n" + harness.ProxyPass})
	for url, want := range map[string]string{
		"/": "|/", "//": "|/", "/x/y": "|/x/y", "/handled": "|/handled", "/handled/x": "|/handled/x",
	} {
		v := look(t, apache.Get(url))
		if got := v.env("SCRIPT_NAME") + "|" + v.env("PATH_INFO"); got != want {
			t.Errorf("%s: SCRIPT_NAME|PATH_INFO is %q, want %q", url, got, want)
		}
		if got := v.env("REQUEST_URI"); got != url {
			t.Errorf("%s: REQUEST_URI is %q", url, got)
		}
	}
}
