package tests

import (
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// everyFront starts each kind of front server for a test; those that speak
// FastCGI pass on every URL. address is that of the built-in HTTP front.
var everyFront = map[string]func(w *harness.World, address string) *harness.Client{
	"apache": func(w *harness.World, _ string) *harness.Client {
		return w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass}).Client
	},
	// Apache maps the URLs to files where it can, and all go to wsgid.
	"apache-handler": func(w *harness.World, _ string) *harness.Client {
		return w.StartApache(harness.ApacheOptions{Config: harness.HandlerProxy + `
Alias "/Name" "{{.Dir}}/apps/environ.py"
Alias "/name" "{{.Dir}}/apps/environ.py"
Alias "/w/" "{{.Dir}}/scripts/"
Alias "/v" "{{.Dir}}/scripts"
AliasMatch "^/m/([^/]+)(.*)$" "{{.Dir}}/scripts/$1.py$2"
<Location "/">
  ` + harness.Handler + `
</Location>
`}).Client
	},
	"nginx":    func(w *harness.World, _ string) *harness.Client { return w.StartNginx() },
	"lighttpd": func(w *harness.World, _ string) *harness.Client { return w.StartLighttpd() },
	"caddy":    func(w *harness.World, _ string) *harness.Client { return w.StartCaddy() },
	"http": func(w *harness.World, address string) *harness.Client {
		return harness.NewClient(w.T, "http://"+address)
	},
}

// host writes a virtual_host block; inside are options and mounts.
func host(name string, inside ...string) string {
	return "virtual_host \"" + name + "\" {\n" + strings.Join(inside, "\n") + "\n}\n"
}

// TestVirtualHosts: the Host header chooses mounts and settings, behind every
// front server.
func TestVirtualHosts(t *testing.T) {
	t.Parallel()
	for name, start := range everyFront {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.App("environ.py")
			address := freeAddress(t)
			at := func(name string) string { return option("application_group", name) }
			w.Configure("listen \"http\" {\n  address = \"" + address + "\"\n}\n" + group("only", "#64001", 1, 4) +
				host("www.Example.test", `server_alias = ["example.test", "*.example.test"]`, "max_body_bytes = 3",
					mount("/own", "apps/environ.py", at("%{RESOURCE}")),
					mount("/all/inner", "apps/environ.py", at("inner")),
					mount("/big", "apps/environ.py", at("big"), "max_body_bytes = 10")) +
				host("deep", `server_alias = ["*.deep.example.test"]`, mount("/own", "apps/environ.py", at("deep"))) +
				host("[2001:db8::1]", mount("/own", "apps/environ.py", at("six"))) +
				host("elsewhere", "ports = [7777]", `server_alias = ["port.test"]`, mount("/own", "apps/environ.py", at("port"))) +
				mount("/all", "apps/environ.py", at("%{SERVER}")))
			w.Start(harness.Options{})
			client := start(w, address)
			for _, c := range []struct{ host, url, at string }{ // at: the application group, begins so
				{"www.example.test", "/own/x", "www.Example.test"},
				{"WWW.EXAMPLE.TEST.:80", "/own", "www.Example.test"},
				{"example.test", "/own", "www.Example.test"},
				{"a.b.example.test", "/own", "www.Example.test"},
				{"deep.example.test", "/own", "www.Example.test"},
				{"a.deep.example.test", "/own", "deep"},
				{"[2001:db8:0::1]", "/own", "six"},
				{"example.test", "/all/x", "www.Example.test"},
				{"example.test", "/own/../all", "www.Example.test"},
				{"example.test", "/all/inner/x", "inner"}, // before the global /all
				{"elsewhere", "/own", ""},
				{"port.test", "/own", ""},
				{"other.test", "/own", ""},
				{"xexample.test", "/own", ""},
				{"deep", "/big", ""},
				{"other.test", "/big", ""},
			} {
				response := client.Get(c.url, "Host: "+c.host)
				if c.at == "" {
					wantError(t, response, 404, "WSGID-1003")
					continue
				}
				v := look(t, response)
				if got := v.env("mod_wsgi.application_group"); !strings.HasPrefix(got, c.at) {
					t.Errorf("%s %s: served in %q, want %q", c.host, c.url, got, c.at)
				}
			}
			// Apache and Caddy tell the port of the Host header, the others theirs.
			response := client.Get("/own", "Host: port.test:7777")
			if strings.HasPrefix(name, "apache") || name == "caddy" {
				if got := look(t, response).env("mod_wsgi.application_group"); got != "port" {
					t.Errorf("served in %q", got)
				}
			} else {
				wantError(t, response, 404, "WSGID-1003")
			}
			if got := look(t, client.Get("/all", "Host: other.test")).env("mod_wsgi.application_group"); strings.HasPrefix(got, "www.Example.test") {
				t.Errorf("without a virtual host %%{SERVER} is %q", got)
			}
			for _, c := range []struct {
				host, url string
				size      int
				refused   bool
			}{
				{"example.test", "/own", 4, true}, {"example.test", "/own", 3, false}, {"example.test", "/big", 10, false},
				{"example.test", "/big", 11, true}, {"example.test", "/all", 4, true}, {"other.test", "/all", 4, false},
			} {
				response := client.Do("POST", c.url, strings.NewReader(strings.Repeat("x", c.size)), "Host: "+c.host)
				if c.refused {
					wantError(t, response, 413, "WSGID-1009")
				} else {
					look(t, response)
				}
			}
		})
	}
}

// TestVirtualHostWithoutHost: without a Host header the web server's name
// chooses; one that is none is refused.
func TestVirtualHostWithoutHost(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	address := freeAddress(t)
	w.Configure("listen \"http\" {\n  address = \"" + address + "\"\n}\n" + group("only", "#64001", 1, 4) +
		host("localhost", mount("/own", "apps/environ.py", option("application_group", "named"))) +
		host("127.0.0.1", mount("/own", "apps/environ.py", option("application_group", "address"))) +
		host("*", mount("/own", "apps/environ.py", option("application_group", "any"))))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	nginx, caddy := w.StartNginx(), w.StartCaddy()
	for _, c := range []struct{ base, at string }{
		{apache.Base, "named"}, {"http://" + address, "address"}, {nginx.Base, "any"}, {caddy.Base, "any"},
	} {
		v := look(t, rawResponse(t, strings.TrimPrefix(c.base, "http://"), "GET /own HTTP/1.0\r\n\r\n"))
		if got := v.env("mod_wsgi.application_group"); got != c.at {
			t.Errorf("%s: served in %q, want %q", c.base, got, c.at)
		}
	}
	for _, name := range []string{"a..b", "h:abc", "h:99999", "[::1", "a_b:"} {
		wantError(t, rawResponse(t, address, "GET /own HTTP/1.1\r\nHost: "+name+"\r\nConnection: close\r\n\r\n"), 400, "WSGID-1027")
	}
}
