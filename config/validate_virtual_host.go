package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/wsgid/wsgid/internal/hostname"
)

// mounts completes and validates the mounts of one host, or the global ones,
// in their order. from are the options that they inherit.
func (v *validator) mounts(list []ScriptAlias, from *RequestOptions) {
	for i := range list {
		s := &list[i]
		resolveScriptAlias(s, &v.config, v.written(s.Range, "process_group"), v.given(s.Range, "preload"))
		v.inheritRequestOptions(s.Range, &s.RequestOptions, from)
		v.scriptAlias(list, i)
		v.restricted(s)
		v.guarded(s.Range, &s.AuthOptions)
	}
}

// virtualHost validates a virtual_host block; the global mounts are done.
func (v *validator) virtualHost(h *VirtualHost) {
	v.hostID(h)
	v.errorLog(h.Range, h.ErrorLog)
	v.accessLogs(h.AccessLogs)
	v.hostName(h, "name", h.Name)
	for _, alias := range h.ServerAlias {
		v.hostName(h, "server_alias", alias)
	}
	if h.Ports == nil && v.given(h.Range, "ports") {
		v.add(v.place(h.Range, "ports"), "No port is left", "ports names none, so that no request could meet this virtual host: name some, or take it out for all.")
	}
	own := v.inheritRequestOptions(h.Range, &h.RequestOptions, &v.config.Router.RequestOptions)
	v.requestOptions(h.Range, &h.RequestOptions)
	v.mounts(h.ScriptAliases, &h.RequestOptions)
	if !own {
		return
	}
	h.Inherited = slices.Clone(v.config.ScriptAliases)
	for i := range h.Inherited {
		s := &h.Inherited[i]
		v.inheritRequestOptions(s.Range, &s.RequestOptions, &h.RequestOptions)
		if v.given(h.Range, "restrict_process") && fixed(s.ProcessGroup) && !slices.Contains(s.RestrictProcess, s.ProcessGroup) && coveredBy(h.ScriptAliases, s, v.compile) == nil {
			v.warn(v.place(h.Range, "restrict_process"), "Process group is not permitted", "restrict_process permits %s here, and the global %s at %s has the process group %q: its requests are answered with 500 in this virtual host, unless a dispatch script chooses another.",
				strings.Join(h.RestrictProcess, ", "), s.Title(), s.place(), s.ProcessGroup)
		}
		if !v.diags.HasErrors() { // else said already
			v.guarded(s.Range, &s.AuthOptions)
		}
	}
}

// hostID validates the name by which the web server alone chooses the host.
func (v *validator) hostID(h *VirtualHost) {
	if !v.given(h.Range, "id") {
		return
	}
	switch at := v.place(h.Range, "id"); {
	case h.ID == "":
		v.add(at, "Empty id", "id is what the web server sends as WSGID_VIRTUAL_HOST: write a text, or take it out.")
	case len(h.ServerAlias) > 0 || len(h.Ports) > 0:
		v.add(at, "Chosen in two ways", "A virtual_host with id is chosen by the web server alone: take server_alias and ports out.")
	case !v.config.Trusts() && !v.partial:
		v.add(at, "Nobody can ask for it", "The virtual host is for requests whose web server says so (WSGID_VIRTUAL_HOST), and no listen block has trust_front_server = true: add it to the listener of the web server.")
	}
	for i := range v.config.VirtualHosts {
		other := &v.config.VirtualHosts[i]
		if other == h {
			return
		}
		if other.ID == h.ID {
			v.add(v.place(h.Range, "id"), "Duplicate id", "virtual_host %q at %s:%d has this id already: each needs its own.", other.Name, other.Range.Filename, other.Range.Start.Line)
			return
		}
	}
}

// hostName validates one name of a virtual host.
func (v *validator) hostName(h *VirtualHost, option, name string) {
	if name == "*" {
		return
	}
	plain := strings.TrimPrefix(name, "*.")
	if _, ok := hostname.AppendName(nil, []byte(plain)); ok && !hasPort(plain) {
		return
	}
	v.add(v.place(h.Range, option), "Wrong host name", "A virtual host is called by a name such as \"www.example.com\", an address such as \"192.0.2.1\" or \"[2001:db8::1]\", \"*.example.com\" for all names below, or \"*\"; %q is none of them. A port belongs to the option ports.", name)
}

// hasPort says whether a port follows the name in a host that is right.
func hasPort(host string) bool {
	return strings.LastIndexByte(host, ':') > strings.LastIndexByte(host, ']')
}

// hostKey is a name of a virtual host in the form in which names are compared.
func hostKey(name string) string {
	if name == "*" {
		return name
	}
	plain, below := strings.CutPrefix(name, "*.")
	key, _ := hostname.AppendName(nil, []byte(plain))
	if below {
		return "*." + string(key)
	}
	return string(key)
}

// hostsTogether reports names that more than one virtual host has for a port.
func (v *validator) hostsTogether() {
	first := map[string]*VirtualHost{} // by name and port
	for i := range v.config.VirtualHosts {
		h := &v.config.VirtualHosts[i]
		if h.ID != "" {
			continue
		}
		ports := h.Ports
		if len(ports) == 0 {
			ports = []int{0}
		}
		for at, name := range append([]string{h.Name}, h.ServerAlias...) {
			for _, port := range ports {
				key := hostKey(name) + " " + strconv.Itoa(port)
				other, found := first[key]
				if !found {
					first[key] = h
					continue
				}
				if other == h {
					continue
				}
				option, where := "name", ""
				if at > 0 {
					option = "server_alias"
				}
				if port != 0 {
					where = fmt.Sprintf(" on port %d", port)
				}
				v.add(v.place(h.Range, option), "Duplicate virtual host", "Requests for %q%s belong to virtual_host %q already, at %s:%d: take the name out here or there, or give both different ports.",
					name, where, other.Name, other.Range.Filename, other.Range.Start.Line)
				break
			}
		}
	}
}
