package tests

import (
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

const allProxyHeaders = `trusted_proxy_headers = ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Server", "X-Script-Name", "X-Forwarded-Proto", "X-Forwarded-SSL"]`

// TestAcceptanceProxy: acceptance statements 36 to 39 of mod_wsgi behaviour 12.
// Apache's client, and so the peer, is 127.0.0.1.
func TestAcceptanceProxy(t *testing.T) {
	w := newWorld(t)
	w.App("acceptance_environ.py")
	const app = "apps/acceptance_environ.py"
	w.Configure("router {\n" + allProxyHeaders + "\n}\n" + group("only", "#64001", 1, 3) +
		mount("/trusted", app, `trusted_proxies = ["127.0.0.1", "10.0.0.0/8"]`) +
		mount("/other", app, `trusted_proxies = ["192.0.2.0/24"]`) +
		mount("/client-only", app, `trusted_proxies = ["192.0.2.1"]`, `trusted_proxy_headers = ["X-Real-IP"]`) +
		mount("/off", app, "trusted_proxy_headers = []") +
		mount("/", app))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass, TLS: harness.ProxyPass})
	get := func(t *testing.T, url string, headers ...string) seen {
		t.Helper()
		return environOf(t, apache.Get(url, headers...))
	}
	port := func(t *testing.T) string { t.Helper(); return get(t, "/off").text("SERVER_PORT") }

	t.Run("36", func(t *testing.T) {
		get(t, "/open", "X-Forwarded-For: 203.0.113.7, 10.0.0.1", "X-Forwarded-Host: public.test:8443", "X-Forwarded-Port: 8443",
			"X-Forwarded-Server: public.test", "X-Script-Name: /pre", "X-Forwarded-Proto: HTTPS").want(t, map[string]string{
			"REMOTE_ADDR": "203.0.113.7", "HTTP_X_FORWARDED_FOR": "203.0.113.7, 10.0.0.1", "HTTP_HOST": "public.test:8443", "SERVER_PORT": "8443",
			"SERVER_NAME": "public.test", "SCRIPT_NAME": "/pre", "mod_wsgi.script_name": "", "mod_wsgi.mount_point": "/pre", "PATH_INFO": "/open",
			"wsgi.url_scheme": "https", "HTTPS": "<absent>", "mod_wsgi.listener_port": port(t),
		})
		for value, scheme := range map[string]string{"on": "https", "True": "https", "1": "https", "off": "http", "FALSE": "http", "0": "http", "maybe": "http"} {
			get(t, "/open", "X-Forwarded-SSL: "+value).want(t, map[string]string{"wsgi.url_scheme": scheme})
		}
		get(t, "/open").want(t, map[string]string{"REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http", "mod_wsgi.mount_point": "<absent>", "SCRIPT_NAME": ""})
		get(t, "/off", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https").want(t, map[string]string{
			"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.7", "wsgi.url_scheme": "http"})
	})
	t.Run("37", func(t *testing.T) {
		get(t, "/open", "X-Forwarded-For: 203.0.113.7", "X-Real-IP: 6.6.6.6", "X-Client-IP: 6.6.6.6", "X-Host: evil.test", "X-Scheme: https", "X-HTTPS: on").want(t, map[string]string{
			"REMOTE_ADDR": "203.0.113.7", "HTTP_X_REAL_IP": "<absent>", "HTTP_X_CLIENT_IP": "<absent>", "HTTP_X_HOST": "<absent>",
			"HTTP_X_SCHEME": "<absent>", "HTTP_X_HTTPS": "<absent>", "wsgi.url_scheme": "http",
		})
	})
	t.Run("38", func(t *testing.T) {
		for _, tt := range []struct{ sent, address, header string }{
			{"6.6.6.6, 203.0.113.7, 10.0.0.2, 10.0.0.1", "203.0.113.7", "203.0.113.7, 10.0.0.2, 10.0.0.1"},
			{"10.0.0.3, 10.0.0.2", "10.0.0.3", "10.0.0.3, 10.0.0.2"},
			{"10.0.0.3, 203.0.113.7", "203.0.113.7", "203.0.113.7"},
			{" , 6.6.6.6,, 203.0.113.7 ,10.0.0.2, ", "203.0.113.7", "203.0.113.7, 10.0.0.2"},
			{"not-an-address", "not-an-address", "not-an-address"},
		} {
			get(t, "/trusted", "X-Forwarded-For: "+tt.sent).want(t, map[string]string{"REMOTE_ADDR": tt.address, "HTTP_X_FORWARDED_FOR": tt.header})
		}
		get(t, "/trusted", "X-Forwarded-For: , ,").want(t, map[string]string{"REMOTE_ADDR": "127.0.0.1"})
		get(t, "/open", "X-Forwarded-For: ,203.0.113.7, 10.0.0.1").want(t, map[string]string{"REMOTE_ADDR": "203.0.113.7"})
	})
	t.Run("39", func(t *testing.T) {
		get(t, "/other", "X-Forwarded-For: 203.0.113.7", "X-Real-IP: 6.6.6.6", "X-Forwarded-Host: evil.test", "X-Forwarded-Port: 1", "X-Script-Name: /pre", "X-Forwarded-Proto: https", "Host: real.test").want(t, map[string]string{
			"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "<absent>", "HTTP_X_REAL_IP": "<absent>", "HTTP_HOST": "real.test", "HTTP_X_FORWARDED_HOST": "<absent>",
			"HTTP_X_FORWARDED_PORT": "<absent>", "SCRIPT_NAME": "/other", "HTTP_X_SCRIPT_NAME": "<absent>", "wsgi.url_scheme": "http", "HTTP_X_FORWARDED_PROTO": "<absent>",
			"mod_wsgi.mount_point": "<absent>",
		})
		get(t, "/client-only", "X-Real-IP: 6.6.6.6", "X-Forwarded-Host: other.test", "X-Forwarded-Proto: https").want(t, map[string]string{
			"HTTP_X_REAL_IP": "<absent>", "HTTP_X_FORWARDED_HOST": "other.test", "HTTP_X_FORWARDED_PROTO": "https", "wsgi.url_scheme": "http",
		})
		for header, scheme := range map[string]string{"X-Forwarded-Proto: http": "http", "X-Forwarded-SSL: Off": "http", "X-Unrelated: 1": "https", "X-Forwarded-Proto: https": "https"} {
			for _, url := range []string{"/trusted", "/open"} {
				if got := environOf(t, apache.TLS.Get(url, header)).text("wsgi.url_scheme"); got != scheme {
					t.Errorf("%s on a TLS connection to %s: %s", header, url, got)
				}
			}
		}
		if got := environOf(t, apache.TLS.Get("/other", "X-Forwarded-Proto: http")).text("wsgi.url_scheme"); got != "https" {
			t.Errorf("an untrusted header on a TLS connection: %s", got)
		}
	})
}
