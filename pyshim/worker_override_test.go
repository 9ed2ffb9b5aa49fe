package pyshim_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestWorkerErrorOverride: status and headers of an error response stay, its
// body does not.
func TestWorkerErrorOverride(t *testing.T) {
	w := startWorker(t, workerOptions{})
	c := w.dial()
	page := func(line string) string {
		return fmt.Sprintf("<!DOCTYPE html>\n<title>%s</title>\n<h1>%s</h1>\n", line, line)
	}
	const body = `, [("content-type", "text/plain"), ("Content-Encoding", "gzip"), ("ETag", "x"), ("ETag", "y"), ("WWW-Authenticate", "Basic"), ("Content-Length", "6")], [b"secret"]`
	for _, tc := range []struct{ query, method, body, raw string }{
		{`"401 Unauthorized"` + body, "GET", page("401 Unauthorized"), "Status: 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 74"},
		{`"401 Unauthorized"` + body, "HEAD", "", "Status: 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 74"},
		{`"404", [], iter([b"a", b"b"])`, "POST", page("404"), "Status: 404\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 48"},
		{`"500 <b>Caf\xe9", [("Content-Length", "99")], []`, "GET", page("500 ?b?Caf?"), ""},
		{`"500 ` + strings.Repeat("x", 3000) + `", [], [b"a" * 100000]`, "GET", page("500 " + strings.Repeat("x", 251)), ""},
		{`"399 Fine"` + body, "GET", "secret", "Status: 399 Fine\r\ncontent-type: text/plain\r\nContent-Encoding: gzip\r\nETag: x\r\nETag: y\r\nWWW-Authenticate: Basic\r\nContent-Length: 6"},
	} {
		r := c.do(script(t, "responses.py", "evaluated", "QUERY_STRING="+tc.query, "REQUEST_METHOD="+tc.method, "WSGID_ERROR_OVERRIDE=1"), nil)
		if string(r.body) != tc.body || tc.raw != "" && r.raw != tc.raw || r.appStatus != 0 {
			t.Errorf("%s %.100s: appStatus %x, head %q, body %q", tc.method, tc.query, r.appStatus, r.raw, r.body)
		}
	}
	r := c.do(script(t, "responses.py", "evaluated", `QUERY_STRING="404 Not Found", [], [b"shown"]`), nil)
	if string(r.body) != "shown" {
		t.Errorf("without the option: %q", r.body)
	}
}

// TestWorkerHandler: what a handler_script finds in its environ.
func TestWorkerHandler(t *testing.T) {
	w := startWorker(t, workerOptions{})
	c := w.dial()
	for _, handler := range []string{"markdown", ""} {
		p := script(t, "environ.py", "application", "SCRIPT_FILENAME=/srv/docs/a.md")
		want := []string{"wsgi-script", ""}
		if handler != "" {
			p["WSGID_HANDLER"], want = handler, []string{handler, p["WSGID_SCRIPT"]}
		}
		var got map[string][]any // type and value
		r := c.do(p, nil)
		if err := json.Unmarshal(r.body, &got); err != nil {
			t.Fatalf("%v: %s", err, r.body)
		}
		if got["mod_wsgi.request_handler"][1] != want[0] || got["mod_wsgi.handler_script"][1] != want[1] || got["SCRIPT_FILENAME"][1] != "/srv/docs/a.md" {
			t.Errorf("handler %q: %v", handler, got)
		}
	}
}
