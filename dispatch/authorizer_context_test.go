package dispatch

import (
	"strings"
	"testing"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/internal/wire"
)

// TestAskingContext: what the web server's context says decides in the place of
// the URL's, as far as the listener trusts it and allow_override names it. What
// does not count keeps people out, and lets nobody in.
func TestAskingContext(t *testing.T) {
	const a = "/a.py"
	all := wire.OverrideNames(false)
	staff := []wire.Requirement{{Groups: []string{"staff"}}}
	nothing := wire.Auth{AllowOverride: all}
	others := wire.Auth{UserScript: a, GroupScript: a, Require: []wire.Requirement{{Groups: []string{"others"}}}, AllowOverride: all}
	authn := []string{"FCGI_APACHE_ROLE", "AUTHENTICATOR", "REMOTE_USER", "alice", "REMOTE_PASSWD", "pass"}
	host := []string{"FCGI_APACHE_ROLE", "AUTHENTICATOR"}
	authz := []string{"FCGI_APACHE_ROLE", "AUTHORIZER", "REMOTE_USER", "alice"}
	both := []string{"REMOTE_USER", "alice", "REMOTE_PASSWD", "pass"}
	user, group, access := []string{"WSGID_AUTH_USER_SCRIPT", a}, []string{"WSGID_AUTH_GROUP_SCRIPT", a}, []string{"WSGID_ACCESS_SCRIPT", a}
	require := func(value string) []string { return []string{"WSGID_REQUIRE", value} }
	const distrusted, separate = 1, 2
	for _, row := range []struct {
		name   string
		auth   wire.Auth
		how    int
		pairs  [][]string
		code   errcode.Code // 0: let in
		reason string
	}{
		{"a user script", nothing, 0, [][]string{authn, user}, 0, ""},
		{"no user script", nothing, 0, [][]string{authn, group}, errcode.NothingToAuthorize, "auth_user_script"},
		{"none in the place of one", others, 0, [][]string{authn, {"WSGID_AUTH_USER_SCRIPT", "none"}}, errcode.NothingToAuthorize, "auth_user_script"},
		{"an empty one", others, 0, [][]string{authz, require("")}, errcode.NotPermitted, ""},
		{"the last of two", nothing, 0, [][]string{authn, {"WSGID_AUTH_USER_SCRIPT", "/other.py"}, user}, 0, ""},
		{"not declared", nothing, 0, [][]string{authn, {"WSGID_AUTH_USER_SCRIPT", "/other.py"}}, errcode.WrongSetting, "/other.py"},
		{"not declared, beside one of the URL", others, 0, [][]string{authn, {"WSGID_AUTH_USER_SCRIPT", "/other.py"}}, errcode.WrongSetting, "WSGID_AUTH_USER_SCRIPT"},
		{"no such parameter", nothing, 0, [][]string{authn, user, {"WSGID_AUTH_USERS_SCRIPT", a}}, errcode.WrongSetting, "WSGID_AUTH_USERS_SCRIPT"},
		{"settings of requests", nothing, 0, [][]string{authn, user, {"WSGID_PROCESS_GROUP", "x"}, {"WSGID_EXEC_CGI", "maybe"}}, 0, ""},
		{"groups", nothing, 0, [][]string{authz, group, require(`wsgi-group "a b" STAFF`)}, 0, ""},
		{"in the place of others", others, 0, [][]string{authz, require("wsgi-group x; wsgi-group staff")}, 0, ""},
		{"none of these groups", nothing, 0, [][]string{authz, group, require(`wsgi-group "a b"`)}, errcode.NotPermitted, ""},
		{"a user, without groups", nothing, 0, [][]string{authz, require("user alice; wsgi-group x")}, 0, ""},
		{"no words of require", others, 0, [][]string{authz, require("group staff")}, errcode.WrongSetting, "group staff"},
		{"groups, in one question", nothing, 0, [][]string{both, user, group, require("wsgi-group staff")}, 0, ""},
		{"no groups, in one question", nothing, 0, [][]string{both, user, group, require("wsgi-group x")}, errcode.NotPermitted, ""},
		{"a password holds with require", nothing, 0, [][]string{authn, user, group, require("wsgi-group x")}, errcode.NotPermitted, ""},
		{"a password alone", nothing, separate, [][]string{authn, user, group, require("wsgi-group x")}, 0, ""},
		{"a host alone, beside users", nothing, separate, [][]string{host, user, access, require("wsgi-group x")}, 0, ""},
		{"a host alone, and none to ask", nothing, separate, [][]string{host, user}, errcode.NothingToAuthorize, "access_script"},
		{"groups alone", nothing, separate, [][]string{authz, user, group, access, require("wsgi-group x")}, errcode.NotPermitted, ""},
		{"in one question all the same", nothing, separate, [][]string{both, user, group, require("wsgi-group x")}, errcode.NotPermitted, ""},
		{"a host, where users are asked for", nothing, 0, [][]string{host, user, access}, errcode.Unauthenticated, ""},
		{"marked", wire.Auth{Type: "basic", Name: "realm", AllowOverride: all}, 0,
			[][]string{{"WSGID_AUTH_REQUEST", "1", "HTTP_AUTHORIZATION", "Basic YWxpY2U6cGFzcw=="}, user}, 0, ""},
		{"not trusted", others, distrusted, [][]string{authz, require("valid-user")}, errcode.SettingForbidden, "trust_front_server"},
		{"not trusted, and nothing else", others, distrusted, [][]string{authz, {"WSGID_PROCESS_GROUP", "x", "WSGID_X", ""}}, errcode.NotPermitted, ""},
		{"not permitted", wire.Auth{UserScript: a, GroupScript: a, Require: staff}, 0, [][]string{authz, require("valid-user")}, errcode.SettingForbidden, "allow_override"},
		{"another permitted", wire.Auth{UserScript: a, AllowOverride: []string{"auth_user_script"}}, 0, [][]string{authn, access}, errcode.SettingForbidden, "access_script"},
	} {
		var pairs []string
		for _, p := range row.pairs {
			pairs = append(pairs, p...)
		}
		x := authorizerOf(t, row.auth, pairs...)
		x.listener.TrustFrontServer, x.listener.SeparateQuestions = row.how != distrusted, row.how == separate
		before := *x.router.guard
		g, r := x.authorizing()
		var o outcome
		if r == nil {
			_, r, o = x.judgeRequest(g)
		}
		said := ""
		if r != nil {
			for _, arg := range r.args {
				if text, ok := arg.(string); ok {
					said += text + " "
				}
			}
		}
		switch {
		case o != answered:
			t.Errorf("%s: outcome %d", row.name, o)
		case row.code == 0 && r != nil:
			t.Errorf("%s: refused with %s, %s", row.name, r.code, said)
		case row.code != 0 && (r == nil || r.code != row.code || !strings.Contains(said, row.reason)):
			t.Errorf("%s: %+v, want %s with %q", row.name, r, row.code, row.reason)
		}
		if x.router.guard.user != before.user || len(x.router.guard.Require) != len(before.Require) {
			t.Errorf("%s: the context of the URL has changed", row.name)
		}
	}
}

// TestAskingSettingsOfRequests: on a request that is served they have no effect.
func TestAskingSettingsOfRequests(t *testing.T) {
	for _, allowed := range [][]string{wire.OverrideNames(true), {}} {
		r := contextual(t, true, allowed...)
		got := r.mustGet(r.front(), "/", "WSGID_AUTH_USER_SCRIPT", "/no/such.py", "WSGID_ACCESS_SCRIPT", "none", "WSGID_REQUIRE", "nonsense", "WSGID_AUTH_GROUP_SCRIPT", "")
		if got.body != "web||application|||GET|" {
			t.Errorf("allowed %v: %s%s", allowed, got.header, got.body)
		}
	}
}
