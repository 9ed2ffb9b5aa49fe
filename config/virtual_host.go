package config

import (
	"iter"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/gocty"
)

// VirtualHost is a virtual_host "name" block: what requests for some names see.
type VirtualHost struct {
	// Name is the name of the site as it is written, which %{SERVER} and
	// %{RESOURCE} expand to; or a pattern as in ServerAlias.
	Name string
	// ID is what the web server calls it by the parameter WSGID_VIRTUAL_HOST, by
	// which alone it is chosen then; empty: by Name, ServerAlias and Ports.
	ID string
	// ServerAlias are further names: complete ones, "*.example.com" for all
	// names below, "*" for all that no other host has.
	ServerAlias []string
	// Ports that the request must have come to; empty: any.
	Ports []int
	// ErrorLog is a file for what is written while requests of the host are served;
	// empty: Log.ErrorLog. That of a process group goes first.
	ErrorLog string
	// AccessLogs of its own; none: those of the configuration.
	AccessLogs []AccessLog
	// RequestOptions: default those of Router.
	RequestOptions
	// ScriptAliases of its own, which are tried before the global ones.
	ScriptAliases []ScriptAlias
	// Inherited are the global mounts as they hold in this host; nil: as they are.
	Inherited []ScriptAlias
	Range     hcl.Range `json:"-"`
}

// ServerName is the name of the site; empty where Name is a pattern.
func (h *VirtualHost) ServerName() string {
	if strings.HasPrefix(h.Name, "*") {
		return ""
	}
	return h.Name
}

// Title is what people call it: its ID, else its Name.
func (h *VirtualHost) Title() string {
	if h.ID != "" {
		return h.ID
	}
	return h.Name
}

// Mounts yields every mount that a request can meet, with its virtual host, or
// nil for the global ones. Those that a host inherits with other options than
// the global ones have are yielded as they hold there.
func (c *Config) Mounts() iter.Seq2[*VirtualHost, *ScriptAlias] {
	return func(yield func(*VirtualHost, *ScriptAlias) bool) {
		each := func(h *VirtualHost, mounts []ScriptAlias) bool {
			for i := range mounts {
				if !yield(h, &mounts[i]) {
					return false
				}
			}
			return true
		}
		for i := range c.VirtualHosts {
			h := &c.VirtualHosts[i]
			if !each(h, h.ScriptAliases) || !each(h, h.Inherited) {
				return
			}
		}
		each(nil, c.ScriptAliases)
	}
}

// hostBlocks are the blocks inside a virtual_host block.
var hostBlocks = append(slices.Clone(mountBlocks), accessLog)

// virtualHostOptions are those of virtual_host "name" { … }.
func (d *decoder) virtualHostOptions(h *VirtualHost) options {
	return options{
		"id":           d.str(&h.ID),
		"server_alias": d.list(&h.ServerAlias),
		"ports":        d.ports(&h.Ports),
		"error_log":    d.str(&h.ErrorLog),
	}.with(d.requestOptions(&h.RequestOptions))
}

// ports reads a list of port numbers.
func (d *decoder) ports(to *[]int) reader {
	return reader{func(a *hcl.Attribute) {
		elements, ok := d.elements(a)
		if !ok {
			return
		}
		var result []int
		for _, element := range elements {
			var port int
			if err := gocty.FromCtyValue(element, &port); err != nil || element.Type() != cty.Number || port < 1 || port > 65535 {
				d.wrong(a, "is a list of port numbers from 1 to 65535: write [80, 443].")
				return
			}
			result = append(result, port)
		}
		*to = result
	}, func() cty.Value { return showPorts(*to) }}
}

func (d *decoder) decodeVirtualHost(block *hclsyntax.Block) {
	name, ok := d.label(block, "the name of the site", `virtual_host "www.example.com"`)
	if !ok {
		return
	}
	h := VirtualHost{Name: name}
	h.Range = d.decodeBody("virtual_host", block, d.virtualHostOptions(&h), hostBlocks...)
	for _, nested := range block.Body.Blocks {
		switch {
		case slices.Contains(mountBlocks, nested.Type):
			d.decodeScriptAlias(nested, &h.ScriptAliases)
		case nested.Type == accessLog:
			d.decodeAccessLog(nested, &h.AccessLogs)
		}
	}
	d.config.VirtualHosts = append(d.config.VirtualHosts, h)
}
