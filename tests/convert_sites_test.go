package tests

import "strings"

// asFile is why a page of wsgid has not all headers that Apache's has.
const asFile = "header Etag, header Last-Modified, header Accept-Ranges: of a file, and of no use in an error"

// convertedSites are the sites of TestConvertServes; together they have every directive
// that mod_wsgi 4.9.4 knows.
var convertedSites = map[string]convertedSite{
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
	"handlers": {
		scripts: []string{"docs/run/a.wsgi", "docs/run/b.py", "docs/run/sub/c.py", "docs/never/d.wsgi", "docs/ht/e.wsgi", "docs/index.wsgi", "apps/handler.py", "apps/aliased.py", "docs/re/f.txt"},
		files: map[string]string{
			"docs/ht/.htaccess": "Options +ExecCGI\nAddHandler wsgi-script .wsgi\n", "docs/run/x.txt": "text\n", "docs/pages/page.md": "# md\n",
			"docs/pages/sub/page.xyz": "xyz\n", "docs/re/g.html": "g\n",
		},
		conf: `
WSGIDaemonProcess web user=daemon group=daemon
WSGIProcessGroup web
WSGIApplicationGroup %{GLOBAL}
WSGIHandlerScript markdown {{.Dir}}/apps/handler.py process-group=web application-group=md
AddHandler wsgi-script .wsgi
AddHandler markdown .md
DirectoryIndex index.wsgi index.html
<Directory {{.Dir}}/docs/run>
	Options +ExecCGI
	<FilesMatch "\.py$">
		SetHandler wsgi-script
	</FilesMatch>
</Directory>
<Directory {{.Dir}}/docs/run/sub>
	WSGICallableObject other
</Directory>
<Directory {{.Dir}}/docs>
	Options Indexes FollowSymLinks
</Directory>
<Files index.wsgi>
	Options ExecCGI
</Files>
<Directory {{.Dir}}/docs/pages/sub>
	SetHandler markdown
</Directory>
<Directory {{.Dir}}/docs/re>
	Options +ExecCGI
	RewriteEngine On
	RewriteRule "^f\.txt" - [H=wsgi-script]
</Directory>
Alias /app {{.Dir}}/apps/aliased.py
<Location /app>
	SetHandler wsgi-script
	Options +ExecCGI
</Location>
<Location /app/none>
	Options -ExecCGI
</Location>
`,
		probes: []probe{
			get("/run/a.wsgi"), get("/run/a.wsgi/info?x=1"), get("/run/b.py"), get("/run/sub/c.py/y"), get("/run/x.txt"), get("/never/d.wsgi"), get("/ht/e.wsgi"),
			get("/index.wsgi"), get("/"), get("/pages/page.md"), get("/pages/sub/page.xyz/more"), get("/app"), get("/app/x"), get("/app/none"), get("/run/missing.wsgi"),
			get("/re/f.txt"), get("/re/g.html"), get("/run/sub/"), {method: "POST", path: "/run/a.wsgi?read=1", body: "abc"},
		},
	},
	"authentication": {
		scripts: []string{"apps/a.wsgi", "apps/b.wsgi", "apps/c.wsgi"},
		files:   map[string]string{"users": "eve:{SHA}0DPiKuNIrrVmD8IUCuw1hQxNqZc=\n", "apps/.htaccess": ""},
		conf: `
WSGIDaemonProcess web user=daemon group=daemon
WSGIProcessGroup web
WSGIApplicationGroup %{GLOBAL}
WSGIScriptAlias /a {{.Dir}}/apps/a.wsgi
WSGIScriptAlias /b {{.Dir}}/apps/b.wsgi
WSGIScriptAlias /c {{.Dir}}/apps/c.wsgi
WSGIPassAuthorization On
<Location /a/off>
	WSGIPassAuthorization Off
</Location>
<Location /b>
	AuthType Basic
	AuthName closed
	AuthUserFile {{.Dir}}/users
	Require valid-user
</Location>
<Directory {{.Dir}}/apps>
	<Files c.wsgi>
		Require expr %{QUERY_STRING} =~ /open/
	</Files>
</Directory>
SetEnvIf X-Proxy-Authorization "(.+)" HTTP_X_SEEN=$1
`,
		probes: []probe{
			get("/a", "Authorization: Bearer x"), get("/a/off", "Authorization: Bearer x"), get("/a"), get("/b"), get("/b", "Authorization: Basic ZXZlOmFkbWlu"),
			get("/b/x", "Authorization: Basic ZXZlOndyb25n"), get("/c"), get("/c?open"), get("/a", "X-Proxy-Authorization: y"), get("/a", "Proxy-Authorization: Basic eDp5"),
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
	"errors": {
		scripts: []string{"apps/a.wsgi", "apps/b.wsgi"},
		files:   map[string]string{"docs/404.html": "our 404\n", "docs/500.html": "our 500\n"},
		conf: `
WSGIDaemonProcess web user=daemon group=daemon
WSGIProcessGroup web
WSGIApplicationGroup %{GLOBAL}
WSGIScriptAlias /a {{.Dir}}/apps/a.wsgi
WSGIScriptAlias /b {{.Dir}}/apps/b.wsgi
ErrorDocument 404 /404.html
ErrorDocument 410 /a/gone
ErrorDocument 403 "refused"
<Location /a/override>
	WSGIErrorOverride On
</Location>
<Directory {{.Dir}}/docs>
	<Files secret>
		Require all denied
	</Files>
</Directory>
`,
		probes: []probe{
			get("/missing"), get("/a?status=404%20No&body=mine"), get("/a/override?status=404%20No&body=mine"), get("/a/override?status=200%20OK&body=mine"), get("/a/override?status=410%20Gone&body=mine"),
			{method: "GET", path: "/a/override?status=500%20Bad&body=mine", differs: "body and header Content-Length: the reason of the application is in Apache's page"}, get("/a?status=410%20Gone&body=mine"), get("/b?status=503%20Later&body=x&header=Retry-After:5"), get("/secret"),
			get("/a/override?status=403%20No&body=mine"), {method: "GET", path: "/a/override?status=401%20Who&body=x&header=WWW-Authenticate:Basic", differs: "body and header Content-Length: as above"},
		},
	},
	"error pages": {
		files: map[string]string{
			"docs/404.html": "<p>our 404</p>\n", "docs/500.html": "<p>our 500</p>\n", "pages/text.txt": "our text\n",
			"apps/raise.wsgi":  "def application(environ, start_response):\n    environ['wsgi.input'].read(10)\n    raise ValueError(1)\n",
			"apps/broken.wsgi": "raise ValueError(2)\n", "apps/none.wsgi": "x = 1\n", "apps/late.wsgi": "def application(environ, start_response):\n    start_response('200 OK', [('X-Lost', '1')])\n    return iter(lambda: 1/0, None)\n",
		},
		conf: `
WSGIDaemonProcess web user=daemon group=daemon
WSGIApplicationGroup %{GLOBAL}
WSGIScriptAlias /raise {{.Dir}}/apps/raise.wsgi process-group=web
WSGIScriptAlias /embedded {{.Dir}}/apps/raise.wsgi
WSGIScriptAlias /broken {{.Dir}}/apps/broken.wsgi process-group=web
WSGIScriptAlias /none {{.Dir}}/apps/none.wsgi process-group=web
WSGIScriptAlias /late {{.Dir}}/apps/late.wsgi process-group=web
WSGIScriptAlias /gone {{.Dir}}/apps/gone.wsgi process-group=web
WSGIScriptAlias /text {{.Dir}}/apps/raise.wsgi process-group=web
WSGIScriptAlias /away {{.Dir}}/apps/raise.wsgi process-group=web
WSGIScriptAlias /aliased {{.Dir}}/apps/raise.wsgi process-group=web
Alias /pages {{.Dir}}/pages
AddType text/html .html
AddType text/plain .txt
ErrorDocument 404 /404.html
ErrorDocument 500 /500.html
<Location /text>
	ErrorDocument 500 "<h1>a text</h1>"
</Location>
<Location /away>
	ErrorDocument 500 http://status.test/page?x=y
</Location>
<Location /aliased>
	ErrorDocument 500 /pages/text.txt
</Location>
`,
		probes: []probe{
			{method: "GET", path: "/raise", apache: true, differs: asFile}, {method: "HEAD", path: "/raise", apache: true, differs: asFile}, {method: "POST", path: "/raise", body: strings.Repeat("x", 200000), apache: true, differs: asFile},
			{method: "GET", path: "/embedded", apache: true, differs: asFile}, {method: "GET", path: "/broken", apache: true, differs: asFile}, {method: "GET", path: "/none", apache: true, differs: asFile},
			{method: "GET", path: "/late", apache: true, differs: asFile}, {method: "GET", path: "/gone", apache: true, differs: asFile}, {method: "GET", path: "/text", apache: true, differs: "header Content-Type: the text is UTF-8"},
			{method: "GET", path: "/away", apache: true, differs: "header Content-Type, header Content-Length, body: Apache adds a page that points there"}, {method: "GET", path: "/aliased", apache: true, differs: asFile}, get("/nowhere"),
		},
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
	"TLS": {
		scripts: []string{"apps/a.wsgi"},
		tls:     true,
		conf: `
WSGIDaemonProcess web user=daemon group=daemon
WSGIProcessGroup web
WSGIApplicationGroup %{GLOBAL}
<VirtualHost *:${PORT}>
	ServerName secure.test
	SSLEngine on
	SSLCertificateFile {{.Dir}}/localhost.pem
	SSLCertificateKeyFile {{.Dir}}/localhost.key
	WSGIScriptAlias / {{.Dir}}/apps/a.wsgi
	<Location /variables>
		SSLOptions +StdEnvVars
	</Location>
	<Location /certificate>
		SSLVerifyClient require
	</Location>
</VirtualHost>
`,
		probes: []probe{get("/"), get("/variables"), get("/x", "Host: secure.test:8443"), {method: "POST", path: "/?read=1", body: strings.Repeat("x", 40000)}},
	},
	"scripts that are asked": {
		scripts: []string{"apps/a.wsgi"},
		files: map[string]string{
			"docs/closed/x.txt": "closed\n", "docs/hosts/x.txt": "hosts\n", "docs/refused/x.txt": "refused\n", "docs/both/x.txt": "both\n", "docs/open/x.txt": "open\n",
			"docs/refused/deeper/y.txt": "deeper\n", "auth/users": "eve:{SHA}0DPiKuNIrrVmD8IUCuw1hQxNqZc=\n",
			"docs/ht/x.txt": "ht\n", "docs/ht/.htaccess": "AuthType Basic\nAuthName ht\nAuthBasicProvider wsgi\nWSGIAuthUserScript {{.Dir}}/auth/other.py\nRequire valid-user\n",
			"auth/users.py": "def check_password(environ, user, password):\n    return {'alice': 'secret', 'bob': 'word'}.get(user) == password if user in ('alice', 'bob') else None\n" +
				"def groups_for_user(environ, user):\n    return ['staff'] if user == 'alice' else ['guests']\n",
			"auth/other.py":  "def check_password(environ, user, password):\n    return password == 'other'\n",
			"auth/broken.py": "raise ValueError\n",
			"auth/hosts.py":  "def allow_access(environ, host):\n    return 'no' not in environ['QUERY_STRING']\n",
			"auth/never.py":  "def allow_access(environ, host):\n    return False\n",
		},
		conf: `
WSGIDaemonProcess web user=daemon group=daemon
WSGIProcessGroup web
WSGIApplicationGroup %{GLOBAL}
WSGIScriptAlias /a {{.Dir}}/apps/a.wsgi
<Location /a/user>
	AuthType Basic
	AuthName users
	AuthBasicProvider wsgi
	WSGIAuthUserScript {{.Dir}}/auth/users.py application-group=%{GLOBAL}
	Require valid-user
</Location>
<Location /a/group>
	AuthType Basic
	AuthName users
	AuthBasicProvider wsgi
	WSGIAuthUserScript {{.Dir}}/auth/users.py application-group=%{GLOBAL}
	WSGIAuthGroupScript {{.Dir}}/auth/users.py
	<RequireAny>
		Require wsgi-group staff admins
		Require user bob
	</RequireAny>
</Location>
<Location /a/staff>
	AuthType Basic
	AuthName users
	AuthBasicProvider wsgi
	WSGIAuthUserScript {{.Dir}}/auth/users.py application-group=%{GLOBAL}
	WSGIAuthGroupScript {{.Dir}}/auth/users.py
	Require wsgi-group staff
</Location>
<Location /a/broken>
	AuthType Basic
	AuthName users
	AuthBasicProvider wsgi
	WSGIAuthUserScript {{.Dir}}/auth/broken.py
	Require valid-user
</Location>
<Location /a/host>
	WSGIAccessScript {{.Dir}}/auth/hosts.py
</Location>
<Directory {{.Dir}}/docs/closed>
	AuthType Basic
	AuthName closed
	AuthBasicProvider wsgi
	WSGIAuthUserScript {{.Dir}}/auth/users.py application-group=%{GLOBAL}
	Require valid-user
</Directory>
<Directory {{.Dir}}/docs/hosts>
	WSGIAccessScript {{.Dir}}/auth/hosts.py
	Require all granted
</Directory>
<Directory {{.Dir}}/docs/refused>
	WSGIAccessScript {{.Dir}}/auth/never.py
</Directory>
<Directory {{.Dir}}/docs/refused/deeper>
	Require all granted
</Directory>
<Location /a/both>
	AuthType Basic
	AuthName both
	AuthBasicProvider wsgi
	WSGIAuthUserScript {{.Dir}}/auth/users.py application-group=%{GLOBAL}
	WSGIAccessScript {{.Dir}}/auth/hosts.py
	Require valid-user
</Location>
<Directory {{.Dir}}/docs/both>
	AuthType Basic
	AuthName both
	AuthBasicProvider file wsgi
	AuthUserFile {{.Dir}}/auth/users
	WSGIAuthUserScript {{.Dir}}/auth/users.py application-group=%{GLOBAL}
	WSGIAuthGroupScript {{.Dir}}/auth/users.py
	WSGIAccessScript {{.Dir}}/auth/hosts.py
	Require wsgi-group staff
	Require user eve
</Directory>
`,
		probes: []probe{
			get("/a"), get("/a/user"), get("/a/user", alice), get("/a/user/x", wrong), get("/a/group", alice), get("/a/group", bob), get("/a/group", wrong), get("/a/staff", bob), get("/a/staff", alice),
			get("/a/broken", alice), get("/a/broken"), get("/a/host"), get("/a/host?no"), get("/closed/x.txt"), get("/closed/x.txt", bob), get("/hosts/x.txt"), get("/hosts/x.txt?no"),
			get("/refused/x.txt"), get("/refused/deeper/y.txt"), get("/a/both"), get("/a/both?no"), get("/a/both", alice), get("/a/both?no", alice), get("/a/both", wrong),
			get("/both/x.txt"), get("/both/x.txt", alice), get("/both/x.txt", bob), get("/both/x.txt", eve), get("/both/x.txt?no", eve), get("/both/x.txt", wrong), get("/open/x.txt"), get("/ht/x.txt"), get("/ht/x.txt", "Authorization: Basic ZXZlOm90aGVy"), get("/ht/x.txt", alice),
		},
	},
}

// Credentials of users that the scripts know, or not.
const (
	alice = "Authorization: Basic YWxpY2U6c2VjcmV0"
	eve   = "Authorization: Basic ZXZlOmFkbWlu"
	bob   = "Authorization: Basic Ym9iOndvcmQ="
	wrong = "Authorization: Basic YWxpY2U6d3Jvbmc="
)
