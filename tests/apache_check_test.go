package tests

import (
	"os"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestApacheCheck: a connection that is right has no findings, one with defects
// those, and Apache's user is who tries the socket.
func TestApacheCheck(t *testing.T) {
	harness.NeedRoot(t)
	w := newWorld(t)
	w.App("environ.py")
	w.Write("old/site.wsgi", "# a script that lies where it should not\n")
	w.Configure(group("web", "#64001", 1, 2) + mount("/", "apps/environ.py"))
	check := func(args ...string) (int, string) {
		t.Helper()
		code, out, errs := w.CLI(append([]string{"apache", "check", "--config", w.Path("wsgid.hcl"), "--apache-config", w.Path("httpd/httpd.conf")}, args...)...)
		return code, out + errs
	}
	d := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: "SetEnv ap_trust_cgilike_cl 1\n" + harness.ProxyPass})
	if got := apache.Get("/x"); got.Status != 200 {
		t.Fatal(got.Status)
	}
	if code, text := check(); code != 0 || !strings.Contains(text, "Nothing is wrong") || !strings.Contains(text, "Apache 2.4.") {
		t.Errorf("%d: %s", code, text)
	}
	// The running server says itself which configuration it has.
	if code, out, errs := w.CLI("apache", "check", "--config", w.Path("wsgid.hcl"), "--json"); code > 1 || !strings.Contains(out, `"findings"`) {
		t.Errorf("%d: %s%s", code, out, errs)
	}

	conf := w.Write("httpd/httpd.conf", "User www-data\nGroup www-data\nProxyPass /a \"unix:"+w.Socket+"|fcgi://wsgid/\"\nSetEnv WSGID_NOTHING 1\n")
	code, text := check("--json")
	for _, want := range []string{`"severity": "slow"`, "has no enablereuse=on", "flushpackets", "ap_trust_cgilike_cl 1", "WSGID_NOTHING", conf, `"line": 3`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing: %s", want, text)
		}
	}
	if code != 1 {
		t.Errorf("exit status %d", code)
	}

	if err := os.Chmod(w.Path("run"), 0o700); err != nil {
		t.Fatal(err)
	}
	if code, text := check(); code != 1 || !strings.Contains(text, "Apache (www-data) may not connect to "+w.Socket+": the directory "+w.Path("run")+" (mode 0700)") || !strings.Contains(text, "chmod o+x "+w.Path("run")) {
		t.Errorf("%d: %s", code, text)
	}
	if err := os.Chmod(w.Path("run"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(w.Socket, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, text := check(); code != 1 || !strings.Contains(text, "the socket has the mode 0600") {
		t.Errorf("%d: %s", code, text)
	}
	d.Stop()
	if code, text := check(); code != 1 || !strings.Contains(text, "there is no socket "+w.Socket) {
		t.Errorf("%d: %s", code, text)
	}
	if code, text := check("--httpd", "/nonexistent/httpd"); code != 1 && !strings.Contains(text, "there is no socket") {
		t.Errorf("%d: %s", code, text)
	}
	if code, out, errs := w.CLI("apache", "check", "--config", w.Path("wsgid.hcl"), "--httpd", "/nonexistent/httpd"); code != 1 || !strings.Contains(errs, "looking for Apache") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	if code, out, errs := w.CLI("apache", "check", "--config", w.Path("wsgid.hcl"), "--apache-config", "/nonexistent/httpd.conf"); code != 1 || !strings.Contains(errs, "/nonexistent/httpd.conf") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
}

// TestConvertWarnsOfReadable: convert names scripts that a browser can read.
func TestConvertWarnsOfReadable(t *testing.T) {
	w := newWorld(t)
	w.Write("docs/app/site.wsgi", "")
	w.Write("httpd.conf", w.Expand("DocumentRoot {{.Dir}}/docs\nWSGIPythonHome {{.Dir}}/docs/venv\nWSGIScriptAlias /app {{.Dir}}/docs/app/site.wsgi\n"))
	code, _, errs := w.CLI("apache", "convert", "--in", w.Path("httpd.conf"), "--out-dir", w.Path("out"))
	if code != 0 || !strings.Contains(errs, w.Path("docs/venv")+" can be read by everybody, as /venv; to close it:\n    <Directory \""+w.Path("docs/venv")+"\">\n        Require all denied") {
		t.Errorf("%d: %s", code, errs)
	}
	if strings.Contains(errs, "site.wsgi can be read") {
		t.Errorf("it is run: %s", errs)
	}
}
