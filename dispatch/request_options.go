package dispatch

import (
	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/protocol"
)

// adjust does with a request what the options of the mount ask for, before a
// dispatch script or an application sees it. Mounts without such options do
// not come here.
func (m *mount) adjust(e *environ, pathInfo []byte) *refusal {
	if m.RefusePathInfo && len(pathInfo) > 0 {
		return refuse(errcode.PathInfoRefused, "mount", m.title, "path_info", string(pathInfo))
	}
	if m.RefuseChunked && e.length < 0 && len(e.transferEncoding) > 0 {
		return refuse(errcode.ChunkedForbidden, "mount", m.title)
	}
	if m.DropAuthorization {
		e.authorization, e.redirectAuthorization = nil, nil
		e.remove("HTTP_AUTHORIZATION")
		e.remove("REDIRECT_HTTP_AUTHORIZATION")
		e.remove("HTTP_PROXY_AUTHORIZATION")
	}
	if m.MapHeadToGet && string(e.method) == "HEAD" {
		e.set("REQUEST_METHOD", []byte("GET"))
		e.own = protocol.AppendPair(e.own, "WSGID_HEAD", "1")
	}
	if m.proxies != nil {
		m.proxies.apply(e)
	}
	return nil
}
