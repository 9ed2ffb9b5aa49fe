package dispatch

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestBasicCredentials(t *testing.T) {
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, row := range []struct {
		header, user, password string
		ok                     bool
	}{
		{"Basic " + encode("alice:secret"), "alice", "secret", true},
		{"basic   " + encode("alice:secret") + " ", "alice", "secret", true},
		{"BASIC " + strings.TrimRight(encode("alice:s"), "="), "alice", "s", true},
		{"Basic " + encode("alice:a:b:c"), "alice", "a:b:c", true},
		{"Basic " + encode("alice:"), "alice", "", true},
		{"Basic " + encode("al\xefce:\x00\xff"), "al\xefce", "\x00\xff", true},
		{"Basic " + encode(":secret"), "", "", false},
		{"Basic " + encode("alice"), "", "", false},
		{"Basic " + encode("al\nice:secret"), "", "", false},
		{"Basic " + encode("al\x00ice:secret"), "", "", false},
		{"Basic " + encode("alice:secret")[1:], "", "", false},
		{"Basic *", "", "", false},
		{"Basic", "", "", false},
		{"", "", "", false},
		{"Digest " + encode("alice:secret"), "", "", false},
		{"Basic " + encode("alice:secret") + ", Basic " + encode("bob:secret"), "", "", false},
	} {
		user, password, ok := basicCredentials([]byte(row.header))
		if string(user) != row.user || string(password) != row.password || ok != row.ok {
			t.Errorf("%q: %q %q %v", row.header, user, password, ok)
		}
	}
}

func TestParseDigest(t *testing.T) {
	const whole = `username="alice", realm="r", nonce="n", uri="/", response="x", cnonce="c", nc=00000001, qop=auth`
	for _, row := range []struct {
		header string
		user   string
		ok     bool
	}{
		{"Digest " + whole, "alice", true},
		{"digest " + whole + `, algorithm=MD5, opaque="", other="a, b=\"c\""`, "alice", true},
		{"Digest " + strings.ReplaceAll(whole, ", ", ","), "alice", true},
		{"Digest " + strings.ReplaceAll(whole, ", ", " ,  "), "alice", true},
		{"Digest " + strings.Replace(whole, "alice", `a\"l\\i`, 1), `a"l\i`, true},
		{"Digest " + strings.Replace(whole, `username="alice"`, `UserName = "alice"`, 1), "alice", true},
		{"Digest " + whole + `, username="bob"`, "", false}, // twice
		{"Digest " + strings.Replace(whole, `, nonce="n"`, "", 1), "", false},
		{"Digest " + strings.Replace(whole, `nonce="n"`, `nonce=""`, 1), "", false},
		{"Digest " + whole[:len(whole)-2] + `"`, "", true}, // an odd value is an odd value
		{"Digest " + strings.Replace(whole, `"alice"`, `"alice`, 1), "", false},
		{"Digest " + strings.Replace(whole, `"alice"`, `"alice"x`, 1), "", false},
		{"Digest " + strings.Replace(whole, "alice", "al\x01ice", 1), "", false},
		{"Digest " + whole + ", lonely", "", false},
		{"Digest", "", false},
		{"Basic " + whole, "", false},
	} {
		c, ok := parseDigest([]byte(row.header))
		if ok != row.ok || (row.user != "" && c.user != row.user) {
			t.Errorf("%q: %+v %v", row.header, c, ok)
		}
	}
}

// TestDigestProves: the example of RFC 7616 section 3.9.1, for MD5.
func TestDigestProves(t *testing.T) {
	c, ok := parseDigest([]byte(`Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, response="8ca523f5e9506fed4657c9700eebdbec", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`))
	if !ok || !c.plausible("http-auth@example.org", []byte("/dir/index.html")) {
		t.Fatalf("%+v %v", c, ok)
	}
	hash := md5Hex("Mufasa:http-auth@example.org:Circle of Life")
	if !c.proves(hash, "GET") {
		t.Error("the example does not hold")
	}
	if c.proves(hash, "POST") || c.proves("", "GET") || c.proves(strings.ToUpper(hash), "GET") {
		t.Error("something else holds")
	}
	for uri, want := range map[string]bool{
		"/dir/index.html": true, "/dir/%69ndex.html": true, "http://example.org/dir/index.html": true,
		"/dir/index.html?": true, "/dir/index.html?x": false, "/dir/": false, "": false, "*": false,
	} {
		if got := c.plausible("http-auth@example.org", []byte(uri)); got != want {
			t.Errorf("for %q: %v", uri, got)
		}
	}
	for _, change := range []func(c *digestCredentials){
		func(c *digestCredentials) { c.realm = "other" }, func(c *digestCredentials) { c.qop = "auth-int" },
		func(c *digestCredentials) { c.algorithm = "MD5-sess" }, func(c *digestCredentials) { c.nc = "00000000" },
		func(c *digestCredentials) { c.nc = "1" }, func(c *digestCredentials) { c.nc = "0000000x" }, func(c *digestCredentials) { c.nc = "0000000001" },
	} {
		changed := c
		change(&changed)
		if changed.plausible("http-auth@example.org", []byte("/dir/index.html")) {
			t.Errorf("%+v", changed)
		}
	}
}

func TestNonces(t *testing.T) {
	n, now := newNonces(), time.Unix(1_700_000_000, 0)
	nonce := n.make("realm", now)
	for _, row := range []struct {
		nonce, realm string
		after        time.Duration
		want         bool
	}{
		{nonce, "realm", 0, true}, {nonce, "realm", nonceLife, true}, {nonce, "realm", nonceLife + time.Second, false},
		{nonce, "realm", -time.Second, true}, {nonce, "realm", -time.Minute, false}, {nonce, "other", 0, false},
		{newNonces().make("realm", now), "realm", 0, false}, // another router's
		{nonce + "A", "realm", 0, false}, {nonce[:10], "realm", 0, false}, {"", "realm", 0, false}, {"!", "realm", 0, false},
		{"B" + nonce[1:], "realm", 0, false}, {nonce[:len(nonce)-4] + "____", "realm", 0, false},
	} {
		if got := n.fresh(row.nonce, row.realm, now.Add(row.after)); got != row.want {
			t.Errorf("%q for %q after %s: %v", row.nonce, row.realm, row.after, got)
		}
	}
	if n.make("realm", now.Add(time.Microsecond)) == nonce {
		t.Error("two nonces are the same")
	}
}

// TestHidden: no form in which Python shows a password is left in a message.
func TestHidden(t *testing.T) {
	if err := errors.New("plain"); !errors.Is(hidden(err, []byte("x")), err) {
		t.Error("another error was changed")
	}
	for password, shown := range map[string][]string{
		"secret":            {"secret", "'secret'"},
		"it's":              {"it's", `'it\'s'`, `"it's"`},
		`back\slash`:        {`back\slash`, `'back\\slash'`},
		"line\nend\x01":     {"line\nend\x01", `'line\nend\x01'`},
		"\xc3\x84rger":      {"\u00c3\u0084rger", "'\u00c3\\x84rger'"},
		"nbsp\xa0 soft\xad": {"nbsp\u00a0 soft\u00ad", `'nbsp\xa0 soft\xad'`},
	} {
		for _, text := range shown {
			e := &ScriptError{Message: "ValueError: " + text, Traceback: "line 1\nValueError: " + text + "\nagain " + text, Function: "check_password"}
			var covered *ScriptError
			if !errors.As(hidden(e, []byte(password)), &covered) {
				t.Fatal("another kind of error")
			}
			got := fmt.Sprintf("%+v", *covered)
			if strings.Contains(got, strings.Trim(text, `'"`)) || strings.Count(got, "(password)") != 3 || !strings.Contains(got, "check_password") {
				t.Errorf("%q as %q: %s", password, text, got)
			}
			if !strings.Contains(e.Message, text) {
				t.Error("the error itself was changed")
			}
		}
	}
}

// FuzzCredentials: whatever a client sends, the parsers end and give nothing
// that could not stand in a header.
func FuzzCredentials(f *testing.F) {
	for _, seed := range []string{"Basic YTpi", "Basic", `Digest username="a", realm="r", nonce="n", uri="/", response="x", cnonce="c", nc=00000001, qop=auth`,
		`Digest a="\`, "Digest ,,=,", "Digest a= , b"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		before := bytes.Clone(value)
		if user, _, ok := basicCredentials(value); ok && !saneUser(user) {
			t.Errorf("user %q", user)
		}
		if c, ok := parseDigest(value); ok && (!saneUser([]byte(c.user)) || c.nonce == "" || c.response == "") {
			t.Errorf("%+v", c)
		}
		if !bytes.Equal(before, value) {
			t.Error("the header was changed")
		}
	})
}
