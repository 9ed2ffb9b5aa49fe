package config

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// listener validates a listen block.
func (v *validator) listener(l *Listener) {
	v.responder(l)
	v.requestIDHeader(l)
	v.systemdSocket(l)
	v.positive(l.Range, "header_timeout", l.HeaderTimeout, "a silent client would hold a connection for ever")
	v.positive(l.Range, "body_timeout", l.BodyTimeout, "a silent client would hold a connection for ever")
	if l.Kind == ListenHTTP {
		v.positive(l.Range, "idle_timeout", l.IdleTimeout, "a silent client would hold a connection for ever")
	}
	if l.Kind == ListenUnix {
		if v.given(l.Range, "path") {
			v.socketPath(l.Range, "path", l.Path)
		}
		v.socketMode(l)
		v.owner(l.Range, l.Owner, l.Group)
		for _, uid := range l.AllowedUIDs {
			v.account(l.Range, "allowed_uids", uid)
		}
		return
	}
	v.address(l)
	for i := range l.Static {
		v.static(l, i)
	}
}

// requestIDHeader checks the name of a header. Underscores get to no variable.
func (v *validator) requestIDHeader(l *Listener) {
	if !v.given(l.Range, "request_id_header") {
		return
	}
	if name := l.RequestIDHeader; name == "" || strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		v.add(v.place(l.Range, "request_id_header"), "Wrong header", "request_id_header is the name of a header, of letters, digits and hyphens, such as \"X-Request-Id\"; %q is none.", name)
	}
}

// systemdSocket checks that nothing is said of a socket that systemd makes.
func (v *validator) systemdSocket(l *Listener) {
	if !v.given(l.Range, "systemd_socket") {
		return
	}
	if name := l.SystemdSocket; name == "" || len(name) > 255 || strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c > '~' || c == ':' }) {
		v.add(v.place(l.Range, "systemd_socket"), "Wrong name", "systemd_socket is what FileDescriptorName= of the socket unit says: up to 255 characters of ASCII without a colon; %q is none.", name)
	}
	for _, option := range [][2]string{{"owner", "SocketUser"}, {"group", "SocketGroup"}, {"mode", "SocketMode"}} {
		if v.given(l.Range, option[0]) {
			v.add(v.place(l.Range, option[0]), "Socket of systemd", "systemd makes this socket: take %q out, and write %s= into the socket unit.", option[0], option[1])
		}
	}
}

func (v *validator) socketMode(l *Listener) {
	if l.Mode&0o002 != 0 {
		v.add(v.place(l.Range, "mode"), "Socket is world-writable", "With mode %04o every user of this machine could send requests: use \"0660\" and a group that the web server is in.", l.Mode)
	}
}

// address validates host and port of a tcp or http listener.
func (v *validator) address(l *Listener) {
	if !v.given(l.Range, "address") {
		return // reported as missing
	}
	at := v.place(l.Range, "address")
	host, port, err := net.SplitHostPort(l.Address)
	if err != nil {
		v.add(at, "Wrong address", "Option \"address\" is host:port, such as \"127.0.0.1:9000\" or \"[::1]:9000\"; %q is not.", l.Address)
		return
	}
	number, err := strconv.Atoi(port)
	lowest := 1
	if l.Kind == ListenHTTP {
		lowest = 0 // any free port: for tests and wsgid serve
	}
	if err != nil || number < lowest || number > 65535 {
		v.add(at, "Wrong address", "The port is a number from 1 to 65535; %q is not.", port)
	}
	if host != "" && !isHost(host) {
		v.add(at, "Wrong address", "%q is neither an IP address nor a host name.", host)
		return
	}
	if l.Kind == ListenTCP && !isLoopback(host) && len(l.AllowedClients) == 0 {
		v.add(at, "Anybody could connect", "FastCGI has no passwords: whoever reaches %s can pretend to be the web server. Add allowed_clients = [\"address of the web server\"], or listen on a loopback address.", l.Address)
	}
}

// isHost accepts IP addresses and names of letters, digits, dots and hyphens.
func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789.-") == "" && !strings.HasPrefix(host, "-") &&
		strings.Trim(host, "0123456789.") != ""
}

// isLoopback says whether only this machine reaches the host.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// static validates a static block.
func (v *validator) static(l *Listener, i int) {
	s := &l.Static[i]
	if v.given(s.Range, "dir") {
		v.absolute(s.Range, "dir", s.Dir)
	}
	v.urlPrefix(s.Range, "static", s.Prefix)
	for _, other := range l.Static[:i] {
		if other.Prefix == s.Prefix {
			v.add(s.Range, "Duplicate prefix", "static %q is there already, on line %d.", s.Prefix, other.Range.Start.Line)
		}
	}
}

// responder: a listener without applications has to be good for something, and
// one that is asked bit by bit has to be asked.
func (v *validator) responder(l *Listener) {
	if l.SeparateQuestions && !l.Authorizer {
		v.add(v.place(l.Range, "separate_questions"), "Nothing is asked", "separate_questions is about questions who is let in, which are answered only with authorizer = true: add it, or take it out.")
	}
	if l.NoResponder && !l.Authorizer {
		v.add(v.place(l.Range, "responder"), "Nothing is answered", "responder = false leaves nothing for the listener to do: add authorizer = true, or take it out.")
	}
}

// listenersTogether reports addresses that are listened on twice.
func (v *validator) listenersTogether() {
	seen := map[string]int{}
	for i := range v.config.Listeners {
		l := &v.config.Listeners[i]
		option, key := "address", l.Address
		if l.Kind == ListenUnix {
			option, key = "path", l.Path
		}
		if key == "" || strings.HasSuffix(key, ":0") {
			continue
		}
		if first, found := seen[key]; found {
			v.add(v.place(l.Range, option), "Duplicate listener", "%s is listened on already, by the block at %s:%d.", key, v.config.Listeners[first].Range.Filename, v.config.Listeners[first].Range.Start.Line)
			continue
		}
		seen[key] = i
	}
}
