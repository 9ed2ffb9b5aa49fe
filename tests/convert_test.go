package tests

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// pair is a site twice: behind mod_wsgi, and converted.
type pair struct {
	w             *harness.World
	before, after *harness.Apache
	wsgid         *harness.Wsgid
}

// convertHead is what each site begins with.
const convertHead = `ServerRoot "{{.Dir}}"
ServerName main.test
ServerTokens Prod
Listen 127.0.0.1:${PORT}
PidFile ${RUN}/httpd.pid
ErrorLog ${RUN}/error.log
LogLevel info
Mutex file:${RUN}
DocumentRoot "{{.Dir}}/docs"
Timeout 60
TypesConfig /dev/null
StartServers 1
ServerLimit 1
ThreadsPerChild 50
ThreadLimit 50
MaxRequestWorkers 50
User www-data
Group www-data
<Directory />
    Require all granted
    AllowOverride All
</Directory>
`

// convertModules are loaded by each site, mod_wsgi in the middle.
var convertModules = []string{
	"mpm_event", "authz_core", "authz_host", "authz_user", "authn_core", "authn_file", "auth_basic", "dir", "mime", "wsgi",
	"alias", "env", "headers", "rewrite", "setenvif", "macro", "negotiation",
}

// startPair starts a site under mod_wsgi, converts it, and starts that beside it.
// body is what follows convertHead; flags are those of convert.
func startPair(t *testing.T, w *harness.World, body string, flags ...string) *pair {
	t.Helper()
	harness.NeedRoot(t)
	const modules = "/usr/lib/apache2/modules"
	if _, err := os.Stat(modules + "/mod_wsgi.so"); err != nil {
		t.Fatalf("%v; as root run: apt-get install -y --no-install-recommends libapache2-mod-wsgi-py3", err)
	}
	var conf strings.Builder
	for _, name := range convertModules {
		fmt.Fprintf(&conf, "LoadModule %s_module %s/mod_%s.so\n", name, modules, name)
	}
	conf.WriteString("WSGISocketPrefix {{.Dir}}/run/mod_wsgi\n" + convertHead + body)
	for _, dir := range []string{"docs", "before", "after"} {
		if err := os.MkdirAll(w.Path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	makeOld(t, w.Path("docs"))
	file := w.Write("site/httpd.conf", w.Expand(conf.String()))
	p := &pair{w: w}
	args := append([]string{"apache", "convert", "--in", file, "--out-dir", w.Path("converted"), "--socket", w.Socket, "--report",
		"--env", "RUN=" + w.Path("after"), "--env", "PORT=80", "--install-htaccess",
		"--auth-address", fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t))}, flags...)
	code, out, errs := w.CLI(args...)
	if code != 0 {
		t.Fatalf("convert: %d: %s%s", code, out, errs)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, name := range []string{"converted/httpd.conf", "converted/wsgid.hcl"} {
				text, _ := os.ReadFile(w.Path(name)) // shown as far as it is there
				_, rest, _ := strings.Cut(string(text), "AllowOverride All\n</Directory>\n")
				if rest == "" {
					rest = string(text)
				}
				t.Logf("%s:\n%s", name, rest)
			}
		}
	})
	hcl, err := os.ReadFile(w.Path("converted/wsgid.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	w.Write("wsgid.hcl", watched(w, string(hcl)))
	p.wsgid = w.Start(harness.Options{})
	p.before = w.StartHTTPD("before", file)
	p.after = w.StartHTTPD("after", w.Path("converted/httpd.conf"))
	return p
}

// makeOld dates the files below dir back: while one is of this second Apache's ETag for
// it is a weak one.
func makeOld(t *testing.T, dir string) {
	t.Helper()
	old := time.Now().Add(-time.Hour)
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, old, old)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// watched is a converted wsgid.hcl with what the harness needs.
func watched(w *harness.World, hcl string) string {
	const options = "\nlog {\n  format = \"json\"\n  level = \"debug\"\n"
	rest := "}\n"
	before, after, found := strings.Cut(hcl, "\nlog {\n")
	if found {
		rest = after
	}
	return before + options + rest + w.Expand("control {\n  path = \"{{.Control}}\"\n}\n")
}

// probe is a request of both sites.
type probe struct {
	method, path string
	headers      []string
	body         string
	// apache: an error is Apache's own, or has its ErrorDocument, and no page of wsgid.
	apache bool
	// differs: what is known to be another after the conversion, a reason.
	differs string
}

// get is a probe without more.
func get(path string, headers ...string) probe {
	return probe{method: "GET", path: path, headers: headers}
}

// allowedDifferences are variables of the environ that need not be the same, with
// the reason.
var allowedDifferences = map[string]string{
	"apache.version":             "only inside of Apache",
	"mod_wsgi.version":           "wsgid speaks as mod_wsgi 6",
	"mod_wsgi.connection_id":     "Apache's own, sent by no web server",
	"mod_wsgi.total_requests":    "mod_wsgi 4 only",
	"mod_wsgi.thread_requests":   "mod_wsgi 4 only",
	"mod_wsgi.daemon_connects":   "mod_wsgi 4 only",
	"mod_wsgi.daemon_restarts":   "mod_wsgi 4 only",
	"mod_wsgi.enable_sendfile":   "mod_wsgi 4 only",
	"mod_wsgi.ignore_activity":   "mod_wsgi 4 only",
	"mod_wsgi.script_reloading":  "mod_wsgi 4 only",
	"mod_wsgi.script_start":      "mod_wsgi 4 only",
	"mod_wsgi.queue_start":       "a time",
	"mod_wsgi.daemon_start":      "a time",
	"mod_wsgi.request_start":     "a time",
	"mod_wsgi.application_start": "a time",
	"mod_wsgi.request_id":        "of each request its own",
	"mod_wsgi.thread_id":         "whichever thread is free",
	"mod_wsgi.server_pid":        "a process of each",
	"mod_wsgi.listener_host":     "not sent by mod_proxy_fcgi",
	"mod_wsgi.listener_port":     "not sent by mod_proxy_fcgi",
	"wsgid.queue_time":           "wsgid's own",
	"REMOTE_PORT":                "of each connection its own",
	"SERVER_PORT":                "without a port in Host, that of the listener",
	"SSL_SESSION_ID":             "of each connection its own",
	"UNIQUE_ID":                  "of each request its own",
	"PATH":                       "absent since mod_wsgi 6",
	"GATEWAY_INTERFACE":          "absent since mod_wsgi 6",
	"SERVER_SIGNATURE":           "absent since mod_wsgi 6",
	"PATH_TRANSLATED":            "absent since mod_wsgi 6",
	"LD_LIBRARY_PATH":            "absent since mod_wsgi 6",
	"wsgi.input_terminated":      "since mod_wsgi 4.4",
	"REDIRECT_SCRIPT_FILENAME":   "as mod_proxy_fcgi writes it",
	"HTTP_PROXY_AUTHORIZATION":   "CGIPassAuth passes it too",
	"CONTEXT_PREFIX":             "the prefix of the Alias",
	"CONTEXT_DOCUMENT_ROOT":      "the target of the Alias",
	"wsgi.file_wrapper":          "another name of the type",
	"wsgi.input":                 "another name of the type",
	"wsgi.errors":                "another name of the type",
	"wsgi.version":               "a tuple in both",
}

// compare sends a probe to both and reports what is not the same.
func (p *pair) compare(t *testing.T, one probe) {
	t.Helper()
	send := func(a *harness.Apache) *harness.Response {
		var body *strings.Reader
		if one.body != "" {
			body = strings.NewReader(one.body)
			return a.Do(one.method, one.path, body, one.headers...)
		}
		return a.Do(one.method, one.path, nil, one.headers...)
	}
	before, after := send(p.before), send(p.after)
	what := one.method + " " + one.path + " " + strings.Join(one.headers, ", ")
	if before.Status != after.Status {
		t.Errorf("%s: status %d, and %d after the conversion: %.600s", what, before.Status, after.Status, after.Body)
		return
	}
	if after.Header.Get("X-Wsgid-Error") != "" && !one.apache {
		return // a page of its own, where mod_wsgi has Apache's
	}
	for _, name := range slices.Sorted(maps.Keys(before.Header)) {
		if name != "Date" && p.plain(strings.Join(before.Header[name], "|")) != p.plain(strings.Join(after.Header[name], "|")) && !strings.Contains(one.differs, "header "+name) {
			t.Errorf("%s: header %s %q, and %q after the conversion", what, name, before.Header[name], after.Header[name])
		}
	}
	for name := range after.Header {
		if _, there := before.Header[name]; !there && name != "X-Wsgid-Error" && !strings.Contains(one.differs, "header "+name) {
			t.Errorf("%s: header %s: %q is new", what, name, after.Header[name])
		}
	}
	if before.Status == 200 && strings.HasPrefix(before.Text(), `{"body"`) && strings.HasPrefix(after.Text(), `{"body"`) {
		p.compareShown(t, what, before, after)
		return
	}
	if p.plain(before.Text()) != p.plain(after.Text()) && !strings.Contains(one.differs, "body") {
		t.Errorf("%s: body %.400q, and %.400q after the conversion", what, before.Body, after.Body)
	}
}

// plain is a text without the ports that the two servers listen on.
func (p *pair) plain(text string) string {
	return strings.NewReplacer(fmt.Sprint(p.before.Port), "PORT", fmt.Sprint(p.after.Port), "PORT").Replace(text)
}

// compareShown compares what apps/shown.py has seen.
func (p *pair) compareShown(t *testing.T, what string, before, after *harness.Response) {
	t.Helper()
	var one, two map[string]any
	before.JSON(t, &one)
	after.JSON(t, &two)
	both := func(where string, one, two map[string]any) {
		names := slices.Sorted(maps.Keys(one))
		for name := range two {
			if _, there := one[name]; !there {
				names = append(names, name)
			}
		}
		for _, name := range names {
			a, b := fmt.Sprint(one[name]), fmt.Sprint(two[name])
			plain := strings.TrimPrefix(name, "REDIRECT_")
			if allowedDifferences[plain] != "" || allowedDifferences[name] != "" || a == b || name == "environ" || strings.HasPrefix(name, "REDIRECT_mod_wsgi.") {
				continue
			}
			if p.plain(a) == p.plain(b) {
				continue
			}
			if _, there := two[name]; !there {
				b = "(absent)"
			}
			if _, there := one[name]; !there {
				a = "(absent)"
			}
			t.Errorf("%s: %s%s %q, and %q after the conversion", what, where, name, a, b)
		}
	}
	environ1, ok1 := one["environ"].(map[string]any)
	environ2, ok2 := two["environ"].(map[string]any)
	if !ok1 || !ok2 {
		t.Fatalf("%s: no environ", what)
	}
	if environ1["mod_wsgi.process_group"] == "" { // embedded: where Apache was started
		delete(one, "cwd")
		delete(two, "cwd")
	}
	both("", one, two)
	both("environ ", environ1, environ2)
}

// putScript writes apps/shown.py under a name, and returns its path.
func putScript(t *testing.T, w *harness.World, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(harness.Apps(), "shown.py"))
	if err != nil {
		t.Fatal(err)
	}
	return w.Write(name, string(text))
}

// TestConvertServes: sites under mod_wsgi and converted give the same answers.
func TestConvertServes(t *testing.T) {
	t.Parallel()
	for name, site := range convertedSites {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, script := range site.scripts {
				putScript(t, w, script)
			}
			modules := ""
			if site.tls {
				certificate, key := w.Certificate("localhost")
				site.conf = strings.NewReplacer("{{.Dir}}/localhost.pem", certificate, "{{.Dir}}/localhost.key", key).Replace(site.conf)
				modules = "LoadModule socache_shmcb_module /usr/lib/apache2/modules/mod_socache_shmcb.so\nLoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so\nSSLSessionCache none\n"
			}
			for file, text := range site.files {
				w.Write(file, w.Expand(text))
			}
			p := startPair(t, w, modules+site.conf, site.flags...)
			if site.tls {
				p.before.Client, p.after.Client = p.before.Secure(), p.after.Secure()
			}
			for _, one := range site.probes {
				p.compare(t, one)
			}
		})
	}
}

// convertedSite is a site of TestConvertServes.
type convertedSite struct {
	scripts []string
	files   map[string]string
	conf    string
	flags   []string
	tls     bool // the port speaks TLS
	probes  []probe
}
