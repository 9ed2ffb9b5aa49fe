package dispatch

import (
	"bytes"
	"slices"
	"strings"
)

// valueKind says by which rules a setting is expanded (mod_wsgi behaviour 4.2).
type valueKind uint8

const (
	processGroupValue valueKind = iota
	applicationGroupValue
	scriptGroupValue // the application_group of a dispatch script
	callableValue
)

// DefaultCallable is the callable object when nothing else is said.
const DefaultCallable = "application"

// constant reports the expansion of a value that needs no request.
func constant(value string, kind valueKind) (string, bool) {
	switch {
	case value == "" && kind == callableValue:
		return DefaultCallable, true
	case value == "" && kind == applicationGroupValue:
		return "", true // wsgid's default is %{GLOBAL}; the supervisor fills it in
	case !strings.HasPrefix(value, "%"):
		return value, true
	case kind == callableValue && !isEnv(value):
		return DefaultCallable, true
	case value == "%{GLOBAL}":
		return "", true
	}
	return value, false
}

func isEnv(value string) bool {
	return strings.HasPrefix(value, "%{ENV:") && strings.HasSuffix(value, "}")
}

// expand replaces a value whose whole text is one %{…} form. Anything else,
// and a form that is not known, is taken literally.
func (e *environ) expand(value string, kind valueKind, scriptName []byte) string {
	if s, ok := constant(value, kind); ok {
		return s
	}
	if kind == callableValue {
		if v, ok := e.lookup(value[len("%{ENV:") : len(value)-1]); ok {
			return string(v)
		}
		return DefaultCallable
	}
	if isEnv(value) {
		if kind == scriptGroupValue {
			return value
		}
		v, ok := e.lookup(value[len("%{ENV:") : len(value)-1])
		if !ok {
			return value
		}
		if s := string(v); !isEnv(s) {
			return e.expandForm(s, kind, scriptName)
		}
		return string(v)
	}
	return e.expandForm(value, kind, scriptName)
}

func (e *environ) expandForm(value string, kind valueKind, scriptName []byte) string {
	switch value {
	case "%{GLOBAL}":
		return ""
	case "%{SERVER}":
		return string(e.serverName) + e.portSuffix()
	case "%{HOST}":
		return e.hostName() + e.portSuffix()
	case "%{RESOURCE}":
		if kind == scriptGroupValue {
			return value
		}
		return string(e.serverName) + e.portSuffix() + "|" + string(scriptName)
	}
	return value
}

// lowerASCII is a copy of b in which the letters of ASCII are small.
func lowerASCII(b []byte) []byte {
	small := slices.Clone(b)
	for i, c := range small {
		if c >= 'A' && c <= 'Z' {
			small[i] = c + 'a' - 'A'
		}
	}
	return small
}

// portSuffix is ":port", or nothing for the two standard ports, whatever the
// scheme, so that the http and https side of a site share a name.
func (e *environ) portSuffix() string {
	switch string(e.serverPort) {
	case "", "80", "443":
		return ""
	}
	return ":" + string(e.serverPort)
}

// hostName is the Host header without port, brackets and the dot of a complete
// name, in lower case, or SERVER_NAME (mod_wsgi behaviour 14.2).
func (e *environ) hostName() string {
	h := e.httpHost
	if len(h) == 0 {
		return string(e.serverName)
	}
	if i := bytes.LastIndexByte(h, ':'); i >= 0 && bytes.IndexByte(h[i:], ']') < 0 {
		h = h[:i]
	}
	h = bytes.TrimSuffix(bytes.Trim(h, "[]"), []byte("."))
	return string(lowerASCII(h))
}
