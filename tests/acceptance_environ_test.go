package tests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// variable is one entry of environ as apps/acceptance_environ.py shows it.
type variable struct {
	Value      any
	Type, Repr string
}

// seen is the environ of an answer of apps/acceptance_environ.py.
type seen map[string]variable

func environOf(t testing.TB, response *harness.Response) seen {
	t.Helper()
	if response.Status != 200 {
		t.Fatalf("status %d: %.500s", response.Status, response.Body)
	}
	var s seen
	response.JSON(t, &s)
	return s
}

// text of a variable; "<absent>" when it is not there.
func (s seen) text(name string) string {
	if v, ok := s[name]; ok {
		return fmt.Sprint(v.Value)
	}
	return "<absent>"
}

// want compares variables with what they should be.
func (s seen) want(t testing.TB, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := s.text(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
}

// TestAcceptanceEnviron: acceptance statements 1 to 10 of mod_wsgi behaviour 12.
func TestAcceptanceEnviron(t *testing.T) {
	w := newWorld(t)
	w.App("acceptance_environ.py")
	w.Configure(group("only", "#64001", 1, 5) + mount("/app", "apps/acceptance_environ.py") +
		mount("/embedded", "apps/acceptance_environ.py", option("process_group", "%{GLOBAL}")) + mount("//twice//declared", "apps/acceptance_environ.py"))
	w.Start(harness.Options{})
	const proxy = "MergeSlashes Off\n" + harness.ProxyPass
	apache := w.StartApache(harness.ApacheOptions{Config: proxy, TLS: "SSLOptions +StdEnvVars\n" + proxy})
	plain := func(t *testing.T) seen { t.Helper(); return environOf(t, apache.Get("/app/")) }

	t.Run("1", func(t *testing.T) {
		environOf(t, apache.Get("/app/x?a=1&b=%20+c", "Host: www.example.test:8080")).want(t, map[string]string{
			"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "www.example.test:8080", "QUERY_STRING": "a=1&b=%20+c",
		})
		environOf(t, apache.Do("DELETE", "/app/", nil)).want(t, map[string]string{"REQUEST_METHOD": "DELETE", "QUERY_STRING": ""})
	})
	t.Run("2", func(t *testing.T) {
		for url, pathInfo := range map[string]string{"/app": "", "/app/": "/", "/app/a/b%20c": "/a/b c"} {
			environOf(t, apache.Get(url)).want(t, map[string]string{
				"SCRIPT_NAME": "/app", "PATH_INFO": pathInfo, "mod_wsgi.script_name": "/app", "mod_wsgi.path_info": pathInfo,
			})
		}
	})
	t.Run("3", func(t *testing.T) {
		environOf(t, apache.Do("POST", "/app/", strings.NewReader("four"), "Content-Type: text/x-test")).want(t, map[string]string{
			"CONTENT_TYPE": "text/x-test", "CONTENT_LENGTH": "4", "HTTP_CONTENT_TYPE": "<absent>", "HTTP_CONTENT_LENGTH": "<absent>",
		})
		plain(t).want(t, map[string]string{"CONTENT_TYPE": "<absent>", "HTTP_CONTENT_TYPE": "<absent>", "HTTP_CONTENT_LENGTH": "<absent>"})
	})
	t.Run("4", func(t *testing.T) {
		environOf(t, apache.Get("/app/", "X-Custom: value", "X-Repeated: a", "X-Repeated: b")).want(t, map[string]string{
			"HTTP_X_CUSTOM": "value", "HTTP_X_REPEATED": "a, b",
		})
		plain(t).want(t, map[string]string{"HTTP_X_CUSTOM": "<absent>", "HTTP_X_REPEATED": "<absent>"})
	})
	t.Run("5", func(t *testing.T) {
		plain(t).want(t, map[string]string{"PATH": "<absent>", "HTTPS": "<absent>", "wsgi.url_scheme": "http"})
		environOf(t, apache.TLS.Get("/app/")).want(t, map[string]string{"PATH": "<absent>", "HTTPS": "<absent>", "wsgi.url_scheme": "https"})
	})
	t.Run("6", func(t *testing.T) {
		s := plain(t)
		for name, want := range map[string]string{"wsgi.version": "(1, 0)", "wsgi.multithread": "True", "wsgi.run_once": "False",
			"wsgi.input_terminated": "True", "wsgi.multiprocess": "True"} {
			if s[name].Repr != want {
				t.Errorf("%s is %s, want %s", name, s[name].Repr, want)
			}
		}
		if s["wsgi.multiprocess"].Type != "<class 'bool'>" {
			t.Errorf("multiprocess is a %s", s["wsgi.multiprocess"].Type)
		}
	})
	t.Run("7", func(t *testing.T) {
		for _, url := range []string{"/app/", "/embedded"} {
			s := environOf(t, apache.Get(url))
			for name, got := range map[string][2]string{
				"wsgi.input":        {s["wsgi.input"].Type, "<class 'mod_wsgi.Input'>"},
				"wsgi.errors":       {s["wsgi.errors"].Type, "<class '_io.TextIOWrapper'>"},
				"wsgi.file_wrapper": {s["wsgi.file_wrapper"].Repr, "<class 'mod_wsgi.FileWrapper'>"},
			} {
				if got[0] != got[1] {
					t.Errorf("%s: %s is %s, want %s", url, name, got[0], got[1])
				}
			}
		}
	})
	t.Run("8", func(t *testing.T) {
		for name, v := range environOf(t, apache.TLS.Get("/app/x?q=1", "Cookie: a=1")) {
			if !strings.Contains(name, ".") && v.Type != "<class 'str'>" {
				t.Errorf("%s is a %s", name, v.Type)
			}
		}
		for _, name := range []string{"SERVER_PORT", "REMOTE_PORT", "mod_wsgi.server_pid", "mod_wsgi.listener_port", "mod_wsgi.listener_host", "mod_wsgi.request_id"} {
			if v := plain(t)[name]; v.Type != "<class 'str'>" || v.Value == "" {
				t.Errorf("%s is %v", name, v)
			}
		}
	})
	t.Run("9", func(t *testing.T) {
		_, tlsPort, _ := strings.Cut(strings.TrimPrefix(apache.TLS.Base, "https://"), ":")
		s := plain(t)
		s.want(t, map[string]string{"SERVER_PORT": fmt.Sprint(apache.Port), "mod_wsgi.listener_port": fmt.Sprint(apache.Port), "mod_wsgi.listener_host": "127.0.0.1", "SSL_PROTOCOL": "<absent>"})
		for name := range s {
			if strings.HasPrefix(name, "SSL_") {
				t.Errorf("%s without TLS", name)
			}
		}
		s = environOf(t, apache.TLS.Get("/app/"))
		s.want(t, map[string]string{"SERVER_PORT": tlsPort, "mod_wsgi.listener_port": tlsPort})
		if !strings.HasPrefix(s.text("SSL_PROTOCOL"), "TLSv1") {
			t.Errorf("SSL_PROTOCOL %s", s.text("SSL_PROTOCOL"))
		}
	})
	t.Run("10", func(t *testing.T) {
		for url, pathInfo := range map[string]string{"/app/a//b": "/a/b", "/app//a": "/a", "/app/a///": "/a/", "/app///": "/", "/app//a//b///c": "/a/b/c"} {
			environOf(t, apache.Get(url)).want(t, map[string]string{"PATH_INFO": pathInfo, "REQUEST_URI": url, "SCRIPT_NAME": "/app"})
		}
		environOf(t, apache.Get("/twice/declared/x")).want(t, map[string]string{"SCRIPT_NAME": "/twice/declared", "PATH_INFO": "/x"})
	})
}

// TestAuthorizationHeader: what CGIPassAuth lets through reaches the
// application unless the mount takes it out.
func TestAuthorizationHeader(t *testing.T) {
	w := newWorld(t)
	w.App("acceptance_environ.py")
	const app = "apps/acceptance_environ.py"
	w.Configure("router {\n  pass_authorization = false\n}\n" + group("only", "#64001", 1, 2) +
		mount("/pass", app, "pass_authorization = true") + mount("/apache", app, "pass_authorization = true") + mount("/", app))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: "<LocationMatch \"^/(pass|drop)\">\n  CGIPassAuth On\n</LocationMatch>\n" + harness.ProxyPass})
	for url, want := range map[string]string{"/pass": "Basic eDp5", "/apache": "<absent>", "/drop": "<absent>"} {
		s := environOf(t, apache.Get(url, "Authorization: Basic eDp5", "Proxy-Authorization: Basic cDpx"))
		s.want(t, map[string]string{"HTTP_AUTHORIZATION": want})
		if url == "/drop" {
			s.want(t, map[string]string{"HTTP_PROXY_AUTHORIZATION": "<absent>"})
		}
	}
}
