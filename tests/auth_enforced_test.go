package tests

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// enforcing configures mounts that wsgid itself guards: /basic, /digest, /group
// (Basic), /dgroup (Digest), /user, /access, /passing, and /open, which is not.
func enforcing(w *harness.World, listeners string) {
	w.T.Helper()
	w.App("acceptance_environ.py")
	w.App("authenticate.py")
	app := "apps/acceptance_environ.py"
	digest, staff := option("auth_type", "digest"), `require = ["wsgi-group nobody STAFF"]`
	w.Configure(listeners + w.Expand(authScripts) + w.Expand(`
router {
  auth_user_script  = "{{.Dir}}/apps/authenticate.py"
  auth_group_script = "{{.Dir}}/apps/authenticate.py"
  auth_type         = "basic"
  auth_name         = "the \"realm\""
}
`) + group("only", "#64001", 1, 2) +
		mount("/digest", app, digest) + mount("/dgroup", app, digest, staff) + mount("/group", app, staff) +
		mount("/user", app, `require = ["user \"some body\" alice", "user carol"]`) + mount("/passing", app, "pass_authorization = true") +
		mount("/access", app, option("access_script", w.Path("apps/authenticate.py"))) +
		mount("/host", app, option("access_script", w.Path("apps/authenticate.py")), option("auth_type", "none")) +
		mount("/open", app, option("auth_type", "none")) + mount("/", app))
}

// digestHeader answers the challenge of url for a GET; change may alter the
// parameters before they are written.
func digestHeader(t *testing.T, client *harness.Client, url, name, password string, change func(map[string]string)) string {
	t.Helper()
	challenge := client.Get(url).Header.Get("WWW-Authenticate")
	nonce := regexp.MustCompile(`nonce="([^"]+)"`).FindStringSubmatch(challenge)
	if nonce == nil || !strings.HasPrefix(challenge, `Digest realm="the \"realm\"", `) || !strings.Contains(challenge, `qop="auth"`) ||
		!strings.Contains(challenge, "algorithm=MD5") || strings.Contains(challenge, "stale") {
		t.Fatalf("challenge %q", challenge)
	}
	p := map[string]string{"username": name, "realm": `the \"realm\"`, "nonce": nonce[1], "uri": url, "qop": "auth", "nc": "00000001", "cnonce": "c"}
	if change != nil {
		change(p)
	}
	response := md5Hex(md5Hex(name+`:the "realm":`+password) + ":" + p["nonce"] + ":" + p["nc"] + ":" + p["cnonce"] + ":" + p["qop"] + ":" + md5Hex("GET:"+p["uri"]))
	header := fmt.Sprintf(`Authorization: Digest username="%s", realm="%s", nonce="%s", uri="%s", cnonce="%s", nc=%s, qop=%s, response="%s"`,
		p["username"], p["realm"], p["nonce"], p["uri"], p["cnonce"], p["nc"], p["qop"], response)
	if p["algorithm"] != "" {
		header += ", algorithm=" + p["algorithm"]
	}
	return header
}

// TestAuthenticationEnforced: wsgid stands in front of the application, behind
// Apache and over HTTP: statement 43 of mod_wsgi behaviour 12 for its scripts.
// Wrong or missing credentials never reach the application.
func TestAuthenticationEnforced(t *testing.T) { inBoth(t, testAuthenticationEnforced) }

func testAuthenticationEnforced(t *testing.T, helper string) {
	w := newWorld(t)
	web := freeAddress(t)
	enforcing(w, helper+fmt.Sprintf("listen \"http\" {\n  address = %q\n}\n", web))
	wsgid := w.Start(harness.Options{})
	apache := w.StartApache(harness.ApacheOptions{Config: "<Location />\n  CGIPassAuth On\n  SetEnv REMOTE_USER mallory\n</Location>\n" + harness.ProxyPass})
	set := func(name, value string) func(map[string]string) { return func(p map[string]string) { p[name] = value } }
	type row struct {
		url, user, password string
		change              func(map[string]string) // set: Digest
		status              int
		remoteUser          string
	}
	nothing := func(map[string]string) {}
	rows := []row{
		{"/x", "", "", nil, 401, ""},
		{"/x", "alice", "secret of alice", nil, 200, "alice"},
		{"/x", "alice", "wrong", nil, 401, ""},
		{"/x", "none", "secret of none", nil, 401, ""},
		{"/x", "other", "secret of other", nil, 200, "somebody else"},
		{"/x", "one", "secret of one", nil, 500, ""},
		{"/x", "empty", "secret of empty", nil, 500, ""},
		{"/x", "raises", "secret of raises", nil, 500, ""},
		{"/group", "", "", nil, 401, ""},
		{"/group", "alice", "secret of alice", nil, 200, "alice"},
		{"/group", "bob", "secret of bob", nil, 401, ""},
		{"/group", "empty", "secret of empty", nil, 500, ""},
		{"/group", "number", "secret of number", nil, 401, ""},
		{"/group", "text", "secret of text", nil, 401, ""},
		{"/user", "alice", "secret of alice", nil, 200, "alice"},
		{"/user", "carol", "secret of carol", nil, 200, "carol"},
		{"/user", "some body", "secret of some body", nil, 200, "some body"},
		{"/user", "bob", "secret of bob", nil, 401, ""},
		{"/user", "ALICE", "secret of ALICE", nil, 401, ""},
		{"/digest", "", "", nil, 401, ""},
		{"/digest", "alice", "secret of alice", nothing, 200, "alice"},
		{"/digest?a=b%20c", "alice", "secret of alice", nothing, 200, "alice"},
		{"/digest", "bytes", "secret of bytes", nothing, 200, "bytes"},
		{"/digest", "alice", "secret of alice", set("algorithm", "md5"), 200, "alice"},
		{"/digest", "alice", "secret of alice", set("algorithm", "SHA-256"), 401, ""},
		{"/digest", "alice", "wrong", nothing, 401, ""},
		{"/digest", "none", "secret of none", nothing, 401, ""},
		{"/digest", "false", "secret of false", nothing, 500, ""},
		{"/digest", "raises", "secret of raises", nothing, 500, ""},
		{"/digest", "alice", "secret of alice", set("uri", "/dgroup"), 401, ""},
		{"/digest", "alice", "secret of alice", set("realm", "other"), 401, ""},
		{"/digest", "alice", "secret of alice", set("username", "bob"), 401, ""},
		{"/digest", "alice", "secret of alice", set("nc", "1"), 401, ""},
		{"/digest", "alice", "secret of alice", set("qop", "auth-int"), 401, ""},
		{"/digest", "alice", "secret of alice", set("cnonce", ""), 401, ""},
		{"/digest", "alice", "secret of alice", nil, 401, ""}, // Basic where Digest is wanted
		{"/dgroup", "alice", "secret of alice", nothing, 200, "alice"},
		{"/dgroup", "bob", "secret of bob", nothing, 401, ""},
		{"/access?false", "", "", nil, 403, ""},
		{"/access?false", "alice", "secret of alice", nil, 403, ""},
		{"/access?one", "alice", "secret of alice", nil, 403, ""},
		{"/access?raises", "alice", "secret of alice", nil, 403, ""},
		{"/access?true", "", "", nil, 401, ""},
		{"/access?none", "alice", "secret of alice", nil, 200, "alice"},
		{"/host?text", "", "", nil, 403, ""},
		{"/host?none", "", "", nil, 200, "front"},
		{"/open", "alice", "wrong", nil, 200, "front"},
		{"/passing", "alice", "secret of alice", nil, 200, "alice"},
	}
	for name, client := range map[string]*harness.Client{"Apache": apache.Client, "HTTP": harness.NewClient(t, "http://"+web)} {
		front := map[string]string{"Apache": "mallory", "HTTP": "<absent>"}[name]
		for _, row := range rows {
			before := wsgid.AwaitIdle().Group("only").Requests
			what := fmt.Sprintf("%s: %s as %q with %q", name, row.url, row.user, row.password)
			var headers []string
			switch {
			case row.user != "" && row.change != nil:
				headers = []string{digestHeader(t, client, row.url, row.user, row.password, row.change)}
			case row.user != "":
				headers = []string{basic(row.user, row.password)}
			}
			got := client.Do("GET", row.url, nil, append(headers, "Remote-User: mallory", "Auth-Type: Basic")...)
			if got.Status != row.status {
				t.Errorf("%s: %d, want %d: %.300s", what, got.Status, row.status, got.Body)
				continue
			}
			kind := "Basic"
			if strings.HasPrefix(row.url, "/d") {
				kind = "Digest"
			}
			if row.status != 200 {
				if now := wsgid.AwaitIdle().Group("only").Requests; now != before {
					t.Errorf("%s: the application was asked", what)
				}
				if challenge := got.Header.Get("WWW-Authenticate"); (row.status == 401) != strings.HasPrefix(challenge, kind+` realm="the \"realm\""`) {
					t.Errorf("%s: challenge %q", what, challenge)
				}
				continue
			}
			want := map[string]string{"REMOTE_USER": row.remoteUser, "AUTH_TYPE": kind, "HTTP_AUTHORIZATION": "<absent>", "REMOTE_PASSWD": "<absent>"}
			switch {
			case row.url == "/passing":
				want["HTTP_AUTHORIZATION"] = strings.TrimPrefix(headers[0], "Authorization: ")
			case row.remoteUser == "front":
				want["REMOTE_USER"] = front
				delete(want, "AUTH_TYPE")
			}
			environOf(t, got).want(t, want)
		}
	}
	noSecrets(t, wsgid)
}

// TestAuthenticationWithCurl: a client that we did not write agrees about both
// schemes, with a body, and it is asked again when its nonce is too old or not ours.
func TestAuthenticationWithCurl(t *testing.T) {
	w := newWorld(t)
	web := freeAddress(t)
	enforcing(w, fmt.Sprintf("listen \"http\" {\n  address = %q\n}\n", web))
	wsgid := w.Start(harness.Options{})
	curl := func(arguments ...string) string {
		t.Helper()
		out, err := exec.Command(harness.Need(t, "curl"), append([]string{"-sS", "-o", "/dev/null", "-w", "%{http_code}"}, arguments...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("curl: %v: %s", err, out)
		}
		return string(out)
	}
	for _, row := range []struct {
		arguments []string
		want      string
	}{
		{[]string{"--basic", "-u", "alice:secret of alice", "/x"}, "200"},
		{[]string{"--basic", "-u", "alice:wrong", "/x"}, "401"},
		{[]string{"--digest", "-u", "alice:secret of alice", "/digest?q=1"}, "200"},
		{[]string{"--digest", "-u", "alice:secret of alice", "-d", "some body", "/digest/deeper"}, "200"},
		{[]string{"--digest", "-u", "alice:secret of alice", "-I", "/digest"}, "200"},
		{[]string{"--digest", "-u", "alice:wrong", "/digest"}, "401"},
		{[]string{"--digest", "-u", "bob:secret of bob", "/dgroup"}, "401"},
		{[]string{"--anyauth", "-u", "alice:secret of alice", "/digest"}, "200"},
		{[]string{"--basic", "-u", "alice:secret of alice", "/digest"}, "401"},
	} {
		last := len(row.arguments) - 1
		arguments := append(row.arguments[:last:last], "http://"+web+row.arguments[last])
		if got := curl(arguments...); got != row.want {
			t.Errorf("curl %q: %s, want %s", row.arguments, got, row.want)
		}
	}
	client := harness.NewClient(t, "http://"+web)
	before := wsgid.AwaitIdle()
	for _, nonce := range []string{"AAAA", "", strings.Repeat("A", 32), "AAYwQmGJ3gAAAAAAAAAAAAAAAAAAAAAA"} {
		header := digestHeader(t, client, "/digest", "alice", "secret of alice", func(p map[string]string) {
			if nonce != "" {
				p["nonce"] = nonce
			} else {
				p["nonce"] = p["nonce"][:len(p["nonce"])-2] + "AA"
			}
		})
		got := client.Get("/digest", header)
		if challenge := got.Header.Get("WWW-Authenticate"); got.Status != 401 || !strings.Contains(challenge, ", stale=true") {
			t.Errorf("nonce %q: %d %q", nonce, got.Status, challenge)
		}
	}
	if now := wsgid.AwaitIdle(); now.Group("only").Requests != before.Group("only").Requests {
		t.Error("a stale nonce reached the application")
	}
	noSecrets(t, wsgid)
}
