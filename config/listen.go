package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// listenerKinds in the order of the reference.
var listenerKinds = []ListenerKind{ListenUnix, ListenTCP, ListenHTTP}

// listenOptions are those of a listen block: what every listener has, and what
// its kind adds.
func (d *decoder) listenOptions(l *Listener) options {
	known := options{
		"backlog":        d.integer(&l.Backlog, 1, 65535),
		"header_timeout": d.duration(&l.HeaderTimeout),
		"body_timeout":   d.duration(&l.BodyTimeout),

		"request_id_header": d.str(&l.RequestIDHeader),
		"systemd_socket":    d.str(&l.SystemdSocket),
	}
	if l.Kind != ListenHTTP {
		known["trust_front_server"] = d.boolean(&l.TrustFrontServer)
		known["authorizer"] = d.boolean(&l.Authorizer)
		known["separate_questions"] = d.boolean(&l.SeparateQuestions)
		known["responder"] = d.inverted(&l.NoResponder)
	}
	if l.Kind == ListenUnix {
		maps.Copy(known, options{
			"path":         d.str(&l.Path),
			"owner":        d.str(&l.Owner),
			"group":        d.str(&l.Group),
			"mode":         d.mode(&l.Mode),
			"allowed_uids": d.list(&l.AllowedUIDs),
		})
		return known
	}
	known["address"] = d.str(&l.Address)
	known["allowed_clients"] = d.prefixes(&l.AllowedClients)
	if l.Kind == ListenHTTP {
		known["idle_timeout"] = d.duration(&l.IdleTimeout)
	}
	return known
}

// listenBlocks are the blocks inside a listen block.
func listenBlocks(kind ListenerKind) []string {
	if kind == ListenHTTP {
		return []string{"static"}
	}
	return nil
}

// staticOptions are those of static "/prefix/" inside listen "http".
func (d *decoder) staticOptions(s *Static) options {
	return options{"dir": d.str(&s.Dir)}
}

func (d *decoder) decodeListen(block *hclsyntax.Block) {
	label, ok := d.label(block, `the kind of listener`, `listen "unix"`)
	if !ok {
		return
	}
	kind := ListenerKind(label)
	if !slices.Contains(listenerKinds, kind) {
		d.add(block.LabelRanges[0], "Unknown kind of listener", `There is no listen %q: it is "unix" or "tcp" for FastCGI, or "http".`, label)
		return
	}
	l := defaultListener(kind)
	where := listenName(kind)
	l.Range = d.decodeBody(where, block, d.listenOptions(&l), listenBlocks(kind)...)
	switch kind {
	case ListenUnix:
		d.need(l.Range, where, "path", "/run/wsgid/wsgid.sock")
	case ListenTCP:
		d.need(l.Range, where, "address", "127.0.0.1:9000")
	case ListenHTTP:
		d.need(l.Range, where, "address", "127.0.0.1:8000")
		for _, nested := range block.Body.Blocks {
			if nested.Type == "static" {
				d.decodeStatic(nested, &l)
			}
		}
	}
	d.config.Listeners = append(d.config.Listeners, l)
}

func (d *decoder) decodeStatic(block *hclsyntax.Block, l *Listener) {
	prefix, ok := d.label(block, "the URL prefix", `static "/static/"`)
	if !ok {
		return
	}
	s := Static{Prefix: prefix}
	s.Range = d.decodeBody("static", block, d.staticOptions(&s))
	d.need(s.Range, "static", "dir", "/srv/site/static")
	l.Static = append(l.Static, s)
}

// listenName is how messages call a kind of listen block.
func listenName(kind ListenerKind) string { return `listen "` + string(kind) + `"` }

// elsewhere ends the message about an option that another kind of listener has.
func elsewhere(where, option string) string {
	var kinds []string
	for _, kind := range listenerKinds {
		known := append(sortedKeys((&decoder{}).listenOptions(&Listener{Kind: kind})), listenBlocks(kind)...)
		if slices.Contains(known, option) {
			kinds = append(kinds, listenName(kind))
		}
	}
	if !strings.HasPrefix(where, "listen ") || len(kinds) == 0 {
		return ""
	}
	return "; it belongs to " + strings.Join(kinds, " and ") + "."
}
