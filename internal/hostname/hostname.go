// Package hostname brings the names of virtual hosts and the Host header of a
// request into one form, so that equal bytes are equal hosts. It must not know
// what is done with a host.
package hostname

import (
	"bytes"
	"net/netip"
)

// maxLength is more than a name in DNS may have.
const maxLength = 255

// AppendName appends the host in the value of a Host header to b: without port
// and without the dot of a complete name, in lower case, an IPv6 address in its
// shortest form with brackets. It reports false for what no browser sends,
// which web servers answer with 400.
func AppendName(b, host []byte) ([]byte, bool) {
	if len(host) > maxLength {
		return b, false
	}
	if len(host) > 0 && host[0] == '[' {
		return appendIPv6(b, host)
	}
	name := host
	if i := bytes.IndexByte(host, ':'); i >= 0 {
		if !isPort(host[i+1:]) {
			return b, false
		}
		name = host[:i]
	}
	name = bytes.TrimSuffix(name, []byte("."))
	if len(name) == 0 {
		return b, false
	}
	last := byte('.')
	for _, c := range name {
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
		case c == '.' && last != '.':
		default:
			return b, false
		}
		b = append(b, c)
		last = c
	}
	return b, last != '.'
}

func appendIPv6(b, host []byte) ([]byte, bool) {
	end := bytes.IndexByte(host, ']')
	if end < 0 {
		return b, false
	}
	if rest := host[end+1:]; len(rest) > 0 && (rest[0] != ':' || !isPort(rest[1:])) {
		return b, false
	}
	address, err := netip.ParseAddr(string(host[1:end]))
	if err != nil || !address.Is6() || address.Zone() != "" {
		return b, false
	}
	b = append(b, '[')
	b = address.AppendTo(b)
	return append(b, ']'), true
}

func isPort(digits []byte) bool { return Port(digits) > 0 }

// Port reads a port number, from 1 to 65535; 0 for what is none.
func Port(digits []byte) int {
	if len(digits) == 0 || len(digits) > 5 {
		return 0
	}
	n := 0
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	if n > 65535 {
		return 0
	}
	return n
}
