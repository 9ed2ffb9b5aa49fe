package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// recipe is a configuration with its script in docs/dispatch-cookbook.md.
var recipe = regexp.MustCompile("(?s)\n## ([^\n]+)\n.*?```hcl\n(.*?)```\n\n```python\n(.*?)```\n")

// TestCookbook: the scripts of the cookbook are those of examples/dispatch, and decide
// as it says, with the configuration that stands there.
func TestCookbook(t *testing.T) {
	page := readFile(t, "../docs/dispatch-cookbook.md")
	type request struct {
		arguments          []string
		group, application string
	}
	get := func(group string, arguments ...string) request { return request{arguments, group, "%{GLOBAL}"} }
	requests := map[string][]request{
		"tenants": {
			{[]string{"--host", "shop.example.com"}, "big", "%{GLOBAL}"}, {[]string{"--host", "A.example.com:8080"}, "small", "a"}, {nil, "small", "%{GLOBAL}"},
		},
		"canary": {
			get("canary", "--header", "X-Canary: yes"), get("canary", "--header", "Cookie: a=b; canary=yes", "--env", "REMOTE_ADDR=192.0.2.1"),
			get("web", "--header", "X-Canary: no", "--env", "REMOTE_ADDR=192.0.2.3"), get("web", "--header", "Cookie: =;;\"", "--env", "REMOTE_ADDR=192.0.2.1"),
			get("canary", "--env", "REMOTE_ADDR=192.0.2.3"), get("web", "--env", "REMOTE_ADDR=192.0.2.1"), get("web", "--env", "REMOTE_ADDR=192.0.2.3", "--env", "REMOTE_USER=jo"),
		},
		"replicas": {
			get("readers"), get("readers", "--method", "HEAD"), get("writers", "--method", "POST"), get("writers", "--header", "Cookie: wrote=1"), get("writers", "--uri", "/admin/users"),
		},
		"blue_green": {
			get("green"), get("blue", "--header", "X-Release: blue", "--env", "REMOTE_ADDR=192.0.2.7"), get("green", "--header", "X-Release: blue", "--env", "REMOTE_ADDR=192.0.2.8"),
			get("green", "--header", "X-Release: red", "--env", "REMOTE_ADDR=127.0.0.1"),
		},
	}
	files, err := filepath.Glob("../examples/dispatch/*.py")
	if err != nil || len(files) != len(requests) {
		t.Fatalf("%v %v", files, err)
	}
	found := recipe.FindAllStringSubmatch(page, -1)
	if len(found) != len(files) {
		t.Fatalf("%d recipes, want %d", len(found), len(files))
	}
	for _, match := range found {
		configuration, script := match[2], match[3]
		path := regexp.MustCompile(`dispatch_script "(/etc/wsgid/([a-z_]+)\.py)"`).FindStringSubmatch(configuration)
		t.Run(path[2], func(t *testing.T) {
			w := newWorld(t)
			if script != readFile(t, "../examples/dispatch/"+path[2]+".py") {
				t.Errorf("%s is not examples/dispatch/%s.py", match[1], path[2])
			}
			w.App("environ.py")
			here := strings.NewReplacer("/etc/wsgid/live", w.Path("live"), "/etc/wsgid/tenants\"", w.Path("tenants")+"\"", path[1], w.Path("dispatch.py"), "/srv/site/site.wsgi", w.Path("apps/environ.py"),
				"/srv/blue", w.Path("apps"), "/srv/green", w.Path("apps"), "user = \"big\"", "user = \"#64001\"", "user = \"small\"", "user = \"#64002\"")
			w.Write("dispatch.py", here.Replace(script))
			w.Write("tenants", "shop.example.com big %{GLOBAL}\na.example.com small a\nunfinished.example.com\n")
			w.Write("live", "green\n")
			body := here.Replace(configuration)
			for _, group := range []string{"web", "canary", "writers", "readers", "blue", "green"} { // who runs them is not what this is about
				body = strings.ReplaceAll(body, `daemon_process "`+group+`" {`, `daemon_process "`+group+"\" {\nuser = \"#64001\"\n")
			}
			w.Configure(body)
			for _, r := range requests[path[2]] {
				arguments := r.arguments
				if !strings.Contains(strings.Join(arguments, " "), "--uri") {
					arguments = append([]string{"--uri", "/page"}, arguments...)
				}
				d := dispatchTest(t, w, false, arguments...)
				if d.Decision == nil || d.Decision.ProcessGroup != r.group || d.Decision.ApplicationGroup != r.application {
					t.Errorf("%v: %+v, want %s and %s", r.arguments, d.Decision, r.group, r.application)
				}
			}
		})
	}
}

// TestCookbookSwitches: blue becomes green without a reload.
func TestCookbookSwitches(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	w.Write("live", "blue\n")
	w.Write("dispatch.py", strings.ReplaceAll(readFile(t, "../examples/dispatch/blue_green.py"), "/etc/wsgid/live", w.Path("live")))
	w.Configure(group("blue", "#64001", 1, 1) + group("green", "#64001", 1, 1) + "dispatch_script \"{{.Dir}}/dispatch.py\" {}\n" +
		mount("/", "apps/environ.py", option("process_group", "blue")))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for _, release := range []string{"blue", "green", "blue"} {
		w.Write("live.new", release+"\n")
		if err := os.Rename(w.Path("live.new"), w.Path("live")); err != nil {
			t.Fatal(err)
		}
		if got := look(t, apache.Get("/")).env("mod_wsgi.process_group"); got != release {
			t.Errorf("%s is live, %s answers", release, got)
		}
	}
}
