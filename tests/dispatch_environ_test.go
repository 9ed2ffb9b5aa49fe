package tests

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// telling is a dispatch script that writes its environ to a file and leaves the
// decision as it is.
const telling = `
import json, os

def process_group(environ):
    shown = {key: value if isinstance(value, str) else [type(value).__name__, value.name] for key, value in environ.items()}
    path = __file__ + ".seen/last"
    with open(path + ".new", "w") as file:
        json.dump(shown, file)
    os.replace(path + ".new", path)
`

// told gives what the dispatch script saw for the last request, and forgets it.
func told(t *testing.T, w *harness.World) map[string]any {
	t.Helper()
	path := w.Path("dispatch.py.seen/last")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("the dispatch script did not run: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	seen := map[string]any{}
	if err := json.Unmarshal(content, &seen); err != nil {
		t.Fatalf("%v: %s", err, content)
	}
	return seen
}

// tellingScript puts the script into the world, with a directory that the
// router may write to.
func tellingScript(w *harness.World) {
	w.T.Helper()
	w.Write("dispatch.py", telling)
	dir := w.Path("dispatch.py.seen")
	if err := os.Mkdir(dir, 0o755); err != nil {
		w.T.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // the router's user is another one
		w.T.Fatal(err)
	}
}

// TestDispatchEnviron: the table of environ in mod_wsgi behaviour 5.1, row by
// row, beside what the application sees of the same request.
func TestDispatchEnviron(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	tellingScript(w)
	w.Configure(group("a", "#64001", 1, 4) + "dispatch_script \"{{.Dir}}/dispatch.py\" {\n  application_group = \"deciding\"\n}\n" +
		mount("/drop", "apps/environ.py", "pass_authorization = false") +
		mount("/head", "apps/environ.py", option("map_head_to_get", "on"), "script_reloading = false") +
		mount("/proxy", "apps/environ.py", `trusted_proxy_headers = ["X-Forwarded-For", "X-Script-Name", "X-Forwarded-Proto", "X-Forwarded-Port"]`,
			`trusted_proxies = ["127.0.0.1"]`) +
		mount("/app", "apps/environ.py"))
	wsgid := w.Start(harness.Options{})
	config := `CGIPassAuth On
SetEnv FROM_APACHE yes
SetEnv wsgi.input spoofed
SetEnvIf X-Scheme (.+) HTTPS=$1
`
	config = "<Location />\n" + config + "</Location>\nMergeSlashes Off\n" + harness.ProxyPass
	apache := w.StartApache(harness.ApacheOptions{Config: config, TLS: "SSLOptions +StdEnvVars\n" + config})
	router := strconv.Itoa(wsgid.Status().RouterPID)

	// both sends a request and gives what script and application saw of it.
	both := func(t *testing.T, client *harness.Client, method, path, body string, headers ...string) (script map[string]any, application view) {
		t.Helper()
		if body == "" {
			application = look(t, client.Do(method, path, nil, headers...))
		} else {
			application = look(t, client.Do(method, path, strings.NewReader(body), headers...))
		}
		return told(t, w), application
	}
	wants := func(t *testing.T, seen map[string]any, want map[string]string) {
		t.Helper()
		for name, value := range want {
			got, ok := seen[name]
			if !ok {
				got = "<absent>"
			}
			if fmt.Sprint(got) != value {
				t.Errorf("%s is %q, want %q", name, got, value)
			}
		}
	}
	t.Run("complete", func(t *testing.T) {
		script, application := both(t, apache.Client, "GET", "/app/a%20b?q=1", "", "X-Custom: value", "Cookie: a=1")
		// Application minus dispatch, and the other way round: behaviour 14.1.
		want := maps.Clone(application.Environ)
		for name := range want {
			if strings.HasPrefix(name, "wsgi.") {
				delete(want, name)
			}
		}
		for _, name := range []string{"mod_wsgi.version", "mod_wsgi.callable_object", "mod_wsgi.thread_id", "mod_wsgi.request_start",
			"mod_wsgi.queue_start", "mod_wsgi.daemon_start", "mod_wsgi.application_start", "wsgid.queue_time"} {
			if _, ok := want[name]; !ok {
				t.Errorf("the application has no %s", name)
			}
			delete(want, name)
		}
		want["mod_wsgi.process_group"], want["mod_wsgi.application_group"] = "", "deciding"
		want["wsgi.errors"] = []any{"TextIOWrapper", "<log>"}
		want["mod_wsgi.x-script_reloading"], want["mod_wsgi.x-enable_sendfile"], want["mod_wsgi.x-ignore_activity"] = "1", "0", "0"
		start, _ := application.Environ["mod_wsgi.request_start"].(float64)
		want["mod_wsgi.x-request_start_us"] = strconv.FormatInt(int64(start*1e6+0.5), 10)
		for _, name := range slices.Sorted(maps.Keys(script)) {
			if _, ok := want[name]; !ok {
				t.Errorf("the script sees %s = %v", name, script[name])
			}
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if got, ok := script[name]; !ok || fmt.Sprint(got) != fmt.Sprint(want[name]) {
				t.Errorf("%s is %v (%v), want %v", name, got, ok, want[name])
			}
		}
		wants(t, script, map[string]string{
			"REQUEST_METHOD": "GET", "QUERY_STRING": "q=1", "SCRIPT_NAME": "/app", "PATH_INFO": "/a b", "REQUEST_URI": "/app/a%20b?q=1", "HTTP_X_CUSTOM": "value",
			"HTTP_COOKIE": "a=1", "FROM_APACHE": "yes", "SCRIPT_FILENAME": w.Path("apps/environ.py"), "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1",
			"mod_wsgi.request_handler": "wsgi-script", "mod_wsgi.handler_script": "", "mod_wsgi.script_name": "/app", "mod_wsgi.path_info": "/a b",
			"mod_wsgi.listener_host": "127.0.0.1", "mod_wsgi.listener_port": strconv.Itoa(apache.Port), "mod_wsgi.server_pid": router,
			"mod_wsgi.request_id":  application.env("mod_wsgi.request_id"),
			"mod_wsgi.mount_point": "<absent>", "mod_wsgi.connection_id": "<absent>", "apache.request_rec": "<absent>", "wsgi.url_scheme": "<absent>",
			"wsgi.version": "<absent>", "wsgi.input": "<absent>", "HTTPS": "<absent>", "HTTP_AUTHORIZATION": "<absent>", "CONTENT_LENGTH": "<absent>",
		})
	})
	t.Run("HTTPS", func(t *testing.T) {
		script, application := both(t, apache.TLS, "GET", "/app", "")
		wants(t, script, map[string]string{"HTTPS": "1", "REQUEST_SCHEME": "https", "wsgi.url_scheme": "<absent>", "SSL_SERVER_S_DN_CN": "localhost"})
		wants(t, application.Environ, map[string]string{"HTTPS": "<absent>", "wsgi.url_scheme": "https"})
		for _, value := range []string{"on", "true"} { // SetEnv on a plain connection: as it is
			script, _ = both(t, apache.Client, "GET", "/app", "", "X-Scheme: "+value)
			wants(t, script, map[string]string{"HTTPS": value})
		}
	})
	t.Run("authorization", func(t *testing.T) {
		for path, want := range map[string]string{"/app": "Basic eDp5", "/drop": "<absent>"} {
			script, _ := both(t, apache.Client, "GET", path, "", "Authorization: Basic eDp5")
			wants(t, script, map[string]string{"HTTP_AUTHORIZATION": want})
		}
	})
	t.Run("proxy", func(t *testing.T) {
		script, application := both(t, apache.Client, "GET", "/proxy/x", "", "X-Forwarded-For: 192.0.2.7", "X-Script-Name: /outside", "X-Forwarded-Proto: https", "X-Forwarded-Port: 443")
		want := map[string]string{
			"REMOTE_ADDR": "192.0.2.7", "SCRIPT_NAME": "/outside", "mod_wsgi.script_name": "/proxy", "mod_wsgi.mount_point": "/outside", "PATH_INFO": "/x",
			"SERVER_PORT": "443", "mod_wsgi.listener_port": strconv.Itoa(apache.Port),
		}
		wants(t, application.Environ, want)
		want["HTTPS"] = "1"
		wants(t, script, want)
		script, _ = both(t, apache.TLS, "GET", "/proxy/x", "", "X-Forwarded-Proto: http")
		wants(t, script, map[string]string{"HTTPS": "<absent>"})
	})
	t.Run("method", func(t *testing.T) {
		if got := apache.Do("HEAD", "/head", nil); got.Status != 200 {
			t.Fatalf("status %d", got.Status)
		}
		wants(t, told(t, w), map[string]string{"REQUEST_METHOD": "GET", "mod_wsgi.x-script_reloading": "0"})
		if got := apache.Do("HEAD", "/app", nil); got.Status != 200 {
			t.Fatalf("status %d", got.Status)
		}
		wants(t, told(t, w), map[string]string{"REQUEST_METHOD": "HEAD"})
	})
	t.Run("body", func(t *testing.T) {
		script, _ := both(t, apache.Client, "POST", "/app", "four", "Content-Type: text/x-test")
		wants(t, script, map[string]string{"CONTENT_TYPE": "text/x-test", "CONTENT_LENGTH": "4", "wsgi.input": "<absent>"})
	})
	t.Run("slashes", func(t *testing.T) {
		script, _ := both(t, apache.Client, "GET", "//app//a///b", "")
		wants(t, script, map[string]string{"SCRIPT_NAME": "/app", "PATH_INFO": "/a/b", "mod_wsgi.script_name": "/app", "mod_wsgi.path_info": "/a/b"})
	})
}

// unsized is a body whose length is not known before: it goes chunked.
type unsized struct{ io.Reader }

// TestDispatchRuns: for which requests the script runs, and for which not
// (behaviour 14.1): never for what was refused before.
func TestDispatchRuns(t *testing.T) {
	w := newWorld(t)
	w.App("environ.py")
	tellingScript(w)
	w.Write("httpd/docs/static/file.txt", "a file\n")
	w.Write("docs/sub/app.wsgi", "from environ import application\n")
	w.Configure(group("a", "#64001", 1, 4, `python_path = ["{{.Dir}}/apps"]`) + "dispatch_script \"{{.Dir}}/dispatch.py\" {}\n" +
		mount("/app", "apps/environ.py", "max_body_bytes = 10", "chunked_request = false") + mount("/dir", "docs/"))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: `
TraceEnable Off
ErrorDocument 404 /app/missing
<Location /app/forbidden>
  Require all denied
</Location>
<Location /app/private>
  AuthType Basic
  AuthName private
  AuthUserFile /dev/null
  Require valid-user
</Location>
ProxyPass /static !
` + harness.ProxyPass})
	// Of a chunked body that is whole before Apache connects it makes a length.
	chunk := fmt.Sprintf("%x\r\n%s\r\n0", 200000, strings.Repeat("x", 200000))
	text := func(body string) io.Reader { return strings.NewReader(body) }
	for _, row := range []struct {
		method, path string
		body         io.Reader
		header       string
		status       int
		runs         bool
	}{
		{method: "GET", path: "/app", status: 200, runs: true},
		{method: "HEAD", path: "/app", status: 200, runs: true},
		{method: "OPTIONS", path: "/app", status: 200, runs: true},
		{method: "BREW", path: "/app", status: 200, runs: true},
		{method: "POST", path: "/app", body: text("short"), status: 200, runs: true},
		{method: "GET", path: "/dir/sub/app.wsgi/x", status: 200, runs: true},
		{method: "GET", path: "/static/none", status: 200, runs: true}, // by way of ErrorDocument
		{method: "GET", path: "/static/file.txt", status: 200},
		{method: "TRACE", path: "/app", status: 405},
		{method: "GET", path: "/app", header: "Content-Length: x", status: 400},
		{method: "GET", path: "/app/private", status: 401},
		{method: "GET", path: "/app/forbidden", status: 403},
		{method: "GET", path: "/dir", status: 403},
		{method: "GET", path: "/dir/none.wsgi", status: 404},
		{method: "GET", path: "/nothing", status: 404}, // no mount
		{method: "POST", path: "/app", body: unsized{text(strings.Repeat("x", 200000))}, status: 411},
		{method: "POST", path: "/app", body: text("longer than ten bytes"), status: 413},
		{method: "GET", path: "/app", header: "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunk, status: 501},
	} {
		t.Run(fmt.Sprintf("%s%s %d", row.method, row.path, row.status), func(t *testing.T) {
			status := 0
			if row.header == "" {
				status = apache.Do(row.method, row.path, row.body).Status
			} else { // what no client library sends
				status = rawStatus(t, apache.Port, row.method+" "+row.path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"+row.header+"\r\n\r\n")
			}
			if status != row.status {
				t.Errorf("status %d, want %d", status, row.status)
			}
			ran := harness.Exists(w.Path("dispatch.py.seen/last"))
			if ran != row.runs {
				t.Errorf("the script ran: %v, want %v", ran, row.runs)
			}
			if ran {
				told(t, w)
			}
		})
	}
}

// rawStatus sends a request as it is and gives the status of the answer.
func rawStatus(t *testing.T, port int, request string) int {
	t.Helper()
	connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, err := io.WriteString(connection, request); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}
