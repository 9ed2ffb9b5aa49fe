package tests

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// TestConvertCoversModWSGI: the sites together have every directive that is in the
// mod_wsgi of this machine.
func TestConvertCoversModWSGI(t *testing.T) {
	t.Parallel()
	module, err := os.ReadFile("/usr/lib/apache2/modules/mod_wsgi.so")
	if err != nil {
		t.Fatalf("%v; as root run: apt-get install -y --no-install-recommends libapache2-mod-wsgi-py3", err)
	}
	var all strings.Builder
	for _, site := range convertedSites {
		all.WriteString(site.conf)
		for _, text := range site.files {
			all.WriteString(text)
		}
	}
	// What is reported as different cannot be compared: New Relic's agent, and an
	// undocumented wrapper around applications.
	without := []string{"WSGINewRelicConfigFile", "WSGINewRelicEnvironment", "WSGIApplicationWrapper", "WSGISocketPrefix"}
	count := 0
	for _, found := range regexp.MustCompile(`\x00(WSGI[A-Z][A-Za-z0-9]+)\x00`).FindAllSubmatch(module, -1) {
		count++
		if name := string(found[1]); !slices.Contains(without, name) && !regexp.MustCompile(`(?m)^\s*<?`+name+`\b`).MatchString(all.String()) {
			t.Errorf("no site has %s", name)
		}
	}
	if count < 20 {
		t.Errorf("only %d directives were found in the module", count)
	}
}

// TestConvertLog: what applications write, and what is wrong with them, goes where
// mod_wsgi logs it: the ErrorLog of the host of a group, else that of the request,
// else that of the main server.
func TestConvertLog(t *testing.T) {
	w := newWorld(t)
	w.Write("apps/say.wsgi", `
import os, sys, threading

def wrong(text):
    raise ValueError(text)

def application(environ, start_response):
    how, _, text = environ["QUERY_STRING"].partition("=")
    if how == "errors":
        environ["wsgi.errors"].write(text + "\n")
    elif how == "print":
        print(text, file=sys.stderr)
    elif how == "raise":
        raise ValueError(text)
    elif how == "thread":
        t = threading.Thread(target=lambda: print(text, file=sys.stderr, flush=True))
        t.start()
        t.join()
    start_response("200 OK", [])
    return [b""]
`)
	w.Write("apps/broken.wsgi", "raise ValueError('broken-'+'import')\n")
	for _, name := range []string{"main", "a", "b", "own"} {
		w.Write("logs/"+name+".log", "")
	}
	p := startPair(t, w, `
ErrorLog {{.Dir}}/logs/main.log
WSGIDaemonProcess shared user=daemon group=daemon
WSGIScriptAlias /broken {{.Dir}}/apps/broken.wsgi
<VirtualHost *:${PORT}>
	ServerName a.test
	ErrorLog {{.Dir}}/logs/a.log
	WSGIScriptAlias /shared {{.Dir}}/apps/say.wsgi process-group=shared application-group=%{GLOBAL}
	WSGIScriptAlias /embedded {{.Dir}}/apps/say.wsgi
</VirtualHost>
<VirtualHost *:${PORT}>
	ServerName b.test
	ErrorLog {{.Dir}}/logs/b.log
	WSGIScriptAlias /shared {{.Dir}}/apps/say.wsgi process-group=shared application-group=%{GLOBAL}
	WSGIScriptAlias /embedded {{.Dir}}/apps/say.wsgi
</VirtualHost>
<VirtualHost *:${PORT}>
	ServerName own.test
	ErrorLog logs/own.log
	WSGIDaemonProcess own user=daemon group=daemon
	WSGIScriptAlias /own {{.Dir}}/apps/say.wsgi process-group=own application-group=%{GLOBAL}
</VirtualHost>
<VirtualHost *:${PORT}>
	ServerName plain.test
	WSGIScriptAlias /embedded {{.Dir}}/apps/say.wsgi
	WSGIScriptAlias /shared {{.Dir}}/apps/say.wsgi process-group=shared application-group=%{GLOBAL}
</VirtualHost>
`)
	logs := func() string {
		var found []string
		for _, name := range []string{"main", "a", "b", "own"} {
			content, err := os.ReadFile(w.Path("logs/" + name + ".log"))
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, name+":"+string(content))
		}
		return strings.Join(found, "\x00")
	}
	where := func(text string) string {
		place := ""
		harness.Eventually(t, text, func() error {
			for _, log := range strings.Split(logs(), "\x00") {
				if strings.Contains(log, text) {
					place, _, _ = strings.Cut(log, ":")
					return nil
				}
			}
			return errors.New(logs())
		})
		return place
	}
	for _, site := range []string{"a.test/shared", "b.test/shared", "a.test/embedded", "b.test/embedded", "own.test/own", "plain.test/embedded", "plain.test/shared"} {
		for _, how := range []string{"errors", "print", "raise", "thread"} {
			places := []string{}
			for n, apache := range []*harness.Apache{p.before, p.after} {
				host, path, _ := strings.Cut(site, "/")
				text := strings.NewReplacer("/", "-", ".", "-").Replace(site) + "-" + how + "-" + strconv.Itoa(n)
				apache.Get("/"+path+"?"+how+"="+text, "Host: "+host)
				places = append(places, where(text))
			}
			if places[0] != places[1] {
				t.Errorf("%s, %s: mod_wsgi logs it to that of %s, wsgid to that of %s", site, how, places[0], places[1])
			}
		}
	}
	for _, apache := range []*harness.Apache{p.before, p.after} {
		for _, host := range []string{"b", "a"} {
			if err := os.Truncate(w.Path("logs/"+host+".log"), 0); err != nil {
				t.Fatal(err)
			}
			apache.Get("/broken", "Host: "+host+".test")
			if place := where("broken-import"); place != host {
				t.Errorf("a script that cannot be loaded is told to %s, not to %s", place, host)
			}
			if err := os.Truncate(w.Path("logs/"+host+".log"), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.wsgid.NoteDescriptors() // with the files
}

// TestConvertStreams: the pieces of a response reach the client one by one.
func TestConvertStreams(t *testing.T) {
	w := newWorld(t)
	w.Write("apps/stream.wsgi", `
import os, time
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"first"
    while not os.path.exists(environ["QUERY_STRING"]):
        time.sleep(0.01)
    yield b"second"
`)
	p := startPair(t, w, `
WSGIDaemonProcess a user=daemon group=daemon
WSGIScriptAlias / {{.Dir}}/apps/stream.wsgi process-group=a application-group=%{GLOBAL}
`)
	s := &beside{world: w, apache: p.after}
	response := s.streamed(t, "/?"+w.Path("go-on"))
	piece := make([]byte, 5)
	if _, err := response.Body.Read(piece); err != nil || string(piece) != "first" {
		t.Fatalf("%q %v", piece, err)
	}
	w.Write("go-on", "")
	if rest := make([]byte, 6); true {
		if _, err := response.Body.Read(rest); err != nil && string(rest) != "second" {
			t.Fatalf("%q %v", rest, err)
		}
	}
}

// TestConvertEmbeddedToGroup: what ran inside of Apache has processes of its own.
func TestConvertEmbeddedToGroup(t *testing.T) {
	w := newWorld(t)
	putScript(t, w, "apps/a.wsgi")
	p := startPair(t, w, "WSGIScriptAlias /a {{.Dir}}/apps/a.wsgi\n", "--embedded-to-group", "own")
	var one, two struct {
		UID     int
		Environ map[string]any
	}
	p.before.Get("/a").JSON(t, &one)
	p.after.Get("/a").JSON(t, &two)
	if one.UID != two.UID || one.Environ["mod_wsgi.process_group"] != "" || two.Environ["mod_wsgi.process_group"] != "own" || two.Environ["SCRIPT_NAME"] != "/a" {
		t.Errorf("before %+v, after %+v", one, two)
	}
}

// TestConvertCommand: what the command writes, shows and refuses.
func TestConvertCommand(t *testing.T) {
	w := newWorld(t)
	in := w.Write("etc/httpd.conf", "ErrorLog ${LOGS}/e.log\nWSGIDaemonProcess web\nWSGIScriptAlias / /srv/a.wsgi process-group=web\n")
	w.Write("etc/envvars", "export LOGS="+w.Path("logs")+"\n")
	w.Write("logs/here", "")
	run := func(args ...string) (int, string, string) {
		t.Helper()
		return w.CLI(append([]string{"apache", "convert"}, args...)...)
	}
	out := w.Path("out")
	if code, text, errs := run("--in", in, "--out-dir", out, "--dry-run"); code != 0 || !strings.Contains(text, "+++ "+out+"/httpd.conf") || !strings.Contains(text, "+daemon_process \"web\" {") || harness.Exists(out) {
		t.Errorf("%d: %s%s", code, text, errs)
	}
	code, text, errs := run("--in", in, "--out-dir", out, "--report")
	if code != 0 || !strings.Contains(text, "WSGIDaemonProcess web") || !strings.Contains(text, "converted") || !strings.Contains(errs, "written: "+out+"/httpd.conf") {
		t.Errorf("%d: %s%s", code, text, errs)
	}
	hcl, err := os.ReadFile(out + "/wsgid.hcl")
	if err != nil || !strings.Contains(string(hcl), `error_log = "`+w.Path("logs/e.log")+`"`) {
		t.Errorf("%v: %s", err, hcl)
	}
	if code, _, errs := run("--in", in, "--out-dir", out); code != 1 || !strings.Contains(errs, "is there already: take another --out-dir, or --force") {
		t.Errorf("%d: %s", code, errs)
	}
	if code, _, errs := run("--in", in, "--out-dir", out, "--force", "--env", "LOGS="+w.Path("other")); code != 0 {
		t.Errorf("%d: %s", code, errs)
	}
	full := w.Path("full")
	if err := os.MkdirAll(full+"/wsgid.hcl.unfinished", 0o755); err != nil { // it cannot be written
		t.Fatal(err)
	}
	if code, _, errs := run("--in", in, "--out-dir", full); code != 1 || !strings.Contains(errs, "write the result") || harness.Exists(full+"/httpd.conf") {
		t.Errorf("half a result: %d: %s", code, errs)
	}
	if hcl, err := os.ReadFile(out + "/wsgid.hcl"); err != nil || !strings.Contains(string(hcl), w.Path("other/e.log")) {
		t.Errorf("%v: %s", err, hcl)
	}
	for _, row := range []struct {
		args  []string
		code  int
		error string
	}{
		{[]string{"--in", in}, 2, "needs --in and --out-dir"},
		{[]string{"--in", "/nonexistent", "--out-dir", out}, 1, "/nonexistent"},
		{[]string{"--in", in, "--out-dir", out, "--env", "X"}, 2, "write NAME=value"},
		{[]string{"--in", in, "--out-dir", out, "--apache-version", "new"}, 2, "write such as 2.4.62"},
		{[]string{"--in", in, "--out-dir", out, "--envvars", "/nonexistent"}, 1, "/nonexistent"},
		{[]string{"--in", out + "/httpd.conf", "--out-dir", w.Path("again")}, 1, "there is nothing to convert"},
		{[]string{"--in", w.Write("digest.conf", "<Location /x>\nAuthDigestProvider wsgi\nWSGIAuthUserScript /srv/a.py\n</Location>\n"), "--out-dir", w.Path("digest")}, 1, "the site would not be served as before: see what DIFFERS"},
	} {
		if code, _, errs := run(row.args...); code != row.code || !strings.Contains(errs, row.error) {
			t.Errorf("%q: %d, want %d with %q: %s", row.args, code, row.code, row.error, errs)
		}
	}
}
