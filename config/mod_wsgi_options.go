package config

import "strings"

// withoutTwin are options of mod_wsgi's WSGIDaemonProcess that wsgid does not
// have, and what an administrator does instead (mod_wsgi behaviour spec 2).
var withoutTwin = map[string]string{
	"header_buffer_size":   "; wsgid takes header lines of a response as long as the web server does (8190 bytes): take it out.",
	"receive_buffer_size":  "; the buffers between wsgid and its processes are of the size that the kernel chooses: take it out.",
	"response_buffer_size": "; a response is passed on as it comes, and waits in no buffer: take it out.",
	"response_flush_delay": "; Apache's own ProxyPass decides: flushpackets=auto flushwait=5.",
	"send_buffer_size":     "; the buffers between wsgid and its processes are of the size that the kernel chooses: take it out.",
	"server_metrics":       "; server_metrics() of the module mod_wsgi tells of Apache, which wsgid does not run in: take it out.",
	"socket_user":          "; only wsgid's router reaches the sockets of process groups: take it out. For the socket that Apache connects to see owner, group and mode of listen \"unix\".",
}

// ofModWSGI ends the message about an option of mod_wsgi that daemon_process
// does not have; empty: it is none.
func ofModWSGI(where, option string) string {
	if where != "daemon_process" {
		return ""
	}
	return withoutTwin[strings.ReplaceAll(option, "-", "_")]
}
