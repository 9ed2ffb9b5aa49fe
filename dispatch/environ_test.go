package dispatch

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/protocol"
)

func TestEnviron(t *testing.T) {
	var e environ
	err := e.parse(pairsOf(
		"REQUEST_METHOD", "POST", "SCRIPT_NAME", "/first", "SCRIPT_NAME", "/x", "PATH_INFO", "/y", "SCRIPT_FILENAME", "proxy:fcgi://h/x",
		"CONTENT_LENGTH", "007", "CONTENT_TYPE", "", "HTTP_COOKIE", "a=1", "HTTP_COOKIE", "b=2", "HTTP_X_A", "1", "HTTP_X_A", "2",
		"REDIRECT_HTTP_AUTHORIZATION", "Basic x", "HTTP_PROXY", "evil", "HTTP_CONTENT_LENGTH", "7", "HTTP_CONTENT_TYPE", "t", "PATH", "/bin",
		"LD_LIBRARY_PATH", "/l", "GATEWAY_INTERFACE", "CGI/1.1", "PATH_TRANSLATED", "/p", "REMOTE_HOST", "h", "REMOTE_IDENT", "i",
		"SERVER_SIGNATURE", "s", "FCGI_ROLE", "RESPONDER", "WSGID_SCRIPT", "/evil", "WSGID_ANYTHING", "1", "proxy-sendcl", "1", "wsgi.input", "x",
		"mod_wsgi.process_group", "x", "a=b", "c", "BAD\x01NAME", "x", "NUL", "a\x00b", "", "empty name", "EMPTY", "", "HTTPS", "on",
		"HTTP_TRANSFER_ENCODING", "chunked",
	), protocol.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if r := e.checkBody(); r != nil {
		t.Fatal(r)
	}
	got := pairMap(e.appendTo(nil, &target{script: "/srv/x.wsgi", scriptName: []byte("/x"), pathInfo: []byte("/y")}))
	want := map[string]string{
		"REQUEST_METHOD": "POST", "SCRIPT_NAME": "/x", "PATH_INFO": "/y", "SCRIPT_FILENAME": "/srv/x.wsgi", "CONTENT_LENGTH": "7",
		"QUERY_STRING": "", "HTTP_COOKIE": "a=1; b=2", "HTTP_X_A": "1, 2", "HTTP_AUTHORIZATION": "Basic x",
		"REDIRECT_HTTP_AUTHORIZATION": "Basic x", "EMPTY": "", "HTTPS": "on",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestContentLength(t *testing.T) {
	for v, want := range map[string]int64{"": -1, "-1": -1, "0": 0, "12": 12, "+1": -2, "1e3": -2, " 1": -2, "-2": -2, "99999999999999999999": -2} {
		var e environ
		if err := e.parse(pairsOf("CONTENT_LENGTH", v), protocol.Limits{}); err != nil {
			t.Fatal(err)
		}
		r := e.checkBody()
		if want == -2 {
			if r == nil || r.code != errcode.BadContentLength {
				t.Errorf("%q: %+v", v, r)
			}
		} else if r != nil || e.length != want {
			t.Errorf("%q: %d %+v", v, e.length, r)
		}
	}
}

func TestManyNamesInOneBucket(t *testing.T) {
	var e environ
	var b []byte
	for range 3 {
		for i := range 1000 {
			b = protocol.AppendPair(b, "A"+string(rune('0'+i%10))+string(rune('a'+i/10%26))+string(rune('a'+i/260)), "v")
		}
	}
	if err := e.parse(b, protocol.Limits{}); err != nil {
		t.Fatal(err)
	}
	if len(e.pairs) != 1000 {
		t.Errorf("%d names", len(e.pairs))
	}
}

func TestExpansion(t *testing.T) {
	var e environ
	if err := e.parse(pairsOf("SERVER_NAME", "site.test", "SERVER_PORT", "8080", "HTTP_HOST", "WWW.Site.test:8080", "G", "admin",
		"AGAIN", "%{SERVER}", "LOOP", "%{ENV:G}", "HTTP_X_G", "client"), protocol.Limits{}); err != nil {
		t.Fatal(err)
	}
	const p, a, s, c = processGroupValue, applicationGroupValue, scriptGroupValue, callableValue
	for _, tt := range []struct {
		value      string
		p, a, s, c string
	}{
		{"%{GLOBAL}", "", "", "", "application"},
		{"%{SERVER}", "site.test:8080", "site.test:8080", "site.test:8080", "application"},
		{"%{HOST}", "www.site.test:8080", "www.site.test:8080", "www.site.test:8080", "application"},
		{"%{RESOURCE}", "site.test:8080|/m", "site.test:8080|/m", "%{RESOURCE}", "application"},
		{"%{ENV:G}", "admin", "admin", "%{ENV:G}", "admin"},
		{"%{ENV:HTTP_X_G}", "client", "client", "%{ENV:HTTP_X_G}", "client"},
		{"%{ENV:AGAIN}", "site.test:8080", "site.test:8080", "%{ENV:AGAIN}", "%{SERVER}"},
		{"%{ENV:LOOP}", "%{ENV:G}", "%{ENV:G}", "%{ENV:LOOP}", "%{ENV:G}"},
		{"%{ENV:NONE}", "%{ENV:NONE}", "%{ENV:NONE}", "%{ENV:NONE}", "application"},
		{"%{ENV:}", "%{ENV:}", "%{ENV:}", "%{ENV:}", "application"},
		{"%{WHAT}", "%{WHAT}", "%{WHAT}", "%{WHAT}", "application"},
		{"x-%{HOST}", "x-%{HOST}", "x-%{HOST}", "x-%{HOST}", "x-%{HOST}"},
		{"plain", "plain", "plain", "plain", "plain"},
		{"", "", "", "", "application"},
	} {
		for kind, want := range map[valueKind]string{p: tt.p, a: tt.a, s: tt.s, c: tt.c} {
			if got := e.expand(tt.value, kind, []byte("/m")); got != want {
				t.Errorf("%q as kind %d: %q, want %q", tt.value, kind, got, want)
			}
		}
	}
	for host, want := range map[string]string{"[::1]:80": "::1", "[::1]": "::1", "h": "h", "H.Test.:81": "h.test", "H.": "h", "": "site.test"} {
		e.httpHost = []byte(host)
		if got := e.hostName(); got != want {
			t.Errorf("host %q: %q", host, got)
		}
	}
	for port, want := range map[string]string{"80": "", "443": "", "": "", "81": ":81"} {
		e.serverPort = []byte(port)
		if got := e.portSuffix(); got != want {
			t.Errorf("port %q: %q", port, got)
		}
	}
}
