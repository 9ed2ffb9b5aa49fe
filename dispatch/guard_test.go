package dispatch

import (
	"strings"
	"testing"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/internal/wire"
	"github.com/wsgid/wsgid/protocol"
)

// authorizerOf makes an exchange of a front server that asks, on a router whose
// only context is auth; its scripts say yes to everything.
func authorizerOf(t *testing.T, auth wire.Auth, pairs ...string) *exchange {
	t.Helper()
	yes := &fakeHost{decide: func(_ map[string]string, c *ScriptCall) (ScriptAnswer, error) {
		return ScriptAnswer{Verdict: VerdictGranted, Groups: []string{"Staff"}}, nil
	}}
	r := &Router{config: &wire.RouterConfig{}, nonces: newNonces(), guards: map[string]*script{}}
	for kind, k := range authKinds {
		r.guards[kind+" /a.py"] = newScript(r, k, wire.Script{Path: "/a.py", Concurrency: 1}, yes)
	}
	guard, err := r.newGuard(&auth)
	if err != nil {
		t.Fatal(err)
	}
	r.guard = guard
	x := &exchange{router: r, listener: &listener{Listener: wire.Listener{Authorizer: true}}}
	if err := x.env.parse(pairsOf(append(pairs, "REQUEST_URI", "/x", "REQUEST_METHOD", "GET", "REMOTE_ADDR", "192.0.2.1")...), protocol.Limits{}); err != nil {
		t.Fatal(err)
	}
	return x
}

// TestAuthorizerRoles: who is let in when every script says yes, by what the
// front server is after, what it sends and what is configured. Nobody is let in
// because a question could not be put.
func TestAuthorizerRoles(t *testing.T) {
	const a = "/a.py"
	all := wire.Auth{UserScript: a, GroupScript: a, AccessScript: a}
	with := func(change func(*wire.Auth)) wire.Auth {
		auth := all
		change(&auth)
		return auth
	}
	users, staff, others := []wire.Requirement{{ValidUser: true}}, []wire.Requirement{{Groups: []string{"sTAFF"}}}, []wire.Requirement{{Groups: []string{"others"}}, {Users: []string{"bob"}}}
	require := func(r []wire.Requirement) wire.Auth { return with(func(a *wire.Auth) { a.Require = r }) }
	basic := []string{"HTTP_AUTHORIZATION", "Basic YWxpY2U6cGFzcw=="}
	apache := func(role string, more ...string) []string {
		return append([]string{"FCGI_ROLE", "AUTHORIZER", "FCGI_APACHE_ROLE", role}, more...)
	}
	password := []string{"REMOTE_USER", "alice", "REMOTE_PASSWD", "pass"}
	asked := func(more ...string) []string { return append([]string{"WSGID_AUTH_REQUEST", "1"}, more...) }
	basicType := func(a *wire.Auth) { a.Type, a.Name = "basic", "realm" }
	for _, row := range []struct {
		name  string
		auth  wire.Auth
		pairs []string
		code  errcode.Code // 0: let in
		user  string
	}{
		{"password", all, apache("AUTHENTICATOR", password...), 0, "alice"},
		{"password, both", all, password, 0, "alice"},
		{"password, in a group", require(staff), apache("AUTHENTICATOR", password...), 0, "alice"},
		{"password, in none", require(others), apache("AUTHENTICATOR", password...), errcode.NotPermitted, ""},
		{"password of nobody", all, apache("AUTHENTICATOR", "REMOTE_PASSWD", "pass"), errcode.Unauthenticated, ""},
		{"no password", all, apache("AUTHENTICATOR"), errcode.Unauthenticated, ""},
		{"no password, whatever the header says", with(basicType), apache("AUTHENTICATOR", basic...), errcode.Unauthenticated, ""},
		{"no script for passwords", with(func(a *wire.Auth) { a.UserScript = "" }), apache("AUTHENTICATOR", password...), errcode.NothingToAuthorize, ""},
		{"host alone", wire.Auth{AccessScript: a}, apache("AUTHENTICATOR"), 0, ""},
		{"host alone, but require", wire.Auth{AccessScript: a, Require: users}, apache("AUTHENTICATOR"), errcode.NothingToAuthorize, ""},
		{"host alone, but auth_type", wire.Auth{AccessScript: a, Type: "basic", Name: "realm"}, asked(), errcode.NothingToAuthorize, ""},
		{"groups", require(staff), apache("AUTHORIZER", "REMOTE_USER", "alice"), 0, "alice"},
		{"other groups", require(others), apache("AUTHORIZER", "REMOTE_USER", "alice"), errcode.NotPermitted, ""},
		{"a user of the list", require(others), apache("AUTHORIZER", "REMOTE_USER", "bob"), 0, "bob"},
		{"groups of nobody", require(staff), apache("AUTHORIZER"), errcode.Unauthenticated, ""},
		{"nothing required", all, apache("AUTHORIZER", "REMOTE_USER", "alice"), errcode.NothingToAuthorize, ""},
		{"no script for groups", wire.Auth{UserScript: a, Require: staff}, apache("AUTHORIZER", "REMOTE_USER", "alice"), errcode.NothingToAuthorize, ""},
		{"asked", with(basicType), asked(basic...), 0, "alice"},
		{"asked, without credentials", with(basicType), asked(), errcode.Unauthenticated, ""},
		{"asked, with what the client cannot send", with(basicType), asked("REMOTE_USER", "mallory"), errcode.Unauthenticated, ""},
		{"asked, no type", all, asked(basic...), errcode.NothingToAuthorize, ""},
		{"lighttpd", with(basicType), basic, 0, "alice"},
	} {
		x := authorizerOf(t, row.auth, row.pairs...)
		g, r := x.authorizing()
		var user []byte
		var o outcome
		if r == nil {
			user, r, o = x.judgeRequest(g)
		}
		switch {
		case o != answered:
			t.Errorf("%s: outcome %d", row.name, o)
		case row.code == 0 && (r != nil || string(user) != row.user):
			t.Errorf("%s: %q %+v", row.name, user, r)
		case row.code != 0 && (r == nil || r.code != row.code):
			t.Errorf("%s: %q %+v, want %s", row.name, user, r, row.code)
		}
		if x.env.remotePassword != nil && row.code != errcode.NothingToAuthorize && string(x.env.remotePassword) == "pass" && strings.HasPrefix(row.name, "password,") {
			t.Errorf("%s: the password was not cleared", row.name)
		}
	}
}

// TestAuthEnviron: nothing but what mod_wsgi behaviour 5.2 lists.
func TestAuthEnviron(t *testing.T) {
	x := authorizerOf(t, wire.Auth{}, "HTTP_AUTHORIZATION", "Basic x", "HTTP_PROXY_AUTHORIZATION", "Basic x", "REDIRECT_HTTP_AUTHORIZATION", "Basic x",
		"REMOTE_PASSWD", "pass", "REMOTE_USER", "alice", "AUTH_TYPE", "Basic", "OTHER", "value", "HTTP_X", "1", "SSL_PROTOCOL", "TLSv1.3", "REQUEST_SCHEME", "https",
		"REMOTE_HOST", "client.test", "SERVER_SIGNATURE", "s", "WSGID_SCRIPT", "x", "SCRIPT_FILENAME", "/x", "CONTENT_LENGTH", "7", "FCGI_APACHE_ROLE", "AUTHORIZER")
	if r := x.env.checkBody(); r != nil {
		t.Fatal(r)
	}
	got := pairMap(x.appendAuthEnviron(nil))
	want := map[string]string{
		"HTTP_X": "1", "SSL_PROTOCOL": "TLSv1.3", "HTTPS": "1", "REMOTE_HOST": "client.test", "SERVER_SIGNATURE": "s", "CONTENT_LENGTH": "7",
		"REQUEST_URI": "/x", "REQUEST_METHOD": "GET", "REMOTE_ADDR": "192.0.2.1", "QUERY_STRING": "", "SCRIPT_NAME": "", "PATH_INFO": "",
	}
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%s is %q", name, v)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s should not be there", name)
		}
	}
}
