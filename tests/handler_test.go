package tests

import (
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// byFile makes a directory of scripts, each of which answers with its environ.
func byFile(w *harness.World, dir string) {
	w.T.Helper()
	w.App("environ.py")
	source := "import sys\nsys.path.insert(0, '" + w.Path("apps") + "')\nfrom environ import application\n"
	for _, name := range []string{"one.py", "index.py", "a b.py", "sub/two.py", "sub/index.py", "bare/three.py"} {
		w.Write(dir+"/"+name, source)
	}
}

// TestScriptRoot: Alias, SetHandler and WSGID_EXEC_CGI answer each request
// exactly as a script_alias of the directory does behind Alias and SetHandler,
// and 403 where one of trust and permission is missing.
func TestScriptRoot(t *testing.T) {
	w := newWorld(t)
	byFile(w, "scripts")
	byFile(w, "closed")
	byFile(w, "aliased")
	w.Configure(trusted + group("only", "#64001", 1, 4) +
		"script_root \"{{.Dir}}/scripts\" {}\nscript_root \"{{.Dir}}/closed\" {}\n" + mount("/alias/", "aliased/"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: trustedProxy + harness.HandlerProxy + `
Alias "/exec/" "{{.Dir}}/scripts/"
Alias "/alias/" "{{.Dir}}/aliased/"
Alias "/plain/" "{{.Dir}}/scripts/"
Alias "/untrusted/" "{{.Dir}}/scripts/"
Alias "/closed/" "{{.Dir}}/closed/"
Alias "/removed/" "{{.Dir}}/scripts/"
<DirectoryMatch "^{{.Dir}}/(scripts|aliased)">
  ` + trustedHandler + `
  DirectoryIndex index.py
</DirectoryMatch>
<Directory "{{.Dir}}/closed">
  ` + trustedHandler + `
</Directory>
<Location "/exec/">
  SetEnv WSGID_EXEC_CGI 1
</Location>
<Location "/untrusted/">
  ` + harness.Handler + `
  SetEnv WSGID_EXEC_CGI 1
</Location>
<Location "/removed/">
  SetEnv WSGID_EXEC_CGI 1
  ProxyFCGISetEnvIf true !WSGID_EXEC_CGI
</Location>
<Location "/closed/">
  SetEnv WSGID_EXEC_CGI off
</Location>
`})
	for _, url := range []string{"one.py", "one.py/", "one.py/x/y", "one.py//x", "one.py/a%20b", "one.py?q=%41", "a%20b.py", "a%20b.py/x", "/one.py", "./one.py", "sub/../one.py/z",
		"sub/two.py", "sub/two.py/x", "", "sub/", "sub", "bare/", "bare", "missing.py", "missing.py/x", "missing/", "sub/missing", "../secret", "%2e%2e/scripts/one.py", "one.py%00", "one%2epy", "one%252epy", "..%2fone.py"} {
		alias, exec := apache.Get("/alias/"+url), apache.Get("/exec/"+url)
		if alias.Status != exec.Status || alias.Header.Get("X-WSGID-Error") != exec.Header.Get("X-WSGID-Error") {
			t.Errorf("%q: script_alias %d %s, SetHandler %d %s", url, alias.Status, alias.Header.Get("X-WSGID-Error"), exec.Status, exec.Header.Get("X-WSGID-Error"))
			continue
		}
		if location := alias.Header.Get("Location"); strings.Replace(location, "/alias/", "/exec/", 1) != exec.Header.Get("Location") {
			t.Errorf("%q: script_alias leads to %q, SetHandler to %q", url, location, exec.Header.Get("Location"))
		}
		wantWithout := exec.Status
		if exec.Status == 200 {
			a, e := look(t, alias), look(t, exec)
			for _, name := range []string{"SCRIPT_NAME", "PATH_INFO", "SCRIPT_FILENAME", "QUERY_STRING", "mod_wsgi.script_name", "mod_wsgi.path_info", "mod_wsgi.request_handler", "mod_wsgi.handler_script"} {
				if got := strings.NewReplacer("/alias/", "/exec/", "/aliased/", "/scripts/").Replace(a.env(name)); got != e.env(name) {
					t.Errorf("%q: %s is %q by script_alias, %q by SetHandler", url, name, got, e.env(name))
				}
			}
		}
		if code := exec.Header.Get("X-WSGID-Error"); exec.Status == 200 || code != "" {
			wantWithout = 403
		}
		for _, prefix := range []string{"/plain/", "/untrusted/"} {
			if got := apache.Get(prefix + url); got.Status != wantWithout || wantWithout == 403 && !strings.Contains(got.Text(), "WSGID-1033") {
				t.Errorf("%s%s: status %d %.300s, want %d", prefix, url, got.Status, got.Body, wantWithout)
			}
		}
	}
	wantError(t, apache.Get("/closed/one.py"), 403, "WSGID-1033")
	wantError(t, apache.Get("/removed/one.py"), 403, "WSGID-1033")
	wsgid.Log.Await(t, "the refusal", harness.Containing("WSGID-1033", "does not set WSGID_EXEC_CGI"))
	wsgid.Log.Await(t, "the refusal", harness.Containing("WSGID-1033", "no trust_front_server"))
	wantError(t, apache.Get("/plain/one.py", "WSGID-EXEC-CGI: 1", "WSGID_EXEC_CGI: 1"), 403, "WSGID-1033")
}

// TestScriptRootForms: every way in which Apache gives files of a directory to
// wsgid and says that they may run.
func TestScriptRootForms(t *testing.T) {
	t.Parallel()
	handler := strings.TrimSpace(strings.TrimPrefix(trustedHandler, "SetHandler"))
	for name, config := range map[string]string{
		"AddHandler": "<Directory \"{{.Dir}}/scripts\">\n  AddHandler " + handler + " .py\n  SetEnv WSGID_EXEC_CGI On\n</Directory>\n",
		"FilesMatch": "<FilesMatch \"\\.py$\">\n  " + trustedHandler + "  SetEnvIf Request_URI .py WSGID_EXEC_CGI=1\n</FilesMatch>\n",
		"Location":   "<Location \"/scripts\">\n  " + trustedHandler + "  SetEnv WSGID_EXEC_CGI true\n</Location>\n",
		"GENERIC":    "<Directory \"{{.Dir}}/scripts\">\n  ProxyFCGIBackendType GENERIC\n  " + trustedHandler + "  SetEnv WSGID_EXEC_CGI 1\n</Directory>\n",
		"late":       "<Directory \"{{.Dir}}/scripts\">\n  " + trustedHandler + "  SetEnv WSGID_EXEC_CGI Off\n  ProxyFCGISetEnvIf true WSGID_EXEC_CGI 1\n</Directory>\n",
		".htaccess":  "AccessFileName .htaccess\n<Directory \"{{.Dir}}/scripts\">\n  AllowOverride FileInfo\n</Directory>\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			byFile(w, "scripts")
			w.Write("scripts/.htaccess", w.Expand(trustedHandler+"SetEnv WSGID_EXEC_CGI 1\n"))
			w.Configure(trusted + group("only", "#64001", 1, 2) + "script_root \"{{.Dir}}/scripts\" {}\n")
			w.Start(harness.Options{})
			apache := w.StartApache(harness.ApacheOptions{Config: "LoadModule mime_module /usr/lib/apache2/modules/mod_mime.so\nTypesConfig /dev/null\n" +
				trustedProxy + "Alias \"/scripts\" \"{{.Dir}}/scripts\"\n" + config})
			for _, url := range []string{"/scripts/one.py", "/scripts/sub/two.py", "/scripts/a%20b.py"} {
				v := look(t, apache.Get(url))
				if want := strings.ReplaceAll(url, "%20", " "); v.env("SCRIPT_NAME") != want || v.env("SCRIPT_FILENAME") != w.Dir+want || v.env("PATH_INFO") != "" {
					t.Errorf("%s: %s, %s, %s", url, v.env("SCRIPT_NAME"), v.env("SCRIPT_FILENAME"), v.env("PATH_INFO"))
				}
			}
			if v := look(t, apache.Get("/scripts/one.py/x")); v.env("SCRIPT_NAME") != "/scripts/one.py" || v.env("PATH_INFO") != "/x" {
				t.Errorf("path info: %s, %s", v.env("SCRIPT_NAME"), v.env("PATH_INFO"))
			}
		})
	}
}

// TestHandlerScript: files of another kind are served by a script, which finds
// them in SCRIPT_FILENAME.
func TestHandlerScript(t *testing.T) {
	w := newWorld(t)
	byFile(w, "scripts")
	w.Write("docs/a.md", "text")
	w.Write("docs/a b.md", "text")
	w.Write("docs/plain.txt", "plain")
	w.Write("handlers/markdown.py", "import sys\nsys.path.insert(0, '"+w.Path("apps")+"')\nimport environ as e\n"+
		"def handle_request(environ, start_response):\n    return e.answer(environ, start_response, 'handle_request')\n")
	w.Write("docs/.htaccess", "SetEnv WSGID_CALLABLE_OBJECT other\n")
	w.Configure(trusted + group("only", "#64001", 1, 4) +
		"handler_script \"markdown\" {\n  target = \"{{.Dir}}/handlers/markdown.py\"\n  application_group = \"markdown\"\n}\n" + mount("/", "apps/environ.py"))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: `
AccessFileName .htaccess
` + trustedProxy + `
Alias "/docs" "{{.Dir}}/docs"
<Directory "{{.Dir}}/docs">
  AllowOverride FileInfo
</Directory>
<FilesMatch "\.md$">
  ` + trustedHandler + `
  SetEnv WSGID_HANDLER markdown
</FilesMatch>
<Files "wrong.md">
  SetEnv WSGID_HANDLER markdwon
</Files>
<LocationMatch "/none\.md$">
  AcceptPathInfo Off
  SetEnv WSGID_ACCEPT_PATH_INFO Off
</LocationMatch>
ProxyPass "/docs" !
ProxyPass "/" "unix:{{.Dir}}/trusted.sock|fcgi://trusted/"
`})
	for url, want := range map[string][2]string{
		"/docs/a.md": {"docs/a.md", ""}, "/docs/a.md/x/y": {"docs/a.md", "/x/y"}, "/docs/a%20b.md": {"docs/a b.md", ""},
		"/docs/missing.md": {"docs/missing.md", ""},
	} {
		v := look(t, apache.Get(url, "WSGID-Handler: other"))
		script, _, _ := strings.Cut(strings.ReplaceAll(url, "%20", " "), ".md")
		if v.Entry != "handle_request" || v.env("SCRIPT_FILENAME") != w.Path(want[0]) || v.env("PATH_INFO") != want[1] || v.env("SCRIPT_NAME") != script+".md" ||
			v.env("mod_wsgi.handler_script") != w.Path("handlers/markdown.py") || v.env("mod_wsgi.request_handler") != "markdown" ||
			v.env("mod_wsgi.application_group") != "markdown" || v.env("mod_wsgi.callable_object") != "handle_request" {
			t.Errorf("%s: %s %v", url, v.Entry, v.Environ)
		}
	}
	if got := apache.Get("/docs/plain.txt"); got.Text() != "plain" {
		t.Errorf("another kind of file: %d %q", got.Status, got.Body)
	}
	if v := look(t, apache.Get("/elsewhere.md")); v.Entry != "application" || v.env("mod_wsgi.handler_script") != "" || v.env("mod_wsgi.request_handler") != "wsgi-script" {
		t.Errorf("by URL: %s %v", v.Entry, v.Environ)
	}
	wantError(t, apache.Get("/docs/wrong.md"), 500, "WSGID-1031")
	wsgid.Log.Await(t, "the refusal", harness.Containing("WSGID-1031", `"value":"markdwon"`))
	look(t, apache.Get("/docs/none.md"))
	wantError(t, apache.Get("/docs/a.md/none.md"), 404, "WSGID-1034")
}
