package apacheconf

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// modelOf reads a configuration that stands in /c.
func modelOf(t *testing.T, source string) *Model {
	t.Helper()
	c, err := Load("/c", Options{FS: filesOf(map[string]string{"/c": source})})
	if err != nil {
		t.Fatal(err)
	}
	return NewModel(c)
}

// TestMistakes: what Apache refuses is an error, what it takes and nobody means a
// warning, with line, text and what to do.
func TestMistakes(t *testing.T) {
	const web = "WSGIDaemonProcess web\nWSGIProcessGroup web\n"
	for name, row := range map[string]struct{ source, err, warning string }{
		"nothing wrong":             {source: web + "WSGIScriptAlias / /srv/a.wsgi process-group=web application-group=%{GLOBAL}\n"},
		"unknown directive":         {source: "WSGIEnvVar A b\n", err: "/c:1: mod_wsgi has no directive WSGIEnvVar: WSGIEnvVar A b (take it out)"},
		"misspelt directive":        {source: "WSGIScriptAllias / /x\n", err: "did you mean WSGIScriptAlias?"},
		"removed":                   {source: "WSGILazyInitialization On\n", warning: "/c:1: WSGILazyInitialization is gone"},
		"removed, long ago":         {source: "WSGIReloadMechanism Process\n", warning: "mod_wsgi 3 has taken it out"},
		"in a virtual host":         {source: "<VirtualHost *>\nWSGIRestrictStdout Off\n</VirtualHost>\n", err: "/c:2: WSGIRestrictStdout may stand at server level and in <WSGIInterpreterOptions> only"},
		"in a directory":            {source: web + "<Directory /x>\nWSGIScriptAlias / /x\n</Directory>\n", err: "/c:4: WSGIScriptAlias may stand at server level and in <VirtualHost> only"},
		"neither On nor Off":        {source: "WSGIPassAuthorization yes\n", err: `"yes" is neither On nor Off`},
		"too few":                   {source: "WSGIScriptAlias /\n", err: "WSGIScriptAlias takes at least 2, and there are 1"},
		"too many":                  {source: "WSGIProcessGroup a b\n", err: "WSGIProcessGroup takes 1 arguments, and there are 2"},
		"comment behind":            {source: "WSGIProcessGroup a # of a\n", err: "a comment cannot stand behind a directive"},
		"comment behind options":    {source: web + "WSGIScriptAlias / /x # all\n", err: "a comment cannot stand behind a directive"},
		"blank around =":            {source: "WSGIDaemonProcess web threads = 5\nWSGIProcessGroup web\n", err: `"threads" is no option`},
		"unknown option":            {source: "WSGIDaemonProcess web process=1\nWSGIProcessGroup web\n", err: `there is no option "process": WSGIDaemonProcess web process=1 (did you mean processes?)`},
		"option in another case":    {source: web + "WSGIScriptAlias / /x Process-Group=web\n", err: "did you mean process-group?"},
		"no processes":              {source: "WSGIDaemonProcess web processes=0\nWSGIProcessGroup web\n", err: "processes=0: at least 1"},
		"a number with a unit":      {source: "WSGIDaemonProcess web request-timeout=15s\nWSGIProcessGroup web\n", warning: "request-timeout=15s is read as 15"},
		"declared twice":            {source: web + "<VirtualHost *:443>\nWSGIDaemonProcess web\n</VirtualHost>\n", err: "/c:4: process group web is declared already, in /c:1"},
		"never used":                {source: "WSGIDaemonProcess web\nWSGIScriptAlias / /x.wsgi\n", warning: "process group web is declared and used nowhere: applications run embedded in Apache"},
		"used by a request":         {source: "WSGIDaemonProcess web\nWSGIProcessGroup %{ENV:G}\n"},
		"declared nowhere":          {source: "WSGIDaemonProcess website\nWSGIProcessGroup websit\n", warning: "process group websit is declared nowhere: every request is a 500: WSGIProcessGroup websit (did you mean website?)"},
		"of another host":           {source: "<VirtualHost *>\nServerName a\n" + web + "</VirtualHost>\n<VirtualHost *>\nServerName b\nWSGIProcessGroup web\n</VirtualHost>\n", warning: "/c:8: process group web belongs to the virtual host of /c:3"},
		"of the same name":          {source: "<VirtualHost *:80>\nServerName a\n" + web + "</VirtualHost>\n<VirtualHost *:443>\nServerName a\nWSGIProcessGroup web\n</VirtualHost>\n"},
		"preloaded too early":       {source: "WSGIScriptAlias / /x.wsgi process-group=web application-group=%{GLOBAL}\n" + web, err: "/c:1: process group web is not yet configured"},
		"preloaded elsewhere":       {source: "<VirtualHost *>\nServerName a\n" + web + "</VirtualHost>\n<VirtualHost *>\nServerName b\nWSGIImportScript /x process-group=web application-group=a\n</VirtualHost>\n", err: "/c:8: process group web is not accessible here"},
		"import without group":      {source: web + "WSGIImportScript /x process-group=web\n", err: "WSGIImportScript needs application-group="},
		"misspelt expansion":        {source: web + "WSGIApplicationGroup %{GROP}\n", warning: `application group "%{GROP}" is taken as a name`},
		"misspelt display-name":     {source: "WSGIDaemonProcess web display-name={%GROUP}\nWSGIProcessGroup web\n", warning: "display-name={%GROUP} is taken as it is"},
		"quoted display-name":       {source: "WSGIDaemonProcess web display-name='%{GROUP}' python-path=\"/a b:/c\"\nWSGIProcessGroup web\n"},
		"set twice":                 {source: web + "WSGIDaemonProcess other\nWSGIProcessGroup other\n", warning: "/c:4: WSGIProcessGroup stands here twice, and the last one counts; the other one is in /c:2"},
		"mounted twice":             {source: web + "WSGIScriptAlias / /a.wsgi\nWSGIScriptAlias / /b.wsgi\n", warning: "/c:4: / is mounted already, in /c:3, and the first one counts"},
		"slash behind a file":       {source: web + "WSGIScriptAlias / /a/wsgi.py/\n", warning: "/a/wsgi.py/ ends with a slash, and is a file"},
		"slash behind a URL":        {source: web + "WSGIScriptAlias /a/ /a/wsgi.py\n", warning: "only the URL itself is found"},
		"relative target":           {source: web + "WSGIScriptAlias /a wsgi.py\n", warning: "wsgi.py is looked up where Apache happens to be"},
		"a template":                {source: web + "WSGIScriptAlias / {{ path }}/x.wsgi\n", err: `"path" is no option`},
		"a template without blanks": {source: web + "WSGIScriptAlias / {{path}}/x.wsgi\n", warning: "{{path}}/x.wsgi is taken as it is"},
		"site-packages":             {source: "WSGIDaemonProcess web python-path=/srv:/srv/venv/lib/python3.9/site-packages\nWSGIProcessGroup web\n", warning: "(write python-home=/srv/venv and take it out of python-path)"},
		"site-packages of a home":   {source: "WSGIDaemonProcess web python-home=/srv/venv python-path=/srv/venv/lib/python3.9/site-packages\nWSGIProcessGroup web\n"},
		"programs":                  {source: "WSGIDaemonProcess web python-path=/srv/venv/bin\nWSGIProcessGroup web\n", warning: "programs lie there and no modules"},
		"home of libraries":         {source: "WSGIDaemonProcess web python-home=/srv/venv/lib/python3.5/site-packages\nWSGIProcessGroup web\n", err: "write the directory of the virtual environment: /srv/venv"},
		"home of a program":         {source: "WSGIPythonHome /srv/venv/bin/python\n", err: "write the directory of the virtual environment: /srv/venv"},
		"relative home":             {source: "WSGIDaemonProcess web home=srv\nWSGIProcessGroup web\n", err: "home=srv"},
		"owner and group":           {source: "WSGIDaemonProcess web script-user=a script-group=b\nWSGIProcessGroup web\n", err: "exclude each other"},
		"Files with a path":         {source: web + "<Files /srv/a.wsgi>\nRequire all granted\n</Files>\n", warning: "/c:3: Files takes the name of a file without its directory: this matches nothing"},
		"Directory of a file":       {source: web + "<Directory /srv/a.wsgi>\nRequire all granted\n</Directory>\n", warning: "/c:3: Directory names a file: this matches nothing"},
		"another's in options":      {source: "<WSGIInterpreterOptions process-group=web>\nRequire all granted\n</WSGIInterpreterOptions>\n", err: "Require may not stand in <WSGIInterpreterOptions>"},
		"a section that is none":    {source: "WSGIInterpreterOptions process-group=web\n", err: "WSGIInterpreterOptions is a section"},
	} {
		t.Run(name, func(t *testing.T) {
			m := modelOf(t, row.source)
			check := func(what, want string, got []*SyntaxError) {
				if want == "" && len(got) > 0 {
					t.Errorf("%s: %v", what, got)
				}
				if !strings.Contains(fmt.Sprint(got), want) {
					t.Errorf("%s %v, want %s", what, got, want)
				}
			}
			check("errors", row.err, m.Errors)
			if row.err == "" {
				check("warnings", row.warning, m.Warnings)
			}
		})
	}
}

func TestModel(t *testing.T) {
	m := modelOf(t, `WSGIPythonHome /srv/base
WSGIRestrictEmbedded On
WSGIPythonWarnings error
WSGIPythonWarnings ignore::DeprecationWarning
WSGIDaemonProcess all threads=3 threads=5 python-path="/srv/a b:/srv/c"
<VirtualHost *:80>
  ServerName a.example
  ServerAlias b.example c.example
  WSGIProcessGroup all
  WSGIScriptAliasMatch "^/(x|y)" /srv/$1.wsgi callable-object=app
  WSGIScriptAlias / "/srv/the site.wsgi" application-group=%{GLOBAL} application-group='other'
  WSGIImportScript /srv/warm.py process-group=all application-group=%{GLOBAL}
  <Directory /srv>
    WSGICallableObject main
    <Files admin.wsgi>
      WSGIProcessGroup %{GLOBAL}
    </Files>
  </Directory>
  <IfModule mod_ssl.c>
    <Location /secure>
      WSGIPassAuthorization on
    </Location>
  </IfModule>
</VirtualHost>
<WSGIInterpreterOptions process-group=all>
  WSGIPerInterpreterGIL On
</WSGIInterpreterOptions>
`)
	if len(m.Errors)+len(m.Warnings) > 0 {
		t.Fatal(m.Errors, m.Warnings)
	}
	if len(m.Hosts) != 2 || len(m.Daemons) != 1 || len(m.Interpreters) != 1 || len(m.Others["WSGIPythonWarnings"]) != 2 || m.Others["WSGIPythonHome"][0].Words[0] != "/srv/base" {
		t.Fatalf("%+v", m)
	}
	if v, _ := m.Daemons[0].Option("threads"); v != "5" {
		t.Errorf("threads %s", v)
	}
	if v, _ := m.Daemons[0].Option("python-path"); v != "/srv/a b:/srv/c" {
		t.Errorf("python-path %s", v)
	}
	h := m.Hosts[1]
	if h.ServerName != "a.example" || fmt.Sprint(h.Aliases) != "[b.example c.example]" || len(h.Mounts) != 2 || len(h.Imports) != 1 {
		t.Errorf("%+v", h)
	}
	if first, second := h.Mounts[0], h.Mounts[1]; !first.Match || first.URL != "^/(x|y)" || first.Target != "/srv/$1.wsgi" || second.Target != "/srv/the site.wsgi" {
		t.Errorf("%+v %+v", first, second)
	}
	if v, given := h.Mounts[1].Option("application-group"); !given || v != "other" {
		t.Errorf("application-group %s", v)
	}
	if v, given := h.Value("WSGIProcessGroup"); !given || v != "all" {
		t.Errorf("process group %s", v)
	}
	var scopes []string
	for _, s := range h.Scopes {
		for name := range s.Settings {
			v, _ := s.Value(name)
			scopes = append(scopes, s.Section.Name+" "+s.Section.Args+" "+name+" "+v)
		}
	}
	if got, want := strings.Join(scopes, "; "), "Directory /srv WSGICallableObject main; Files admin.wsgi WSGIProcessGroup %{GLOBAL}; Location /secure WSGIPassAuthorization on"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestModelsOfConfigurations: of those found in public repositories just those
// are refused that Apache refuses.
func TestModelsOfConfigurations(t *testing.T) {
	refused := map[string]string{ // and what for
		"024": "home=$BASE_DIR", "035": "processes=${WSGI_PROCESSES}", "040": "did you mean processes?", "044": "WSGIRestrictSignal may stand",
		"067": "expected </VirtualHost>", "broken_section": "expected </VirtualHost>",
		// The files that they include are not here.
		"038": "there is no such file", "052": "there is no such file",
	}
	for _, name := range realConfigurations(t) {
		base, _, _ := strings.Cut(filepath.Base(name), "-")
		want := refused[strings.TrimSuffix(base, ".conf")]
		t.Run(filepath.Base(name), func(t *testing.T) {
			c, err := Load(name, Options{})
			said := fmt.Sprint(err)
			if err == nil {
				m := NewModel(c)
				if said = ""; len(m.Errors) > 0 {
					said = fmt.Sprint(m.Errors)
				}
			}
			if want == "" && said != "" || !strings.Contains(said, want) {
				t.Errorf("%s, want %q", said, want)
			}
		})
	}
}

func TestAtoi(t *testing.T) {
	for text, want := range map[string]int{"": 0, "5": 5, " 7x": 7, "-3": -3, "+4": 4, "abc": 0, "15s": 15, "99999999999": 1<<31 - 1, "-": 0} {
		if got := Atoi(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
