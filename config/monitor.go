package config

import (
	"net"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Monitor is the monitor block: what the control socket says to those who look, on TCP.
type Monitor struct {
	// Listen is an address with a port.
	Listen string
	// User and Group that the process runs as when wsgid is started as root;
	// default nobody; Group defaults to the user's.
	User, Group string
	Range       hcl.Range `json:"-"`
}

// monitorOptions are those of monitor { … }.
func (d *decoder) monitorOptions(o *Monitor) options {
	return options{
		"listen": d.str(&o.Listen),
		"user":   d.str(&o.User),
		"group":  d.str(&o.Group),
	}
}

func (d *decoder) decodeMonitor(block *hclsyntax.Block) {
	if d.once(block, 0) {
		o := Monitor{}
		o.Range = d.decodeBody("monitor", block, d.monitorOptions(&o))
		d.config.Monitor = &o
	}
}

// monitor validates the monitor block.
func (v *validator) monitor(o *Monitor) {
	if !v.given(o.Range, "listen") {
		v.add(o.Range, "Missing option", "monitor needs the option \"listen\", an address with a port: write listen = \"127.0.0.1:9181\".")
		return
	}
	v.user(o.Range, o.User, o.Group)
	at := v.place(o.Range, "listen")
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil || port == "" {
		v.add(at, "Wrong value", "listen is an address with a port, such as \"127.0.0.1:9181\"; %q is not.", o.Listen)
		return
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		v.warn(at, "Everybody can look", "Whoever reaches %s sees URLs and addresses of the requests that run, and names of groups and files: listen on 127.0.0.1, or let a firewall decide.", o.Listen)
	}
	for i := range v.config.Listeners {
		if l := &v.config.Listeners[i]; l.Kind != ListenUnix && l.Address == o.Listen {
			v.add(at, "Duplicate listener", "%s is the address of a listen block already.", o.Listen)
		}
	}
}
