package inspect

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/wsgid/wsgid/apacheconf"
	"github.com/wsgid/wsgid/config"
)

// one is a file system with one file.
type one struct{ fstest.MapFS }

func (m one) ReadFile(name string) ([]byte, error) {
	return m.MapFS.ReadFile(strings.TrimPrefix(name, "/"))
}
func (m one) ReadDir(name string) ([]fs.DirEntry, error) {
	return m.MapFS.ReadDir(strings.TrimPrefix(name, "/"))
}
func (m one) Stat(name string) (fs.FileInfo, error) {
	return m.MapFS.Stat(strings.TrimPrefix(name, "/"))
}

func apacheOf(t *testing.T, source string) *apacheconf.Config {
	t.Helper()
	c, err := apacheconf.Load("/httpd.conf", apacheconf.Options{FS: one{fstest.MapFS{"httpd.conf": {Data: []byte(source)}}}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wsgidOf is a configuration of wsgid with a mount and more.
func wsgidOf(t *testing.T, more string) *config.Config {
	t.Helper()
	read := config.ReadBytes("/w.hcl", []byte("listen \"unix\" {\n  path = \"/run/wsgid/wsgid.sock\"\n}\nscript_alias \"/\" {\n  target = \"/srv/site/site.wsgi\"\n  process_group = \"%{GLOBAL}\"\n}\n"+more), config.Identity{})
	if read.Config == nil {
		t.Fatal(read.Diagnostics)
	}
	return read.Config
}

const (
	good    = "SetEnv ap_trust_cgilike_cl 1\nProxyPass / unix:/run/wsgid/wsgid.sock|fcgi://wsgid/ enablereuse=on flushpackets=on iobuffersize=65528\n"
	handler = "SetEnv ap_trust_cgilike_cl 1\n<Proxy \"unix:/run/wsgid/wsgid.sock|fcgi://wsgid/\" enablereuse=on flushpackets=on iobuffersize=65528>\n</Proxy>\n<Files x>\nSetHandler \"proxy:unix:/run/wsgid/wsgid.sock|fcgi://wsgid/\"\n</Files>\n"
)

// TestInspect: a configuration that is right has no findings, and each defect its own.
func TestInspect(t *testing.T) {
	for name, row := range map[string]struct {
		apache, wsgid string
		facts         Facts
		want          []string // findings in order: severity, and what is in them
		write         string
	}{
		"right":                    {apache: good},
		"right by handler":         {apache: handler},
		"ProxySet":                 {apache: strings.Replace(handler, " enablereuse=on flushpackets=on iobuffersize=65528>", ">\nProxySet enablereuse=on flushpackets=on iobuffersize=65528", 1)},
		"nothing":                  {apache: "SetEnv ap_trust_cgilike_cl 1\n", want: []string{"wrong Apache sends nothing to wsgid"}, write: "wsgid apache snippet"},
		"another socket":           {apache: strings.ReplaceAll(good, "wsgid.sock", "old.sock"), want: []string{"wrong /httpd.conf:2: wsgid does not listen on /run/wsgid/old.sock: it has /run/wsgid/wsgid.sock", "wrong Apache sends nothing"}},
		"no reuse":                 {apache: strings.Replace(good, "enablereuse=on ", "", 1), want: []string{"slow /httpd.conf:2: unix:/run/wsgid/wsgid.sock|fcgi://wsgid/ has no enablereuse=on"}, write: "flushpackets=on iobuffersize=65528 enablereuse=on"},
		"reuse in other words":     {apache: strings.Replace(good, "enablereuse=on", "disablereuse=Off", 1)},
		"no flushpackets":          {apache: strings.Replace(good, "flushpackets=on ", "", 1), want: []string{"warning /httpd.conf:2: "}},
		"small buffers":            {apache: strings.Replace(good, " iobuffersize=65528", "", 1), want: []string{"slow /httpd.conf:2: "}},
		"no Proxy section":         {apache: strings.Replace(handler, "<Proxy \"unix:/run/wsgid/wsgid.sock|fcgi://wsgid/\"", "<Proxy \"unix:/run/wsgid/wsgid.sock|fcgi://other/\"", 1), want: []string{"slow /httpd.conf:5: no <Proxy> section has exactly the URL"}, write: "<Proxy \"unix:/run/wsgid/wsgid.sock|fcgi://wsgid/\" enablereuse=on"},
		"Content-Length":           {apache: strings.Replace(good, "SetEnv ap_trust_cgilike_cl 1\n", "", 1), want: []string{"slow Apache drops the Content-Length"}, write: "SetEnv ap_trust_cgilike_cl 1"},
		"of an older Apache":       {apache: strings.Replace(good, "SetEnv ap_trust_cgilike_cl 1\n", "", 1), facts: Facts{Version: [3]int{2, 4, 57}}},
		"passwords":                {apache: good, wsgid: "auth_user_script \"/srv/auth.py\" {}\nrouter {\n  auth_type = \"basic\"\n  auth_name = \"x\"\n  auth_user_script = \"/srv/auth.py\"\n}\n", want: []string{"wrong wsgid asks for passwords"}, write: "CGIPassAuth On"},
		"passwords that pass":      {apache: good + "<Location />\nCGIPassAuth On\n</Location>\n", wsgid: "auth_user_script \"/srv/auth.py\" {}\nrouter {\n  auth_type = \"basic\"\n  auth_name = \"x\"\n  auth_user_script = \"/srv/auth.py\"\n}\n"},
		"balancer":                 {apache: good + "<Proxy balancer://b>\nBalancerMember unix:/run/wsgid/wsgid.sock|fcgi://wsgid/ enablereuse=on flushpackets=on iobuffersize=65528\n</Proxy>\n", want: []string{"warning /httpd.conf:4: a member without retry=0"}, write: "retry=0"},
		"nocanon":                  {apache: strings.Replace(good, "iobuffersize=65528", "iobuffersize=65528 nocanon", 1), want: []string{"wrong /httpd.conf:2: nocanon without"}, write: "ProxyFCGIBackendType GENERIC"},
		"proxy-fcgi-pathinfo":      {apache: good + "SetEnvIf Request_URI . proxy-fcgi-pathinfo=1\n", want: []string{"wrong /httpd.conf:3: proxy-fcgi-pathinfo=1"}},
		"another pathinfo":         {apache: good + "SetEnvIf Request_URI . proxy-fcgi-pathinfo=full\n"},
		"one name, two sockets":    {apache: good + "ProxyPass /php unix:/run/php.sock|fcgi://wsgid/\n", want: []string{"wrong /httpd.conf:3: fcgi://wsgid is the name of /run/wsgid/wsgid.sock already"}},
		"AddHandler":               {apache: strings.NewReplacer("SetHandler", "AddHandler", "wsgid/\"\n</Files>", "wsgid/\" .x\n</Files>", "/run/wsgid", "/run/Wsgid").Replace(handler), wsgid: "listen \"unix\" {\n  path = \"/run/Wsgid/wsgid.sock\"\n}\n", want: []string{"wrong /httpd.conf:5: AddHandler makes /run/Wsgid/wsgid.sock lower case"}},
		"impatient":                {apache: good + "ProxyTimeout 5\n", wsgid: "daemon_process \"x\" {\n  request_timeout = 30\n  queue_timeout = 30\n  threads = 1\n}\n", want: []string{"warning /httpd.conf:3: Apache waits 5 s for an answer (504)"}, write: "ProxyTimeout 70"},
		"patient":                  {apache: good + "Timeout 300\n", wsgid: "daemon_process \"x\" {\n  request_timeout = 100\n  queue_timeout = 30\n  threads = 1\n}\n"},
		"parameters without trust": {apache: good + "SetEnv WSGID_PROCESS_GROUP x\n", want: []string{"wrong /httpd.conf:3: WSGID_PROCESS_GROUP has no effect"}, write: "trust_front_server = true"},
		"a parameter that is none": {apache: good + "SetEnvIf Host . WSGID_PROCESSGROUP=x\n", want: []string{"wrong /httpd.conf:3: wsgid knows no parameter WSGID_PROCESSGROUP"}},
		"prefork":                  {apache: good, facts: Facts{MPM: "prefork"}, want: []string{"slow the MPM prefork"}},
		"modules":                  {apache: "LoadModule alias_module x\n" + good, want: []string{"wrong the module proxy is not loaded", "wrong the module proxy_fcgi is not loaded"}, write: "a2enmod proxy proxy_fcgi"},
		"mod_wsgi remains":         {apache: "LoadModule proxy_module x\nLoadModule proxy_fcgi_module x\nLoadModule wsgi_module x\n" + good, want: []string{"slow /httpd.conf:3: mod_wsgi is loaded and serves nothing"}, write: "a2dismod wsgi"},
		"mod_wsgi serves":          {apache: "LoadModule proxy_module x\nLoadModule proxy_fcgi_module x\nLoadModule wsgi_module x\nWSGIScriptAlias /x /srv/y/x.wsgi\n" + good, want: []string{"warning /httpd.conf:4: mod_wsgi is loaded still, and serves /x"}},
		"by TCP":                   {apache: strings.Replace(good, "unix:/run/wsgid/wsgid.sock|fcgi://wsgid/", "fcgi://localhost:9000/", 1), wsgid: "listen \"tcp\" {\n  address = \"127.0.0.1:9000\"\n}\n"},
		"a rewritten URL":          {apache: strings.Replace(handler, "SetHandler \"proxy:", "RewriteRule . \"", 1)},
		"a script that is read":    {apache: good + "DocumentRoot /srv\n", want: []string{"wrong /httpd.conf:3: /srv/site/site.wsgi can be read by everybody, as /site/site.wsgi"}, write: "<Directory \"/srv/site\">"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Inspect(apacheOf(t, row.apache), wsgidOf(t, row.wsgid), row.facts)
			var text, write []string
			for _, f := range got {
				text = append(text, strings.Replace(f.String(), ":", "", 1))
				write = append(write, f.Write...)
			}
			if len(text) != len(row.want) {
				t.Fatalf("found %q, want %q", text, row.want)
			}
			for i := range text {
				if !strings.HasPrefix(text[i], row.want[i]) {
					t.Errorf("found %q, want %q", text[i], row.want[i])
				}
			}
			if !strings.Contains(strings.Join(write, "\n"), row.write) {
				t.Errorf("writes %q, want %q", write, row.write)
			}
		})
	}
}

// TestExposed: what lies below a DocumentRoot or an Alias, and is not closed.
func TestExposed(t *testing.T) {
	paths := []string{"/srv/site/site.wsgi", "/srv/venv"}
	for name, row := range map[string]struct {
		apache string
		want   string // URLs
	}{
		"elsewhere":          {"DocumentRoot /srv/www\n", ""},
		"below the root":     {"DocumentRoot /srv\n", "/site/site.wsgi /venv"},
		"root and host":      {"<VirtualHost *>\nDocumentRoot \"/srv/site\"\n</VirtualHost>\n", "/site.wsgi"},
		"by alias":           {"Alias /code /srv/site\nAlias /env/ /srv/venv/\n", "/code/site.wsgi /env/"},
		"closed":             {"DocumentRoot /srv\n<Directory /srv/site>\n<Files *.wsgi>\nRequire all denied\n</Files>\n</Directory>\n<Directory /srv/venv>\nRequire all denied\n</Directory>\n", ""},
		"closed and opened":  {"DocumentRoot /srv\n<Directory />\nRequire all denied\n</Directory>\n<Directory /srv>\nRequire all granted\n</Directory>\n", "/site/site.wsgi /venv"},
		"closed for another": {"<VirtualHost *:1>\nDocumentRoot /srv\n</VirtualHost>\n<VirtualHost *:2>\n<Directory /srv>\nRequire all denied\n</Directory>\n</VirtualHost>\n", "/site/site.wsgi /venv"},
		"the old way":        {"DocumentRoot /srv\n<Directory /srv/venv>\nOrder allow,deny\nDeny from all\n</Directory>\n", "/site/site.wsgi"},
		"served":             {"DocumentRoot /srv\n<Directory /srv/site>\n<Files site.wsgi>\nSetHandler \"proxy:unix:/s|fcgi://x/\"\n</Files>\n</Directory>\n", "/venv"},
		"an alias before it": {"DocumentRoot /srv\nAlias / /srv/other/\n", ""},
		"itself by alias":    {"Alias /app /srv/site/site.wsgi\n<Files site.wsgi>\nSetHandler \"proxy:x\"\n</Files>\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var urls []string
			for _, e := range Exposed(apacheOf(t, row.apache), paths) {
				urls = append(urls, e.URL)
			}
			if got := strings.Join(urls, " "); got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
}
