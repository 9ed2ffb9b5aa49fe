//go:build full

package tests

import (
	"fmt"
	"mime/multipart"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// realUser is whom the real applications run as: a number without an account.
const realUser = 64020

// realWorld is a world with a directory data that belongs to realUser.
func realWorld(t *testing.T) (w *harness.World, data string) {
	w = newWorld(t)
	data = w.Path("data")
	must(t, os.Mkdir(data, 0o700))
	must(t, os.Chown(data, realUser, realUser))
	return w, data
}

// asRealUser runs a command of an application's own installation guide.
func asRealUser(t *testing.T, dir string, env []string, argv ...string) {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1", "LANG=C.UTF-8", "HOME=" + dir}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: realUser, Gid: realUser}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, out)
	}
}

// multipartFields is the body of a form with a cover and fields.
func multipartFields(t *testing.T, cover []byte, fields map[string]string) (body, header string) {
	t.Helper()
	var out strings.Builder
	writer := multipart.NewWriter(&out)
	for name, value := range fields {
		must(t, writer.WriteField(name, value))
	}
	part, err := writer.CreateFormFile("cover", "cover.bin")
	must(t, err)
	_, err = part.Write(cover)
	must(t, err)
	must(t, writer.Close())
	return out.String(), "Content-Type: " + writer.FormDataContentType()
}

// TestDjangoAdmin: Django's own administration site, with its static files
// served by Apache: log in, add with an upload, search, change, delete, log out.
func TestDjangoAdmin(t *testing.T) {
	w, data := realWorld(t)
	site := w.App("real/admin_site")
	env := []string{"DJANGO_DATA=" + data, "DJANGO_SUPERUSER_PASSWORD=pässword", "DJANGO_SUPERUSER_EMAIL=a@example.org"}
	asRealUser(t, site, env, harness.SystemPython, "manage.py", "migrate", "--verbosity", "0")
	asRealUser(t, site, env, harness.SystemPython, "manage.py", "createsuperuser", "--noinput", "--username", "admin")
	// As Django's page about mod_wsgi says: WSGIScriptAlias, python-path, static files by Alias.
	w.Configure(group("django", fmt.Sprintf("#%d", realUser), 2, 5, environmentOf("DJANGO_DATA="+data), fmt.Sprintf("python_path = [%q]", site)) +
		mount("/", "apps/real/admin_site/wsgi.py"))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: "ProxyPass \"/static/\" !\n" +
		"Alias \"/static/admin/\" \"/usr/lib/python3/dist-packages/django/contrib/admin/static/admin/\"\n" + harness.ProxyPass})
	cookies := map[string]string{}
	do := func(method, path, body string, headers ...string) *harness.Response {
		t.Helper()
		var jar []string
		for name, value := range cookies {
			jar = append(jar, name+"="+value)
		}
		response := apache.Do(method, path, strings.NewReader(body), append(headers, "Cookie: "+strings.Join(jar, "; "))...)
		for _, line := range response.Header.Values("Set-Cookie") {
			pair, _, _ := strings.Cut(line, ";")
			name, value, _ := strings.Cut(pair, "=")
			cookies[name] = value
		}
		return response
	}
	token := func(path string) string {
		t.Helper()
		page := do("GET", path, "")
		found := csrfField.FindStringSubmatch(page.Text())
		if found == nil {
			t.Fatalf("%s: %d, no form: %.2000s", path, page.Status, page.Body)
		}
		return found[1]
	}
	post := func(path string, fields url.Values) *harness.Response {
		t.Helper()
		fields.Set("csrfmiddlewaretoken", token(path))
		return do("POST", path, fields.Encode(), "Content-Type: application/x-www-form-urlencoded")
	}
	if got := do("GET", "/admin/", ""); got.Status != 302 || got.Header.Get("Location") != "/admin/login/?next=/admin/" {
		t.Fatalf("without login: %d %v", got.Status, got.Header)
	}
	wantStatus(t, "wrong password", post("/admin/login/?next=/admin/", url.Values{"username": {"admin"}, "password": {"x"}}), 200, "Please enter the correct username")
	if got := post("/admin/login/?next=/admin/", url.Values{"username": {"admin"}, "password": {"pässword"}}); got.Status != 302 || got.Header.Get("Location") != "/admin/" {
		t.Fatalf("login: %d %v", got.Status, got.Header)
	}
	wantStatus(t, "index", do("GET", "/admin/", ""), 200, "Site administration", "Books")
	wantStatus(t, "style sheet", do("GET", "/static/admin/css/base.css", ""), 200, "body {")
	cover := payload(300_000)
	body, header := multipartFields(t, cover, map[string]string{"title": "Räksmörgås", "csrfmiddlewaretoken": token("/admin/library/book/add/")})
	if got := do("POST", "/admin/library/book/add/", body, header); got.Status != 302 {
		t.Fatalf("add: %d %.2000s", got.Status, got.Body)
	}
	wantStatus(t, "list", do("GET", "/admin/library/book/", ""), 200, "was added successfully", "Räksmörgås", "1 book")
	if stored := readFile(t, filepath.Join(data, "media/covers/cover.bin")); stored != string(cover) {
		t.Errorf("the upload has %d bytes", len(stored))
	}
	if got := post("/admin/library/book/1/change/", url.Values{"title": {"Smörgåstårta"}, "_save": {"Save"}}); got.Status != 302 {
		t.Errorf("change: %d %.2000s", got.Status, got.Body)
	}
	wantStatus(t, "history", do("GET", "/admin/library/book/1/history/", ""), 200, "Changed Title")
	if got := post("/admin/library/book/1/delete/", url.Values{"post": {"yes"}}); got.Status != 302 {
		t.Errorf("delete: %d %.2000s", got.Status, got.Body)
	}
	wantStatus(t, "list", do("GET", "/admin/library/book/", ""), 200, "0 books")
	var wait sync.WaitGroup
	for range rounds(8, 16) {
		wait.Add(1)
		jar := "Cookie: sessionid=" + cookies["sessionid"]
		go func() {
			defer wait.Done()
			for range 20 {
				got, err := apache.Try(t.Context(), "GET", "/admin/library/book/", nil, jar)
				if err != nil || got.Status != 200 {
					t.Errorf("in parallel: %v %+v", err, got)
					return
				}
			}
		}()
	}
	wait.Wait()
}

// TestRadicale: a calendar server, as its page about mod_wsgi says; CalDAV
// requests with Basic authentication.
func TestRadicale(t *testing.T) {
	w, data := realWorld(t)
	w.Write("radicale/users", "kaethe:geheim\n")
	config := w.Write("radicale/config", fmt.Sprintf("[auth]\ntype = htpasswd\nhtpasswd_filename = %s\nhtpasswd_encryption = plain\n"+
		"[storage]\nfilesystem_folder = %s\n[logging]\nlevel = info\n", w.Path("radicale/users"), data))
	w.Configure(group("radicale", fmt.Sprintf("#%d", realUser), 2, 5, environmentOf("RADICALE_CONFIG="+config), `umask = "0027"`) +
		"script_alias \"/radicale\" {\n  target = \"/usr/share/radicale/radicale.wsgi\"\n}\n")
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass + "<Location \"/\">\n  CGIPassAuth On\n</Location>\n"})
	const basic = "Authorization: Basic a2FldGhlOmdlaGVpbQ==" // kaethe:geheim
	const home = "/radicale/kaethe/"
	dav := func(method, path, body string, headers ...string) *harness.Response {
		t.Helper()
		return apache.Do(method, path, strings.NewReader(body), append(headers, basic)...)
	}
	if got := apache.Get(home); got.Status != 401 || !strings.HasPrefix(got.Header.Get("WWW-Authenticate"), "Basic") {
		t.Errorf("without password: %d %v", got.Status, got.Header)
	}
	wantStatus(t, "wrong password", apache.Get(home, "Authorization: Basic a2FldGhlOng="), 401)
	wantStatus(t, "MKCALENDAR", dav("MKCALENDAR", home+"work/", `<?xml version="1.0"?><C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop><D:displayname>Arbeit</D:displayname></D:prop></D:set></C:mkcalendar>`), 201)
	event := func(uid, summary string) string {
		return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//wsgid//EN\r\nBEGIN:VEVENT\r\nUID:" + uid +
			"\r\nDTSTAMP:20240101T000000Z\r\nDTSTART:20240102T100000Z\r\nDTEND:20240102T110000Z\r\nSUMMARY:" + summary + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
	}
	put := dav("PUT", home+"work/one.ics", event("one", "Frühstück"), "Content-Type: text/calendar; charset=utf-8")
	wantStatus(t, "PUT", put, 201)
	etag := put.Header.Get("Etag")
	wantStatus(t, "PUT, old etag", dav("PUT", home+"work/one.ics", event("one", "x"), "Content-Type: text/calendar", `If-Match: "other"`), 412)
	wantStatus(t, "GET", dav("GET", home+"work/one.ics", ""), 200, "SUMMARY:Frühstück")
	wantStatus(t, "PROPFIND", dav("PROPFIND", home+"work/", `<?xml version="1.0"?><D:propfind xmlns:D="DAV:"><D:prop><D:displayname/><D:getetag/></D:prop></D:propfind>`, "Depth: 1"),
		207, "Arbeit", "<href>"+home+"work/one.ics</href>")
	wantStatus(t, "REPORT", dav("REPORT", home+"work/", `<?xml version="1.0"?><C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop><C:calendar-data/></D:prop><C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT"><C:time-range start="20240102T000000Z" end="20240103T000000Z"/></C:comp-filter></C:comp-filter></C:filter></C:calendar-query>`, "Depth: 1"),
		207, "SUMMARY:Frühstück")
	if got := dav("HEAD", home+"work/one.ics", ""); got.Status != 200 || len(got.Body) != 0 || got.Header.Get("Etag") != etag {
		t.Errorf("HEAD: %d %v", got.Status, got.Header)
	}
	var wait sync.WaitGroup
	for n := range 40 { // the storage is locked between two processes
		wait.Go(func() {
			got, err := apache.Try(t.Context(), "PUT", fmt.Sprintf("%swork/p%d.ics", home, n), strings.NewReader(event(fmt.Sprintf("p%d", n), "x")), basic, "Content-Type: text/calendar")
			if err != nil || got.Status != 201 {
				t.Errorf("PUT %d: %v %+v", n, err, got)
			}
		})
	}
	wait.Wait()
	page := dav("PROPFIND", home+"work/", "", "Depth: 1")
	if n := strings.Count(page.Text(), ".ics</href>"); n != 41 {
		t.Errorf("%d events, want 41", n)
	}
	wantStatus(t, "DELETE", dav("DELETE", home+"work/", ""), 200)
	wantStatus(t, "gone", dav("GET", home+"work/one.ics", ""), 404)
	wsgid.Log.Await(t, "a log line of Radicale with the request's id", func(r harness.Record) bool {
		return strings.Contains(r.Line, "PUT request for") && strings.Contains(r.Line, `"request":`)
	})
}

// TestGraphite: Graphite's web application from Debian's own script, as
// Debian's apache2-graphite.conf starts it under mod_wsgi.
func TestGraphite(t *testing.T) {
	w, data := realWorld(t)
	w.Write("conf/own_settings.py", fmt.Sprintf(`
from datetime import datetime
SECRET_KEY = "only for the tests"
ALLOWED_HOSTS = ["*"]
TIME_ZONE = "UTC"
GRAPHITE_ROOT = "/usr/share/graphite-web"
CONF_DIR = "/etc/graphite"
STORAGE_DIR = WHISPER_DIR = %q
STATIC_ROOT = "/usr/share/graphite-web/static"
LOG_DIR = %q
LOG_ROTATION = False
INDEX_FILE = %q
CARBONLINK_HOSTS = []
DATABASES = {"default": {"NAME": %q, "ENGINE": "django.db.backends.sqlite3", "USER": "", "PASSWORD": "", "HOST": "", "PORT": ""}}
`, data, data, filepath.Join(data, "index"), filepath.Join(data, "graphite.db")))
	env := []string{"DJANGO_SETTINGS_MODULE=graphite.settings", "GRAPHITE_SETTINGS_MODULE=own_settings", "PYTHONPATH=" + w.Path("conf")}
	asRealUser(t, data, env, "/usr/bin/graphite-manage", "migrate", "--run-syncdb", "--verbosity", "0")
	asRealUser(t, data, append(env, "DJANGO_SUPERUSER_PASSWORD=secret", "DJANGO_SUPERUSER_EMAIL=a@example.org"),
		"/usr/bin/graphite-manage", "createsuperuser", "--noinput", "--username", "admin")
	asRealUser(t, data, nil, harness.SystemPython, "-c", "import os, sys, time, whisper\n"+
		"os.makedirs('servers/web')\nwhisper.create('servers/web/load.wsp', [(60, 1440)])\nnow = int(time.time())\n"+
		"whisper.update_many('servers/web/load.wsp', [(now - 60 * i, 40 + i) for i in range(1, 30)])")
	const script = "/usr/share/graphite-web/graphite.wsgi"
	w.Configure(group("graphite", fmt.Sprintf("#%d", realUser), 2, 5, environmentOf("GRAPHITE_SETTINGS_MODULE=own_settings"), fmt.Sprintf("python_path = [%q]", w.Path("conf"))) +
		fmt.Sprintf("script_alias \"/\" {\n  target = %q\n}\n", script))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: "ProxyPass \"/static/\" !\nAlias \"/static/\" \"/usr/share/graphite-web/static/\"\n" + harness.ProxyPass})
	wantStatus(t, "page", apache.Get("/"), 200, "<title>Graphite Browser</title>")
	wantStatus(t, "find", apache.Get("/metrics/find?query=servers.web.*"), 200, `"id": "servers.web.load"`)
	wantStatus(t, "json", apache.Get("/render?target=maxSeries(servers.web.load)&format=json&from=-40min"), 200, "servers.web.load", "69.0")
	if got := apache.Do("POST", "/render", strings.NewReader("target=servers.web.load&format=png&width=400&height=300"), "Content-Type: application/x-www-form-urlencoded"); got.Status != 200 ||
		!strings.HasPrefix(got.Text(), "\x89PNG\r\n") || got.Header.Get("Content-Type") != "image/png" {
		t.Errorf("png: %d %v %.100q", got.Status, got.Header, got.Body)
	}
	login := apache.Get("/account/login")
	if login.Status != 200 {
		t.Fatalf("login page: %d %.500s", login.Status, login.Body)
	}
	form := url.Values{"username": {"admin"}, "password": {"secret"}, "nextPage": {"/"}}
	var headers []string
	if found := csrfField.FindStringSubmatch(login.Text()); found != nil {
		form.Set("csrfmiddlewaretoken", found[1])
		headers = append(headers, "Cookie: "+cookieOf(t, login, "csrftoken"))
	}
	logged := apache.Do("POST", "/account/login", strings.NewReader(form.Encode()), append(headers, "Content-Type: application/x-www-form-urlencoded")...)
	if logged.Status != 302 {
		t.Fatalf("login: %d %.500s", logged.Status, logged.Body)
	}
	wantStatus(t, "profile", apache.Get("/account/edit", "Cookie: "+cookieOf(t, logged, "sessionid")), 200, "admin")
}

// TestKeystone: OpenStack's identity service with SQLite, from its own WSGI
// script: a token is issued and used.
func TestKeystone(t *testing.T) {
	w, data := realWorld(t)
	conf := w.Write("keystone/keystone.conf", fmt.Sprintf("[DEFAULT]\nuse_stderr = true\n[database]\nconnection = sqlite:///%s/keystone.db\n"+
		"[fernet_tokens]\nkey_repository = %s/fernet\n[fernet_receipts]\nkey_repository = %s/fernet\n[credential]\nkey_repository = %s/credential\n[cache]\nenabled = false\n", data, data, data, data))
	manage := func(argv ...string) {
		t.Helper()
		asRealUser(t, data, nil, append([]string{"/usr/bin/keystone-manage", "--config-file", conf}, argv...)...)
	}
	must(t, os.Mkdir(filepath.Join(data, "fernet"), 0o700))
	must(t, os.Mkdir(filepath.Join(data, "credential"), 0o700))
	for _, name := range []string{"fernet", "credential"} {
		must(t, os.Chown(filepath.Join(data, name), realUser, realUser))
	}
	manage("db_sync")
	// Readers of one process shall not keep the other from writing.
	asRealUser(t, data, nil, harness.SystemPython, "-c", "import sqlite3\nsqlite3.connect('keystone.db').execute('PRAGMA journal_mode=WAL')")
	manage("fernet_setup")
	manage("credential_setup")
	manage("bootstrap", "--bootstrap-password", "geheim", "--bootstrap-public-url", "http://localhost/identity/v3", "--bootstrap-region-id", "one")
	w.Configure(group("keystone", fmt.Sprintf("#%d", realUser), 2, 5, environmentOf("OS_KEYSTONE_CONFIG_FILES="+conf), "startup_timeout = 300") +
		"script_alias \"/identity\" {\n  target = \"/usr/bin/keystone-wsgi-public\"\n}\n")
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	wantStatus(t, "versions", apache.Get("/identity/v3"), 200, `"id": "v3.14"`, apache.Base+"/identity/v3/")
	ask := func(password string) *harness.Response {
		t.Helper()
		body := fmt.Sprintf(`{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "admin", "domain": {"id": "default"}, "password": %q}}},
			"scope": {"project": {"name": "admin", "domain": {"id": "default"}}}}}`, password)
		return apache.Do("POST", "/identity/v3/auth/tokens", strings.NewReader(body), "Content-Type: application/json")
	}
	wantStatus(t, "wrong password", ask("falsch"), 401, `"title":"Unauthorized"`)
	issued := ask("geheim")
	wantStatus(t, "token", issued, 201, `"name": "admin"`)
	token := issued.Header.Get("X-Subject-Token")
	if token == "" {
		t.Fatalf("no token in %v", issued.Header)
	}
	wantStatus(t, "users", apache.Get("/identity/v3/users", "X-Auth-Token: "+token), 200, `"name": "admin"`)
	wantStatus(t, "users without a token", apache.Get("/identity/v3/users"), 401)
	wantStatus(t, "new project", apache.Do("POST", "/identity/v3/projects", strings.NewReader(`{"project": {"name": "größe"}}`),
		"Content-Type: application/json", "X-Auth-Token: "+token), 201, `gr\u00f6\u00dfe`)
	var wait sync.WaitGroup
	for range 10 {
		wait.Go(func() {
			// Its policy engine is made by the first in a process who needs it, and
			// says 403 to others who ask meanwhile.
			for try := 1; ; try++ {
				got, err := apache.Try(t.Context(), "GET", "/identity/v3/auth/tokens", nil, "X-Auth-Token: "+token, "X-Subject-Token: "+token)
				if err == nil && got.Status == 403 && try < 20 {
					time.Sleep(100 * time.Millisecond)
					continue
				}
				if err != nil || got.Status != 200 {
					t.Errorf("validation: %v %+v", err, got)
				}
				return
			}
		})
	}
	wait.Wait()
	wantStatus(t, "revoke", apache.Do("DELETE", "/identity/v3/auth/tokens", nil, "X-Auth-Token: "+token, "X-Subject-Token: "+token), 204)
}

// TestPyramid: an application from its .ini file, as Pyramid's page about mod_wsgi says.
func TestPyramid(t *testing.T) {
	w, _ := realWorld(t)
	site := w.App("real/pyramid_site")
	w.Configure(group("pyramid", fmt.Sprintf("#%d", realUser), 2, 4, fmt.Sprintf("python_path = [%q]", site)) +
		mount("/myapp", "apps/real/pyramid_site/pyramid.wsgi"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	wantStatus(t, "hello", apache.Get("/myapp/hello/J%C3%BCrgen"), 200, `"greeting": "Hello"`, `J\u00fcrgen`, "/myapp/hello/J%C3%BCrgen")
	wantStatus(t, "not found", apache.Get("/myapp/nothing"), 404)
	logged := apache.Do("POST", "/myapp/login", strings.NewReader("user=joe&password=secret"), "Content-Type: application/x-www-form-urlencoded")
	if logged.Status != 302 || logged.Header.Get("Location") != apache.Base+"/myapp/me" {
		t.Fatalf("login: %d %v", logged.Status, logged.Header)
	}
	wantStatus(t, "me", apache.Get("/myapp/me", "Cookie: "+cookieOf(t, logged, "session")), 200, "joe")
	content := payload(2 << 20)
	body, header := multipartFile(t, content)
	wantStatus(t, "upload", apache.Do("POST", "/myapp/upload", body, header), 200, digest(content))
	if lines := strings.Count(apache.Get("/myapp/stream").Text(), "\n"); lines != 1000 {
		t.Errorf("stream: %d lines", lines)
	}
	wsgid.Log.Await(t, "Pyramid's logging with its level", func(r harness.Record) bool {
		return strings.Contains(r.Line, "hello J") && strings.Contains(r.Line, `"@level":"info"`)
	})
}

// TestBottle: as Bottle's page about mod_wsgi says.
func TestBottle(t *testing.T) {
	w, _ := realWorld(t)
	script := w.App("real/bottle_site.py")
	w.Configure(group("bottle", fmt.Sprintf("#%d", realUser), 2, 4) + mount("/bottle", "apps/real/bottle_site.py"))
	w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	wantStatus(t, "hello", apache.Get("/bottle/hello/J%C3%BCrgen"), 200, "Hello Jürgen at http://", "/bottle/hello/J%C3%BCrgen")
	content := payload(1 << 20)
	body, header := multipartFile(t, content)
	wantStatus(t, "form", apache.Do("POST", "/bottle/form", body, header), 200, fmt.Sprintf(`"size": %d`, len(content)), `r\u00e4ksm\u00f6rg\u00e5s`)
	logged := apache.Get("/bottle/login")
	if logged.Status != 303 || !strings.HasSuffix(logged.Header.Get("Location"), "/bottle/me") {
		t.Fatalf("login: %d %v", logged.Status, logged.Header)
	}
	wantStatus(t, "me", apache.Get("/bottle/me", "Cookie: "+cookieOf(t, logged, "account")), 200, "käthe")
	wantStatus(t, "nobody", apache.Get("/bottle/me"), 401, "who are you")
	source := apache.Get("/bottle/source") // by wsgi.file_wrapper
	if source.Text() != readFile(t, script) {
		t.Errorf("source: %d, %d bytes", source.Status, len(source.Body))
	}
	if got := apache.Get("/bottle/source", "Range: bytes=10-19"); got.Status != 206 || got.Text() != readFile(t, script)[10:20] {
		t.Errorf("range: %d %q", got.Status, got.Body)
	}
	if lines := strings.Count(apache.Get("/bottle/count").Text(), "\n"); lines != 1000 {
		t.Errorf("count: %d lines", lines)
	}
}

// TestExtensionModules: NumPy, psycopg2 and lxml from Debian in the main
// interpreter, called by many threads.
func TestExtensionModules(t *testing.T) {
	w, _ := realWorld(t)
	w.App("real/extensions.py")
	w.Configure(group("ext", fmt.Sprintf("#%d", realUser), 2, 8) + mount("/", "apps/real/extensions.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: harness.ProxyPass})
	var wait sync.WaitGroup
	for n := range 20 {
		wait.Go(func() {
			for range rounds(10, 50) {
				got, err := apache.Try(t.Context(), "POST", "/", strings.NewReader(fmt.Sprintf("<a><b>%d</b></a>", n)))
				if err != nil || got.Status != 200 || !strings.Contains(got.Text(), fmt.Sprintf(`"text": "%d"`, n)) ||
					!strings.Contains(got.Text(), `"trace": 251616502500.0`) {
					t.Errorf("%v %+v", err, got)
					return
				}
			}
		})
	}
	wait.Wait()
	wantStatus(t, "once", apache.Get("/"), 200, `"connected": "OperationalError"`, `"quoted": "'it''s'"`, `"text": "1"`)
	if exits := wsgid.Status().Group("ext").Restarts; len(exits) != 0 {
		t.Errorf("processes ended: %v", exits)
	}
}
