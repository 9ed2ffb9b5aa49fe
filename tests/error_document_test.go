package tests

import (
	"os"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestErrorDocuments: error_document says what clients get for errors that wsgid finds,
// wherever it finds them, and for nothing else.
func TestErrorDocuments(t *testing.T) {
	w := newWorld(t)
	w.Write("apps/fail.py", `
def application(environ, start_response):
    how = environ["QUERY_STRING"]
    if how == "raise":
        raise ValueError("wrong")
    if how == "read":
        environ["wsgi.input"].read()
        raise ValueError("wrong")
    if how == "late":
        start_response("200 OK", [])
        return iter(lambda: 1/0, None)
    start_response("500 Mine", [("Content-Type", "text/plain")])
    return [b"the application's own"]
`)
	file := w.Write("pages/500.html", "<h1>file of <b>500</b></h1>\n")
	w.Write("pages/plain.txt", "file of 404\n")
	documents := func(entries ...string) string {
		return "error_document = { " + strings.Join(entries, ", ") + " }"
	}
	address := freeAddress(t)
	in := func(group string) string { return option("process_group", group) }
	w.Configure("listen \"http\" {\n  address = \"" + address + "\"\n}\nrouter {\n  " + documents(`404 = "{{.Dir}}/pages/plain.txt"`, `500 = "{{.Dir}}/pages/500.html"`) + "\n}\n" +
		group("one", "#64001", 1, 2) +
		mount("/one", "apps/fail.py", in("one")) + mount("/embedded", "apps/fail.py", in("%{GLOBAL}")) + mount("/missing", "apps/none.py", in("one")) +
		mount("/none", "apps/fail.py", in("%{ENV:nothing}")) +
		mount("/plain", "apps/fail.py", in("one"), documents()) +
		mount("/text", "apps/fail.py", in("one"), documents(`500 = "<p>Sorry for ${1 + 1}</p>"`)) +
		mount("/away", "apps/fail.py", in("one"), documents(`500 = "https://status.example.com/?a=b"`)) +
		mount("/unreadable", "apps/fail.py", in("one"), documents(`500 = "{{.Dir}}/pages/nothing.html"`)) +
		host("a.test", documents(`404 = "nothing here"`), mount("/own", "apps/fail.py", in("one"))))
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	for front, client := range map[string]*harness.Client{"apache": apache.Client, "http": harness.NewClient(t, "http://"+address)} {
		for _, c := range []struct {
			method, url, host, code string
			status                  int
			kind, body              string
		}{
			{"GET", "/one?raise", "", "WSGID-1105", 500, "text/html", "<h1>file of <b>500</b></h1>\n"},
			{"HEAD", "/one?raise", "", "WSGID-1105", 500, "text/html", ""},
			{"POST", "/one?raise", "", "WSGID-1105", 500, "text/html", "<h1>file of <b>500</b></h1>\n"},
			{"POST", "/one?read", "", "WSGID-1105", 500, "text/html", "<h1>file of <b>500</b></h1>\n"},
			{"GET", "/one?late", "", "WSGID-1105", 500, "text/html", "<h1>file of <b>500</b></h1>\n"},
			{"GET", "/one?own", "", "", 500, "text/plain", "the application's own"},
			{"GET", "/embedded?raise", "", "WSGID-1105", 500, "text/html", "<h1>file of <b>500</b></h1>\n"},
			{"GET", "/missing", "", "WSGID-1102", 404, "text/plain", "file of 404\n"},
			{"GET", "/none", "", "WSGID-1006", 500, "text/html", "<h1>file of <b>500</b></h1>\n"},
			{"GET", "/nowhere", "", "WSGID-1003", 404, "text/plain", "file of 404\n"},
			{"GET", "/nowhere", "a.test", "WSGID-1003", 404, "text/html; charset=utf-8", "nothing here"},
			{"GET", "/own?raise", "a.test", "WSGID-1105", 500, "text/html; charset=utf-8", "*"},
			{"GET", "/one?raise", "a.test", "WSGID-1105", 500, "text/html; charset=utf-8", "*"},
			{"GET", "/plain?raise", "", "WSGID-1105", 500, "text/html; charset=utf-8", "*"},
			{"GET", "/text?raise", "", "WSGID-1105", 500, "text/html; charset=utf-8", "<p>Sorry for 2</p>"},
			{"GET", "/away?raise", "", "WSGID-1105", 302, "", "https://status.example.com/?a=b"},
			{"GET", "/unreadable?raise", "", "WSGID-1105", 500, "text/html; charset=utf-8", "*"},
		} {
			headers := []string{}
			if c.host != "" {
				headers = append(headers, "Host: "+c.host)
			}
			body := ""
			if c.method == "POST" {
				body = strings.Repeat("x", 300<<10) // more than is buffered
			}
			got := client.Do(c.method, c.url, strings.NewReader(body), headers...)
			text := string(got.Body)
			if c.status == 302 {
				text = got.Header.Get("Location")
			}
			switch {
			case got.Status != c.status || got.Header.Get("X-Wsgid-Error") != c.code || got.Header.Get("Content-Type") != c.kind:
				t.Errorf("%s: %s %s of %s: %d, %s", front, c.method, c.url, c.host, got.Status, got.Header)
			case c.body == "*" && !strings.Contains(text, c.code+", request ") && !strings.Contains(text, "("+c.code+")"):
				t.Errorf("%s: %s of %s has no page of wsgid: %s", front, c.url, c.host, text)
			case c.body != "*" && text != c.body:
				t.Errorf("%s: %s %s of %s: %q", front, c.method, c.url, c.host, text)
			}
		}
	}
	awaitLine(t, d, "error_document cannot be read")
	if err := os.WriteFile(file, []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := apache.Get("/one?raise"); string(got.Body) != "changed" {
		t.Errorf("a file that has changed is not read again: %s", got.Body)
	}
	d.Log.Await(t, "the traceback", harness.Containing("ValueError: wrong"))
}

// TestErrorDocumentRefused: what cannot be an error_document is told with what to do.
func TestErrorDocumentRefused(t *testing.T) {
	w := newWorld(t)
	w.Write("apps/hello.py", "")
	for value, want := range map[string]string{
		`{ 200 = "x" }`:                    `has "200", which is no HTTP status of an error: 400 to 599`,
		`{ 401 = "https://example.com/" }`: "is not asked for its password",
		`{ 500 = "https://a.test/x y" }`:   "has a character that must be written as %XX",
		`"x"`:                              `is a map: write { 500 = "/srv/www/500.html" }`,
		`{ 500 = ["x"] }`:                  "needs a text as value of 500",
	} {
		w.Configure(group("one", "#64001", 1, 2) + mount("/", "apps/hello.py", "error_document = "+value))
		if code, _, errs := w.CLI("check", "--config", w.Path("wsgid.hcl")); code != 1 || !strings.Contains(errs, want) {
			t.Errorf("%s: %d: %s", value, code, errs)
		}
	}
}
