package tests

import (
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/wsgid/wsgid/tests/internal/harness"
)

// md5Hex is H of RFC 2617.
func md5Hex(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// TestAcceptanceAuthentication: statement 43 of mod_wsgi behaviour 12, as far as
// Apache authenticates itself: who it found arrives as REMOTE_USER and AUTH_TYPE,
// and whom it refuses no application sees.
func TestAcceptanceAuthentication(t *testing.T) {
	w := newWorld(t)
	w.App("acceptance_environ.py")
	w.Configure(group("only", "#64001", 1, 2) + mount("/", "apps/acceptance_environ.py"))
	wsgid := w.Start(harness.Options{})
	users, realms := "", ""
	for _, name := range []string{"alice", "bob"} {
		sum := sha1.Sum([]byte("secret of " + name))
		users += name + ":{SHA}" + base64.StdEncoding.EncodeToString(sum[:]) + "\n"
		realms += name + ":digest:" + md5Hex(name+":digest:secret of "+name) + "\n"
	}
	apache := w.StartApache(harness.ApacheOptions{Config: fmt.Sprintf(`
<Location /basic>
  AuthType Basic
  AuthName "basic"
  AuthUserFile %[1]q
  Require valid-user
</Location>
<Location /group>
  AuthType Basic
  AuthName "group"
  AuthUserFile %[1]q
  AuthGroupFile %[2]q
  Require group staff
</Location>
<Location /digest>
  AuthType Digest
  AuthName "digest"
  AuthUserFile %[3]q
  Require valid-user
</Location>
<Location /denied>
  Require all denied
</Location>
`, w.Write("httpd/users", users), w.Write("httpd/groups", "staff: alice\n"), w.Write("httpd/realms", realms)) + harness.ProxyPass})
	basic := func(name, password string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
	}
	digestOf := func(name, password string) string {
		challenge := apache.Get("/digest").Header.Get("WWW-Authenticate")
		nonce := regexp.MustCompile(`nonce="([^"]+)"`).FindStringSubmatch(challenge)
		if nonce == nil || !strings.HasPrefix(challenge, `Digest realm="digest"`) {
			t.Fatalf("challenge %q", challenge)
		}
		response := md5Hex(md5Hex(name+":digest:"+password) + ":" + nonce[1] + ":00000001:c:auth:" + md5Hex("GET:/digest"))
		return fmt.Sprintf(`Authorization: Digest username=%q, realm="digest", nonce=%q, uri="/digest", qop=auth, nc=00000001, cnonce="c", response=%q, algorithm=MD5`,
			name, nonce[1], response)
	}
	for _, row := range []struct {
		url, header, user, kind string
		status                  int
	}{
		{"/basic", "", "", "", 401},
		{"/basic", basic("alice", "secret of alice"), "alice", "Basic", 200},
		{"/basic", basic("alice", "secret of bob"), "", "", 401},
		{"/basic", basic("nobody", "secret of alice"), "", "", 401},
		{"/group", basic("alice", "secret of alice"), "alice", "Basic", 200},
		{"/group", basic("bob", "secret of bob"), "", "", 401},
		{"/digest", "", "", "", 401},
		{"/digest", digestOf("bob", "secret of bob"), "bob", "Digest", 200},
		{"/digest", digestOf("bob", "secret of alice"), "", "", 401},
		{"/denied", "", "", "", 403},
		{"/open", "", "<absent>", "<absent>", 200},
	} {
		before := wsgid.AwaitIdle().Group("only").Requests
		var headers []string
		if row.header != "" {
			headers = []string{row.header}
		}
		got := apache.Get(row.url, headers...)
		if got.Status != row.status {
			t.Errorf("%s, %q: %d", row.url, row.header, got.Status)
			continue
		}
		if row.status == 200 {
			environOf(t, got).want(t, map[string]string{"REMOTE_USER": row.user, "AUTH_TYPE": row.kind, "HTTP_AUTHORIZATION": "<absent>"})
			continue
		}
		if realm := `realm="` + row.url[1:] + `"`; row.status == 401 && !strings.Contains(got.Header.Get("WWW-Authenticate"), realm) {
			t.Errorf("%s: challenge %q", row.url, got.Header.Get("WWW-Authenticate"))
		}
		if now := wsgid.AwaitIdle().Group("only").Requests; now != before {
			t.Errorf("%s, %q: the application was asked", row.url, row.header)
		}
	}
}
