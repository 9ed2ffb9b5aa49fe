package tests

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// basic is the header with which a browser sends name and password.
func basic(name, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

// authScripts declares the test script for all three purposes.
const authScripts = `
auth_user_script "{{.Dir}}/apps/authenticate.py" {
}
auth_group_script "{{.Dir}}/apps/authenticate.py" {
}
access_script "{{.Dir}}/apps/authenticate.py" {
}
`

// noSecrets asserts that no password stands in the log or in the status.
func noSecrets(t *testing.T, wsgid *harness.Wsgid) {
	t.Helper()
	status := wsgid.AwaitIdle().Text
	for _, record := range wsgid.Log.Records() {
		if strings.Contains(record.Line, "secret of") || strings.Contains(record.Line, base64.StdEncoding.EncodeToString([]byte("secret of"))[:8]) {
			t.Errorf("a password is in the log: %s", record.Line)
		}
	}
	if strings.Contains(status, "secret of") {
		t.Errorf("a password is in the status: %s", status)
	}
}

// TestAuthorizerBehindApache: mod_authnz_fcgi asks for passwords, for groups,
// for both at once, and in front of authentication of any kind; every answer of
// a script that mod_wsgi behaviour 5.2 lists has the outcome that it has there.
func TestAuthorizerBehindApache(t *testing.T) { inBoth(t, testAuthorizerBehindApache) }

func testAuthorizerBehindApache(t *testing.T, helper string) {
	w := newWorld(t)
	w.App("acceptance_environ.py")
	w.App("authenticate.py")
	authorizer := freeAddress(t)
	scripts := option("auth_user_script", "{{.Dir}}/apps/authenticate.py") + "\n  " + option("auth_group_script", "{{.Dir}}/apps/authenticate.py")
	staff := `require = ["wsgi-group nobody STAFF"]`
	w.Configure(helper + fmt.Sprintf("listen \"tcp\" {\n  address = %q\n  authorizer = true\n}\n", authorizer) + w.Expand(authScripts) +
		"router {\n  auth_name = \"realm\"\n  " + scripts + "\n}\n" + group("only", "#64001", 1, 2) +
		mount("/group", "apps/acceptance_environ.py", staff) + mount("/both", "apps/acceptance_environ.py", staff) +
		mount("/checked", "apps/acceptance_environ.py", staff) +
		mount("/host", "apps/acceptance_environ.py", option("auth_user_script", ""), option("auth_group_script", ""), option("access_script", "{{.Dir}}/apps/authenticate.py")) +
		mount("/nobody", "apps/acceptance_environ.py", option("auth_user_script", ""), option("access_script", "{{.Dir}}/apps/authenticate.py"), `require = ["user alice"]`) +
		mount("/", "apps/acceptance_environ.py"))
	wsgid := w.Start(harness.Options{})
	w.Write("httpd/docs/static/file.txt", "the file")
	location := func(path string, lines ...string) string {
		return "<Location " + path + ">\n  AuthType Basic\n  AuthName \"realm\"\n  " + strings.Join(lines, "\n  ") + "\n</Location>\n"
	}
	apache := w.StartApache(harness.ApacheOptions{Config: fmt.Sprintf(`
AuthnzFcgiDefineProvider authn wsgid-user fcgi://%[1]s
AuthnzFcgiDefineProvider authz wsgid-group fcgi://%[1]s
AuthnzFcgiDefineProvider authnz wsgid-both fcgi://%[1]s
ProxyPass "/static" "!"
`, authorizer) +
		location("/basic", "AuthBasicProvider wsgid-user", "Require valid-user") +
		location("/static", "AuthBasicProvider wsgid-user", "Require valid-user") +
		location("/group", "AuthBasicProvider wsgid-user", "Require wsgid-group") +
		location("/both", "AuthBasicProvider wsgid-both", "Require wsgid-both") +
		location("/check", `AuthnzFcgiCheckAuthnProvider wsgid-user UserExpr "%{reqenv:REMOTE_USER}"`, "Require valid-user") +
		location("/checked", "AuthnzFcgiCheckAuthnProvider wsgid-both", "Require wsgid-both") +
		location("/host", `AuthnzFcgiCheckAuthnProvider wsgid-user RequireBasicAuth Off UserExpr "%{reqenv:REMOTE_USER}" DefaultUser anybody`, "Require valid-user") +
		location("/nobody", `AuthnzFcgiCheckAuthnProvider wsgid-user RequireBasicAuth Off UserExpr "%{reqenv:REMOTE_USER}" DefaultUser anybody`, "Require valid-user") +
		harness.ProxyPass})
	type row struct {
		url, user, password string
		status              int
		remoteUser          string
	}
	rows := []row{
		{"/basic", "", "", 401, ""},
		{"/basic", "alice", "secret of alice", 200, "alice"},
		{"/basic", "al\u00efce", "secret of al\u00efce", 200, "al\u00c3\u00afce"},
		{"/basic", "alice", "wrong", 401, ""},
		{"/basic", "alice", "", 401, ""},
		{"/basic", "", "secret of alice", 401, ""},
		{"/basic", "none", "secret of none", 401, ""},
		{"/basic", "empty", "secret of empty", 500, ""},
		{"/basic", "one", "secret of one", 500, ""},
		{"/basic", "zero", "secret of zero", 500, ""},
		{"/basic", "bytes", "secret of bytes", 500, ""},
		{"/basic", "tuple", "secret of tuple", 500, ""},
		{"/basic", "raises", "secret of raises", 500, ""},
		{"/basic", "line", "secret of line", 500, ""},
		{"/basic", "other", "secret of other", 200, "other"}, // Apache keeps the name that it asked about
		{"/static/file.txt", "", "", 401, ""},
		{"/static/file.txt", "alice", "wrong", 401, ""},
		{"/static/file.txt", "alice", "secret of alice", 200, ""},
		{"/group", "", "", 401, ""},
		{"/group", "alice", "secret of alice", 200, "alice"},
		{"/group", "bob", "secret of bob", 401, ""},
		{"/group", "text", "secret of text", 401, ""},
		{"/group", "number", "secret of number", 401, ""},
		{"/both", "", "", 401, ""},
		{"/both", "alice", "secret of alice", 200, "alice"},
		{"/both", "alice", "wrong", 401, ""},
		{"/both", "bob", "secret of bob", 401, ""},
		{"/check", "", "", 401, ""},
		{"/check", "alice", "secret of alice", 200, "alice"},
		{"/check", "alice", "wrong", 401, ""},
		{"/check", "other", "secret of other", 200, "somebody else"},
		{"/check", "umlaut", "secret of umlaut", 200, "\u00c3\u00a4nne"},
		{"/check", "raises", "secret of raises", 500, ""},
		{"/checked", "alice", "secret of alice", 200, "alice"},
		{"/checked", "bob", "secret of bob", 401, ""},
		{"/host?true", "", "", 200, "anybody"},
		{"/host?none", "", "", 200, "anybody"},
		{"/host?false", "", "", 403, ""},
		{"/host?one", "", "", 403, ""},
		{"/host?raises", "", "", 403, ""},
		{"/host?true", "alice", "secret of alice", 500, ""}, // nobody there knows passwords
		{"/nobody", "", "", 500, ""},                        // a host is no user
		{"/open", "", "", 200, "<absent>"},
	}
	for _, row := range rows {
		before := wsgid.AwaitIdle().Group("only").Requests
		var headers []string
		if row.user != "" || row.password != "" {
			headers = []string{basic(row.user, row.password)}
		}
		got := apache.Get(row.url, headers...)
		if got.Status != row.status {
			t.Errorf("%s as %s with %q: %d, want %d: %.300s", row.url, row.user, row.password, got.Status, row.status, got.Body)
			continue
		}
		switch {
		case row.status != 200:
			if now := wsgid.AwaitIdle().Group("only").Requests; now != before {
				t.Errorf("%s as %s: the application was asked", row.url, row.user)
			}
			if challenge := got.Header.Get("WWW-Authenticate"); row.status == 401 && challenge != `Basic realm="realm"` {
				t.Errorf("%s as %s: challenge %q", row.url, row.user, challenge)
			}
		case strings.HasPrefix(row.url, "/static/"):
			if got.Text() != "the file" {
				t.Errorf("%s: %s", row.url, got.Body)
			}
		default:
			environOf(t, got).want(t, map[string]string{"REMOTE_USER": row.remoteUser, "REMOTE_PASSWD": "<absent>", "FCGI_APACHE_ROLE": "<absent>"})
		}
		for name := range got.Header {
			if strings.HasPrefix(strings.ToLower(name), "variable-") {
				t.Errorf("%s: header %s reached the client", row.url, name)
			}
		}
	}
	failed := wsgid.Log.Await(t, "the exception", harness.Containing("WSGID-1044", "ValueError"))
	if !strings.Contains(failed.Line, "nor (password)") || !strings.Contains(failed.Line, "check_password") || failed.Level() != "error" {
		t.Errorf("the failure is not described: %s", failed.Line)
	}
	noSecrets(t, wsgid)
}
