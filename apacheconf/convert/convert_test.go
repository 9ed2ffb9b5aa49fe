package convert

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/wsgid/wsgid/apacheconf"
	"github.com/wsgid/wsgid/config"
)

// memory is a file system of names and contents.
type memory struct{ fstest.MapFS }

func (m memory) ReadFile(name string) ([]byte, error)       { return m.MapFS.ReadFile(plain(name)) }
func (m memory) ReadDir(name string) ([]fs.DirEntry, error) { return m.MapFS.ReadDir(plain(name)) }
func (m memory) Stat(name string) (fs.FileInfo, error)      { return m.MapFS.Stat(plain(name)) }

func plain(name string) string {
	if name = strings.TrimPrefix(filepath.Clean(name), "/"); name == "" {
		return "."
	}
	return name
}

func filesOf(files map[string]string) memory {
	m := memory{fstest.MapFS{}}
	for name, text := range files {
		m.MapFS[plain(name)] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

// convertFiles converts /etc/apache2/apache2.conf of files, for /new.
func convertFiles(t testing.TB, files map[string]string, o Options) (*Result, error) {
	t.Helper()
	fsys := filesOf(files)
	cfg, err := apacheconf.Load("/etc/apache2/apache2.conf", apacheconf.Options{ServerRoot: "/etc/apache2", FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	o.OutDir, o.FS = "/new", fsys
	return Convert(cfg, o)
}

// TestConvert: pieces of configurations, and what must (or with ! must not) be in
// Apache's new one and in wsgid's.
func TestConvert(t *testing.T) {
	const web = "WSGIDaemonProcess web\nWSGIProcessGroup web\n"
	for name, row := range map[string]struct {
		source      string
		options     Options
		apache, hcl []string
	}{
		"a comment in its place": {source: "A b\n  WSGIDaemonProcess web\nC d\nWSGIScriptAlias / /s/a.wsgi\n", apache: []string{"A b\n  # WSGIDaemonProcess web\nC d\n"}},
		"continuation lines":     {source: "WSGIDaemonProcess web \\\n  threads=3\nX\nWSGIScriptAlias / /s/a.wsgi\n", apache: []string{"# WSGIDaemonProcess web \\\n  threads=3\nX\n"}, hcl: []string{"threads          = 3"}},
		"without a line end":     {source: web + "WSGIScriptAlias / /s/a.wsgi", apache: []string{"# WSGIScriptAlias / /s/a.wsgi\nAlias \"/\" \"/s/a.wsgi/\"\n"}},
		"CRLF":                   {source: "X y\r\nWSGIScriptAlias /a /s/a.wsgi\r\n", apache: []string{"X y\r\n# WSGIScriptAlias /a /s/a.wsgi\r\nAlias \"/a\" \"/s/a.wsgi\"\r\n<Directory \"/s\">\r\n"}},
		"modules": {source: "LoadModule env_module modules/mod_env.so\nLoadModule wsgi_module /venv/mod_wsgi.so\nWSGIScriptAlias /a /s/a.wsgi\n", apache: []string{
			"# LoadModule wsgi_module", "LoadModule proxy_fcgi_module modules/mod_proxy_fcgi.so", "!<IfModule !env_module>"}},
		"modules that are asked for": {source: "LoadModule env_module modules/mod_env.so\n<IfModule !wsgi_module>\nLoadModule wsgi_module modules/mod_wsgi.so\n</IfModule>\n<IfModule mod_wsgi.c>\nWSGIScriptAlias /a /s/a.wsgi\n</IfModule>\n<IfModule !mod_wsgi.c>\nNo\n</IfModule>\n",
			apache: []string{"<IfModule !wsgi_module>\n# LoadModule", "<IfModule proxy_fcgi_module>\n# WSGIScriptAlias", "<IfModule !proxy_fcgi_module>\nNo"}},
		"behind other aliases": {source: web + "<VirtualHost *:80>\n  WSGIScriptAlias / /s/a.wsgi\n  Alias /x /y\n</VirtualHost>\n", apache: []string{
			"  # WSGIScriptAlias / /s/a.wsgi\n  Alias /x /y\n    # From", "</Directory>\n</VirtualHost>"}},
		"aliases of other URLs":     {source: web + "WSGIScriptAlias /a /s/a.wsgi\nAlias /x /y\n", apache: []string{"Alias \"/a\" \"/s/a.wsgi\"\n", "!behind all Alias lines"}},
		"aliases of the server":     {source: web + "Alias /a/static /y\n<VirtualHost *:80>\nWSGIScriptAlias /a /s/a.wsgi\n</VirtualHost>\n", apache: []string{"    Alias /a/static /y\n    Alias \"/a\""}},
		"one file twice":            {source: web + "WSGIScriptAlias /a /s/a.wsgi\nWSGIScriptAlias /b /s/a.wsgi\n", apache: []string{"# WSGIScriptAlias /b /s/a.wsgi\nAlias \"/b\" \"/s/a.wsgi\"\n\n"}},
		"an expression":             {source: web + "WSGIScriptAliasMatch ^/([a-z]+)/(x|y) /s/$1.wsgi\n", apache: []string{`AliasMatch "(?:^/([a-z]+)/(x|y))(.*)" "/s/$1.wsgi$3"`, `<FilesMatch "\.wsgi$">`}, hcl: []string{`script_alias_match "^/([a-z]+)/(x|y)"`}},
		"pass-authorization":        {source: web + "WSGIPassAuthorization On\nWSGIScriptAlias /a /s/a.wsgi\nWSGIScriptAlias /b /s/b.wsgi pass-authorization=Off\n", apache: []string{"<Files \"a.wsgi\">\n        SetHandler \"proxy:unix:/run/wsgid/wsgid.sock|fcgi://wsgid/\"\n        SetEnv ap_trust_cgilike_cl 1\n        CGIPassAuth On\n    </Files>", "<Files \"b.wsgi\">\n        SetHandler \"proxy:unix:/run/wsgid/wsgid.sock|fcgi://wsgid/\"\n        SetEnv ap_trust_cgilike_cl 1\n    </Files>"}},
		"a context of all requests": {source: web + "WSGIDaemonProcess two\nWSGIScriptAlias /a /s/a.wsgi\n<Directory /s>\nWSGIProcessGroup two\n</Directory>\n", apache: []string{"!SetEnv WSGID_PROCESS_GROUP"}, hcl: []string{`process_group     = "two"`}},
		"a context of some":         {source: web + "WSGIDaemonProcess two\nWSGIScriptAlias /a /s/a.wsgi\n<Location /a/b>\nWSGIProcessGroup two\n</Location>\n", apache: []string{"SetEnv WSGID_PROCESS_GROUP \"two\""}, hcl: []string{`process_group     = "web"`, `restrict_process  = ["web", "two"]`, `"process_group"`}},
		"the outer one then, too":   {source: web + "WSGIDaemonProcess two\nWSGIScriptAlias /a /s/a.wsgi\n<Location /a>\nWSGIProcessGroup two\n</Location>\n<LocationMatch x>\nWSGIProcessGroup web\n</LocationMatch>\n", apache: []string{"SetEnv WSGID_PROCESS_GROUP \"two\"", "SetEnv WSGID_PROCESS_GROUP \"web\""}},
		"SetHandler None":           {source: web + "WSGIScriptAlias / /s/a.wsgi\nAlias /static /y\n<Location /static>\nSetHandler None\n</Location>\n<Location /other>\nSetHandler none\n</Location>\n", apache: []string{"SetHandler None\n</Location>", "SetHandler none\n<If \"%{REQUEST_FILENAME} == '/s/a.wsgi'\">"}},
		"another's handler":         {source: web + "WSGIScriptAlias /a /s/a.py\n<Directory /s>\nSetHandler cgi-script\n</Directory>\n", apache: []string{"Alias \"/a\" \"/s/a.py\"", "!SetHandler \"proxy:"}},
		"a template's names":        {source: web + "WSGIScriptAlias /a /s/a.wsgi application-group=%{GROP}\n", hcl: []string{`application_group = "_{GROP}"`}},
		"default groups":            {source: "WSGIScriptAlias /a /s/a.wsgi\n", hcl: []string{`process_group     = "%{GLOBAL}"`, `application_group = "%{RESOURCE}"`, "preload           = false"}},
		"a group for embedded":      {source: "User www-data\nGroup www-data\nWSGIScriptAlias /a /s/a.wsgi\n", options: Options{EmbeddedGroup: "site"}, hcl: []string{`process_group     = "site"`, "daemon_process \"site\" {\n  user             = \"www-data\""}},
		"preloaded":                 {source: web + "WSGIScriptAlias /a /s/a.wsgi process-group=web application-group=%{GLOBAL}\n", hcl: []string{"!preload"}},
		"dispatch scripts":          {source: web + "WSGIDispatchScript /s/d.py\nWSGIScriptAlias /a /s/a.wsgi\n", hcl: []string{"dispatch_script \"/s/d.py\" {\n  default           = false\n  application_group = \"%{GLOBAL}\"\n  on_load_error     = \"static\"", `dispatch_script   = "/s/d.py"`}},
		"Apache's group":            {source: "User a\nGroup b\nWSGIDaemonProcess web user=c\nWSGIProcessGroup web\nWSGIScriptAlias /a /s/a.wsgi\n", hcl: []string{"user             = \"c\"\n  group            = \"b\""}},
		"the log of a host":         {source: "<VirtualHost *>\nErrorLog logs/one.log\nWSGIDaemonProcess web\nWSGIScriptAlias /a /s/a.wsgi process-group=web\n</VirtualHost>\n", hcl: []string{`error_log        = "/etc/apache2/logs/one.log"`, "  id        = \"localhost\"\n  error_log = \"/etc/apache2/logs/one.log\"\n", "!log {"}},
		"the log of the server":     {source: "ErrorLog /var/log/all.log\nWSGIDaemonProcess web\nWSGIScriptAlias /a /s/a.wsgi process-group=web\n<VirtualHost *>\nServerName one.test\n</VirtualHost>\n", hcl: []string{"log {\n  error_log = \"/var/log/all.log\"\n}", "!error_log        ", "  id = \"one.test\"\n\n"}},
		"a log that is a program":   {source: "ErrorLog \"|/bin/cat\"\n<VirtualHost *>\nErrorLog syslog:local1\nWSGIScriptAlias /a /s/a.wsgi\n</VirtualHost>\n", hcl: []string{"!error_log"}},
		"socket-timeout":            {source: "WSGIDaemonProcess web socket-timeout=600\nWSGIScriptAlias /a /s/a.wsgi process-group=web\n", apache: []string{"iobuffersize=65528 timeout=600>"}},
		"a ProxyTimeout of others":  {source: "Timeout 70\nProxyTimeout 5\nWSGIScriptAlias /a /s/a.wsgi\n", apache: []string{"timeout=70>"}},
		"files where they lie":      {source: "DocumentRoot /d\n<Directory /d/run>\nOptions ExecCGI\nSetHandler wsgi-script\n</Directory>\n<Directory /d/run/not>\nOptions None\n</Directory>\n", apache: []string{"Options ExecCGI\nSetEnv WSGID_EXEC_CGI 1\n# SetHandler wsgi-script\nSetHandler \"proxy:", "Options None\nUnsetEnv WSGID_EXEC_CGI"}, hcl: []string{`script_root "/d/run"`}},
		"a rewritten handler":       {source: "DocumentRoot /d\n<Directory /d>\nOptions +ExecCGI\nRewriteRule x - [NC,H=wsgi-script,L]\n</Directory>\n", apache: []string{"RewriteRule x - [NC,H=proxy:unix:/run/wsgid/wsgid.sock|fcgi://wsgid/,L]"}},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := convertFiles(t, map[string]string{"/etc/apache2/apache2.conf": row.source}, row.options)
			if err != nil {
				t.Fatal(err)
			}
			check := func(text string, want []string) {
				t.Helper()
				for _, piece := range want {
					piece, not := strings.CutPrefix(piece, "!")
					if not == strings.Contains(text, piece) || !not != strings.Contains(text, piece) {
						t.Errorf("%q, there: %v\n%s", piece, not, text)
					}
				}
			}
			check(string(result.Files[0].After), row.apache)
			check(string(result.HCL), row.hcl)
			accepted(t, result)
		})
	}
}

// accepted: both results can be read.
func accepted(t testing.TB, result *Result) {
	t.Helper()
	for _, f := range result.Files {
		if _, err := apacheconf.Parse(f.Path, f.After); err != nil {
			t.Errorf("%v\n%s", err, f.After)
		}
	}
	if read := config.ReadBytes("/new/wsgid.hcl", result.HCL, config.Identity{}); read.Config == nil {
		t.Errorf("%v\n%s", read.Diagnostics, result.HCL)
	}
}

// TestText: texts mean in HCL what they are.
func TestText(t *testing.T) {
	for _, want := range []string{"plain", "a \"b\" \\c", "${x}", "$${x}", "%{if true}", "%{GROP}", "%{GLOBAL}", "%%{x}", "a$", "ü", "%{ENV:X}"} {
		source := "listen \"unix\" {\n  path = \"/run/w.sock\"\n}\nscript_alias \"/\" {\n  target = \"/s/a\"\n  process_group = \"%{GLOBAL}\"\n  auth_name = " + text(want) + "\n}\n"
		read := config.ReadBytes("/x.hcl", []byte(source), config.Identity{})
		if read.Config == nil {
			t.Errorf("%s: %v", text(want), read.Diagnostics)
		} else if got := read.Config.ScriptAliases[0].AuthName; got != want {
			t.Errorf("%q is written as %s and read as %q", want, text(want), got)
		}
	}
}

// TestTwice: of a directive that stands twice at server level the last one counts, and
// the first one is told as what it is.
func TestTwice(t *testing.T) {
	result, err := convertFiles(t, map[string]string{"/etc/apache2/apache2.conf": "WSGIRestrictStdout Off\nWSGIPythonHome /a\nWSGISocketPrefix /x\nWSGIPythonHome /b\nWSGIRestrictStdout On\nWSGISocketPrefix /y\nWSGIScriptAlias / /s/a.wsgi\n"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Report) != 7 || result.Differs() || !strings.Contains(string(result.HCL), `python_home      = "/b"`) || !strings.Contains(string(result.HCL), "restrict_stdout = true") {
		t.Errorf("%+v\n%s", result.Report, result.HCL)
	}
}

// TestErrorDocument: what ErrorDocument says is error_document, too, and what can be
// none for errors of 500 and above is told, unless Apache replaces all of them.
func TestErrorDocument(t *testing.T) {
	const mounts = "WSGIScriptAlias /a /s/a.wsgi\nWSGIScriptAlias /b /s/b.wsgi\n"
	for source, want := range map[string]struct {
		differs bool
		hcl     []string
	}{
		"ErrorDocument 500 /500.html\nErrorDocument 503 \"Back at <b>noon</b>.\"\nErrorDocument 404 https://example.com/none\n" + mounts: {
			hcl: []string{"  id             = \"main server\"\n  error_document = { 404 = \"https://example.com/none\", 500 = \"/d/500.html\", 503 = \"Back at <b>noon</b>.\" }\n"}},
		"ErrorDocument 500 /e/a.html\nAlias /e /errors\nAlias /e/a.html /other\n" + mounts:                           {hcl: []string{`{ 500 = "/errors/a.html" }`}},
		"AliasMatch ^/e/ /errors/a.html\nErrorDocument 500 /e/a.html\n" + mounts:                                     {differs: true},
		"ErrorDocument 500 /missing.html\n" + mounts:                                                                 {differs: true},
		"ErrorDocument 404 /missing.html\n" + mounts:                                                                 {hcl: []string{"!error_document"}},
		"ErrorDocument 500 /500.php\n" + mounts:                                                                      {differs: true},
		"AddOutputFilter INCLUDES .html\nErrorDocument 500 /500.html\n" + mounts:                                     {differs: true},
		"ErrorDocument 500 /a/error\n" + mounts:                                                                      {differs: true},
		"ErrorDocument 500 \"for %{REQUEST_URI}\"\n" + mounts:                                                        {differs: true},
		"ErrorDocument 500 /500.php\nWSGIErrorOverride On\n" + mounts:                                                {hcl: []string{"!error_document"}},
		"ErrorDocument 401 https://example.com/\n" + mounts:                                                          {hcl: []string{"!error_document"}},
		"ErrorDocument 500 x\n<Location /a>\nErrorDocument 500 default\n</Location>\n" + mounts:                      {hcl: []string{"error_document = { 500 = \"x\" }\n", "error_document    = {}\n"}},
		"ErrorDocument 404 y\n<Location /a>\nErrorDocument 500 x\n</Location>\n" + mounts:                            {hcl: []string{"error_document = { 404 = \"y\" }\n", "error_document    = { 404 = \"y\", 500 = \"x\" }\n"}},
		"<Location /a/deep>\nErrorDocument 500 x\n</Location>\n" + mounts:                                            {differs: true, hcl: []string{"!error_document"}},
		"<Location /elsewhere>\nErrorDocument 500 /500.php\n</Location>\n" + mounts:                                  {hcl: []string{"!error_document"}},
		"ErrorDocument 500 x\n<VirtualHost *>\nServerName v.test\nErrorDocument 500 y\n" + mounts + "</VirtualHost>": {hcl: []string{`error_document = { 500 = "y" }`}},
	} {
		result, err := convertFiles(t, map[string]string{"/etc/apache2/apache2.conf": "DocumentRoot /d\n" + source, "/d/500.html": "", "/d/500.php": "", "/errors/a.html": ""}, Options{})
		if err != nil || result.Differs() != want.differs {
			t.Errorf("%s: %v %+v", source, err, result.Report)
			continue
		}
		for _, text := range want.hcl {
			if plain, not := strings.CutPrefix(text, "!"); strings.Contains(string(result.HCL), plain) == not {
				t.Errorf("%s: %s: %s", source, text, result.HCL)
			}
		}
	}
}

// TestNewer: directives that mod_wsgi 4.9 does not know (behaviour spec sections 1.2,
// 1.3, 2.2 and 2.3).
func TestNewer(t *testing.T) {
	result, err := convertFiles(t, map[string]string{"/etc/apache2/apache2.conf": `WSGISwitchInterval 0.02
WSGIPerInterpreterGIL Off
WSGIFreeThreading Off
WSGITelemetryService unix:/run/t.sock interval=1
WSGITelemetryOptions All
WSGISlowRequests 3
WSGIDaemonProcess web switch-interval=0.01 request-timeout=20 interrupt-timeout=4 response-flush-delay=5
<WSGIInterpreterOptions process-group=web application-group=quiet>
WSGIRestrictStdout On
WSGIPythonPath /lib
</WSGIInterpreterOptions>
WSGIScriptAlias / /s/a.wsgi process-group=web application-group=quiet
`}, Options{})
	if err != nil || result.Differs() {
		t.Fatalf("%v %+v", err, result.Report)
	}
	for _, want := range []string{
		"switch_interval  = 0.02", "per_interpreter_gil = false", "free_threading      = false", "interrupt_timeout = 4", `slow_request      = "3s"`, "switch_interval   = 0.01",
		"process_group     = \"web\"\n  application_group = \"quiet\"\n  restrict_stdout   = true\n  python_path       = [\"/lib\"]",
	} {
		if !strings.Contains(string(result.HCL), want) {
			t.Errorf("%q is not in\n%s", want, result.HCL)
		}
	}
	if n := len(result.Report); n != 11 {
		t.Errorf("%d directives are told: %+v", n, result.Report)
	}
}

// TestNothing: a configuration without mod_wsgi is not converted, and one that was
// converted neither.
func TestNothing(t *testing.T) {
	if _, err := convertFiles(t, map[string]string{"/etc/apache2/apache2.conf": "Listen 80\n<IfModule mod_perl.c>\nWSGIScriptAlias / /x\n</IfModule>\n"}, Options{}); !errors.Is(err, ErrNothing) {
		t.Error(err)
	}
	result, err := convertFiles(t, map[string]string{"/etc/apache2/apache2.conf": "WSGIScriptAlias / /s/a.wsgi\n"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := convertFiles(t, map[string]string{"/etc/apache2/apache2.conf": string(result.Files[0].After)}, Options{}); !errors.Is(err, ErrNothing) {
		t.Error(err)
	}
}

// TestIncludes: what includes a changed file includes its copy, and a pattern finds
// all its files there; what does not change stays where it is.
func TestIncludes(t *testing.T) {
	result, err := convertFiles(t, map[string]string{
		"/etc/apache2/apache2.conf":        "Include mods/*.load\nIncludeOptional sites/*.conf\nInclude /etc/other.conf\nInclude conf/\n",
		"/etc/apache2/mods/env.load":       "X\n",
		"/etc/apache2/sites/a.conf":        "<VirtualHost *>\nInclude inner.conf\n</VirtualHost>\n",
		"/etc/apache2/sites/b.conf":        "Untouched\n",
		"/etc/apache2/inner.conf":          "WSGIScriptAlias / /s/a.wsgi\n",
		"/etc/other.conf":                  "WSGIPythonHome /venv\n",
		"/etc/apache2/conf/unchanged.conf": "Y\n",
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range result.Files {
		got[f.Path] = string(f.After)
	}
	for path, want := range map[string]string{
		"/new/httpd.conf":          "Include mods/*.load\nIncludeOptional \"/new/sites/*.conf\"\nInclude \"/new/root/etc/other.conf\"\nInclude conf/\n",
		"/new/sites/a.conf":        "Include \"/new/inner.conf\"\n",
		"/new/sites/b.conf":        "Untouched\n",
		"/new/inner.conf":          "Alias \"/\" \"/s/a.wsgi/\"\n",
		"/new/root/etc/other.conf": "# WSGIPythonHome /venv\n",
	} {
		if !strings.Contains(got[path], want) {
			t.Errorf("%s:\n%s", path, got[path])
		}
		delete(got, path)
	}
	if len(got) > 0 {
		t.Errorf("more files: %v", got)
	}
}

// TestIncludedTwice: a file that would have to become two is refused, one that stays
// one is not.
func TestIncludedTwice(t *testing.T) {
	for inner, refused := range map[string]bool{
		"WSGICallableObject app\n":             false,
		"WSGIScriptAlias /a /s/${NAME}.wsgi\n": true,
	} {
		_, err := convertFiles(t, map[string]string{
			"/etc/apache2/apache2.conf": "Define NAME one\n<VirtualHost *:1>\nInclude inner\n</VirtualHost>\nDefine NAME two\n<VirtualHost *:2>\nInclude inner\n</VirtualHost>\nWSGIScriptAlias /x /s/x.wsgi\n",
			"/etc/apache2/inner":        inner,
		}, Options{})
		var problem *RefusedError
		if refused != errors.As(err, &problem) || !refused && err != nil {
			t.Errorf("%s: %v", inner, err)
		}
	}
}

// TestMacros: a macro that changes is written out in the place of its Use, another
// is left alone.
func TestMacros(t *testing.T) {
	result, err := convertFiles(t, map[string]string{"/etc/apache2/apache2.conf": "<Macro Mount $u>\n  WSGIScriptAlias $u /s/a.wsgi\n  X $u\n</Macro>\n<Macro Host $n>\n<VirtualHost *>\nServerName $n\nUse Mount /$n\n</VirtualHost>\n</Macro>\n<Macro Plain>\nY\n</Macro>\nUse Host one\nUse Plain\n"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	text := string(result.Files[0].After)
	for _, want := range []string{"# Use Host one\n<VirtualHost *>", "ServerName one\n# Use Mount /one\n", "Alias \"/one\" \"/s/a.wsgi\"", "  X /one\n", "\nUse Plain\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	accepted(t, result)
}

// TestAccessFiles: .htaccess files are found below what the configuration names.
func TestAccessFiles(t *testing.T) {
	result, err := convertFiles(t, map[string]string{
		"/etc/apache2/apache2.conf": "DocumentRoot /d\nWSGIDaemonProcess web\nWSGIProcessGroup web\nWSGIScriptAlias /a /s/a.wsgi\n<Directory />\nAllowOverride All\n</Directory>\n",
		"/s/.htaccess":              "WSGICallableObject app\nWSGIProcessGroup other\n",
		"/d/x/y/.htaccess":          "Options +ExecCGI\nAddHandler wsgi-script .py\n",
		"/d/plain/.htaccess":        "Options -Indexes\n",
		"/elsewhere/.htaccess":      "WSGICallableObject app\n",
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range result.Access {
		got[f.Path] = string(f.After)
	}
	if len(got) != 2 || got["/s/.htaccess-wsgid"] != "# WSGICallableObject app\nSetEnv WSGID_CALLABLE_OBJECT \"app\"\n# WSGIProcessGroup other\n" ||
		!strings.Contains(got["/d/x/y/.htaccess-wsgid"], "Options +ExecCGI\nSetEnv WSGID_EXEC_CGI 1\n# AddHandler wsgi-script .py\nAddHandler \"proxy:") {
		t.Errorf("%q", got)
	}
	if text := string(result.Files[0].After); !strings.Contains(text, "AccessFileName .htaccess-wsgid .htaccess\n") {
		t.Errorf("%s", text)
	}
	if !result.Differs() {
		t.Error("WSGIProcessGroup in .htaccess is a 500 for Apache, and nobody is told")
	}
}

// TestDiff: what is shown is what patch needs to make the result.
func TestDiff(t *testing.T) {
	var before strings.Builder
	for n := range 40 {
		before.WriteString("Line " + itoa(n) + "\n")
		if n == 5 || n == 7 || n == 30 {
			before.WriteString("WSGIScriptAlias /" + itoa(n) + " /s/" + itoa(n) + ".wsgi\n")
		}
	}
	result, err := convertFiles(t, map[string]string{"/etc/apache2/apache2.conf": before.String() + "last"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := WriteDiff(&out, result, "/new/wsgid.hcl"); err != nil {
		t.Fatal(err)
	}
	diff, hcl, _ := strings.Cut(out.String(), "--- /dev/null\n+++ /new/wsgid.hcl\n")
	if got := patch(t, before.String()+"last", diff); got != string(result.Files[0].After) {
		t.Errorf("the diff makes\n%s\nof it:\n%s", got, diff)
	}
	if got := patch(t, "", hcl); got != string(result.HCL) {
		t.Errorf("the diff makes of nothing\n%s", got)
	}
}

// patch applies hunks as patch does.
func patch(t *testing.T, before, diff string) string {
	t.Helper()
	lines, at := splitLines(before), 0
	var out strings.Builder
	for _, line := range splitLines(diff) {
		switch {
		case strings.HasPrefix(line, "@@"):
			from := apacheconf.Atoi(strings.TrimPrefix(strings.Fields(line)[1], "-"))
			for at < from-1 {
				out.WriteString(lines[at])
				at++
			}
		case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "), strings.HasPrefix(line, `\ No`):
			if line[0] == '\\' {
				text := strings.TrimSuffix(out.String(), "\n")
				out.Reset()
				out.WriteString(text)
			}
		case line[0] == ' ' || line[0] == '-':
			if strings.TrimSuffix(lines[at], "\n") != strings.TrimSuffix(line[1:], "\n") {
				t.Fatalf("line %d is %q and not %q", at+1, lines[at], line[1:])
			}
			if at++; line[0] == ' ' {
				out.WriteString(line[1:])
			}
		case line[0] == '+':
			out.WriteString(line[1:])
		}
	}
	for ; at < len(lines); at++ {
		out.WriteString(lines[at])
	}
	return out.String()
}

// TestCorpus: what the project's own configurations become can be read, and
// nothing changes but what has to do with mod_wsgi.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("../testdata/sites/*.conf")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := apacheconf.Load("/c", apacheconf.Options{FS: filesOf(map[string]string{"/c": string(text)})})
		if err != nil {
			if !bytes.Contains(text, []byte("# refused:")) {
				t.Error(err)
			}
			continue
		}
		result, err := Convert(cfg, Options{OutDir: "/new", FS: filesOf(nil)})
		if (err != nil) != bytes.Contains(text, []byte("# refused:")) {
			t.Errorf("%s: %v", file, err)
		}
		if err != nil {
			continue
		}
		accepted(t, result)
		after := string(result.Files[0].After)
		for _, line := range strings.Split(string(text), "\n") { // those that are nobody's business
			word := strings.ToLower(strings.TrimSpace(line))
			if !strings.Contains(word, "wsgi") && !strings.Contains(word, "=") && !strings.Contains(word, "handler") && !strings.HasPrefix(word, "use ") && !strings.Contains(after, line) {
				t.Errorf("%s: %q is lost", file, line)
			}
		}
	}
}

// FuzzConvert: no configuration makes the converter fail in another way than by
// refusing, and what it writes can be read.
func FuzzConvert(f *testing.F) {
	files, err := filepath.Glob("../testdata/sites/*.conf")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, err := apacheconf.Load("/c", apacheconf.Options{FS: filesOf(map[string]string{"/c": string(text)})})
		if err != nil {
			return
		}
		result, err := Convert(cfg, Options{OutDir: "/new", FS: filesOf(nil)})
		var refused *RefusedError
		if err != nil {
			if !errors.As(err, &refused) && !errors.Is(err, ErrNothing) {
				t.Fatal(err)
			}
			return
		}
		for _, file := range result.Files {
			if _, err := apacheconf.Parse(file.Path, file.After); err != nil {
				t.Fatalf("%v\n%s", err, file.After)
			}
		}
		if read := config.ReadBytes("/new/wsgid.hcl", result.HCL, config.Identity{}); read.Config == nil && strings.Contains(read.Diagnostics.Error(), "syntax") {
			t.Fatalf("%v\n%s", read.Diagnostics, result.HCL)
		}
		if err := WriteDiff(&bytes.Buffer{}, result, "/new/wsgid.hcl"); err != nil {
			t.Fatal(err)
		}
	})
}
