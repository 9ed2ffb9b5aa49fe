package tests

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestHTTPListener: the options of the built-in HTTP front in a configuration
// file: static files, the limit of the body, and what becomes of a client that
// stops in its headers, in its body or between two requests.
func TestHTTPListener(t *testing.T) {
	w := newWorld(t)
	w.App("body_hash.py")
	w.Write("files/a.css", "body {}\n")
	w.Write("files/sub/b.txt", "below\n")
	w.Write("secret", "secret\n")
	address := freeAddress(t)
	w.Configure("listen \"http\" {\n  address = \"" + address + "\"\n  header_timeout = \"500ms\"\n  body_timeout = \"500ms\"\n  idle_timeout = \"500ms\"\n" +
		"  static \"/static/\" {\n    dir = \"{{.Dir}}/files\"\n  }\n}\nrouter {\n  max_body_bytes = \"100KiB\"\n}\n" +
		group("only", "#64001", 1, 2) + mount("/", "apps/body_hash.py"))
	wsgid := w.Start(harness.Options{})
	client := harness.NewClient(t, "http://"+address)
	css := client.Get("/static/a.css")
	if css.Status != 200 || css.Text() != "body {}\n" || !strings.HasPrefix(css.Header.Get("Content-Type"), "text/css") {
		t.Errorf("a static file: %d %v %q", css.Status, css.Header, css.Body)
	}
	if got := client.Get("/static/a.css", "If-Modified-Since: "+css.Header.Get("Last-Modified")); got.Status != 304 {
		t.Errorf("asked again: %d", got.Status)
	}
	if got := client.Get("/static/sub/b.txt"); got.Status != 200 || got.Text() != "below\n" {
		t.Errorf("below a directory: %d %q", got.Status, got.Body)
	}
	for _, path := range []string{"/static/", "/static/sub/", "/static/missing", "/static/%2e%2e/secret", "/static/sub/..%2f..%2f..%2fsecret"} {
		if got := client.Get(path); strings.Contains(got.Text(), "secret") || strings.HasPrefix(path, "/static/s") && got.Status != 404 && got.Status != 200 {
			t.Errorf("%s: %d %q", path, got.Status, got.Body)
		}
	}
	if requests := wsgid.Status().Group("only").Requests; requests > 2 { // the two that lead out of the prefix
		t.Errorf("%d requests for static files reached the application", requests)
	}

	upload(t, client, "/", payload(100<<10), false)
	wantError(t, client.Do("POST", "/", bytes.NewReader(payload(100<<10+1))), 413, "WSGID-1009")
	wantError(t, client.Do("POST", "/", hideLength{bytes.NewReader(payload(100<<10 + 1))}), 413, "WSGID-1009")

	for _, row := range []struct{ name, sent, want string }{
		{"nothing", "", ""},
		{"half a header", "GET / HTTP/1.1\r\nHost: x\r\nX-Half", ""},
		{"half a body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf", "408 "},
		{"half a chunk", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf", "408 "},
		{"a request and no more", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "200 "},
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, row.sent); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(harness.Patience)); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		if isTimeout(err) || !strings.Contains(string(got), row.want) || row.want == "" && strings.Contains(string(got), " 200 ") {
			t.Errorf("%s: %q %v", row.name, got, err)
		}
		conn.Close()
	}
	wsgid.AwaitStatus("nothing runs", func(s harness.Status) error {
		if s.Router.InFlight != 0 || s.Group("only").ThreadsBusy != 0 {
			return fmt.Errorf("%d in flight, %d busy", s.Router.InFlight, s.Group("only").ThreadsBusy)
		}
		return nil
	})
}
