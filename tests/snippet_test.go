package tests

import (
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// startSnippet starts a web server with what wsgid apache snippet prints for it.
// What is another's in a real configuration is changed: ports, and who listens.
func startSnippet(t *testing.T, w *harness.World, server string) *harness.Client {
	t.Helper()
	code, out, errs := w.CLI("apache", "snippet", "--server", server, "--config", w.Path("wsgid.hcl"))
	if code != 0 {
		t.Fatalf("%d: %s", code, errs)
	}
	switch server {
	case "apache":
		return w.StartApache(harness.ApacheOptions{Config: strings.ReplaceAll(out, "*:80", "*")}).Client
	case "nginx":
		return w.StartNginxHTTP(strings.ReplaceAll(strings.ReplaceAll(out, "include fastcgi_params", "include /etc/nginx/fastcgi_params"), "listen 80", "listen 127.0.0.1:PORT"))
	case "lighttpd":
		return w.StartLighttpdConfig(out)
	}
	replace := strings.NewReplacer(":80 {", "http://127.0.0.1:PORT {", "\nhttp:// {", "\nhttp://:PORT {", "\na.test, b.test {", "\nhttp://a.test:PORT, http://b.test:PORT {")
	return w.StartCaddyfile(replace.Replace(out))
}

// TestSnippet: what is printed for each web server serves just what is mounted.
func TestSnippet(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"apache", "nginx", "caddy", "lighttpd"} {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t)
			w.App("environ.py")
			w.App("body_hash.py")
			w.Configure(group("only", "#64001", 1, 3) + mount("/app/hash", "apps/body_hash.py") + mount("/app", "apps/environ.py") +
				"script_alias_match \"^/sites/([a-z]+)\" {\n  target = \"{{.Dir}}/apps/$1.py\"\n}\n")
			w.Start(harness.Options{})
			client := startSnippet(t, w, server)
			for path, want := range map[string]map[string]string{
				"/app":                 {"SCRIPT_NAME": "/app", "PATH_INFO": ""},
				"/app/x%20y?q=1":       {"SCRIPT_NAME": "/app", "PATH_INFO": "/x y", "QUERY_STRING": "q=1"},
				"/sites/environ/there": {"SCRIPT_NAME": "/sites/environ", "PATH_INFO": "/there"},
			} {
				look(t, client.Get(path)).want(t, want)
			}
			for range 2 {
				upload(t, client, "/app/hash?by=read:50000", payload(200000), false)
			}
			for _, path := range []string{"/", "/apple", "/other"} { // the web server's own
				if got := client.Get(path); strings.Contains(got.Text(), "WSGID-") || strings.Contains(got.Header.Get("Content-Type"), "json") {
					t.Errorf("%s was served by wsgid: %d %.200s", path, got.Status, got.Body)
				}
			}
		})
	}
}

// TestSnippetHosts: virtual hosts are those of the configuration.
func TestSnippetHosts(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"apache", "nginx", "caddy", "lighttpd"} {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t)
			w.App("environ.py")
			inHost := func(name, alias, prefix, application string) string {
				return "virtual_host \"" + name + "\" {\n" + alias + mount(prefix, "apps/environ.py", option("process_group", "only"), option("application_group", application)) + "}\n"
			}
			w.Configure(group("only", "#64001", 1, 3) + inHost("a.test", "  server_alias = [\"b.test\"]\n", "/", "first") + inHost("*", "", "/in", "rest"))
			w.Start(harness.Options{})
			client := startSnippet(t, w, server)
			for _, row := range []struct{ host, path, application string }{
				{"a.test", "/x", "first"}, {"b.test", "/in", "first"}, {"c.test", "/in/x", "rest"},
			} {
				if got := look(t, client.Get(row.path, "Host: "+row.host)).env("mod_wsgi.application_group"); got != row.application {
					t.Errorf("%s%s: %s, want %s", row.host, row.path, got, row.application)
				}
			}
			if got := client.Get("/x", "Host: c.test"); strings.Contains(got.Text(), "WSGID-") {
				t.Errorf("c.test/x was served by wsgid: %d", got.Status)
			}
		})
	}
}
