package tests

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// accessLocation is where Apache asks about access alone: by a subrequest, since
// Require with a provider of mod_authnz_fcgi is only for those who have logged in.
// It stands behind all other sections.
const accessLocation = `
<Location "/.wsgid-access">
  AuthType None
  AuthnzFcgiCheckAuthnProvider wsgid-user RequireBasicAuth Off UserExpr "%{reqenv:REMOTE_USER}" DefaultUser -
  AuthMerging Off
  Require valid-user
</Location>
<Location "/.wsgid-access/never">
  Require all denied
</Location>
`

// requireAccess is the line that asks. What answers every URL with a yes, such as a
// redirection, does so for the second as well.
const requireAccess = `Require expr "-U '/.wsgid-access' && ! -U '/.wsgid-access/never'"`

// setAsking sets variables before Apache asks who somebody is.
func setAsking(pairs ...string) []string {
	var lines []string
	for i := 0; i < len(pairs); i += 2 {
		lines = append(lines, fmt.Sprintf(`SetEnvIf Request_Method ^ "%s=%s"`, pairs[i], strings.ReplaceAll(pairs[i+1], `"`, `\"`)))
	}
	return lines
}

// askingContexts starts wsgid with listener for Apache's questions, which declares
// the scripts named, and chooses none.
func askingContexts(t *testing.T, listener string, router ...string) (w *harness.World, wsgid *harness.Wsgid, providers string) {
	t.Helper()
	w = newWorld(t)
	w.App("acceptance_environ.py")
	w.App("authenticate.py")
	w.Write("apps/second.py", "def check_password(environ, user, password):\n    return password == 'second'\n")
	port := freeAddress(t)
	w.Configure("listen \"tcp\" {\n  " + option("address", port) + "\n  authorizer = true\n  responder = false\n  " + listener + "\n}\n" +
		authScripts + "auth_user_script \"{{.Dir}}/apps/second.py\" {\n}\nauth_user_script \"{{.Dir}}/apps/missing.py\" {\n}\naccess_script \"{{.Dir}}/apps/missing.py\" {\n}\n" +
		"router {\n  " + strings.Join(router, "\n  ") + "\n}\n" + group("only", "#64001", 1, 2) + mount("/app", "apps/acceptance_environ.py"))
	wsgid = w.Start(harness.Options{})
	return w, wsgid, fmt.Sprintf("AuthnzFcgiDefineProvider authn wsgid-user fcgi://%[1]s\nAuthnzFcgiDefineProvider authz wsgid-group fcgi://%[1]s\n", port) +
		"ProxyPass \"/app\" \"unix:{{.Socket}}|fcgi://wsgid/app\" enablereuse=on\n"
}

// TestAuthorizerContexts: Apache's Location, Directory and .htaccess choose who
// decides, for applications and for files, with the statuses and the REMOTE_USER
// that mod_wsgi 4.9.4 gives with its directives in the same places.
func TestAuthorizerContexts(t *testing.T) {
	w, wsgid, providers := askingContexts(t, "trust_front_server = true\n  separate_questions = true")
	script, second, missing := w.Path("apps/authenticate.py"), w.Path("apps/second.py"), w.Path("apps/missing.py")
	basicRealm := []string{"AuthType Basic", `AuthName "realm"`, "AuthBasicProvider wsgid-user"}
	section := func(kind, path string, parts ...[]string) string {
		text := "<" + kind + " \"" + path + "\">\n"
		for _, lines := range parts {
			text += "  " + strings.Join(lines, "\n  ") + "\n"
		}
		return text + "</" + kind + ">\n"
	}
	lines := func(lines ...string) []string { return lines }
	within := func(require ...string) []string {
		return append(append(lines("<RequireAll>", requireAccess, "<RequireAny>"), require...), "</RequireAny>", "</RequireAll>")
	}
	user, group, access := setAsking("WSGID_AUTH_USER_SCRIPT", script), setAsking("WSGID_AUTH_GROUP_SCRIPT", script), setAsking("WSGID_ACCESS_SCRIPT", script)
	valid, staff := lines("Require valid-user"), setAsking("WSGID_REQUIRE", `wsgi-group "no body" STAFF`)
	contexts := map[string]string{
		"user":    section("Location", "/NAME", basicRealm, user, valid),
		"second":  section("Location", "/NAME", basicRealm, setAsking("WSGID_AUTH_USER_SCRIPT", second), valid),
		"group":   section("Location", "/NAME", basicRealm, user, group, staff, lines("Require user bob", "Require wsgid-group")),
		"forbid":  section("Location", "/NAME", basicRealm, user, group, staff, lines("Require wsgid-group", "AuthzSendForbiddenOnFailure On")),
		"access":  section("Location", "/NAME", access, lines("AuthMerging And", requireAccess)),
		"here":    section("Location", "/NAME", access, within("Require ip 192.0.2.1", "Require ip 127.0.0.1")),
		"there":   section("Location", "/NAME", access, within("Require ip 192.0.2.1")),
		"both":    section("Location", "/NAME", basicRealm, user, group, access, staff, within("Require user bob", "Require wsgid-group")),
		"missing": section("Location", "/NAME", setAsking("WSGID_ACCESS_SCRIPT", missing), lines("AuthMerging And", requireAccess)),
		"broken":  section("Location", "/NAME", basicRealm, setAsking("WSGID_AUTH_USER_SCRIPT", missing), valid),
		"odd":     section("Location", "/NAME", basicRealm, user, setAsking("WSGID_REQUIRE", `user "a\$1 \\\\b & c;d"; user x`), lines("Require wsgid-group")),
		"unknown": section("Location", "/NAME", basicRealm, setAsking("WSGID_AUTH_USER_SCRIPT", "/no/such.py"), valid),
	}
	config := providers + "AccessFileName .htaccess\n" + section("Directory", w.Path("httpd/docs"), lines("AllowOverride AuthConfig FileInfo")) +
		section("Directory", w.Path("httpd/docs/directory"), basicRealm, setAsking("WSGID_AUTH_USER_SCRIPT", second), valid)
	for name, text := range contexts {
		for _, prefix := range []string{"app/", "files/"} {
			config += strings.Replace(text, "NAME", prefix+name, 1)
		}
		w.Write("httpd/docs/files/"+name+"/file.txt", "the file")
	}
	for _, name := range []string{"directory", "ht"} {
		w.Write("httpd/docs/"+name+"/file.txt", "the file")
	}
	ht := [][]string{basicRealm, user, group, access, staff, within("Require user carol", "Require wsgid-group")}
	text := ""
	for _, part := range ht {
		text += strings.Join(part, "\n") + "\n"
	}
	w.Write("httpd/docs/ht/.htaccess", text)
	apache := w.StartApache(harness.ApacheOptions{Config: config + accessLocation})
	for _, row := range []struct {
		context, query, user, password string
		status                         int
		remoteUser                     string
	}{
		{"user", "", "", "", 401, ""},
		{"user", "", "alice", "secret of alice", 200, "alice"},
		{"user", "", "alice", "second", 401, ""},
		{"user", "", "none", "secret of none", 401, ""},
		{"user", "", "raises", "secret of raises", 500, ""},
		{"second", "", "alice", "secret of alice", 401, ""},
		{"second", "", "anybody", "second", 200, "anybody"},
		{"group", "", "", "", 401, ""},
		{"group", "", "alice", "secret of alice", 200, "alice"},
		{"group", "", "bob", "secret of bob", 200, "bob"},
		{"group", "", "carol", "secret of carol", 401, ""},
		{"group", "", "number", "secret of number", 401, ""},
		{"forbid", "", "bob", "secret of bob", 403, ""},
		{"forbid", "", "bob", "wrong", 401, ""},
		{"access", "", "", "", 200, "<absent>"},
		{"access", "?none", "", "", 200, "<absent>"},
		{"access", "?false", "", "", 403, ""},
		{"access", "?one", "", "", 403, ""},
		{"access", "?raises", "", "", 403, ""},
		{"access", "?true", "alice", "wrong", 200, "<absent>"},
		{"here", "?true", "", "", 200, "<absent>"},
		{"here", "?false", "", "", 403, ""},
		{"there", "?true", "", "", 403, ""},
		{"there", "?false", "", "", 403, ""},
		{"both", "?false", "", "", 403, ""}, // before anybody is asked for a password
		{"both", "?false", "alice", "secret of alice", 403, ""},
		{"both", "?true", "", "", 401, ""},
		{"both", "?true", "alice", "wrong", 401, ""},
		{"both", "?none", "alice", "secret of alice", 200, "alice"},
		{"both", "?true", "bob", "secret of bob", 200, "bob"},
		{"both", "?true", "carol", "secret of carol", 401, ""},
		{"missing", "", "", "", 403, ""},
		{"broken", "", "", "", 401, ""},
		{"broken", "", "alice", "secret of alice", 500, ""},
		{"odd", "", `a$1 \b & c;d`, `secret of a$1 \b & c;d`, 200, `a$1 \b & c;d`},
		{"odd", "", "alice", "secret of alice", 401, ""},
		{"unknown", "", "alice", "secret of alice", 500, ""},
	} {
		var headers []string
		if row.user != "" {
			headers = []string{basic(row.user, row.password)}
		}
		for _, url := range []string{"/app/" + row.context + row.query, "/files/" + row.context + "/file.txt" + row.query} {
			for _, method := range []string{"GET", "POST"} {
				application := strings.HasPrefix(url, "/app/")
				if method == "POST" && !application {
					continue // a file takes none
				}
				before := wsgid.AwaitIdle().Group("only").Requests
				got := apache.Do(method, url, strings.NewReader("body"), headers...)
				what := fmt.Sprintf("%s %s as %q with %q", method, url, row.user, row.password)
				switch {
				case got.Status != row.status:
					t.Errorf("%s: %d, want %d: %.200s", what, got.Status, row.status, got.Body)
				case row.status != 200:
					if now := wsgid.AwaitIdle().Group("only").Requests; now != before {
						t.Errorf("%s: the application was asked", what)
					}
					if challenge := got.Header.Get("WWW-Authenticate"); row.status == 401 && challenge != `Basic realm="realm"` {
						t.Errorf("%s: challenge %q", what, challenge)
					}
				case application:
					environOf(t, got).want(t, map[string]string{"REMOTE_USER": row.remoteUser, "REMOTE_PASSWD": "<absent>", "WSGID_REQUIRE": "<absent>", "REQUEST_METHOD": method})
				case got.Text() != "the file":
					t.Errorf("%s: %.200s", what, got.Body)
				}
			}
		}
	}
	for _, row := range []struct {
		url, user, password string
		status              int
	}{
		{"/directory/file.txt", "", "", 401}, {"/directory/file.txt", "alice", "secret of alice", 401}, {"/directory/file.txt", "alice", "second", 200},
		{"/ht/file.txt?false", "", "", 403}, {"/ht/file.txt", "", "", 401}, {"/ht/file.txt", "alice", "secret of alice", 200}, {"/ht/file.txt?false", "alice", "secret of alice", 403},
		{"/ht/file.txt", "bob", "secret of bob", 401}, {"/ht/file.txt", "carol", "secret of carol", 200}, {"/app/open", "", "", 200},
		{"/.wsgid-access", "", "", 500}, {"/.wsgid-access", "alice", "secret of alice", 500}, // it is there for subrequests
	} {
		var headers []string
		if row.user != "" {
			headers = []string{basic(row.user, row.password)}
		}
		if got := apache.Get(row.url, headers...); got.Status != row.status || row.status == http.StatusOK && !strings.HasPrefix(row.url, "/app") && got.Text() != "the file" {
			t.Errorf("%s as %q with %q: %d, want %d: %.200s", row.url, row.user, row.password, got.Status, row.status, got.Body)
		}
	}
	refused := wsgid.Log.Await(t, "the script that nothing declares", harness.Containing("WSGID-1031", "/no/such.py"))
	if !strings.Contains(refused.Line, "WSGID_AUTH_USER_SCRIPT") || refused.Level() != "error" {
		t.Errorf("it is not described: %s", refused.Line)
	}
	noSecrets(t, wsgid)
}

// TestAuthorizerContextsRefused: without trust_front_server, and where
// allow_override does not name the option, the context's word is no licence: Apache
// lets nobody in, with a password that the URL's script would take.
func TestAuthorizerContextsRefused(t *testing.T) {
	for name, row := range map[string]struct{ listener, override, said string }{
		"trust_front_server": {"trust_front_server = false", "", "trust_front_server"},
		"allow_override":     {"trust_front_server = true", "allow_override = [\"callable_object\"]", "allow_override does not name auth_user_script"},
	} {
		t.Run(name, func(t *testing.T) {
			w, wsgid, providers := askingContexts(t, row.listener, row.override, option("auth_user_script", "{{.Dir}}/apps/authenticate.py"))
			w.Write("httpd/docs/file.txt", "the file")
			location := "<Location />\n  AuthType Basic\n  AuthName realm\n  AuthBasicProvider wsgid-user\n  Require valid-user\n</Location>\n"
			asking := strings.Join(setAsking("WSGID_AUTH_USER_SCRIPT", w.Path("apps/authenticate.py")), "\n")
			apache := w.StartApache(harness.ApacheOptions{Config: providers + location + "<Location /app>\n" + asking + "\n</Location>\n"})
			for url, status := range map[string]int{"/file.txt": 200, "/app": 500} {
				if got := apache.Get(url, basic("alice", "secret of alice")); got.Status != status {
					t.Errorf("%s: %d, want %d: %.200s", url, got.Status, status, got.Body)
				}
			}
			wsgid.Log.Await(t, "why", harness.Containing("WSGID-1032", "WSGID_AUTH_USER_SCRIPT", row.said))
		})
	}
}

// TestAccessBehindRedirections: where Apache answers the subrequest by itself,
// nobody gets in.
func TestAccessBehindRedirections(t *testing.T) {
	w, _, providers := askingContexts(t, "trust_front_server = true\n  separate_questions = true")
	w.Write("httpd/docs/closed/file.txt", "the file")
	apache := w.StartApache(harness.ApacheOptions{Config: providers + "RedirectMatch \"^/(?!closed|app)\" \"https://localhost/\"\n<Location /closed>\n  " + requireAccess + "\n  " +
		strings.Join(setAsking("WSGID_ACCESS_SCRIPT", w.Path("apps/authenticate.py")), "\n  ") + "\n</Location>\n" + accessLocation})
	for _, query := range []string{"?true", "?false"} {
		if got := apache.Get("/closed/file.txt" + query); got.Status != http.StatusForbidden {
			t.Errorf("%s: %d %.200s", query, got.Status, got.Body)
		}
	}
}
