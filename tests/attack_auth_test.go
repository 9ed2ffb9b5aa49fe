package tests

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// guardedWorld is under attack and has /admin, which asks for alice and her
// password, and the listener authorizer.sock, where a web server may ask.
func guardedWorld(t *testing.T) *attacked {
	t.Helper()
	return startAttacked(t, "listen \"unix\" {\n  path = \"{{.Dir}}/authorizer.sock\"\n  authorizer = true\n  trust_front_server = true\n}\n"+
		"auth_user_script \"{{.Dir}}/auth.py\" {\n}\nauth_group_script \"{{.Dir}}/auth.py\" {\n}\n"+
		mount("/admin", "apps/environ.py", option("process_group", "only"), option("application_group", "admin"), option("auth_type", "basic"), option("auth_name", "Admin"),
			option("auth_user_script", "{{.Dir}}/auth.py"), option("auth_group_script", "{{.Dir}}/auth.py"), `require = ["wsgi-group staff"]`)+
		mount("/digest", "apps/environ.py", option("process_group", "only"), option("application_group", "admin"), option("auth_type", "digest"), option("auth_name", "Admin"),
			option("auth_user_script", "{{.Dir}}/auth.py")))
}

const passphrase = "correct-horse-battery"

const authScript = `
def check_password(environ, user, password):
    return user == "alice" and password == "` + passphrase + `" or None


def get_realm_hash(environ, user, realm):
    return None


def groups_for_user(environ, user):
    return ["staff"] if user == "alice" else []
`

func basicAuth(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// TestAttackGuard: without the password nobody gets to the application behind
// it, whatever the URL, the method or the headers.
func TestAttackGuard(t *testing.T) {
	a := guardedWorld(t)
	inside := func(got string) bool { return strings.Contains(got, `"mod_wsgi.application_group": "admin"`) }
	for name, start := range map[string]func() *harness.Client{
		"Apache": func() *harness.Client {
			return a.StartApache(harness.ApacheOptions{Config: "AllowEncodedSlashes On\n<Location />\nCGIPassAuth On\n</Location>\n" + proxyAll}).Client
		},
		"nginx": a.StartNginx, "Caddy": a.StartCaddy,
		"HTTP front": func() *harness.Client { return harness.NewClient(t, "http://"+a.address) },
	} {
		t.Run(name, func(t *testing.T) {
			base := start().Base
			ask := func(line string, headers ...string) string {
				return rawHTTP(t, base, line+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+strings.Join(append(headers, ""), "\r\n")+"\r\n")
			}
			if got := ask("GET /admin/x", "Authorization: "+basicAuth("alice", passphrase)); !inside(got) {
				t.Fatalf("with the password: %.500q", got)
			}
			for _, path := range []string{
				"/admin", "/admin/", "//admin", "/admin//x", "/./admin", "/x/../admin", "/app/../admin/x", "/%61dmin", "/%2561dmin", "/admin%2fx", "/admin/.", "/admin/..%2fadmin", "/app/..%2fadmin", "/app/%2e%2e/admin", "/app%2f..%2fadmin",
				"/admin;x", "/admin;/x", "/;/admin", "/admin?x", "/admin%3fx", "/admin%00", "/admin%20", "/admin.", "/ADMIN", "/app/../admin?/app", "http://x/admin", "http://x//admin", "http://admin/app/../admin", a.Path("apps/environ.py"),
				"/admin" + a.Path("apps/environ.py"), "/w/../admin", "/static/../admin", "/static/%2e%2e/admin", "/digest", "/digest/x", "/app/..;/admin", `/app\..\admin`, "/app/..%5cadmin", "*", "/admin#x", "/admin/" + strings.Repeat("x/../", 500),
			} {
				for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "PUT", "TRACE", "PROPFIND", "get", "X"} {
					if got := ask(method + " " + path); inside(got) {
						t.Errorf("%s %s: %.300q", method, path, got)
					}
				}
			}
			for _, credentials := range []string{
				"", "Basic", "Basic ", "Basic !", "Basic =", "Basic " + strings.Repeat("A", 7000), "Basic YWxpY2U=", "Basic YWxpY2U6", basicAuth("", ""), basicAuth("alice", ""), basicAuth("", passphrase), basicAuth("bob", passphrase),
				basicAuth("alice\x00", passphrase), basicAuth("alice", passphrase+"\x00"), basicAuth("alice\r\nX-Injected: 1", passphrase), basicAuth("ALICE", passphrase), basicAuth(" alice", passphrase), basicAuth("alice", " "+passphrase),
				basicAuth("alice:", passphrase), "Bearer " + basicAuth("alice", passphrase)[6:], "Basic " + passphrase, "Basic alice:" + passphrase, "Digest " + basicAuth("alice", passphrase)[6:],
				`Digest username="alice"`, `Digest username="alice", realm="Admin", nonce="x", uri="/digest", qop=auth, nc=00000001, cnonce="x", response="00000000000000000000000000000000"`, `Digest username="alice", response=`, "Digest " + strings.Repeat(`a="b", `, 900), `Digest "`, `Digest ,,,,`, "Negotiate x", "Basic\tx",
			} {
				for _, path := range []string{"/admin", "/digest"} {
					got := ask("GET "+path, "Authorization: "+credentials, "Remote-User: alice", "Auth-Type: Basic", "X-Remote-User: alice", "REMOTE_USER: alice", "X-Original-Url: /app", "X-Rewrite-Url: /app")
					head, _, _ := strings.Cut(got, "\r\n\r\n")
					if inside(got) || !strings.HasPrefix(got, "HTTP/1.1 4") || strings.Contains(head, "Injected") {
						t.Errorf("%s with %.80q: %.300q", path, credentials, got)
					}
				}
			}
			// Two headers: the application must not get in by one that the other denies.
			if got := ask("GET /admin", "Authorization: "+basicAuth("bob", "x"), "Authorization: "+basicAuth("alice", "x")); inside(got) {
				t.Errorf("two credentials: %.300q", got)
			}
			a.unharmed(t)
		})
	}
	for _, name := range noticed { // a peer that says who somebody is
		answer := askRaw(t, a.World, fcgiRequest("REQUEST_METHOD", "GET", "SCRIPT_NAME", "/admin", "REMOTE_USER", "alice", "AUTH_TYPE", "Basic", "REMOTE_PASSWD", passphrase, name, "/admin"))
		if inside(answer.stdout) {
			t.Errorf("with %s: %.300q", name, answer.stdout)
		}
	}
	a.passwordUnseen(t)
	a.unharmed(t)
}

// passwordUnseen asserts that no line of the log has a password.
func (a *attacked) passwordUnseen(t *testing.T) {
	t.Helper()
	encoded := strings.TrimPrefix(basicAuth("alice", passphrase), "Basic ")
	for _, record := range a.wsgid.Log.Records() {
		if strings.Contains(record.Line, passphrase) || strings.Contains(record.Line, encoded) {
			t.Errorf("a password in the log: %s", record.Line)
		}
	}
}

// TestAttackAuthorizer: a peer that asks in the Authorizer role gets a yes for
// nothing but the right password, and nothing from a listener that is none for it.
func TestAttackAuthorizer(t *testing.T) {
	a := guardedWorld(t)
	question := func(texts ...string) []byte {
		return slices.Concat(fcgiBegin(2), fcgiStream(fcgiParams, fcgiPairs(texts...)))
	}
	plain := a.Socket
	right := []string{"REQUEST_METHOD", "GET", "REQUEST_URI", "/admin/x", "FCGI_ROLE", "AUTHORIZER", "FCGI_APACHE_ROLE", "AUTHENTICATOR", "REMOTE_USER", "alice", "REMOTE_PASSWD", passphrase}
	a.Socket = a.Path("authorizer.sock")
	if answer := askRaw(t, a.World, question(right...)); answer.status() != http.StatusOK || !answer.ended {
		t.Fatalf("the right password: %+v", answer)
	}
	a.Socket = plain
	if answer := askRaw(t, a.World, question(right...)); answer.status() == http.StatusOK {
		t.Errorf("a listener without authorizer says yes: %+v", answer)
	}
	a.Socket = a.Path("authorizer.sock")
	refused := func(what string, answer fcgiAnswer) {
		t.Helper()
		head, _, _ := strings.Cut(answer.stdout, "\r\n\r\n")
		if answer.status() == http.StatusOK || answer.status() == 0 || !answer.ended || strings.Contains(head, "Variable-") || strings.Contains(head, "Injected") {
			t.Errorf("%s: %+v", what, answer)
		}
	}
	with := func(name, value string) []string {
		texts := slices.Clone(right)
		for i := 0; i < len(texts); i += 2 {
			if texts[i] == name {
				texts[i+1] = value
				return texts
			}
		}
		return append(texts, name, value)
	}
	for _, value := range []string{"", " ", "x", "alice", "ALICE", "alice\x00", "alice\r\nX-Injected: 1", "alice\nVariable-REMOTE_USER: alice", "\xff", passphrase + " ", passphrase + "\x00", strings.ToUpper(passphrase), strings.Repeat("x", 30000)} {
		refused(fmt.Sprintf("password %.40q", value), askRaw(t, a.World, question(with("REMOTE_PASSWD", value)...)))
		if value != "alice" && !strings.Contains(value, passphrase) { // names are logged
			refused(fmt.Sprintf("user %.40q", value), askRaw(t, a.World, question(with("REMOTE_USER", value)...)))
		}
	}
	for _, uri := range []string{"", "*", "/", "/elsewhere", "/app", "/w/one.py", "http://", "%", "/%", "/" + a.evil, a.Path("apps/environ.py")} {
		refused("URL "+uri, askRaw(t, a.World, question(with("REQUEST_URI", uri)...)))
	}
	for _, role := range []string{"AUTHORIZER", "", "X", "authenticator", "AUTHENTICATOR ", "ACCESS_CHECKER"} {
		refused("no password as "+role, askRaw(t, a.World, question("REQUEST_METHOD", "GET", "REQUEST_URI", "/admin", "FCGI_ROLE", "AUTHORIZER", "FCGI_APACHE_ROLE", role)))
		refused("bob as "+role, askRaw(t, a.World, question("REQUEST_METHOD", "GET", "REQUEST_URI", "/admin", "FCGI_APACHE_ROLE", role, "REMOTE_USER", "bob", "REMOTE_PASSWD", passphrase)))
	}
	for _, name := range append(slices.Clone(noticed), internal...) {
		for _, value := range []string{"", "1", a.evil, "\xff\r\n", strings.Repeat("x", 30000)} {
			texts := []string{"REQUEST_METHOD", "GET", "REQUEST_URI", "/admin", "FCGI_APACHE_ROLE", "AUTHENTICATOR", "REMOTE_USER", "bob", "REMOTE_PASSWD", "wrong", name, value}
			refused(fmt.Sprintf("%s=%.20q", name, value), askRaw(t, a.World, question(texts...)))
			// The same question as nginx puts it, without credentials.
			refused(fmt.Sprintf("marked, %s=%.20q", name, value), askRaw(t, a.World, fcgiRequest("REQUEST_METHOD", "GET", "REQUEST_URI", "/admin", "WSGID_AUTH_REQUEST", "1", "REMOTE_USER", "alice", name, value)))
		}
	}
	for _, value := range []string{"none", "valid-user", "/", a.evil, a.Path("auth.py") + "/", a.Dir + "//auth.py", "valid-user;", `"valid-user"`, "user bob", "wsgi-group staff; user bob"} {
		for _, name := range []string{"WSGID_AUTH_USER_SCRIPT", "WSGID_AUTH_GROUP_SCRIPT", "WSGID_ACCESS_SCRIPT", "WSGID_REQUIRE"} {
			refused(fmt.Sprintf("%s=%q", name, value), askRaw(t, a.World, question("REQUEST_METHOD", "GET", "REQUEST_URI", "/admin", "FCGI_APACHE_ROLE", "AUTHENTICATOR",
				"REMOTE_USER", "bob", "REMOTE_PASSWD", passphrase, name, value)))
			refused(fmt.Sprintf("no password, %s=%q", name, value), askRaw(t, a.World, question("REQUEST_METHOD", "GET", "REQUEST_URI", "/admin", "FCGI_APACHE_ROLE", "AUTHENTICATOR", name, value)))
		}
	}
	for _, times := range []int{2, 1000} {
		texts := slices.Clone(right)
		for range times - 1 {
			texts = append(texts, "REMOTE_PASSWD", "wrong")
		}
		refused("repeated passwords", askRaw(t, a.World, question(texts...)))
	}
	// A mark in a header, and on a listener that is none for it, asks nothing.
	got := askRaw(t, a.World, fcgiRequest("REQUEST_METHOD", "GET", "SCRIPT_NAME", "/app", "HTTP_WSGID_AUTH_REQUEST", "1"))
	if got.status() != http.StatusOK || !strings.Contains(got.body(), `"entry"`) {
		t.Errorf("a header: %+v", got)
	}
	// Without an end, with a body, and byte by byte.
	sent := question(right...)
	for name, more := range map[string][]byte{"a body": fcgiStream(fcgiStdin, []byte("body")), "an empty body": fcgi(fcgiStdin, 1, nil), "another question": fcgiBegin(2)[:4]} {
		if answer := askRaw(t, a.World, append(slices.Clone(sent), more...)); answer.status() != http.StatusOK {
			t.Errorf("with %s: %+v", name, answer)
		}
	}
	a.passwordUnseen(t)
	a.Socket = plain
	a.unharmed(t)
}
