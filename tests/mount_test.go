package tests

import (
	"cmp"
	"fmt"
	"os"
	"strings"
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
	// own are the statuses of front servers that do not let the URL through.
	own map[string]string
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
	{url: "/name/a%FFb", at: "name", script: "/name", pathInfo: "/a\u00ffb", own: map[string]string{"lighttpd": "400"}},
	{url: "/name/a%0Ab", at: "name", script: "/name", pathInfo: "/a\nb", own: map[string]string{"lighttpd": "400"}},
	{url: "/name/a%2Fb", at: "name", script: "/name", pathInfo: "/a/b", own: map[string]string{"apache": "404"}},
	{url: "/name%00x", status: 400, code: "WSGID-1001", own: map[string]string{"apache": "404", "nginx": "400", "lighttpd": "400", "caddy": "400"}},
	{url: "/name/x%00y", status: 400, code: "WSGID-1001", own: map[string]string{"apache": "404", "nginx": "400", "lighttpd": "400", "caddy": "400"}},
	{url: "/../name/z", at: "name", script: "/name", pathInfo: "/z", own: map[string]string{"apache": "400", "nginx": "400"}},
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
	{url: "/w/..%2fsecret.py", status: 404, code: "WSGID-1003", own: map[string]string{"apache": "404"}},
	{url: "/w/%252e%252e/secret.py", status: 404, code: "WSGID-1023"},
	{url: "/w/outside.py", status: 403, code: "WSGID-1004"},
	{url: "/w/inside.py/x", at: "directory", script: "/w/inside.py", pathInfo: "/x"},
	{url: "/w/closed/script.py", status: 403, code: "WSGID-1037", own: map[string]string{"apache-handler": "403"}},
	{url: "/w/dangling.py", status: 404, code: "WSGID-1023", own: map[string]string{"apache-handler": "403"}},
	{url: "/v", status: 403, code: "WSGID-1022", own: map[string]string{"apache-handler": "301"}},
	{url: "/v/one.py", at: "directory2", script: "/v/one.py"},
	{url: "/x/one.py", at: "directory3", script: "/x/one.py"},
	{url: "/t", status: 404, code: "WSGID-1003"},
	{url: "/t/", at: "slash", script: "/t/"},
	{url: "/t/x", status: 404, code: "WSGID-1023"},
	{url: "/dd/sl/x", at: "doubled", script: "/dd/sl", pathInfo: "/x"},
	{url: "/dd///sl/x", at: "doubled", script: "/dd/sl", pathInfo: "/x"},
	{url: "/sp%20ace/x", at: "space", script: "/sp ace", pathInfo: "/x"},
	{url: "/pc%2520t/x", at: "percent", script: "/pc%20t", pathInfo: "/x"},
	{url: "/pc%20t/x", status: 404, code: "WSGID-1003"},
	{url: "/into", at: "into", script: "/into", pathInfo: "/"},
	{url: "/into/x", at: "into", script: "/into", pathInfo: "/x"},
	{url: "/deeper", at: "deeper", script: "/deeper", pathInfo: "/extra"},
	{url: "/deeper/x", at: "deeper", script: "/deeper", pathInfo: "/extra/x"},

	// Expressions.
	{url: "/m/one/bar", at: "match", script: "/m/one", pathInfo: "/bar"},
	{url: "/m/one", at: "match", script: "/m/one"},
	{url: "/m/one/", at: "match", script: "/m/one", pathInfo: "/"},
	{url: "//m//one//bar", at: "match", script: "/m/one", pathInfo: "/bar"},
	{url: "/m/%6fne/a%20b?q", at: "match", script: "/m/one", pathInfo: "/a b"},
	{url: "/m/missing/bar", status: 404, code: "WSGID-1023"},
	{url: "/m/outside", status: 403, code: "WSGID-1004"},
	{url: "/m/..%2f..%2fsecret", status: 404, code: "WSGID-1003", own: map[string]string{"apache": "404", "nginx": "400", "lighttpd": "404"}},
	{url: "/m/%252e%252e", status: 404, code: "WSGID-1023"},
	{url: "/m/", status: 404, code: "WSGID-1003"},
	{url: "/adm/1", at: "groups", pathInfo: "/adm/1"},
	{url: "/admx/1", at: "groups", pathInfo: "/admx/1"},
	{url: "/any/where/anywhere/x", at: "anywhere", script: "/any/where/anywhere", pathInfo: "/x"},
	{url: "/any/anywherex", status: 404, code: "WSGID-1023"},
	{url: "/ahead/x", at: "ahead", script: "/ahead", pathInfo: "/x"},
	{url: "/ahead/not", status: 404, code: "WSGID-1003"},
	{url: "/CASE/x", at: "case", script: "/CASE", pathInfo: "/x"},
	{url: "/dots/.x.x/secret.py", status: 403, code: "WSGID-1004"},
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
	w.Write("scripts/closed/script.py", source)
	if err := os.Chmod(w.Path("scripts/closed"), 0o700); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"scripts/outside.py": "secret.py", "scripts/inside.py": "scripts/one.py", "scripts/dangling.py": "nowhere"} {
		if err := os.Symlink(w.Path(target), w.Path(link)); err != nil {
			t.Fatal(err)
		}
	}
	w.Configure(more + group("only", "#64001", 1, 4) +
		mount("/Name", "apps/environ.py", at("Name")) + mount("/name", "apps/environ.py", at("name")) +
		mount("/first", "apps/environ.py", at("first")) + mount("/first/longer", "apps/hello.py", at("longer")) +
		mount("/w/", "scripts/", at("directory")) + mount("/v", "scripts", at("directory2")) + mount("/x/", "scripts", at("directory3")) +
		mount("/t/", "apps/environ.py", at("slash")) + mount("/dd//sl", "apps/environ.py", at("doubled")) +
		mount("/sp ace", "apps/environ.py", at("space")) + mount("/pc%20t", "apps/environ.py", at("percent")) +
		mount("/into", "apps/environ.py/", at("into")) + mount("/deeper", "apps/environ.py/extra", at("deeper")) +
		match("^/m/([^/]+)", "scripts/$1.py", at("match")) + match("^/(adm|img)", "apps/environ.py/$1", at("groups")) +
		match("/anywhere", "apps/environ.py", at("anywhere")) + match("^/ahead(?!/not)", "apps/environ.py", at("ahead")) +
		match("(?i)^/case", "apps/environ.py", at("case")) + match(`^/dots/(\\.)x(\\.)x`, "scripts/$1$2", at("dots")))
	return w
}

// match writes a script_alias_match block.
func match(pattern, target string, options ...string) string {
	return fmt.Sprintf("script_alias_match \"%s\" {\n  target = \"{{.Dir}}/%s\"\n  %s\n}\n", pattern, target, strings.Join(options, "\n  "))
}

// TestMounts: which URL ends where, and how its path is split, is the same
// behind every front server.
func TestMounts(t *testing.T) {
	t.Parallel()
	for name, start := range everyFront {
		t.Run(name, func(t *testing.T) {
			address := freeAddress(t)
			w := mountWorld(t, fmt.Sprintf("listen \"http\" {\n  address = %q\n}\n", address))
			w.Start(harness.Options{})
			client := start(w, address)
			for _, c := range mountCases {
				t.Run(c.url, func(t *testing.T) {
					response := client.Get(c.url)
					if own := cmp.Or(c.own[name], c.own[strings.TrimSuffix(name, "-handler")]); own != "" {
						if fmt.Sprint(response.Status) != own {
							t.Errorf("status %d, want %s: %.300s", response.Status, own, response.Body)
						}
						return
					}
					if c.status != 0 {
						wantError(t, response, c.status, c.code)
						return
					}
					v := look(t, response)
					at, script, info := v.env("mod_wsgi.application_group"), v.env("SCRIPT_NAME"), v.env("PATH_INFO")
					if at != c.at || script != c.script || info != c.pathInfo {
						t.Errorf("got %q %q %q, want %+v", at, script, info, c)
					}
				})
			}
		})
	}
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
