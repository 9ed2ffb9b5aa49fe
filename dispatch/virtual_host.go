package dispatch

import (
	"bytes"
	"strings"

	"github.com/wsgid/wsgid/internal/errcode"
	"github.com/wsgid/wsgid/internal/hostname"
	"github.com/wsgid/wsgid/internal/wire"
)

// virtualHost is a wire.VirtualHost prepared for requests.
type virtualHost struct {
	serverName []byte       // empty: the front server's
	errorLog   string       // key for what its applications write; empty: none
	accessLogs []*accessLog // instead of the router's, if there are any

	errorDocuments map[int]string // of URLs that no mount has
	ports          []int
	mounts         mountTable // all that can be met here
	own            int        // how many of them are not the router's
	guard          *guard     // of URLs that no mount has
	auth           *wire.Auth // its configuration
}

// hostTable finds the virtual host of a request. Of several hosts of one name
// those with ports come first.
type hostTable struct {
	hosts []*virtualHost
	byID  map[string]*virtualHost
	exact map[string][]*virtualHost
	below map[string][]*virtualHost // "*.x", by ".x"
	any   []*virtualHost            // "*"
}

// newHostTable builds the table; mounts are the global ones.
func newHostTable(hosts []wire.VirtualHost, mounts mountTable) *hostTable {
	t := &hostTable{byID: map[string]*virtualHost{}, exact: map[string][]*virtualHost{}, below: map[string][]*virtualHost{}}
	for i := range hosts {
		c := &hosts[i]
		h := &virtualHost{serverName: []byte(c.ServerName), errorLog: c.ErrorLog, errorDocuments: c.ErrorDocuments, ports: c.Ports, auth: c.Auth, mounts: newMountTable(c.Mounts)}
		if c.Inherited != nil {
			h.mounts = append(h.mounts, newMountTable(c.Inherited)...)
		}
		h.own = len(h.mounts)
		if c.Inherited == nil {
			h.mounts = append(h.mounts, mounts...)
		}
		t.hosts = append(t.hosts, h)
		if c.ID != "" {
			t.byID[c.ID] = h
			continue
		}
		for _, name := range c.Names {
			t.add(name, h)
		}
	}
	return t
}

func (t *hostTable) add(name string, h *virtualHost) {
	plain, below := strings.CutPrefix(name, "*.")
	key, _ := hostname.AppendName(nil, []byte(plain)) // validated
	switch {
	case name == "*":
		t.any = withHost(t.any, h)
	case below:
		key := "." + string(key)
		t.below[key] = withHost(t.below[key], h)
	default:
		t.exact[string(key)] = withHost(t.exact[string(key)], h)
	}
}

// withHost adds h behind the hosts with ports, or before those without.
func withHost(hosts []*virtualHost, h *virtualHost) []*virtualHost {
	if len(h.ports) > 0 {
		return append([]*virtualHost{h}, hosts...)
	}
	return append(hosts, h)
}

// find gives the host for a name in the form in which names are compared: its
// own one, else that of the longest pattern, else the one for all; nil: none.
func (t *hostTable) find(name, port []byte) *virtualHost {
	if h := pick(t.exact[string(name)], port); h != nil {
		return h
	}
	if len(t.below) > 0 {
		for rest := name; ; rest = rest[1:] {
			i := bytes.IndexByte(rest, '.')
			if i < 0 {
				break
			}
			rest = rest[i:]
			if h := pick(t.below[string(rest)], port); h != nil {
				return h
			}
		}
	}
	return pick(t.any, port)
}

// pick gives the first host that is for the port.
func pick(hosts []*virtualHost, port []byte) *virtualHost {
	for _, h := range hosts {
		if len(h.ports) == 0 {
			return h
		}
		number := hostname.Port(port)
		for _, p := range h.ports {
			if p == number {
				return h
			}
		}
	}
	return nil
}

// errorLog is the key of the file that the virtual host of the request has for what
// is written while it is served; empty: none.
func (x *exchange) errorLog() string {
	if x.host == nil {
		return ""
	}
	return x.host.errorLog
}

// hostParameter is by which a trusted web server says which of its virtual hosts
// it has chosen, by address, name and what else it knows.
const hostParameter = "WSGID_VIRTUAL_HOST"

// chooseHost finds the virtual host that the request is for, by what a trusted web
// server says, else by the Host header, without one by SERVER_NAME, and gives the
// mounts that it can meet.
func (x *exchange) chooseHost() (mountTable, *refusal) {
	t, e := x.router.hosts, &x.env
	if len(e.settings) > 0 && x.listener.TrustFrontServer {
		if id := e.mark(hostParameter); id != "" {
			return x.hostOf(id)
		}
	}
	if t == nil {
		return x.router.mounts, nil
	}
	var ok bool
	if len(e.httpHost) > 0 {
		if x.hostName, ok = hostname.AppendName(x.hostName[:0], e.httpHost); !ok {
			return nil, refuse(errcode.BadHost, "host", string(e.httpHost))
		}
	} else if x.hostName, ok = hostname.AppendName(x.hostName[:0], e.serverName); !ok {
		x.hostName = x.hostName[:0] // the front server's "_" or nothing: only "*" is for it
	}
	x.host = t.find(x.hostName, e.serverPort)
	return x.enterHost(), nil
}

// hostOf is chooseHost for the host that the web server names.
func (x *exchange) hostOf(id string) (mountTable, *refusal) {
	if x.router.hosts != nil {
		x.host = x.router.hosts.byID[id]
	}
	if x.host == nil {
		return nil, refuse(errcode.WrongSetting, "parameter", hostParameter, "value", id, "reason", "there is no virtual_host with this id")
	}
	return x.enterHost(), nil
}

// enterHost gives the mounts of x.host, or without one the global ones.
func (x *exchange) enterHost() mountTable {
	if x.host == nil {
		return x.router.mounts
	}
	if len(x.host.serverName) > 0 {
		x.env.serverName = x.host.serverName
	}
	return x.host.mounts
}
