package dispatch

import (
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/wsgid/wsgid/protocol"
)

// appendHTTPParams writes the parameters that a front server would send for
// req (RFC 3875, with REQUEST_URI). The path goes whole into PATH_INFO: the
// mounts cut it.
func appendHTTPParams(b []byte, req *http.Request, version string) []byte {
	set := func(name, value string) { b = protocol.AppendPair(b, name, value) }
	set("REQUEST_METHOD", req.Method)
	set("REQUEST_URI", req.RequestURI)
	set("QUERY_STRING", req.URL.RawQuery)
	set("SCRIPT_NAME", "")
	set("PATH_INFO", req.URL.Path)
	set("SERVER_PROTOCOL", req.Proto)
	set("REQUEST_SCHEME", "http")
	set("SERVER_SOFTWARE", "wsgid/"+version)
	set("HTTP_HOST", req.Host)
	localHost, localPort := localAddr(req)
	name := hostOnly(req.Host)
	if name == "" {
		name = localHost
	}
	set("SERVER_NAME", name)
	set("SERVER_ADDR", localHost)
	set("SERVER_PORT", localPort)
	if host, port, err := net.SplitHostPort(req.RemoteAddr); err == nil {
		set("REMOTE_ADDR", host)
		set("REMOTE_PORT", port)
	}
	switch {
	case req.ContentLength > 0, req.Header["Content-Length"] != nil:
		set("CONTENT_LENGTH", strconv.FormatInt(max(0, req.ContentLength), 10))
	case req.ContentLength < 0:
		set("HTTP_TRANSFER_ENCODING", "chunked")
	}
	for name, values := range req.Header {
		key, ok := headerVariable(name)
		if !ok {
			continue
		}
		for _, v := range values {
			b = protocol.AppendPair(b, key, v)
		}
	}
	return b
}

// headerVariable is the CGI name of a request header. Names outside
// [A-Za-z0-9-] are dropped: X_A would pose as X-A (mod_wsgi behaviour 6.1).
func headerVariable(name string) (string, bool) {
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-':
		default:
			return "", false
		}
	}
	switch name {
	case "Content-Type":
		return "CONTENT_TYPE", true
	case "Content-Length", "Transfer-Encoding", "Proxy", "Host":
		return "", false
	}
	return "HTTP_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")), true
}

func localAddr(req *http.Request) (host, port string) {
	addr, ok := req.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return "localhost", "80"
	}
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return "localhost", "80"
	}
	return host, port
}

// hostOnly is a Host header without its port.
func hostOnly(h string) string {
	if host, _, err := net.SplitHostPort(h); err == nil {
		h = host
	}
	return strings.Trim(h, "[]")
}
