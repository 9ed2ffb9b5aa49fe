package tests

import "strings"

// asFile is why a page of wsgid has not all headers that Apache's has.
const asFile = "header Etag, header Last-Modified, header Accept-Ranges: of a file, and of no use in an error"

// errorSites are about answers of 400 and more.
var errorSites = map[string]convertedSite{
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
}
