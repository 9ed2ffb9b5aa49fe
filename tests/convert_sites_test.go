package tests

import (
	"maps"
	"strings"
)

// convertedSites are the sites of TestConvertServes; together they have every directive
// that mod_wsgi 4.9.4 knows.
var convertedSites = func() map[string]convertedSite {
	all := maps.Clone(pathSites)
	maps.Copy(all, accessSites)
	maps.Copy(all, errorSites)
	return all
}()

// pathSites are about which URL goes where, and what an application finds there.
var pathSites = map[string]convertedSite{
	"mounts": {
		scripts: []string{"apps/a.wsgi", "apps/b.wsgi", "apps/dir/one.py", "apps/dir/sub/two.py"},
		files:   map[string]string{"docs/static/x.txt": "static\n", "docs/index.html": "index\n"},
		conf: `
WSGIDaemonProcess web threads=3 user=daemon group=daemon
WSGIProcessGroup web
WSGIApplicationGroup %{GLOBAL}
WSGIScriptAlias /a {{.Dir}}/apps/a.wsgi
WSGIScriptAlias /b/c {{.Dir}}/apps/b.wsgi application-group=own callable-object=other
WSGIScriptAlias /dir/ {{.Dir}}/apps/dir/
WSGIScriptAlias /deep {{.Dir}}/apps/dir/one.py/more
WSGIScriptAliasMatch "^/m/([a-z]+)" {{.Dir}}/apps/$1.wsgi
Alias /a/static {{.Dir}}/docs/static
ErrorDocument 404 "not here"
`,
		probes: []probe{
			get("/a"), get("/a/"), get("/dir/sub/missing/x"), get("/dir/sub/"), get("/dir"), {method: "POST", path: "/dir/one.py/x?read=1", body: "abc"}, get("/a/x%20y/z?q=1&r=%2F"), get("/apple"), get("/a/static/x.txt"), get("/b/c"), get("/b/c/d"), get("/b"),
			get("/dir/one.py"), get("/dir/one.py/info"), get("/dir/sub/two.py/x"), {method: "GET", path: "/dir/missing", apache: true}, get("/dir/"), {method: "GET", path: "/m/missing", apache: true}, get("/dir/sub"),
			get("/deep/x"), get("/deep"), get("/m/a/x"), get("/m/b"), get("/m/missing"), get("/m/A"), get("/"), get("/static/x.txt"),
			{method: "POST", path: "/a?read=1", body: strings.Repeat("x", 100)}, {method: "POST", path: "/a/x?read=1", body: strings.Repeat("x", 300000)},
			{method: "HEAD", path: "/a/h"}, {method: "OPTIONS", path: "/a"}, {method: "FOO", path: "/a"},
			get("/a?status=404%20Not%20Here&body=gone"), get("/a?status=302%20Found&header=Location:/there&body=x"), get("/a?status=204%20No%20Content&body="),
			get("/a?header=Set-Cookie:a&header=Set-Cookie:b&header=X-Two:1&header=X-Two:2"), get("/a?body=x&length=1"),
			get("/a//x///y"), get("/a/../a/x"), get("/a/caf%C3%A9"), get("/a", "Cookie: a=b", "X-Custom: é", "Authorization: Basic eDp5"),
		},
	},
	"root mount": {
		scripts: []string{"apps/a.wsgi", "apps/b.wsgi"},
		files: map[string]string{
			"docs/static/x.txt": "static\n", "docs/media/y.txt": "media\n", "docs/index.html": "index\n", "docs/media/z.wsgi": "print('source')\n",
			"docs/cgi/plain.txt": "plain\n",
		},
		conf: `
WSGIDaemonProcess web threads=3 user=daemon group=daemon
<VirtualHost *:${PORT}>
	ServerName a.test
	WSGIProcessGroup web
	WSGIApplicationGroup %{GLOBAL}
	Alias /static {{.Dir}}/docs/static
	WSGIScriptAlias /b "{{.Dir}}/apps/b.wsgi"
	WSGIScriptAlias / {{.Dir}}/apps/a.wsgi
	Alias /media/ {{.Dir}}/docs/media/
	AliasMatch ^/favicon {{.Dir}}/docs/index.html
	<Location /static>
		SetHandler None
	</Location>
	<Location /other/>
		SetHandler none
	</Location>
	<Directory {{.Dir}}/docs/media>
		<Files "*.wsgi">
			Require all denied
		</Files>
	</Directory>
	RedirectMatch ^/old/(.*) /new/$1
</VirtualHost>
`,
		probes: []probe{
			get("/"), get("/x"), get("/x/y/"), get("/index.html"), get("/static/x.txt"), get("/static/missing"), get("/static"), get("/media/y.txt"), get("/media/z.wsgi"),
			get("/media"), get("/favicon.ico"), get("/b"), get("/b/x"), get("/bb"), get("/other/x"), get("/other"), get("/old/page"), get("//"), get("//x"), get("/apps/a.wsgi"),
			get("/x%2Fy"), get("/%7Euser"), {method: "POST", path: "/?read=1", body: "a=b"},
		},
	},
	"hosts": {
		scripts: []string{"apps/main.wsgi", "apps/a.wsgi", "apps/b.wsgi"},
		files:   map[string]string{"docs/static/x.txt": "static\n", "docs/b/x.txt": "of b\n"},
		conf: `
WSGIDaemonProcess web user=daemon group=daemon
WSGIDaemonProcess other user=games group=games processes=1 threads=1
WSGIProcessGroup web
WSGIScriptAlias /main {{.Dir}}/apps/main.wsgi
Alias /a/static {{.Dir}}/docs/static
<VirtualHost *:${PORT}>
	ServerName first.test
	ServerAlias alias.test *.wild.test
	WSGIScriptAlias /a {{.Dir}}/apps/a.wsgi
	WSGIApplicationGroup %{SERVER}
</VirtualHost>
<VirtualHost *:${PORT}>
	ServerName Second.test:8080
	WSGIScriptAlias /a {{.Dir}}/apps/b.wsgi
	WSGIScriptAlias /host {{.Dir}}/apps/a.wsgi application-group=%{HOST}
	WSGIProcessGroup other
	WSGICallableObject other
</VirtualHost>
<VirtualHost *:${PORT}>
	ServerName third.test
	ServerAlias first.test
	WSGIScriptAlias /main/inner {{.Dir}}/apps/b.wsgi process-group=other application-group=%{GLOBAL}
</VirtualHost>
<VirtualHost *:${PORT}>
	ServerAlias unnamed.test
	WSGIApplicationGroup %{SERVER}
</VirtualHost>
`,
		probes: []probe{
			get("/main", "Host: first.test"), get("/main/x", "Host: alias.test"), get("/a", "Host: first.test"), get("/a", "Host: x.wild.test"), get("/a", "Host: first.test:8080"),
			get("/a/static/x.txt", "Host: first.test"), get("/a/static/x.txt", "Host: Second.test"), get("/a/x", "Host: Second.test"), get("/main", "Host: second.test"),
			get("/host", "Host: second.test"), get("/host", "Host: second.test:81"), get("/main/inner/x", "Host: third.test"), get("/main/other", "Host: third.test"),
			get("/main", "Host: unnamed.test"), get("/main", "Host: nobody.test"), get("/a", "Host: nobody.test"), get("/a", "Host: third.test"),
		},
	},
	"contexts": {
		scripts: []string{"apps/one/a.wsgi", "apps/one/b.wsgi", "apps/two/c.wsgi", "apps/two/deep/d.wsgi", "apps/three/e.wsgi"},
		files: map[string]string{
			"apps/three/.htaccess": "WSGICallableObject other\nSetEnv FROM_HTACCESS yes\n",
		},
		conf: `
WSGIDaemonProcess one user=daemon group=daemon
WSGIDaemonProcess two user=games group=games
WSGIApplicationGroup %{GLOBAL}
WSGIProcessGroup one
WSGIScriptAlias /one {{.Dir}}/apps/one/
WSGIScriptAlias /a {{.Dir}}/apps/one/a.wsgi
WSGIScriptAlias /c {{.Dir}}/apps/two/c.wsgi
WSGIScriptAlias /d {{.Dir}}/apps/two/deep/d.wsgi
WSGIScriptAlias /e {{.Dir}}/apps/three/e.wsgi
<Directory {{.Dir}}/apps/two>
	WSGIProcessGroup two
	<Files d.wsgi>
		WSGICallableObject other
	</Files>
</Directory>
<Directory {{.Dir}}/apps/two/deep>
	WSGIProcessGroup one
	WSGIApplicationGroup deep
</Directory>
<Files b.wsgi>
	WSGIProcessGroup two
	WSGIApplicationGroup %{RESOURCE}
</Files>
<FilesMatch "^[ab]\.wsgi$">
	WSGICallableObject other
</FilesMatch>
<Location /a/admin>
	WSGIProcessGroup two
	WSGIApplicationGroup admin
</Location>
<LocationMatch "^/c/[0-9]+">
	WSGICallableObject other
	WSGIApplicationGroup %{SERVER}
</LocationMatch>
<DirectoryMatch "/apps/th">
	WSGIApplicationGroup %{HOST}
</DirectoryMatch>
<Location /d>
	<If "%{QUERY_STRING} == 'if'">
		WSGIApplicationGroup conditional
	</If>
</Location>
`,
		probes: []probe{
			get("/one/a.wsgi"), get("/one/b.wsgi/x"), get("/a"), get("/a/admin"), get("/a/admin/x"), get("/a/administrator"), get("/c"), get("/c/12"), get("/c/x"),
			get("/d"), get("/d/x"), get("/d?if"), get("/e"), get("/e/x"),
		},
	},
	"environment": {
		scripts: []string{"apps/a.wsgi", "apps/b.wsgi"},
		conf: `
WSGIDaemonProcess web user=daemon group=daemon processes=2 threads=1
WSGIDaemonProcess other user=games group=games
SetEnv GROUP web
SetEnv VARIABLE "with blank"
SetEnvIf Host "^a" HOST_IS_A=yes
RewriteEngine On
RewriteRule "^/a/(rule[0-9])" - [E=FROM_RULE:$1]
WSGIProcessGroup %{ENV:GROUP}
WSGIApplicationGroup %{ENV:APPLICATION}
SetEnv APPLICATION first
WSGIScriptAlias /a {{.Dir}}/apps/a.wsgi
WSGIScriptAlias /b {{.Dir}}/apps/b.wsgi process-group=%{ENV:GROUP} application-group=%{GLOBAL} callable-object=other
<Location /a/other>
	SetEnv GROUP other
	SetEnv APPLICATION second
</Location>
<Location /b/other>
	SetEnv GROUP other
</Location>
<Location /a/unset>
	UnsetEnv VARIABLE
	SetEnv HTTPS on
</Location>
`,
		probes: []probe{
			get("/a"), get("/a/rule1"), get("/a/other"), get("/b"), get("/b/other"), get("/a/unset"), get("/a", "Host: a.test"), get("/a", "X_Underscore: x", "Proxy: y"),
			get("/a", "X-Forwarded-For: 1.2.3.4", "Content-Type: text/plain"), get("/a", "Transfer-Encoding: none"),
		},
	},
	"embedded": {
		scripts: []string{"apps/a.wsgi", "apps/b.wsgi"},
		conf: `
WSGIScriptAlias /a {{.Dir}}/apps/a.wsgi
WSGIScriptAlias /b {{.Dir}}/apps/b.wsgi application-group=%{GLOBAL} callable-object=other
`,
		probes: []probe{get("/a"), get("/a/x?y"), get("/b"), {method: "POST", path: "/a?read=1", body: strings.Repeat("x", 50000)}, get("/c")},
	},
	"order": {
		scripts: []string{"apps/a.wsgi", "apps/b.wsgi", "apps/c.wsgi"},
		files:   map[string]string{"docs/x.txt": "x\n"},
		conf: `
WSGIDaemonProcess web user=daemon group=daemon
WSGIProcessGroup web
WSGIApplicationGroup %{GLOBAL}
WSGIScriptAlias /t/deep {{.Dir}}/apps/a.wsgi
WSGIScriptAlias /t {{.Dir}}/apps/b.wsgi
WSGIScriptAlias /t/never {{.Dir}}/apps/c.wsgi
WSGIScriptAlias /t {{.Dir}}/apps/c.wsgi
WSGIScriptAliasMatch "^/api/v[0-9]" {{.Dir}}/apps/c.wsgi/api
WSGIScriptAliasMatch "/re/(a|b)\.x" {{.Dir}}/apps/$1.wsgi
WSGIScriptAliasMatch "^/i/(?i)abc(/.*)?$" {{.Dir}}/apps/a.wsgi$1
WSGIScriptAliasMatch "^/opt(ional)?/(x)?" {{.Dir}}/apps/b.wsgi/$2
ScriptAlias /t/cgi/ {{.Dir}}/docs/
Alias /api/v2/doc {{.Dir}}/docs/x.txt
`,
		probes: []probe{
			get("/t/deep/x"), get("/t/x"), get("/t/never"), get("/api/v1/z"), get("/api/v2/doc"), get("/pre/re/a.x/y"), get("/re/b.x"), get("/i/ABC/d"), get("/i/abc"), get("/i/abcd"),
			get("/opt/x/y"), get("/optional/z"), get("/t/cgi/none"),
		},
	},
	"first slash": {
		scripts: []string{"apps/a.wsgi"},
		conf: `
WSGIScriptAliasMatch "^/" {{.Dir}}/apps/a.wsgi
WSGIDaemonProcess web user=daemon group=daemon
WSGIProcessGroup web
WSGIApplicationGroup %{GLOBAL}
`,
		probes: []probe{get("/"), get("/x"), get("/x/y/")},
	},
	"rewriting": {
		scripts: []string{"apps/a.wsgi", "docs/front.wsgi"},
		files:   map[string]string{"docs/file.txt": "file\n", "docs/.htaccess": "RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule ^(.*)$ /front.wsgi/$1 [QSA,PT,L]\n"},
		conf: `
WSGIDaemonProcess web user=daemon group=daemon
WSGIProcessGroup web
WSGIApplicationGroup %{GLOBAL}
WSGIScriptAlias /a {{.Dir}}/apps/a.wsgi
RewriteEngine On
RewriteRule "^/into/(.*)" "/a/$1" [PT]
RewriteRule "^/lost/(.*)" "/a/$1"
RewriteRule "^/moved/(.*)" "/a/$1" [R=302,L]
RewriteRule "^/a/gone" - [G]
<Directory {{.Dir}}/docs>
	Options +ExecCGI
	AddHandler wsgi-script .wsgi
</Directory>
`,
		probes: []probe{get("/into/x/y?q=1"), get("/lost/x"), get("/moved/x"), get("/a/gone"), get("/file.txt"), get("/other/page?x=1"), get("/front.wsgi/x"), get("/a/x")},
	},
	"dispatch": {
		scripts: []string{"apps/a.wsgi", "apps/b.wsgi", "apps/shown.py"},
		files:   map[string]string{"apps/broken.py": "raise SystemError\n", "apps/none.py": "x = 1\n"},
		conf: `
WSGIDaemonProcess web user=daemon group=daemon
WSGIDaemonProcess other user=games group=games
WSGIProcessGroup web
WSGIApplicationGroup %{GLOBAL}
WSGIDispatchScript {{.Dir}}/apps/shown.py
WSGIScriptAlias /a {{.Dir}}/apps/a.wsgi
WSGIScriptAlias /b {{.Dir}}/apps/b.wsgi
WSGIRestrictProcess web other
<Location /a/other>
	SetEnv CHOSEN_GROUP other
</Location>
<Location /a/application>
	SetEnv CHOSEN_APPLICATION chosen
	SetEnv CHOSEN_CALLABLE other
</Location>
<Location /a/unknown>
	SetEnv CHOSEN_GROUP nobody
</Location>
<Location /b>
	WSGIDispatchScript {{.Dir}}/apps/broken.py
</Location>
<Location /b/none>
	WSGIDispatchScript {{.Dir}}/apps/none.py application-group=own
	WSGIRestrictProcess other
</Location>
`,
		probes: []probe{get("/a"), get("/a/other"), get("/a/application"), get("/a/unknown"), get("/b"), get("/b/none")},
	},
	"everything else": {
		scripts: []string{"apps/a.wsgi", "apps/b.wsgi", "apps/warm.py"},
		files:   map[string]string{"apps/lib/helper.py": "x = 1\n", "site/more/one.conf": "WSGIScriptAlias /one {{.Dir}}/apps/a.wsgi\n", "site/more/two.conf": "# nothing\nSetEnv TWO 2\n"},
		conf: `
WSGILazyInitialization On
WSGIPythonHome /usr
WSGISocketRotation On
WSGIAcceptMutex default
WSGIRestrictEmbedded On
WSGIPythonOptimize 1
WSGIPythonWarnings ignore::DeprecationWarning
WSGIPythonHashSeed 7
WSGIDontWriteBytecode On
WSGIDestroyInterpreter On
WSGIRestrictStdin On
WSGIRestrictStdout Off
WSGIRestrictSignal On
WSGICaseSensitivity On
WSGIServerMetrics On
WSGIVerboseDebugging Off
WSGIPythonPath {{.Dir}}/apps/lib
WSGIPythonEggs {{.Dir}}/eggs
Define WHERE {{.Dir}}/apps
<IfModule mod_wsgi.c>
	WSGIDaemonProcess web processes=1 threads=2 user=daemon group=daemon home={{.Dir}}/apps umask=0027 lang=C.UTF-8 locale=C.UTF-8 \
		python-path={{.Dir}}/apps/lib:{{.Dir}}/apps display-name=%{GROUP} maximum-requests=1000 \
		graceful-timeout=15 eviction-timeout=0 restart-interval=0 inactivity-timeout=0 startup-timeout=15 deadlock-timeout=60 \
		shutdown-timeout=5 queue-timeout=45 socket-timeout=60 connect-timeout=15 request-timeout=60 \
		listen-backlog=100 send-buffer-size=0 receive-buffer-size=0 header-buffer-size=0 response-buffer-size=0 response-socket-timeout=0 \
		cpu-time-limit=0 cpu-priority=0 memory-limit=0 virtual-memory-limit=0 stack-size=1048576 server-metrics=Off python-eggs={{.Dir}}/eggs \
		supplementary-groups=games
</IfModule>
<IfModule !wsgi_module>
	ThisIsNoDirective
</IfModule>
<Macro App $url $file>
	WSGIScriptAlias $url ${WHERE}/$file process-group=web application-group=%{GLOBAL}
</Macro>
Use App /macro a.wsgi
WSGIProcessGroup web
WSGIImportScript {{.Dir}}/apps/warm.py process-group=web application-group=%{GLOBAL}
WSGIScriptReloading Off
WSGIEnableSendfile On
WSGIPassApacheRequest Off
WSGIMapHEADToGET On
WSGIIgnoreActivity On
WSGIChunkedRequest On
WSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Proto
WSGITrustedProxyHeaders X-Script-Name
WSGITrustedProxies 127.0.0.1 10.0.0.0/8
IncludeOptional more/*.conf
WSGIScriptAlias /b {{.Dir}}/apps/b.wsgi
<Location /b/plain>
	WSGIGroupAuthoritative On
	WSGIMapHEADToGET Off
	WSGIScriptReloading On
	WSGITrustedProxyHeaders X-Real-IP
	WSGITrustedProxies 192.0.2.1
	WSGIIgnoreActivity Off
</Location>
`,
		probes: []probe{
			get("/macro"), get("/macro/x"), get("/one"), get("/b"), get("/b", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https", "X-Script-Name: /mounted", "X-Real-IP: 9.9.9.9"),
			get("/b/plain", "X-Forwarded-For: 192.0.2.7", "X-Real-IP: 9.9.9.9"), {method: "HEAD", path: "/b"}, {method: "HEAD", path: "/b/plain"},
			{method: "POST", path: "/b?read=1", body: strings.Repeat("x", 70000)},
		},
	},
}
