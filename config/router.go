package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Bounds of sizes. The parameters of a request must fit into memory many times
// over; a body buffer of more than 1 GiB is a mistake.
const (
	minHeaderBytes   = 4 * kib
	maxHeaderBytes   = 16 * mib
	maxRequestBuffer = gib
	maxBodyBytes     = 1 << 50
	maxThreads       = 1000
	maxQueueLength   = 1 << 20
)

// routerOptions are those of router { … }.
func (d *decoder) routerOptions(r *Router) options {
	return options{
		"user":    d.str(&r.User),
		"group":   d.str(&r.Group),
		"threads": d.integer(&r.Threads, 1, maxThreads),
		// At least one: the first request waits for the threads.
		"queue_length":      d.integer(&r.QueueLength, 1, maxQueueLength),
		"queue_timeout":     d.duration(&r.QueueTimeout),
		"restrict_embedded": d.boolean(&r.RestrictEmbedded),
		"max_header_bytes": {func(a *hcl.Attribute) {
			size := int64(r.MaxHeaderBytes)
			d.size(&size, minHeaderBytes, maxHeaderBytes).read(a)
			r.MaxHeaderBytes = int(size)
		}, func() cty.Value { return showSize(int64(r.MaxHeaderBytes), minHeaderBytes, maxHeaderBytes) }},
		"case_sensitivity": d.inverted(&r.FoldCase),
		"max_connections":  d.integer(&r.MaxConnections, 1, 1<<20),
	}.with(d.pythonOptions(&r.PythonOptions)).with(d.requestOptions(&r.RequestOptions))
}

func (d *decoder) decodeRouter(block *hclsyntax.Block) {
	if d.once(block, 0) {
		r := &d.config.Router
		r.Range = d.decodeBody("router", block, d.routerOptions(r))
	}
}
