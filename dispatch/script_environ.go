package dispatch

import (
	"bytes"
	"os"
	"strconv"

	"github.com/wsgid/wsgid/protocol"
)

// appendScriptPairs appends what a script of the router sees beyond the
// variables of the application, which stand in b (mod_wsgi behaviour 5.1). What
// the interpreter itself knows, the host adds: mod_wsgi.process_group,
// mod_wsgi.application_group, mod_wsgi.script_name, mod_wsgi.path_info,
// mod_wsgi.request_id and wsgi.errors.
func (x *exchange) appendScriptPairs(b []byte) []byte {
	e, m := &x.env, x.target.mount
	address, _ := e.lookup("SERVER_ADDR")
	handler, script := "wsgi-script", ""
	if m.Handler != "" {
		handler, script = m.Handler, m.Target
	}
	b = protocol.AppendPair(b, "mod_wsgi.request_handler", handler)
	b = protocol.AppendPair(b, "mod_wsgi.handler_script", script)
	b = protocol.AppendPair(b, "mod_wsgi.listener_host", address)
	b = protocol.AppendPair(b, "mod_wsgi.listener_port", e.serverPort)
	b = protocol.AppendPair(b, "mod_wsgi.server_pid", serverPID)
	if e.shownScriptName != nil {
		b = protocol.AppendPair(b, "mod_wsgi.mount_point", e.shownScriptName)
		b = protocol.AppendPair(b, "mod_wsgi.script_name", x.target.scriptName)
	}
	var digits [20]byte
	b = protocol.AppendPair(b, "mod_wsgi.x-script_reloading", digit(m.ScriptReloading))
	b = protocol.AppendPair(b, "mod_wsgi.x-enable_sendfile", digit(false)) // the front server sends files
	b = protocol.AppendPair(b, "mod_wsgi.x-ignore_activity", digit(m.IgnoreActivity))
	return protocol.AppendPair(b, "mod_wsgi.x-request_start_us", strconv.AppendInt(digits[:0], x.start.UnixMicro(), 10))
}

var serverPID = strconv.Itoa(os.Getpid())

func digit(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

// modWSGIHTTPS gives HTTPS the value that scripts know from mod_wsgi: 1 on a
// TLS connection, where mod_ssl says on and other servers may say nothing. An
// application does not see it.
func (e *environ) modWSGIHTTPS() {
	if scheme, _ := e.lookup("REQUEST_SCHEME"); !bytes.EqualFold(scheme, []byte("https")) || e.schemeDecided {
		return
	}
	if value, ok := e.lookup("HTTPS"); !ok || bytes.EqualFold(value, []byte("on")) {
		e.set("HTTPS", []byte("1"))
	}
}
