package dispatch

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // RFC 7616 with MD5: get_realm_hash gives nothing else
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"
)

const (
	// nonceLife is how long a nonce is taken, as in mod_auth_digest. An older
	// one costs a browser one more round and its user nothing.
	nonceLife = 300 * time.Second
	// nonceAhead allows for a clock that was set back.
	nonceAhead = 5 * time.Second
	nonceTime  = 8
	nonceMAC   = 16
)

// nonces makes and knows the nonces of digest authentication without keeping
// them: each carries its time, and a MAC over that and the realm. The key lives
// as long as the router.
type nonces struct{ key [32]byte }

func newNonces() *nonces {
	n := &nonces{}
	_, _ = rand.Read(n.key[:]) // never fails (crypto/rand)
	return n
}

func (n *nonces) mac(stamp []byte, realm string) []byte {
	m := hmac.New(sha256.New, n.key[:])
	m.Write(stamp)
	m.Write([]byte(realm))
	return m.Sum(nil)[:nonceMAC]
}

// make gives a new nonce for the realm.
func (n *nonces) make(realm string, now time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(now.UnixMicro())) //nolint:gosec // after 1970
	return base64.RawURLEncoding.EncodeToString(append(b, n.mac(b, realm)...))
}

// fresh reports whether the nonce is one of ours for the realm, and young enough.
func (n *nonces) fresh(nonce, realm string, now time.Time) bool {
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(b) != nonceTime+nonceMAC || !hmac.Equal(b[nonceTime:], n.mac(b[:nonceTime], realm)) {
		return false
	}
	age := now.Sub(time.UnixMicro(int64(binary.BigEndian.Uint64(b)))) //nolint:gosec // we wrote it
	return age <= nonceLife && age >= -nonceAhead
}

// plausible reports whether the credentials are for this realm, URL and kind of
// digest: everything that can be said without the user's hash.
func (c *digestCredentials) plausible(realm string, requestURI []byte) bool {
	if c.realm != realm || c.qop != "auth" || (c.algorithm != "" && !strings.EqualFold(c.algorithm, "MD5")) {
		return false
	}
	count, err := hex.DecodeString(c.nc)
	return err == nil && len(count) == 4 && c.nc != "00000000" && sameTarget(c.uri, string(requestURI))
}

// sameTarget compares the URL in the credentials with that of the request.
// Proxies and browsers write escapes and the authority differently.
func sameTarget(a, b string) bool {
	if a == b {
		return true
	}
	_, queryA, _ := strings.Cut(a, "?")
	_, queryB, _ := strings.Cut(b, "?")
	pathA, pathB := requestPath([]byte(a)), requestPath([]byte(b))
	return queryA == queryB && string(appendUnescaped(nil, pathA)) == string(appendUnescaped(nil, pathB))
}

// proves reports whether the response was made with the hash of the user's
// password (RFC 7616 section 3.4.1, qop=auth).
func (c *digestCredentials) proves(hash, method string) bool {
	want := md5Hex(strings.Join([]string{hash, c.nonce, c.nc, c.cnonce, c.qop, md5Hex(method + ":" + c.uri)}, ":"))
	return subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(c.response))) == 1
}

func md5Hex(text string) string {
	sum := md5.Sum([]byte(text)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

// quoted is a quoted-string of HTTP.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}
