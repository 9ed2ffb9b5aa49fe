package dispatch

import (
	"bytes"
	"strconv"

	"github.com/wsgid/wsgid/protocol"
)

// appendAuthEnviron appends the reduced environ of scripts that authenticate or
// control access (mod_wsgi behaviour 5.2): no credentials, no user, nothing that
// SetEnv or a dispatch script would see besides. HTTPS and SSL_ variables reach
// the script as functions.
func (x *exchange) appendAuthEnviron(b []byte) []byte {
	e := &x.env
	for i := range e.pairs {
		if p := &e.pairs[i]; authVariable(p.name) {
			b = protocol.AppendPair(b, p.name, p.value)
		}
	}
	if _, said := e.lookup("HTTPS"); !said && !e.schemeDecided {
		if scheme, _ := e.lookup("REQUEST_SCHEME"); bytes.EqualFold(scheme, []byte("https")) {
			b = protocol.AppendPair(b, "HTTPS", "1")
		}
	}
	if len(e.remoteHost) > 0 {
		b = protocol.AppendPair(b, "REMOTE_HOST", e.remoteHost)
	}
	if len(e.serverSignature) > 0 {
		b = protocol.AppendPair(b, "SERVER_SIGNATURE", e.serverSignature)
	}
	b = protocol.AppendPair(b, "REQUEST_METHOD", e.method)
	b = protocol.AppendPair(b, "QUERY_STRING", e.queryString)
	scriptName := x.target.scriptName
	if e.shownScriptName != nil {
		scriptName = e.shownScriptName
	}
	b = protocol.AppendPair(b, "SCRIPT_NAME", scriptName)
	b = protocol.AppendPair(b, "PATH_INFO", x.target.pathInfo)
	if e.length >= 0 {
		var digits [20]byte
		b = protocol.AppendPair(b, "CONTENT_LENGTH", strconv.AppendInt(digits[:0], e.length, 10))
	}
	return b
}

// authVariable says which parameters such a script sees as they came.
func authVariable(name []byte) bool {
	switch string(name) {
	case "HTTP_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION":
		return false
	case "CONTENT_TYPE", "DOCUMENT_ROOT", "HTTPS", "REMOTE_ADDR", "REMOTE_PORT", "REQUEST_URI", "SERVER_ADDR", "SERVER_ADMIN",
		"SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "SERVER_SOFTWARE":
		return true
	}
	return bytes.HasPrefix(name, httpPrefix) || bytes.HasPrefix(name, []byte("SSL_"))
}
