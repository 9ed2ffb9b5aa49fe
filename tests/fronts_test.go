package tests

import (
	"net/url"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestOtherFronts: nginx, lighttpd, Caddy and the built-in HTTP front in front of the
// same applications.
func TestOtherFronts(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*harness.World, string) *harness.Client{
		"nginx":    func(w *harness.World, _ string) *harness.Client { return w.StartNginx() },
		"lighttpd": func(w *harness.World, _ string) *harness.Client { return w.StartLighttpd() },
		"caddy":    func(w *harness.World, _ string) *harness.Client { return w.StartCaddy() },
		"http": func(w *harness.World, address string) *harness.Client {
			return harness.NewClient(w.T, "http://"+address)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, app := range []string{"environ.py", "body_hash.py", "download.py", "refuse_body.py", "errors_in_application.py", "acceptance_response.py"} {
				w.App(app)
			}
			address := freeAddress(t)
			w.Configure("listen \"http\" {\n  address = \"" + address + "\"\n}\n" + group("only", "#64001", 2, 3) +
				mount("/hash", "apps/body_hash.py") + mount("/down", "apps/download.py") + mount("/refuse", "apps/refuse_body.py") +
				mount("/wrong", "apps/errors_in_application.py") + mount("/get", "apps/acceptance_response.py", option("map_head_to_get", "on")) + mount("/app", "apps/environ.py"))
			w.Start(harness.Options{})
			client := start(w, address)
			v := look(t, client.Get("/app/a%20b?q=1", "X-Test: yes", "Cookie: a=1"))
			for key, want := range map[string]string{
				"SCRIPT_NAME": "/app", "PATH_INFO": "/a b", "QUERY_STRING": "q=1", "HTTP_X_TEST": "yes", "HTTP_COOKIE": "a=1",
				"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", "REMOTE_ADDR": "127.0.0.1", "HTTP_CONTENT_LENGTH": "<absent>",
			} {
				if got := v.env(key); got != want {
					t.Errorf("%s is %q, want %q", key, got, want)
				}
			}
			wantError(t, client.Get("/nowhere"), 404, "WSGID-1003")
			content := payload(tenMiB)
			for _, size := range []int{0, 1, 65536, 65537, tenMiB} {
				for _, chunked := range []bool{false, true} {
					upload(t, client, "/hash?by=read:50000", content[:size], chunked)
				}
			}
			response := client.Get("/down?size=5000000&piece=70000")
			if response.Status != 200 || len(response.Body) != 5000000 || response.Truncated != nil {
				t.Errorf("download: %d, %d bytes, %v", response.Status, len(response.Body), response.Truncated)
			}
			if head := client.Do("HEAD", "/down?size=1000&length=1", nil); head.Status != 200 || len(head.Body) != 0 {
				t.Errorf("HEAD: %d, %d bytes", head.Status, len(head.Body))
			}
			if head := client.Do("HEAD", "/get/method", nil); head.Status != 200 || head.Header.Get("X-Method") != "GET" || len(head.Body) != 0 {
				t.Errorf("HEAD as GET: %d, %v, %d bytes", head.Status, head.Header, len(head.Body))
			}
			if file := client.Get("/get/file?" + url.QueryEscape(`("offset", None)`)); file.Status != 200 || len(file.Body) != 299993 || file.Body[0] != 7 || file.Truncated != nil {
				t.Errorf("file: %d, %d bytes, %v", file.Status, len(file.Body), file.Truncated)
			}
			if got := client.Get("/wrong/no-content"); got.Status != 204 {
				t.Errorf("204: %d", got.Status)
			}
			if got := client.Get("/wrong/not-modified"); got.Status != 304 {
				t.Errorf("304: %d", got.Status)
			}
			wantError(t, client.Get("/wrong/raise"), 500, "WSGID-1105")
			for range 20 {
				look(t, client.Get("/app"))
			}
		})
	}
}
