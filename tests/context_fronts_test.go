package tests

import (
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// contextFronts are the ways in which other web servers than Apache set WSGID_
// parameters, for wsgid at SOCKET.
var contextFronts = map[string]struct {
	start  func(*harness.World, string) *harness.Client
	config string
}{
	"nginx": {(*harness.World).StartNginxWith, `location / {
      include /etc/nginx/fastcgi_params;
      fastcgi_pass unix:SOCKET;
      fastcgi_param WSGID_PROCESS_GROUP b;
      fastcgi_param WSGID_CALLABLE_OBJECT application;
      fastcgi_param WSGID_CALLABLE_OBJECT other_application;
      fastcgi_param WSGID_APPLICATION_GROUP $arg_nothing;
    }`},
	// The first option is closed here, the last one by the harness.
	"lighttpd": {(*harness.World).StartLighttpdWith, `"/" => (( "socket" => "SOCKET", "check-local" => "disable", "fix-root-scriptname" => "enable" )) )
server.modules += ( "mod_setenv" )
setenv.add-environment = ( "WSGID_PROCESS_GROUP" => "b", "WSGID_CALLABLE_OBJECT" => "other_application"`},
	"caddy": {(*harness.World).StartCaddyWith, `reverse_proxy unix/SOCKET {
  transport fastcgi {
    env WSGID_PROCESS_GROUP b
    env WSGID_CALLABLE_OBJECT other_application
    env WSGID_APPLICATION_GROUP {query.nothing}
  }
}`},
}

// TestContextsOfOtherFronts: what nginx, lighttpd and Caddy set counts on a
// listener that trusts them and on no other; what their clients send never does.
func TestContextsOfOtherFronts(t *testing.T) {
	t.Parallel()
	for name, front := range contextFronts {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.App("environ.py")
			w.Configure(trusted + group("a", "#64001", 1, 2) + group("b", "#64002", 1, 2) +
				mount("/", "apps/environ.py", option("process_group", "a"), `allow_override = ["process_group", "application_group", "callable_object"]`))
			wsgid := w.Start(harness.Options{})
			spoofed := []string{"WSGID-Process-Group: a", "WSGID_PROCESS_GROUP: a", "WSGID_RESTRICT_PROCESS: a", "Wsgid-Callable-Object: not_callable", "REDIRECT_WSGID_PROCESS_GROUP: a"}
			for socket, want := range map[string]view{
				"{{.Dir}}/trusted.sock": {UID: 64002, Entry: "other_application"},
				"{{.Socket}}":           {UID: 64001, Entry: "application"},
			} {
				client := front.start(w, strings.ReplaceAll(front.config, "SOCKET", socket))
				v := look(t, client.Get("/x", spoofed...))
				if v.UID != want.UID || v.Entry != want.Entry || v.env("mod_wsgi.application_group") != "" {
					t.Errorf("%s: uid %d, %s in %q", socket, v.UID, v.Entry, v.env("mod_wsgi.application_group"))
				}
				for variable := range v.Environ {
					if strings.HasPrefix(variable, "WSGID_") {
						t.Errorf("%s: the application sees %s", socket, variable)
					}
				}
			}
			wsgid.Log.Await(t, "what was dropped", harness.Containing("without trust_front_server are dropped", `"parameter":"WSGID_`, `"@level":"debug"`))
		})
	}
}

// TestScriptRootNginx: handler mode from nginx, which does not split the path.
func TestScriptRootNginx(t *testing.T) {
	w := newWorld(t)
	byFile(w, "scripts")
	w.Configure(trusted + group("only", "#64001", 1, 2) + "script_root \"{{.Dir}}/scripts\" {}\n")
	w.Start(harness.Options{})
	client := w.StartNginxWith(`location / {
      include /etc/nginx/fastcgi_params;
      fastcgi_pass unix:{{.Dir}}/trusted.sock;
      fastcgi_param SCRIPT_FILENAME {{.Dir}}/scripts$fastcgi_script_name;
      fastcgi_param WSGID_EXEC_CGI $arg_exec;
    }`)
	for url, want := range map[string][2]string{
		"/one.py?exec=1": {"/one.py", ""}, "/one.py/x/y?exec=on": {"/one.py", "/x/y"}, "/sub/two.py/?exec=1": {"/sub/two.py", "/"},
		"/a%20b.py/c%2525?exec=1": {"/a b.py", "/c%25"},
	} {
		v := look(t, client.Get(url))
		if v.env("SCRIPT_NAME") != want[0] || v.env("PATH_INFO") != want[1] || v.env("SCRIPT_FILENAME") != w.Path("scripts"+want[0]) {
			t.Errorf("%s: %s, %s, %s", url, v.env("SCRIPT_NAME"), v.env("PATH_INFO"), v.env("SCRIPT_FILENAME"))
		}
	}
	wantError(t, client.Get("/one.py"), 403, "WSGID-1033")
	wantError(t, client.Get("/sub/?exec=1"), 403, "WSGID-1022")
	wantError(t, client.Get("/missing?exec=1"), 404, "WSGID-1023")
	wantError(t, client.Get("/one.py?exec=yes"), 500, "WSGID-1031")
}

// TestErrorOverride: what the application says in an error response is not
// sent, whoever is in front; the web server's own page can stand in its place.
func TestErrorOverride(t *testing.T) {
	t.Parallel()
	for name, start := range everyFront {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			address := freeAddress(t)
			errorApplication(w)
			w.Configure("listen \"http\" {\n  address = \"" + address + "\"\n}\n" + group("only", "#64001", 1, 2) +
				mount("/kept", "apps/error.py") + mount("/", "apps/error.py", "error_override = true"))
			w.Start(harness.Options{})
			client := start(w, address)
			for url, want := range map[string]string{"/kept/404": "secret", "/200": "secret", "/404": "404 Said so", "/503": "503 Said so", "/401": "401 Said so"} {
				got := client.Get(url)
				if got.Status < 200 || !strings.HasSuffix(url, got.Header.Get("X-Status")) || !strings.Contains(got.Text(), want) || (want != "secret") == strings.Contains(got.Text(), "secret") {
					t.Errorf("%s: %d %v %q", url, got.Status, got.Header, got.Body)
				}
				if html := strings.HasPrefix(got.Header.Get("Content-Type"), "text/html"); html != (want != "secret") {
					t.Errorf("%s: Content-Type %s", url, got.Header.Get("Content-Type"))
				}
			}
			if got := client.Do("HEAD", "/404", nil); got.Status != 404 || len(got.Body) > 0 {
				t.Errorf("HEAD: %d %q", got.Status, got.Body)
			}
		})
	}
}

// errorApplication answers with the status in the path.
func errorApplication(w *harness.World) {
	w.T.Helper()
	w.Write("apps/error.py", `
def application(environ, start_response):
    status = environ["PATH_INFO"].strip("/")
    start_response(status + " Said so", [("Content-Type", "text/plain"), ("X-Status", status), ("Content-Length", "6")])
    return [b"secret"]
`)
}

// TestErrorDocument: ProxyErrorOverride and fastcgi_intercept_errors put the
// web server's page there.
func TestErrorDocument(t *testing.T) {
	w := newWorld(t)
	errorApplication(w)
	w.Write("httpd/docs/404.html", "the page of the web server")
	w.Write("nginx/404.html", "the page of the web server")
	w.Configure(trusted + group("only", "#64001", 1, 2) + mount("/", "apps/error.py"))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: `
ErrorDocument 404 /404.html
ProxyPass "/404.html" !
` + harness.ProxyPass + `
<LocationMatch "^/404$">
  ProxyErrorOverride On
</LocationMatch>
`})
	if got := apache.Get("/404"); got.Status != 404 || got.Text() != "the page of the web server" {
		t.Errorf("Apache: %d %q", got.Status, got.Body)
	}
	if got := apache.Get("/403"); got.Status != 403 || got.Text() != "secret" {
		t.Errorf("Apache, elsewhere: %d %q", got.Status, got.Body)
	}
	nginx := w.StartNginxWith(`location / {
      include /etc/nginx/fastcgi_params;
      fastcgi_pass wsgid;
      fastcgi_intercept_errors on;
      error_page 404 /404.html;
    }
    location = /404.html {
      root {{.Dir}}/nginx;
    }`)
	if got := nginx.Get("/404"); got.Status != 404 || got.Text() != "the page of the web server" {
		t.Errorf("nginx: %d %q", got.Status, got.Body)
	}
}
