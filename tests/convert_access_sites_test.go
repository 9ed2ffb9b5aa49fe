package tests

import "strings"

// accessSites are about who may do what: handlers and ExecCGI, users, hosts, TLS.
var accessSites = map[string]convertedSite{
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
