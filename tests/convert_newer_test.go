package tests

import (
	"os"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestConvertNewer: directives that mod_wsgi 4.9.4 does not know do after the
// conversion what the behaviour spec says of them.
func TestConvertNewer(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.Write("apps/newer.wsgi", `
import sys, time
def application(environ, start_response):
    if environ["PATH_INFO"] == "/sleep":
        while True:
            time.sleep(0.01)
    text = str(sys.getswitchinterval())
    try:
        sys.stdout.write("x")
    except OSError:
        text += " refused"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]
`)
	for _, dir := range []string{"docs", "after"} {
		if err := os.MkdirAll(w.Path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	conf := ""
	for _, name := range []string{"mpm_event", "authz_core", "dir", "mime", "alias", "env"} {
		conf += "LoadModule " + name + "_module /usr/lib/apache2/modules/mod_" + name + ".so\n"
	}
	in := w.Write("site/httpd.conf", w.Expand(conf+"LoadModule wsgi_module /usr/lib/apache2/modules/mod_wsgi.so\n"+convertHead+`
WSGIDaemonProcess web user=daemon group=daemon threads=1 switch-interval=0.01 request-timeout=1 interrupt-timeout=30
<WSGIInterpreterOptions process-group=web application-group=quiet>
    WSGIRestrictStdout On
</WSGIInterpreterOptions>
WSGIProcessGroup web
WSGIScriptAlias /quiet {{.Dir}}/apps/newer.wsgi application-group=quiet
WSGIScriptAlias /plain {{.Dir}}/apps/newer.wsgi application-group=plain
`))
	code, out, errs := w.CLI("apache", "convert", "--in", in, "--out-dir", w.Path("converted"), "--socket", w.Socket, "--env", "PORT=80", "--env", "RUN="+w.Path("after"))
	if code != 0 {
		t.Fatalf("%d: %s%s", code, out, errs)
	}
	w.Write("wsgid.hcl", watched(w, readFile(t, w.Path("converted/wsgid.hcl"))))
	w.Start(harness.Options{})
	apache := w.StartHTTPD("after", w.Path("converted/httpd.conf"))
	for path, want := range map[string]string{"/quiet": "0.01 refused", "/plain": "0.01"} {
		if got := apache.Get(path); got.Status != 200 || got.Text() != want {
			t.Errorf("%s: %d %q, want %q", path, got.Status, got.Body, want)
		}
	}
	if got := apache.Get("/plain/sleep"); got.Status != 504 { // behaviour spec 2.4: interrupted before the headers
		t.Errorf("%d: %s", got.Status, got.Body)
	}
	if got := apache.Get("/plain"); got.Status != 200 {
		t.Errorf("after it: %d", got.Status)
	}
}
