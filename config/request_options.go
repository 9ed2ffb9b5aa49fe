package config

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// RequestOptions say what becomes of a request before an application sees it.
// Each is an option of router, which sets the default, of virtual_host, which
// sets it for a host, and of script_alias.
type RequestOptions struct {
	// RequestBuffer is how much of a body is collected before a thread is
	// taken; default 64 KiB. MaxBodyBytes, default 0: no limit.
	RequestBuffer, MaxBodyBytes int64
	// PassAuthorization, default true: the Authorization header that the front
	// server sends reaches the application.
	PassAuthorization bool
	// ChunkedRequest, default true: bodies without a length are taken; else 411.
	ChunkedRequest bool
	// MapHeadToGet: applications see GET for HEAD; default MapHeadAuto.
	MapHeadToGet MapHead
	// TrustedProxyHeaders are the request headers that describe the client of a
	// proxy, in the order in which they apply (mod_wsgi behaviour 6.10). Empty:
	// none is looked at.
	TrustedProxyHeaders []string
	// TrustedProxies may send them. Nil: everybody may; empty: nobody.
	TrustedProxies []netip.Prefix
	// RestrictProcess are the process groups that may serve a request, whatever
	// an expansion or a dispatch script says; "%{GLOBAL}" is embedded mode. Nil: all.
	RestrictProcess []string
	// DispatchScript is the path of the dispatch_script block that decides about
	// a request; empty: none does. Of the router: that of the default block.
	DispatchScript string
	// Priority where requests wait for a thread of one process group: the
	// higher is served first; default 5.
	Priority int
	// IgnoreActivity: requests do not end the idleness of a process.
	IgnoreActivity bool
	// ErrorOverride: what the application says in a response of 400 or more is
	// not sent, a page with the status is.
	ErrorOverride  bool
	ErrorDocuments ErrorDocuments
	// AcceptPathInfo, default true: the URL may go on behind the script; else 404.
	AcceptPathInfo bool
	// AllowOverride are the options that the web server's configuration may set
	// for a request by WSGID_ parameters. Nil: those that wire.Overrides says.
	AllowOverride []string
	AuthOptions
}

// maxPriority: internal/wire has as many lists of waiting requests.
const maxPriority = 9

// MapHead is the value of map_head_to_get.
type MapHead string

// Values of map_head_to_get. What mod_wsgi's auto depends on, the filters of
// Apache's response, cannot be seen from outside of it: auto maps nothing.
const (
	MapHeadAuto MapHead = "auto"
	MapHeadOn   MapHead = "on"
	MapHeadOff  MapHead = "off"
)

// proxyHeaders are those that mod_wsgi knows (behaviour 6.10).
var proxyHeaders = []string{
	"X-Forwarded-For", "X-Client-IP", "X-Real-IP",
	"X-Forwarded-Host", "X-Host", "X-Forwarded-Server", "X-Forwarded-Port",
	"X-Script-Name", "X-Forwarded-Script-Name",
	"X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Scheme", "X-Forwarded-HTTPS", "X-Forwarded-SSL", "X-HTTPS",
}

func defaultRequestOptions() RequestOptions {
	return RequestOptions{RequestBuffer: 64 * kib, PassAuthorization: true, ChunkedRequest: true, AcceptPathInfo: true, MapHeadToGet: MapHeadAuto, Priority: 5}
}

func (d *decoder) requestOptions(o *RequestOptions) options {
	return options{
		"request_buffer":        d.size(&o.RequestBuffer, 0, maxRequestBuffer),
		"max_body_bytes":        d.size(&o.MaxBodyBytes, 0, maxBodyBytes),
		"pass_authorization":    d.boolean(&o.PassAuthorization),
		"chunked_request":       d.boolean(&o.ChunkedRequest),
		"map_head_to_get":       d.str((*string)(&o.MapHeadToGet)),
		"trusted_proxy_headers": d.list(&o.TrustedProxyHeaders),
		"trusted_proxies":       d.prefixes(&o.TrustedProxies),
		"restrict_process":      d.list(&o.RestrictProcess),
		"dispatch_script":       d.str(&o.DispatchScript),
		"priority":              d.integer(&o.Priority, 0, maxPriority),
		"ignore_activity":       d.boolean(&o.IgnoreActivity),
		"error_override":        d.boolean(&o.ErrorOverride),
		"error_document":        d.errorDocuments(&o.ErrorDocuments),
		"accept_path_info":      d.boolean(&o.AcceptPathInfo),
		"allow_override":        d.list(&o.AllowOverride),
	}.with(d.authOptions(&o.AuthOptions))
}

// inheritRequestOptions gives the options o of a block those values of from
// that it does not set itself, and says whether it sets any.
func (v *validator) inheritRequestOptions(block hcl.Range, o, from *RequestOptions) (own bool) {
	steps := map[string]func(){
		"request_buffer":        func() { o.RequestBuffer = from.RequestBuffer },
		"max_body_bytes":        func() { o.MaxBodyBytes = from.MaxBodyBytes },
		"pass_authorization":    func() { o.PassAuthorization = from.PassAuthorization },
		"chunked_request":       func() { o.ChunkedRequest = from.ChunkedRequest },
		"map_head_to_get":       func() { o.MapHeadToGet = from.MapHeadToGet },
		"trusted_proxy_headers": func() { o.TrustedProxyHeaders = from.TrustedProxyHeaders },
		"trusted_proxies":       func() { o.TrustedProxies = from.TrustedProxies },
		"restrict_process":      func() { o.RestrictProcess = from.RestrictProcess },
		"dispatch_script":       func() { o.DispatchScript = from.DispatchScript },
		"priority":              func() { o.Priority = from.Priority },
		"ignore_activity":       func() { o.IgnoreActivity = from.IgnoreActivity },
		"error_override":        func() { o.ErrorOverride = from.ErrorOverride },
		"error_document":        func() { o.ErrorDocuments = from.ErrorDocuments },
		"accept_path_info":      func() { o.AcceptPathInfo = from.AcceptPathInfo },
		"allow_override":        func() { o.AllowOverride = from.AllowOverride },
	}
	maps.Copy(steps, o.inheritAuth(&from.AuthOptions))
	for name, take := range steps {
		if v.given(block, name) {
			own = true
		} else {
			take()
		}
	}
	v.keepCredentials(block, o)
	return own
}

// requestOptions validates the options of o that stand in block.
func (v *validator) requestOptions(block hcl.Range, o *RequestOptions) {
	if v.given(block, "map_head_to_get") {
		switch o.MapHeadToGet {
		case MapHeadAuto, MapHeadOn, MapHeadOff:
		default:
			v.add(v.place(block, "map_head_to_get"), "Wrong value", "map_head_to_get is \"auto\", \"on\" or \"off\"; %q is none of them%s",
				o.MapHeadToGet, didYouMean(string(o.MapHeadToGet), []string{"auto", "on", "off"}))
		}
	}
	v.restrictProcess(block, o)
	v.chosenDispatchScript(block, o)
	v.allowOverride(block, o)
	v.errorDocument(block, o.ErrorDocuments)
	v.authValues(block, &o.AuthOptions)
	if !v.given(block, "trusted_proxy_headers") {
		return
	}
	for i, name := range o.TrustedProxyHeaders {
		at := slices.IndexFunc(proxyHeaders, func(known string) bool { return strings.EqualFold(known, name) })
		if at < 0 {
			v.add(v.place(block, "trusted_proxy_headers"), "Unknown proxy header", "%q is no header of a proxy that wsgid knows: %s%s",
				name, strings.Join(proxyHeaders, ", "), didYouMean(name, proxyHeaders))
			continue
		}
		o.TrustedProxyHeaders[i] = proxyHeaders[at]
	}
	if len(o.TrustedProxyHeaders) > 0 && o.TrustedProxies == nil && !v.written(block, "trusted_proxies") {
		v.warn(v.place(block, "trusted_proxy_headers"), "Every client is trusted",
			"Without trusted_proxies anybody who can send a request chooses address, host and scheme that the application sees: name the proxies.")
	}
}
