package tests

import (
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// authSocket is a listener whose web server may ask who is let in.
const authSocket = `
listen "unix" {
  path       = "{{.Dir}}/run/auth.sock"
  authorizer = true
}
`

// askingFronts are front servers that let wsgid decide about /files/, which
// they serve themselves, and about /app, which they pass on with the user's name.
var askingFronts = map[string]func(w *harness.World) *harness.Client{
	"nginx": func(w *harness.World) *harness.Client {
		return w.StartNginxWith(`
    location /files/ {
      auth_request /_auth;
      root {{.Dir}}/docs;
    }
    location /hosts/ {
      auth_request /_auth;
      root {{.Dir}}/docs;
    }
    location /app {
      auth_request /_auth;
      auth_request_set $wsgid_user $upstream_http_remote_user;
      include /etc/nginx/fastcgi_params;
      fastcgi_param REMOTE_USER $wsgid_user;
      fastcgi_pass wsgid;
      fastcgi_keep_conn on;
    }
    location = /_auth {
      internal;
      include /etc/nginx/fastcgi_params;
      fastcgi_param WSGID_AUTH_REQUEST 1;
      fastcgi_param CONTENT_LENGTH "";
      fastcgi_pass_request_body off;
      fastcgi_pass unix:{{.Dir}}/run/auth.sock;
    }`)
	},
	"Caddy": func(w *harness.World) *harness.Client {
		return w.StartCaddyWith(`
  forward_auth unix/{{.Dir}}/run/auth.sock {
    uri {http.request.orig_uri}
    transport fastcgi {
      env WSGID_AUTH_REQUEST 1
      env REQUEST_METHOD {http.request.orig_method}
    }
    copy_headers Remote-User>X-User
  }
  handle /app* {
    reverse_proxy unix/{{.Socket}} {
      transport fastcgi {
        env REMOTE_USER {http.request.header.X-User}
      }
    }
  }
  handle {
    root * {{.Dir}}/docs
    file_server
  }`)
	},
}

// TestAuthRequest: nginx's auth_request and Caddy's forward_auth have wsgid
// decide about files that it never sees, and about requests for an application.
func TestAuthRequest(t *testing.T) {
	t.Parallel()
	for name, start := range askingFronts {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.App("acceptance_environ.py")
			w.App("authenticate.py")
			w.Write("docs/files/file.txt", "the file")
			w.Write("docs/hosts/file.txt", "the file")
			script := w.Path("apps/authenticate.py")
			w.Configure(authSocket + w.Expand(authScripts) + "router {\n  " + option("auth_user_script", script) + "\n  " +
				option("auth_group_script", script) + "\n  auth_name = \"the \\\"realm\\\"\"\n  require = [\"wsgi-group staff\"]\n  auth_type = \"none\"\n}\n" +
				group("only", "#64001", 1, 2) + mount("/app", "apps/acceptance_environ.py", option("auth_type", "none"), "require = []") +
				mount("/files", "apps/acceptance_environ.py", option("auth_type", "digest")) +
				mount("/hosts", "apps/acceptance_environ.py", option("auth_user_script", ""), "require = []", option("access_script", script)))
			wsgid := w.Start(harness.Options{})
			client := start(w)
			nothing := func(map[string]string) {}
			for _, row := range []struct {
				url, user, password string
				status              int
			}{
				{"/files/file.txt", "", "", 401},
				{"/files/file.txt", "alice", "secret of alice", 200},
				{"/files/file.txt", "alice", "wrong", 401},
				{"/files/file.txt", "bob", "secret of bob", 401},
				{"/files/file.txt", "raises", "secret of raises", 500},
				{"/hosts/file.txt?true", "", "", 200},
				{"/hosts/file.txt?false", "", "", 403},
				{"/hosts/file.txt?raises", "", "", 403},
				{"/app", "alice", "secret of alice", 500}, // nothing says how to ask the client
			} {
				var headers []string
				if row.user != "" && strings.HasPrefix(row.url, "/files") {
					headers = []string{digestHeader(t, client, row.url, row.user, row.password, nothing)}
				}
				got := client.Get(row.url, headers...)
				if got.Status != row.status || row.status == 200 && got.Text() != "the file" {
					t.Errorf("%s as %q with %q: %d %.200s, want %d", row.url, row.user, row.password, got.Status, got.Body, row.status)
				}
			}
			if requests := wsgid.AwaitIdle().Group("only").Requests; requests != 0 {
				t.Errorf("%d requests reached the application", requests)
			}
			if got := client.Get("/_auth"); got.Status == 200 {
				t.Errorf("the question itself is a page: %s", got.Body)
			}
			noSecrets(t, wsgid)
		})
	}
}

// TestAuthRequestUser: whom wsgid has found reaches an application by way of
// the front server, POST included; a client cannot be somebody by a header.
func TestAuthRequestUser(t *testing.T) {
	t.Parallel()
	for name, start := range askingFronts {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.App("acceptance_environ.py")
			w.App("authenticate.py")
			script := w.Path("apps/authenticate.py")
			// The web server's question goes to the router's options, the request to the mount.
			w.Configure(authSocket + w.Expand(authScripts) + "virtual_host \"127.0.0.1\" {\n  ports = [1]\n}\n" +
				group("only", "#64001", 1, 2) +
				"router {\n  " + option("auth_user_script", script) + "\n  auth_type = \"basic\"\n  auth_name = \"realm\"\n}\n" +
				mount("/app", "apps/acceptance_environ.py"))
			wsgid := w.Start(harness.Options{})
			client := start(w)
			for _, row := range []struct {
				method, body, user, password string
				status                       int
				remoteUser                   string
			}{
				{"GET", "", "", "", 401, ""},
				{"GET", "", "alice", "wrong", 401, ""},
				{"GET", "", "alice", "secret of alice", 200, "alice"},
				{"POST", "some body", "alice", "secret of alice", 200, "alice"},
				{"GET", "", "other", "secret of other", 200, "somebody else"},
			} {
				headers := []string{"Remote-User: mallory", "X-User: mallory", "WSGID-Auth-Request: 1"}
				if row.user != "" {
					headers = append(headers, basic(row.user, row.password))
				}
				got := client.Do(row.method, "/app", strings.NewReader(row.body), headers...)
				if got.Status != row.status {
					t.Errorf("%s as %q with %q: %d %.200s", row.method, row.user, row.password, got.Status, got.Body)
				} else if row.status == 200 {
					environOf(t, got).want(t, map[string]string{"REMOTE_USER": row.remoteUser, "REQUEST_METHOD": row.method, "WSGID_AUTH_REQUEST": "<absent>"})
				}
			}
			noSecrets(t, wsgid)
		})
	}
}

// TestAuthorizerBehindLighttpd: its authorizer mode passes the client's own
// credentials, so that wsgid can ask for Digest as well.
func TestAuthorizerBehindLighttpd(t *testing.T) {
	w := newWorld(t)
	w.App("acceptance_environ.py")
	w.App("authenticate.py")
	w.Write("lighttpd/docs/files/file.txt", "the file")
	script := w.Path("apps/authenticate.py")
	w.Configure(authSocket + w.Expand(authScripts) + group("only", "#64001", 1, 2) +
		"router {\n  " + option("auth_user_script", script) + "\n  " + option("auth_group_script", script) + "\n  " +
		"auth_type = \"digest\"\n  auth_name = \"the \\\"realm\\\"\"\n  require = [\"wsgi-group staff\"]\n}\n" +
		mount("/app", "apps/acceptance_environ.py"))
	wsgid := w.Start(harness.Options{})
	client := w.StartLighttpdWith(`"/files" => (( "socket" => "{{.Dir}}/run/auth.sock", "mode" => "authorizer", "check-local" => "disable",
  "docroot" => "{{.Dir}}/lighttpd/docs" ))`)
	for _, row := range []struct {
		user, password string
		status         int
	}{
		{"", "", 401}, {"alice", "secret of alice", 200}, {"alice", "wrong", 401}, {"bob", "secret of bob", 401}, {"raises", "secret of raises", 500},
	} {
		var headers []string
		if row.user != "" {
			headers = []string{digestHeader(t, client, "/files/file.txt", row.user, row.password, nil)}
		}
		got := client.Get("/files/file.txt", headers...)
		if got.Status != row.status || row.status == 200 && got.Text() != "the file" {
			t.Errorf("as %q with %q: %d %.200s, want %d", row.user, row.password, got.Status, got.Body, row.status)
		}
	}
	if requests := wsgid.AwaitIdle().Group("only").Requests; requests != 0 {
		t.Errorf("%d requests reached the application", requests)
	}
}

// TestAuthorizerIsOptedInto: a listener that does not say so answers no such
// question, however it is put, and the log says what is missing.
func TestAuthorizerIsOptedInto(t *testing.T) {
	w := newWorld(t)
	w.App("acceptance_environ.py")
	w.App("authenticate.py")
	plain := freeAddress(t)
	script := w.Path("apps/authenticate.py")
	w.Configure("listen \"tcp\" {\n  address = \"" + plain + "\"\n}\n" + w.Expand(authScripts) + group("only", "#64001", 1, 2) +
		mount("/", "apps/acceptance_environ.py", option("auth_user_script", script), option("auth_type", "basic"), option("auth_name", "realm"), option("auth_group_script", script),
			`require = ["wsgi-group staff"]`, option("access_script", script)))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: "AuthnzFcgiDefineProvider authn wsgid-user fcgi://" + plain + "\n" + `
<Location /asked>
  AuthType Basic
  AuthName "realm"
  AuthBasicProvider wsgid-user
  Require valid-user
</Location>
<Location /marked>
  SetEnv WSGID_AUTH_REQUEST 1
</Location>
` + harness.ProxyPass})
	if got := apache.Get("/asked", basic("alice", "secret of alice")); got.Status != 500 {
		t.Errorf("an authorizer that nobody allowed: %d %s", got.Status, got.Body)
	}
	wsgid.Log.Await(t, "what is missing", harness.Containing("authorizer = true", plain))
	if got := apache.Get("/marked"); got.Status != 500 || !strings.Contains(got.Text(), "WSGID-1047") {
		t.Errorf("a marked request: %d %s", got.Status, got.Body)
	}
	if requests := wsgid.AwaitIdle().Group("only").Requests; requests != 0 {
		t.Errorf("%d requests reached the application", requests)
	}
	noSecrets(t, wsgid)
}
