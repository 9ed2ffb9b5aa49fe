package tests

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// responses is the world of apps/acceptance_response.py behind Apache. /on and
// /off map HEAD to GET and do not.
type responses struct {
	world  *harness.World
	wsgid  *harness.Wsgid
	apache *harness.Apache
}

func newResponses(t *testing.T) *responses {
	w := newWorld(t)
	w.App("acceptance_response.py")
	const app = "apps/acceptance_response.py"
	w.Configure(group("only", "#64001", 1, 3) + mount("/on", app, option("map_head_to_get", "on")) +
		mount("/off", app, option("map_head_to_get", "off")) + mount("/", app))
	wsgid := w.Start(harness.Options{})
	return &responses{w, wsgid, w.StartApache(harness.ApacheOptions{Config: "SetEnv ap_trust_cgilike_cl 1\n" + harness.ProxyPass})}
}

func (r *responses) get(path, query string) *harness.Response {
	r.world.T.Helper()
	return r.apache.Get(path + "?" + url.QueryEscape(query))
}

// want compares status and body of a response that came whole.
func want(t *testing.T, got *harness.Response, status int, body string) {
	t.Helper()
	if got.Status != status || got.Text() != body || got.Truncated != nil {
		t.Errorf("%d %.300q %v, want %d %.300q", got.Status, got.Body, got.Truncated, status, body)
	}
}

// cut asks for a response that fails after its first part, which has arrived
// before: query gets the name of the file that lets the application go on.
func (r *responses) cut(t *testing.T, path, how string) {
	t.Helper()
	gate := r.world.Write("gate", "")
	response, err := r.apache.HTTP.Get(r.apache.Base + path + "?" + url.QueryEscape(how+gate))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	first := make([]byte, len("first"))
	if _, err := io.ReadFull(response.Body, first); err != nil || response.StatusCode != 200 || string(first) != "first" {
		t.Errorf("%s: %d %q %v", path, response.StatusCode, first, err)
	}
	if err := os.WriteFile(gate, []byte("go"), 0o644); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(response.Body); err == nil || len(rest) != 0 {
		t.Errorf("%s: the client sees no cut: %q %v", path, rest, err)
	}
}

// checks calls start_response with each of the arguments and compares the
// exception.
func (r *responses) checks(t *testing.T, exception string, arguments ...string) {
	t.Helper()
	for _, a := range arguments {
		if got := r.get("/check", a); got.Text() != exception {
			t.Errorf("start_response(%s): %d %s, want %s", a, got.Status, got.Body, exception)
		}
	}
}

// TestAcceptanceStartResponse: acceptance statements 19 to 27 of mod_wsgi
// behaviour 12.
func TestAcceptanceStartResponse(t *testing.T) {
	r := newResponses(t)
	t.Run("19", func(t *testing.T) { want(t, r.get("/interleaved", ""), 200, "w1 w2 i1 w3 i2 ") })
	t.Run("20", func(t *testing.T) {
		r.checks(t, "RuntimeError", `("200 OK", [], "no tuple")`, `("200 OK", [], [1, 2, 3])`, `("200 OK", [], 5)`, `("200 OK", [], ValueError("x"))`)
		r.checks(t, "accepted", `("200 OK", [], None)`)
	})
	t.Run("21", func(t *testing.T) {
		r.cut(t, "/late_exc_info", "")
		want(t, r.get("/marks", ""), 200, "raised:too-late-to-change")
		r.wsgid.Log.Await(t, "the exception", harness.Containing("ValueError: too late to change"))
	})
	t.Run("22", func(t *testing.T) {
		got := r.get("/replaced", "")
		want(t, got, 503, "replaced")
		if got.Header.Get("X-First") != "" || got.Header.Get("X-Second") != "2" {
			t.Errorf("%v", got.Header)
		}
	})
	t.Run("23", func(t *testing.T) {
		got := r.get("/twice", "")
		want(t, got, 202, "second RuntimeError")
		if got.Header.Get("X-First") != "" || got.Header.Get("X-Second") != "2" {
			t.Errorf("%v", got.Header)
		}
	})
	t.Run("24", func(t *testing.T) {
		r.checks(t, "ValueError", `("20 OK", [])`, `("OK", [])`, `("", [])`, `("2x0 OK", [])`, `("2000 OK", [])`, `("200OK", [])`, `("200 a\tb", [])`,
			`("200 a\r\nX: y", [])`, `("200 \x7f", [])`, `(" 200 OK", [])`, `("100 Continue", [])`, `("600 No", [])`)
		r.checks(t, "TypeError", `(200, [])`, `(b"200 OK", [])`)
		r.checks(t, "accepted", `("200", [])`, `("299 ", [])`, `("404 Caf\xe9", [])`)
	})
	t.Run("25", func(t *testing.T) {
		r.checks(t, "ValueError", `("200 OK", [("", "v")])`, `("200 OK", [("a b", "v")])`, `("200 OK", [("a\n", "v")])`, `("200 OK", [("a\x00", "v")])`,
			`("200 OK", [("a", "v\r")])`, `("200 OK", [("a", "v\nX-Injected: 1")])`, `("200 OK", [("a", "b", "c")])`, `("200 OK", [("a",)])`)
		r.checks(t, "TypeError", `("200 OK", [(1, "v")])`, `("200 OK", [("a", 1)])`, `("200 OK", [["a", "b"]])`, `("200 OK", ["ab"])`, `("200 OK", [("a", b"v")])`)
		r.checks(t, "UnicodeEncodeError", `("200 OK", [("a", "\u20ac")])`, `("200 \u20ac", [])`)
		r.checks(t, "accepted", `("200 OK", [("a", "caf\xe9")])`)
	})
	t.Run("26", func(t *testing.T) {
		r.checks(t, "TypeError", `("200 OK", "headers")`, `("200 OK", (("a", "b"),))`, `("200 OK", {"a": "b"})`, `("200 OK", None)`)
	})
	t.Run("27", func(t *testing.T) {
		got := r.get("/respond", `("200 OK", [("X-Custom-%d" % n, "value %d" % n) for n in range(25)] + [("X-Twice", "v1"), ("X-Twice", "v2")], [b"x"])`)
		want(t, got, 200, "x")
		for n := range 25 {
			if value := got.Header.Get(fmt.Sprintf("X-Custom-%d", n)); value != fmt.Sprintf("value %d", n) {
				t.Errorf("X-Custom-%d is %q", n, value)
			}
		}
		if values := got.Header.Values("X-Twice"); len(values) != 1 || values[0] != "v1, v2" {
			t.Errorf("X-Twice: %q", values)
		}
		got = r.get("/respond", `("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="a"'), ("WWW-Authenticate", "Other")], [b"no"])`)
		// Apache puts the two challenges into one line, which means the same.
		if values := got.Header.Values("WWW-Authenticate"); got.Status != 401 || strings.Join(values, ", ") != `Basic realm="a", Other` {
			t.Errorf("%d %q", got.Status, values)
		}
		wantError(t, r.get("/respond", `("200 OK", [("Content-Length", "abc")], [b"abc"])`), 500, "WSGID-1106")
	})
}

// TestAcceptanceIteration: acceptance statements 28 to 35 of mod_wsgi
// behaviour 12.
func TestAcceptanceIteration(t *testing.T) {
	r := newResponses(t)
	marks := func(t *testing.T, wanted string) { t.Helper(); want(t, r.get("/marks", ""), 200, wanted) }
	t.Run("28", func(t *testing.T) {
		hundred := ""
		for n := range 100 {
			hundred += fmt.Sprintf("chunk %d ", n)
		}
		for result, body := range map[string]string{
			`[b"a", b"b", b"", b"c"]`: "abc", `(b"a", b"b")`: "ab", `iter([b"a", b"", b"b"])`: "ab", `(b for b in [b"x", b"y"])`: "xy",
			`[]`: "", `()`: "", `iter([])`: "", `[b""]`: "", `(b"chunk %d " % n for n in range(100))`: hundred, `[b"chunk %d " % n for n in range(100)]`: hundred,
		} {
			want(t, r.get("/respond", `("200 OK", [("Content-Type", "text/plain")], `+result+`)`), 200, body)
		}
	})
	t.Run("29", func(t *testing.T) {
		want(t, r.get("/closing", ""), 200, "ab")
		marks(t, "close")
		want(t, r.get("/generator", ""), 200, "body")
		marks(t, "finally")
		wantError(t, r.get("/generator", "raise"), 500, "WSGID-1105")
		marks(t, "finally")
		wantError(t, r.get("/generator", "text"), 500, "WSGID-1106")
		marks(t, "GeneratorExit finally")
	})
	t.Run("30", func(t *testing.T) {
		wantError(t, r.get("/raises", ""), 500, "WSGID-1105")
		wantError(t, r.get("/respond", `("200 OK", [], ["text"])`), 500, "WSGID-1106")
		r.cut(t, "/late", "raise&")
		r.cut(t, "/late", "text&")
	})
	t.Run("31", func(t *testing.T) {
		wantError(t, r.get("/raises", "exit"), 500, "WSGID-1115")
		r.wsgid.Log.Await(t, "the exit", harness.Containing("WSGID-1115", "SystemExit: 3"))
	})
	t.Run("32", func(t *testing.T) {
		mark := r.wsgid.Log.Mark()
		wantError(t, r.get("/raises", "timeout"), 504, "WSGID-1120")
		record := r.wsgid.Log.AwaitFrom(t, mark, "the timeout", harness.Containing("WSGID-1120"))
		if record.Level() != "info" {
			t.Errorf("level %s", record.Level())
		}
		for _, record := range r.wsgid.Log.Records()[mark:] {
			if strings.Contains(record.Line, "Traceback") {
				t.Errorf("traceback: %s", record.Line)
			}
		}
	})
	t.Run("33", func(t *testing.T) {
		got := r.get("/respond", `("200 OK", [("Content-Length", "5")], iter([b"123", b"456", b"789"]))`)
		want(t, got, 200, "12345")
		if got.Header.Get("Content-Length") != "5" {
			t.Errorf("Content-Length %q", got.Header.Get("Content-Length"))
		}
		want(t, r.get("/respond", `("200 OK", [("Content-Length", "6")], [b"123", b"456"])`), 200, "123456")
		want(t, r.get("/respond", `("200 OK", [("Content-Length", "0")], [b"123"])`), 200, "")
		// Shorter: the client sees that something is missing.
		got, err := r.apache.Try(t.Context(), "GET", "/respond?"+url.QueryEscape(`("200 OK", [("Content-Length", "9")], iter([b"123"]))`), nil)
		if err == nil && got.Truncated == nil && got.Status == 200 {
			t.Errorf("a body that is too short looks whole: %d %q", got.Status, got.Body)
		}
	})
	t.Run("34", func(t *testing.T) {
		block := make([]byte, 1000)
		for i := range block {
			block[i] = byte(i % 251)
		}
		content := string(bytes.Repeat(block, 300))
		for query, body := range map[string]string{`("file", None)`: content, `("file", 1234)`: content[:1234], `("offset", None)`: content[7:],
			`("offset", 100001)`: content[7:100008], `("memory", None)`: content} {
			got := r.get("/file", query)
			want(t, got, 200, body)
			if length := got.Header.Get("Content-Length"); query != `("memory", None)` && length != fmt.Sprint(len(body)) {
				t.Errorf("%s: Content-Length %q", query, length)
			}
		}
		head := r.apache.Do("HEAD", "/file?"+url.QueryEscape(`("file", None)`), nil)
		if head.Status != 200 || head.Header.Get("Content-Length") != "300000" || len(head.Body) != 0 {
			t.Errorf("HEAD: %d %v", head.Status, head.Header)
		}
	})
	t.Run("35", func(t *testing.T) {
		for prefix, seen := range map[string]string{"": "HEAD", "/off": "HEAD", "/on": "GET"} {
			head := r.apache.Do("HEAD", prefix+"/method", nil)
			if head.Status != 200 || head.Header.Get("X-Method") != seen || len(head.Body) != 0 || head.Header.Get("Content-Length") != "6" {
				t.Errorf("HEAD of %s/method: %d, the application saw %s, %v", prefix, head.Status, head.Header.Get("X-Method"), head.Header)
			}
			for _, method := range []string{"GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"} {
				if got := r.apache.Do(method, prefix+"/method", nil); got.Status != 200 || got.Header.Get("X-Method") != method || got.Text() != "method" {
					t.Errorf("%s of %s/method: %d, the application saw %s", method, prefix, got.Status, got.Header.Get("X-Method"))
				}
			}
		}
	})
}
