package config

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// listenCommon are the options of every listener.
type listenCommon struct {
	Backlog       *hcl.Attribute `hcl:"backlog,optional"`
	HeaderTimeout *hcl.Attribute `hcl:"header_timeout,optional"`
	BodyTimeout   *hcl.Attribute `hcl:"body_timeout,optional"`
}

// listenUnixBlock is listen "unix": FastCGI on a unix socket.
type listenUnixBlock struct {
	Path          *hcl.Attribute `hcl:"path,optional"`
	Owner         *hcl.Attribute `hcl:"owner,optional"`
	Group         *hcl.Attribute `hcl:"group,optional"`
	Mode          *hcl.Attribute `hcl:"mode,optional"`
	AllowedUIDs   *hcl.Attribute `hcl:"allowed_uids,optional"`
	Backlog       *hcl.Attribute `hcl:"backlog,optional"`
	HeaderTimeout *hcl.Attribute `hcl:"header_timeout,optional"`
	BodyTimeout   *hcl.Attribute `hcl:"body_timeout,optional"`
	Remain        hcl.Body       `hcl:",remain"`
}

// listenTCPBlock is listen "tcp": FastCGI on a TCP port.
type listenTCPBlock struct {
	Address        *hcl.Attribute `hcl:"address,optional"`
	AllowedClients *hcl.Attribute `hcl:"allowed_clients,optional"`
	Backlog        *hcl.Attribute `hcl:"backlog,optional"`
	HeaderTimeout  *hcl.Attribute `hcl:"header_timeout,optional"`
	BodyTimeout    *hcl.Attribute `hcl:"body_timeout,optional"`
	Remain         hcl.Body       `hcl:",remain"`
}

// listenHTTPBlock is listen "http": plain HTTP, for development and small sites.
type listenHTTPBlock struct {
	Address        *hcl.Attribute `hcl:"address,optional"`
	AllowedClients *hcl.Attribute `hcl:"allowed_clients,optional"`
	Backlog        *hcl.Attribute `hcl:"backlog,optional"`
	HeaderTimeout  *hcl.Attribute `hcl:"header_timeout,optional"`
	BodyTimeout    *hcl.Attribute `hcl:"body_timeout,optional"`
	IdleTimeout    *hcl.Attribute `hcl:"idle_timeout,optional"`
	Static         []staticLabel  `hcl:"static,block"`
	Remain         hcl.Body       `hcl:",remain"`
}

// staticLabel makes "static" a known block; decodeStatic reads it.
type staticLabel struct {
	Body hcl.Body `hcl:",remain"`
}

// staticBlock is static "/prefix/" inside listen "http".
type staticBlock struct {
	Dir    *hcl.Attribute `hcl:"dir,optional"`
	Remain hcl.Body       `hcl:",remain"`
}

func (d *decoder) decodeListen(block *hclsyntax.Block) {
	label, ok := d.label(block, `the kind of listener`, `listen "unix"`)
	if !ok {
		return
	}
	l := defaultListener(ListenerKind(label))
	switch l.Kind {
	case ListenUnix:
		d.decodeListenUnix(block, &l)
	case ListenTCP:
		d.decodeListenTCP(block, &l)
	case ListenHTTP:
		d.decodeListenHTTP(block, &l)
	default:
		d.add(block.LabelRanges[0], "Unknown kind of listener", `There is no listen %q: it is "unix" or "tcp" for FastCGI, or "http".`, label)
		return
	}
	d.config.Listeners = append(d.config.Listeners, l)
}

func (d *decoder) decodeListenUnix(block *hclsyntax.Block, l *Listener) {
	var b listenUnixBlock
	l.Range = d.decodeBody(`listen "unix"`, block, &b)
	d.str(b.Path, &l.Path)
	d.need(l.Range, `listen "unix"`, "path", "/run/wsgid/wsgid.sock")
	d.str(b.Owner, &l.Owner)
	d.str(b.Group, &l.Group)
	d.mode(b.Mode, &l.Mode)
	d.list(b.AllowedUIDs, &l.AllowedUIDs)
	d.decodeListenCommon(l, listenCommon{b.Backlog, b.HeaderTimeout, b.BodyTimeout})
}

func (d *decoder) decodeListenTCP(block *hclsyntax.Block, l *Listener) {
	var b listenTCPBlock
	l.Range = d.decodeBody(`listen "tcp"`, block, &b)
	d.str(b.Address, &l.Address)
	d.need(l.Range, `listen "tcp"`, "address", "127.0.0.1:9000")
	d.prefixes(b.AllowedClients, &l.AllowedClients)
	d.decodeListenCommon(l, listenCommon{b.Backlog, b.HeaderTimeout, b.BodyTimeout})
}

func (d *decoder) decodeListenHTTP(block *hclsyntax.Block, l *Listener) {
	// static blocks are read by decodeStatic: gohcl could not say their range.
	var statics hclsyntax.Blocks
	for _, nested := range block.Body.Blocks {
		if nested.Type == "static" {
			statics = append(statics, nested)
		}
	}
	var b listenHTTPBlock
	l.Range = d.decodeBody(`listen "http"`, withoutStatic(block), &b)
	d.str(b.Address, &l.Address)
	d.need(l.Range, `listen "http"`, "address", "127.0.0.1:8000")
	d.prefixes(b.AllowedClients, &l.AllowedClients)
	d.duration(b.IdleTimeout, &l.IdleTimeout)
	d.decodeListenCommon(l, listenCommon{b.Backlog, b.HeaderTimeout, b.BodyTimeout})
	for _, nested := range statics {
		d.decodeStatic(nested, l)
	}
}

// withoutStatic is the block without its static blocks.
func withoutStatic(block *hclsyntax.Block) *hclsyntax.Block {
	body := *block.Body
	body.Blocks = nil
	for _, nested := range block.Body.Blocks {
		if nested.Type != "static" {
			body.Blocks = append(body.Blocks, nested)
		}
	}
	copied := *block
	copied.Body = &body
	return &copied
}

func (d *decoder) decodeListenCommon(l *Listener, b listenCommon) {
	d.integer(b.Backlog, &l.Backlog, 1, 65535)
	d.duration(b.HeaderTimeout, &l.HeaderTimeout)
	d.duration(b.BodyTimeout, &l.BodyTimeout)
}

func (d *decoder) decodeStatic(block *hclsyntax.Block, l *Listener) {
	prefix, ok := d.label(block, "the URL prefix", `static "/static/"`)
	if !ok {
		return
	}
	s := Static{Prefix: prefix}
	var b staticBlock
	s.Range = d.decodeBody("static", block, &b)
	d.str(b.Dir, &s.Dir)
	d.need(s.Range, "static", "dir", "/srv/site/static")
	l.Static = append(l.Static, s)
}

// listenOptions gives the options of a kind of listener, for messages.
func listenOptions(kind ListenerKind) []string {
	var into any
	switch kind {
	case ListenUnix:
		into = &listenUnixBlock{}
	case ListenTCP:
		into = &listenTCPBlock{}
	default:
		into = &listenHTTPBlock{}
	}
	schema, _ := gohcl.ImpliedBodySchema(into)
	var names []string
	for _, a := range schema.Attributes {
		names = append(names, a.Name)
	}
	for _, b := range schema.Blocks {
		names = append(names, b.Type)
	}
	return names
}

// elsewhere ends the message about an option that another kind of listener has.
func elsewhere(where, option string) string {
	var kinds []string
	for _, kind := range []ListenerKind{ListenUnix, ListenTCP, ListenHTTP} {
		for _, name := range listenOptions(kind) {
			if name == option {
				kinds = append(kinds, `listen "`+string(kind)+`"`)
			}
		}
	}
	if !strings.HasPrefix(where, "listen ") || len(kinds) == 0 {
		return ""
	}
	return "; it belongs to " + strings.Join(kinds, " and ") + "."
}
