package apacheconf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/config"
)

// configOf reads a configuration of wsgid.
func configOf(t *testing.T, text string) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "wsgid.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if c == nil {
		t.Fatal(err)
	}
	return c
}

const unixListener = "listen \"unix\" {\n  path = \"/run/w/w.sock\"\n}\n"

func mounted(prefix, more string) string {
	return "script_alias \"" + prefix + "\" {\n  target = \"/srv/a.wsgi\"\n" + more + "}\n"
}

// TestSnippetText: what a configuration becomes for each web server. That they
// serve with it is tested end to end.
func TestSnippetText(t *testing.T) {
	for name, row := range map[string]struct {
		config, server string
		want, not      []string
	}{
		"apache": {unixListener + mounted("/app", "") + mounted("/app/x", ""), "apache",
			[]string{"ProxyPass \"/app/x\" \"unix:/run/w/w.sock|fcgi://wsgid/\" enablereuse=on flushpackets=on iobuffersize=65528\nProxyPass \"/app\" ", "SetEnv ap_trust_cgilike_cl 1"}, []string{"VirtualHost", "CGIPassAuth", "ProxyTimeout"}},
		"the root holds all":        {unixListener + mounted("/app", "") + mounted("/", ""), "apache", []string{"ProxyPass \"/\" "}, []string{"/app"}},
		"TCP":                       {"listen \"tcp\" {\n  address = \"127.0.0.1:9000\"\n}\n" + mounted("/", ""), "apache", []string{"\"fcgi://127.0.0.1:9000/\""}, nil},
		"TCP everywhere":            {"listen \"tcp\" {\n  address = \":9000\"\n  allowed_clients = [\"10.0.0.0/8\"]\n}\n" + mounted("/", ""), "nginx", []string{"server 127.0.0.1:9000;"}, nil},
		"a unix socket first":       {"listen \"tcp\" {\n  address = \"127.0.0.1:9000\"\n}\n" + unixListener + mounted("/", ""), "caddy", []string{"reverse_proxy unix//run/w/w.sock {"}, []string{"9000"}},
		"an expression":             {unixListener + "script_alias_match \"^/sites/([a-z]+)\" {\n  target = \"/srv/$1.wsgi\"\n}\n", "apache", []string{"ProxyPass \"/sites/\" "}, nil},
		"an expression of anything": {unixListener + "script_alias_match \"\\\\.wsgi\" {\n  target = \"/srv/a.wsgi\"\n}\n", "apache", []string{"ProxyPass \"/\" "}, nil},
		"time limits":               {unixListener + "daemon_process \"w\" {\n  threads = 1\n  request_timeout = 100\n  queue_timeout = 20\n}\n" + mounted("/", ""), "apache", []string{"ProxyTimeout 130"}, nil},
		"no time limit":             {unixListener + "daemon_process \"w\" {\n  threads = 1\n  request_timeout = 0\n  queue_timeout = 200\n}\n" + mounted("/", ""), "nginx", nil, []string{"timeout"}},
		"passwords":                 {unixListener + "auth_user_script \"/srv/auth.py\" {}\n" + mounted("/in", "  auth_type = \"basic\"\n  auth_name = \"x\"\n  auth_user_script = \"/srv/auth.py\"\n  require = [\"valid-user\"]\n"), "apache", []string{"<Location \"/in\">\n    CGIPassAuth On\n</Location>"}, nil},
		"files": {"listen \"unix\" {\n  path = \"/run/w/w.sock\"\n  trust_front_server = true\n}\n" + "script_root \"/srv/my scripts\" {}\nhandler_script \"md\" {\n  target = \"/srv/md.py\"\n}\n", "apache",
			[]string{"<Proxy \"unix:/run/w/w.sock|fcgi://wsgid/\" enablereuse=on", "<Directory \"/srv/my scripts\">\n    SetHandler \"proxy:unix:/run/w/w.sock|fcgi://wsgid/\"\n    SetEnv WSGID_EXEC_CGI 1", "<FilesMatch \"\\.md$\">", "SetEnv WSGID_HANDLER md"}, []string{"ProxyPass \"/\""}},
		"hosts": {unixListener + mounted("/all", "") + "virtual_host \"a.test\" {\n  server_alias = [\"*.b.test\"]\n" + mounted("/", "") + "}\nvirtual_host \"*\" {\n  ports = [8080]\n" + mounted("/x", "") + "}\n", "apache",
			[]string{"<VirtualHost *:8080>\n    # The first", "    ProxyPass \"/all\" ", "</VirtualHost>\n<VirtualHost *:80>\n    ServerName a.test\n    ServerAlias *.b.test\n"}, nil},
		"hosts of lighttpd": {unixListener + "virtual_host \"a.test\" {\n  server_alias = [\"*.b.test\"]\n" + mounted("/x", "") + "}\n", "lighttpd",
			[]string{`$HTTP["host"] =~ "^(a\.test|.+\.b\.test)(:[0-9]+)?$" {`, `$HTTP["url"] =~ "^/x(/|$)" {`}, nil},
		"hosts of nginx": {unixListener + "virtual_host \"a.test\" {\n  server_alias = [\"*.b.test\"]\n" + mounted("/x", "") + "}\n", "nginx",
			[]string{"server_name a.test *.b.test;", "location = /x {", "location ^~ /x/ {", `fastcgi_param REMOTE_USER "";`}, []string{"HTTP_HOST"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Snippet(configOf(t, row.config), row.server, "")
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range row.want {
				if !strings.Contains(got, want) {
					t.Errorf("without %q:\n%s", want, got)
				}
			}
			for _, not := range row.not {
				if strings.Contains(got, not) {
					t.Errorf("with %q:\n%s", not, got)
				}
			}
		})
	}
}

func TestSnippetErrors(t *testing.T) {
	for name, row := range map[string]struct{ config, server, listener, want string }{
		"another server":    {unixListener + mounted("/", ""), "iis", "", `there is no snippet for "iis"; there are apache, nginx, caddy, lighttpd`},
		"no such listener":  {unixListener + mounted("/", ""), "apache", "/run/x.sock", `there is no FastCGI listener "/run/x.sock"; there are /run/w/w.sock`},
		"HTTP alone":        {"listen \"http\" {\n  address = \"127.0.0.1:8000\"\n}\n" + mounted("/", ""), "apache", "", "there is no listener for a web server"},
		"a blank for nginx": {unixListener + mounted("/a b", ""), "nginx", "", `"/a b" cannot be written for nginx`},
		"chosen by id":      {strings.Replace(unixListener, "path", "trust_front_server = true\n  path", 1) + "virtual_host \"a.test\" {\n  id = \"a\"\n" + mounted("/", "") + "}\n", "apache", "", "wsgid apache convert writes both"},
		"a variable":        {unixListener + mounted("/a$${x}", ""), "apache", "", "takes ${ for a variable"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Snippet(configOf(t, row.config), row.server, row.listener); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%v, want %s\n%s", err, row.want, got)
			}
		})
	}
}
