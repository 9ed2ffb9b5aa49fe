package tests

import (
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// trusted is a second listener, whose web server is trusted.
const trusted = "listen \"unix\" {\n  path = \"{{.Dir}}/trusted.sock\"\n  trust_front_server = true\n}\n"

// trustedProxy and trustedHandler connect Apache with it.
const (
	trustedProxy   = "<Proxy \"unix:{{.Dir}}/trusted.sock|fcgi://trusted/\">\n  ProxySet enablereuse=on\n</Proxy>\n"
	trustedHandler = "SetHandler \"proxy:unix:{{.Dir}}/trusted.sock|fcgi://trusted/\"\n"
)

// TestContexts: what Apache sets in Directory, Location, Files and .htaccess
// holds there, and what a client sends sets nothing.
func TestContexts(t *testing.T) {
	w := newWorld(t)
	for _, dir := range []string{"apps", "tenant"} {
		for _, name := range []string{"one.wsgi", "two.wsgi", "three.wsgi"} {
			w.Write(dir+"/"+name, "import sys\nsys.path.insert(0, '"+w.Path("lib")+"')\nfrom environ import application, other_application\n")
		}
	}
	w.App("environ.py")
	w.Write("lib/environ.py", "exec(open('"+w.Path("apps/environ.py")+"').read())\n")
	w.Write("tenant/.htaccess", "SetEnv WSGID_CALLABLE_OBJECT other_application\nSetEnvIf Request_URI evil WSGID_PROCESS_GROUP=b\n")
	w.Configure(trusted + group("a", "#64001", 1, 2) + group("b", "#64002", 1, 2) +
		mount("/apps", "apps/", option("process_group", "a"), `allow_override = ["process_group", "application_group", "callable_object"]`) +
		mount("/tenant", "tenant/", option("process_group", "a")))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: `
AccessFileName .htaccess
` + trustedProxy + harness.HandlerProxy + `
Alias "/apps" "{{.Dir}}/apps"
Alias "/tenant" "{{.Dir}}/tenant"
Alias "/untrusted" "{{.Dir}}/tenant"
<Directory "{{.Dir}}/apps">
  ` + trustedHandler + `
  SetEnv WSGID_PROCESS_GROUP b
  ProxyFCGISetEnvIf "reqenv('QUERY_STRING') == 'late'" WSGID_APPLICATION_GROUP late
</Directory>
<Directory "{{.Dir}}/tenant">
  ` + trustedHandler + `
  AllowOverride FileInfo
</Directory>
<Files "two.wsgi">
  SetEnv WSGID_APPLICATION_GROUP files
</Files>
<Location "/apps/three.wsgi">
  SetEnv WSGID_PROCESS_GROUP a
  SetEnvIf Request_URI "/x$" WSGID_APPLICATION_GROUP=location
</Location>
<Location "/apps/one.wsgi/global">
  SetEnv WSGID_PROCESS_GROUP "%{GLOBAL}"
</Location>
<Location "/apps/two.wsgi/proxied">
  ProxyPass "unix:{{.Dir}}/trusted.sock|fcgi://trusted/"
  SetEnv WSGID_APPLICATION_GROUP proxied
</Location>
<Location "/untrusted">
  ` + harness.Handler + `
</Location>
RewriteEngine On
RewriteRule ^/moved$ /apps/two.wsgi/moved [PT]
`})
	type decided struct {
		uid              int
		application, app string
	}
	for url, want := range map[string]decided{
		"/apps/one.wsgi":         {64002, "", "application"},
		"/apps/one.wsgi?late":    {64002, "late", "application"},
		"/apps/two.wsgi":         {64002, "files", "application"},
		"/apps/three.wsgi":       {64001, "", "application"},
		"/apps/three.wsgi/x":     {64001, "location", "application"},
		"/moved":                 {64002, "files", "application"},
		"/tenant/one.wsgi":       {64001, "", "other_application"},
		"/apps/one.wsgi/global":  {wsgid.Status().Router.UID, "", "application"},
		"/apps/two.wsgi/proxied": {64001, "proxied", "application"}, // ProxyPass: no Directory, no Files
		"/untrusted/one.wsgi":    {64001, "", "application"},
		"/untrusted/two.wsgi/x":  {64001, "", "application"},
	} {
		v := look(t, apache.Get(url, "WSGID-Process-Group: a", "WSGID_PROCESS_GROUP: a", "REDIRECT_WSGID_PROCESS_GROUP: a", "Wsgid-Callable-Object: x"))
		if got := (decided{v.UID, v.env("mod_wsgi.application_group"), v.Entry}); got != want {
			t.Errorf("%s: %+v, want %+v", url, got, want)
		}
		for name := range v.Environ {
			if len(name) > 6 && name[:6] == "WSGID_" {
				t.Errorf("%s: the application sees %s", url, name)
			}
		}
	}
	// What the tenant may not choose is refused, and the log says what to do.
	wantError(t, apache.Get("/tenant/evil"), 404, "WSGID-1023")
	wantError(t, apache.Get("/tenant/one.wsgi/evil"), 500, "WSGID-1032")
	wsgid.Log.Await(t, "the refusal", harness.Containing("WSGID-1032", `"parameter":"WSGID_PROCESS_GROUP"`, `"value":"b"`, "callable_object"))
	// In files two.wsgi of the tenant the administrator sets what he does not permit.
	wantError(t, apache.Get("/tenant/two.wsgi"), 500, "WSGID-1032")
}
