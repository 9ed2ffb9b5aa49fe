package dispatch

import (
	"bytes"
	"net/netip"
	"strings"

	"github.com/wsgid/wsgid/protocol"
)

// proxyCategory is what a header of a proxy tells about the client's request.
type proxyCategory uint8

const (
	proxyClient proxyCategory = iota
	proxyHost
	proxyServer
	proxyPort
	proxyScript
	proxyScheme
	proxyCategories // how many there are
)

// proxyHeader is a header of a proxy by the name that it has in environ.
type proxyHeader struct {
	variable string
	category proxyCategory
}

// knownProxyHeaders are those of mod_wsgi (behaviour 6.10).
var knownProxyHeaders = []proxyHeader{
	{"HTTP_X_FORWARDED_FOR", proxyClient}, {"HTTP_X_CLIENT_IP", proxyClient}, {"HTTP_X_REAL_IP", proxyClient},
	{"HTTP_X_FORWARDED_HOST", proxyHost}, {"HTTP_X_HOST", proxyHost},
	{"HTTP_X_FORWARDED_SERVER", proxyServer},
	{"HTTP_X_FORWARDED_PORT", proxyPort},
	{"HTTP_X_SCRIPT_NAME", proxyScript}, {"HTTP_X_FORWARDED_SCRIPT_NAME", proxyScript},
	{"HTTP_X_FORWARDED_PROTO", proxyScheme}, {"HTTP_X_FORWARDED_SCHEME", proxyScheme}, {"HTTP_X_SCHEME", proxyScheme},
	{"HTTP_X_FORWARDED_HTTPS", proxyScheme}, {"HTTP_X_FORWARDED_SSL", proxyScheme}, {"HTTP_X_HTTPS", proxyScheme},
}

// proxyRules say which headers of which proxies count (mod_wsgi behaviour 6.10).
type proxyRules struct {
	listed   []proxyHeader  // in the order in which they apply
	managed  []proxyHeader  // every header of a category of which one is listed
	networks []netip.Prefix // nil: every peer is trusted
}

// proxyVariable is the name that a header has in environ.
func proxyVariable(header string) string {
	return "HTTP_" + strings.ToUpper(strings.ReplaceAll(header, "-", "_"))
}

// newProxyRules prepares the options of a mount. It returns nil when no header
// is listed.
func newProxyRules(headers []string, networks []netip.Prefix) *proxyRules {
	p := &proxyRules{networks: networks}
	var managed [proxyCategories]bool
	for _, name := range headers {
		variable := proxyVariable(name)
		for _, known := range knownProxyHeaders {
			if known.variable == variable {
				p.listed = append(p.listed, known)
				managed[known.category] = true
			}
		}
	}
	if p.listed == nil {
		return nil
	}
	for _, known := range knownProxyHeaders {
		if managed[known.category] {
			p.managed = append(p.managed, known)
		}
	}
	return p
}

// trusts reports whether the headers of this peer count. Text that is no
// address is nobody's.
func (p *proxyRules) trusts(address string) bool {
	if p.networks == nil {
		return true
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	ip = ip.Unmap()
	for _, network := range p.networks {
		if network.Contains(ip) {
			return true
		}
	}
	return false
}

// apply rewrites what the application sees. A header that is sent empty is as
// good as absent: that is how front servers hand over those that did not come.
func (p *proxyRules) apply(e *environ) {
	var winner [proxyCategories]string
	if p.trusts(string(e.remoteAddr)) {
		for _, h := range p.listed {
			if value, _ := e.lookup(h.variable); len(value) > 0 {
				winner[h.category] = h.variable
				p.applyHeader(e, h, value)
			}
		}
	}
	for _, h := range p.managed {
		if h.variable != winner[h.category] {
			e.remove(h.variable)
		}
	}
	if winner[proxyScheme] != "" {
		e.own = protocol.AppendPair(e.own, "WSGID_SCHEME_DECIDED", "1")
		e.schemeDecided = true
	}
	if winner[proxyPort] != "" {
		e.own = protocol.AppendPair(e.own, "WSGID_LISTENER_PORT", e.serverPort)
	}
	if winner[proxyScript] != "" {
		e.own = protocol.AppendPair(e.own, "WSGID_MOUNT_POINT", e.shownScriptName)
	}
}

func (p *proxyRules) applyHeader(e *environ, h proxyHeader, value []byte) {
	switch h.category {
	case proxyClient:
		if h.variable == "HTTP_X_FORWARDED_FOR" {
			value = p.forwardedFor(e, value)
		}
		if len(value) > 0 {
			e.set("REMOTE_ADDR", value)
			e.remoteAddr = value
		}
	case proxyHost:
		e.set("HTTP_HOST", value)
	case proxyServer:
		e.set("SERVER_NAME", value)
	case proxyPort:
		e.set("SERVER_PORT", value)
	case proxyScript:
		e.shownScriptName = value
	case proxyScheme:
		switch schemeOf(h.variable, strings.ToLower(string(value))) {
		case "https":
			e.set("HTTPS", []byte("1"))
		case "http":
			e.remove("HTTPS")
		}
	}
}

// schemeOf reads the value of a scheme header; empty: it says nothing.
func schemeOf(variable, value string) string {
	switch variable {
	case "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_SCHEME", "HTTP_X_SCHEME":
		if value == "http" || value == "https" {
			return value
		}
		return ""
	}
	switch value {
	case "on", "true", "1":
		return "https"
	case "off", "false", "0":
		return "http"
	}
	return ""
}

// forwardedFor is the client's address in X-Forwarded-For: without a list of
// proxies the first element; with it the one before the trusted proxies at its
// end, and the header is made to begin there.
func (p *proxyRules) forwardedFor(e *environ, value []byte) []byte {
	var elements [][]byte
	for _, element := range bytes.Split(value, []byte(",")) {
		if element = bytes.TrimSpace(element); len(element) > 0 {
			elements = append(elements, element)
		}
	}
	switch {
	case len(elements) == 0:
		return nil
	case p.networks == nil:
		return elements[0]
	}
	first := len(elements) // of the trusted ones at the end
	for first > 0 && p.trusts(string(elements[first-1])) {
		first--
	}
	start := max(0, first-1)
	e.set("HTTP_X_FORWARDED_FOR", bytes.Join(elements[start:], []byte(", ")))
	return elements[start]
}
