package tests

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

var csrfField = regexp.MustCompile(`name="csrfmiddlewaretoken" value="([^"]+)"`)

// cookieOf is the name=value of a cookie that a response sets.
func cookieOf(t *testing.T, response *harness.Response, name string) string {
	t.Helper()
	for _, line := range response.Header.Values("Set-Cookie") {
		if value, _, _ := strings.Cut(line, ";"); strings.HasPrefix(value, name+"=") {
			return value
		}
	}
	t.Fatalf("no cookie %s in %v", name, response.Header)
	return ""
}

// multipartFile is the body of a form with one file and one field.
func multipartFile(t *testing.T, content []byte) (body *bytes.Buffer, header string) {
	t.Helper()
	body = &bytes.Buffer{}
	writer := multipart.NewWriter(body)
	part, err := writer.CreateFormFile("file", "data.bin")
	if err == nil {
		_, err = part.Write(content)
	}
	if err == nil {
		err = writer.WriteField("note", "räksmörgås")
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return body, "Content-Type: " + writer.FormDataContentType()
}

// djangoWorld starts the site of apps/django_site in two processes, with its
// tables made, below /site.
func djangoWorld(t *testing.T, front string) (*harness.World, *harness.Wsgid, *harness.Apache) {
	harness.NeedModule(t, "django", "python3-django")
	w := newWorld(t)
	site := w.App("django_site")
	data := w.Path("data")
	const uid = 64003
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(data, uid, uid); err != nil {
		t.Fatal(err)
	}
	migrate := exec.Command(harness.SystemPython, "manage.py", "migrate", "--verbosity", "0")
	migrate.Dir = site
	migrate.Env = []string{"DJANGO_DATA=" + data, "PATH=/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1"}
	migrate.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	if out, err := migrate.CombinedOutput(); err != nil {
		t.Fatalf("making the tables: %v\n%s", err, out)
	}
	// Write-ahead logging, kept in the file: two processes of many threads that
	// each delete the other's rollback journal is not what is tested here.
	journal := exec.Command(harness.SystemPython, "-c",
		"import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA journal_mode=WAL')", filepath.Join(data, "db.sqlite3"))
	journal.SysProcAttr = migrate.SysProcAttr
	if out, err := journal.CombinedOutput(); err != nil {
		t.Fatalf("journal mode: %v\n%s", err, out)
	}
	w.Configure(group("django", fmt.Sprintf("#%d", uid), 2, 4, fmt.Sprintf("environment = { DJANGO_DATA = %q }", data)) +
		mount("/site", "apps/django_site/wsgi.py"))
	return w, w.Start(harness.Options{}), w.StartApache(harness.ApacheOptions{Config: front})
}

var djangoFronts = map[string]string{
	"ProxyPass": harness.ProxyPass,
	"SetHandler": "Alias \"/site\" \"{{.Dir}}/apps/django_site/wsgi.py\"\n" + harness.HandlerProxy +
		"<Directory {{.Dir}}/apps/django_site>\n  <Files wsgi.py>\n    " + harness.Handler + "\n  </Files>\n</Directory>\n",
}

// TestDjango: a form with CSRF protection, sessions, an upload, a stream, a
// failing view.
func TestDjango(t *testing.T) {
	t.Parallel()
	for name, front := range djangoFronts {
		t.Run(name, func(t *testing.T) {
			w, wsgid, apache := djangoWorld(t, front)
			page := apache.Get("/site/")
			field := csrfField.FindStringSubmatch(page.Text())
			if page.Status != 200 || field == nil {
				t.Fatalf("%d %s", page.Status, page.Body)
			}
			cookie := cookieOf(t, page, "csrftoken")
			form := url.Values{"csrfmiddlewaretoken": {field[1]}, "text": {"grüße & <b>küsse</b>"}}.Encode()
			const formType = "Content-Type: application/x-www-form-urlencoded"
			if got := apache.Do("POST", "/site/", strings.NewReader(form), formType); got.Status != 403 {
				t.Errorf("without the cookie: %d", got.Status)
			}
			posted := apache.Do("POST", "/site/", strings.NewReader(form), formType, "Cookie: "+cookie)
			if posted.Status != 302 || posted.Header.Get("Location") != "/site/" {
				t.Fatalf("the form: %d to %q: %s", posted.Status, posted.Header.Get("Location"), posted.Body)
			}
			if got := apache.Get("/site/").Text(); !strings.Contains(got, "<li>grüße &amp; &lt;b&gt;küsse&lt;/b&gt;</li>") {
				t.Errorf("the entry is missing: %s", got)
			}
			visit := apache.Get("/site/visits")
			session := cookieOf(t, visit, "sessionid")
			for number := 2; number <= 8; number++ { // whichever process answers
				if got := apache.Get("/site/visits", "Cookie: "+session).Text(); got != fmt.Sprint(number) {
					t.Errorf("visit %d counts %q", number, got)
				}
			}
			gate := w.Path("gate")
			readStream(t, apache, "/site/stream?gate="+gate, gate, "line %d\n")
			content := payload(3 << 20)
			body, contentType := multipartFile(t, content)
			if got := apache.Do("POST", "/site/upload", body, contentType); got.Status != 200 || !strings.Contains(got.Text(), digest(content)) {
				t.Errorf("upload: %d %s", got.Status, got.Body)
			}
			if got := apache.Get("/site/fail"); got.Status != 500 {
				t.Errorf("a failing view: %d", got.Status)
			}
			wsgid.Log.Await(t, "the traceback of the view", harness.Containing("RuntimeError: a view that fails", "in fail", "django"))
			if got := apache.Get("/site"); got.Status != 301 && got.Status != 200 {
				t.Errorf("the bare prefix: %d", got.Status)
			}
		})
	}
}

// TestDjangoParallel: many clients at once, each with a session of its own.
func TestDjangoParallel(t *testing.T) {
	_, _, apache := djangoWorld(t, harness.ProxyPass)
	visits := rounds(5, 50)
	var wait sync.WaitGroup
	for range 10 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			cookie := "Cookie: none=1"
			for number := 1; number <= visits; number++ {
				response, err := apache.Try(t.Context(), "GET", "/site/visits", nil, cookie)
				if err != nil || response.Text() != fmt.Sprint(number) {
					t.Errorf("visit %d: %v %+v", number, err, response)
					return
				}
				for _, line := range response.Header.Values("Set-Cookie") {
					value, _, _ := strings.Cut(line, ";")
					cookie = "Cookie: " + value
				}
			}
		}()
	}
	wait.Wait()
}
