package dispatch

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// scheme splits the value of an Authorization header.
func scheme(value []byte) (name string, rest []byte) {
	value = bytes.TrimSpace(value)
	before, rest, _ := bytes.Cut(value, []byte(" "))
	return strings.ToLower(string(before)), bytes.TrimLeft(rest, " ")
}

// basicCredentials reads the credentials of RFC 7617. The slices lie in one
// buffer of their own, which whoever checks the password clears.
func basicCredentials(value []byte) (user, password []byte, ok bool) {
	name, rest := scheme(value)
	if name != "basic" {
		return nil, nil, false
	}
	rest = bytes.TrimRight(rest, " =")
	buffer := make([]byte, base64.RawStdEncoding.DecodedLen(len(rest)))
	n, err := base64.RawStdEncoding.Decode(buffer, rest)
	if err == nil {
		user, password, ok = bytes.Cut(buffer[:n], []byte(":"))
	}
	if !ok || !saneUser(user) {
		clear(buffer)
		return nil, nil, false
	}
	return user, password, true
}

// saneUser reports whether a name can stand for somebody: in headers, variables
// and log lines. RFC 7617 forbids control characters too.
func saneUser(name []byte) bool {
	return len(name) > 0 && !bytes.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f })
}

// digestCredentials are the parameters of an Authorization header of RFC 7616
// that matter here, unquoted.
type digestCredentials struct {
	user, realm, nonce, uri, response, cnonce, nc, qop, algorithm string
}

// parseDigest reads the credentials of RFC 7616. What is not well-formed, says
// a thing twice or leaves one out is none.
func parseDigest(value []byte) (c digestCredentials, ok bool) {
	name, rest := scheme(value)
	if name != "digest" {
		return c, false
	}
	fields := map[string]*string{
		"username": &c.user, "realm": &c.realm, "nonce": &c.nonce, "uri": &c.uri, "response": &c.response,
		"cnonce": &c.cnonce, "nc": &c.nc, "qop": &c.qop, "algorithm": &c.algorithm,
	}
	seen := map[string]bool{}
	for text := string(rest); text != ""; {
		var name, value string
		if name, value, text, ok = nextParameter(text); !ok || seen[name] {
			return c, false
		}
		seen[name] = true
		if to := fields[name]; to != nil {
			*to = value
		}
	}
	for _, name := range []string{"username", "realm", "nonce", "uri", "response", "cnonce", "nc", "qop"} {
		if *fields[name] == "" {
			return c, false
		}
	}
	return c, saneUser([]byte(c.user))
}

// nextParameter cuts name=value or name="value" off a list of them.
func nextParameter(text string) (name, value, rest string, ok bool) {
	name, text, ok = strings.Cut(strings.TrimLeft(text, ", \t"), "=")
	if !ok {
		return "", "", "", false
	}
	name, text = strings.ToLower(strings.TrimRight(name, " \t")), strings.TrimLeft(text, " \t")
	if !strings.HasPrefix(text, `"`) {
		value, rest, _ = strings.Cut(text, ",")
		return name, strings.TrimRight(value, " \t"), strings.TrimLeft(rest, ", \t"), true
	}
	var unquoted strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			rest = strings.TrimLeft(text[i+1:], " \t")
			if rest != "" && rest[0] != ',' {
				return "", "", "", false
			}
			return name, unquoted.String(), strings.TrimLeft(rest, ", \t"), true
		case c == '\\' && i+1 < len(text):
			i++
			unquoted.WriteByte(text[i])
		default:
			unquoted.WriteByte(c)
		}
	}
	return "", "", "", false // the quote does not end
}
