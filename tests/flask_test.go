package tests

import (
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestFlask: routes, forms, JSON, an upload, a stream, sessions, a redirect, a
// failing view, in an interpreter of its own and in the main one, behind both
// ways in which Apache hands requests on.
func TestFlask(t *testing.T) {
	t.Parallel()
	const handler = "Alias \"/shop\" \"{{.Dir}}/apps/flask_app.py\"\n" + harness.HandlerProxy +
		"<Directory {{.Dir}}/apps>\n  " + harness.Handler + "\n</Directory>\n"
	for _, row := range []struct{ name, interpreter, front string }{
		{"main interpreter", "%{GLOBAL}", harness.ProxyPass},
		{"sub-interpreter", "flask", harness.ProxyPass},
		{"SetHandler", "%{GLOBAL}", handler},
	} {
		t.Run(row.name, func(t *testing.T) {
			harness.NeedModule(t, "flask", "python3-flask")
			w := newWorld(t)
			w.App("flask_app.py")
			w.Configure(group("flask", "#64003", 2, 4) + mount("/shop", "apps/flask_app.py", option("application_group", row.interpreter)))
			wsgid := w.Start(harness.Options{})
			apache := w.StartApache(harness.ApacheOptions{Config: row.front})
			if got := apache.Get("/shop/"); got.Status != 200 || !strings.HasPrefix(got.Text(), "flask in ") {
				t.Fatalf("%d %s", got.Status, got.Body)
			}
			var echo struct {
				Method, Rest, Root string
				Args, Form         map[string]string
				URLFor             string `json:"url_for"`
			}
			apache.Do("POST", "/shop/echo/a%20b/%C3%A4?q=1%262", strings.NewReader("x=y+z&k=%C3%BC"), "Content-Type: application/x-www-form-urlencoded").JSON(t, &echo)
			if echo.Method != "POST" || echo.Rest != "a b/ä" || echo.Root != "/shop" || echo.Args["q"] != "1&2" ||
				echo.Form["x"] != "y z" || echo.Form["k"] != "ü" || echo.URLFor != "/shop/echo/a%20b" {
				t.Errorf("%+v", echo)
			}
			content := payload(2 << 20)
			body, contentType := multipartFile(t, content)
			if got := apache.Do("POST", "/shop/upload", body, contentType); !strings.Contains(got.Text(), digest(content)) {
				t.Errorf("upload: %d %s", got.Status, got.Body)
			}
			if got := apache.Do("POST", "/shop/json", strings.NewReader(`{"a":[1,2]}`), "Content-Type: application/json"); !strings.Contains(got.Text(), `"a":[1,2]`) {
				t.Errorf("JSON: %d %s", got.Status, got.Body)
			}
			if got := apache.Get("/shop/stream").Text(); got != "line 0\nline 1\nline 2\nline 3\nline 4\n" {
				t.Errorf("stream: %q", got)
			}
			first := apache.Get("/shop/count")
			if got := apache.Get("/shop/count", "Cookie: "+cookieOf(t, first, "session")); got.Text() != "2" {
				t.Errorf("session: %s", got.Body)
			}
			if got := apache.Get("/shop/away"); got.Status != 302 || got.Header.Get("Location") != "/shop/" {
				t.Errorf("redirect: %d to %q", got.Status, got.Header.Get("Location"))
			}
			if got := apache.Get("/shop/nowhere"); got.Status != 404 {
				t.Errorf("unknown route: %d", got.Status)
			}
			if got := apache.Get("/shop/fail"); got.Status != 500 {
				t.Errorf("a failing view: %d", got.Status)
			}
			wsgid.Log.Await(t, "the traceback of the view", harness.Containing("RuntimeError: a view that fails", "in fail"))
		})
	}
}
