package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// routerBlock is router { … }.
type routerBlock struct {
	User           *hcl.Attribute `hcl:"user,optional"`
	Group          *hcl.Attribute `hcl:"group,optional"`
	Python         *hcl.Attribute `hcl:"python,optional"`
	PythonHome     *hcl.Attribute `hcl:"python_home,optional"`
	PythonPath     *hcl.Attribute `hcl:"python_path,optional"`
	Threads        *hcl.Attribute `hcl:"threads,optional"`
	MaxHeaderBytes *hcl.Attribute `hcl:"max_header_bytes,optional"`
	RequestBuffer  *hcl.Attribute `hcl:"request_buffer,optional"`
	MaxBodyBytes   *hcl.Attribute `hcl:"max_body_bytes,optional"`
	MaxConnections *hcl.Attribute `hcl:"max_connections,optional"`
	Remain         hcl.Body       `hcl:",remain"`
}

// Bounds of sizes. The parameters of a request must fit into memory many times
// over; a body buffer of more than 1 GiB is a mistake.
const (
	minHeaderBytes   = 4 * kib
	maxHeaderBytes   = 16 * mib
	maxRequestBuffer = gib
	maxBodyBytes     = 1 << 50
	maxThreads       = 1000
)

func (d *decoder) decodeRouter(block *hclsyntax.Block) {
	if !d.once(block, 0) {
		return
	}
	r := &d.config.Router
	var b routerBlock
	r.Range = d.decodeBody("router", block, &b)
	d.str(b.User, &r.User)
	d.str(b.Group, &r.Group)
	d.str(b.Python, &r.Python)
	d.str(b.PythonHome, &r.PythonHome)
	d.list(b.PythonPath, &r.PythonPath)
	d.integer(b.Threads, &r.Threads, 1, maxThreads)
	headers := int64(r.MaxHeaderBytes)
	d.size(b.MaxHeaderBytes, &headers, minHeaderBytes, maxHeaderBytes)
	r.MaxHeaderBytes = int(headers)
	d.size(b.RequestBuffer, &r.RequestBuffer, 0, maxRequestBuffer)
	d.size(b.MaxBodyBytes, &r.MaxBodyBytes, 0, maxBodyBytes)
	d.integer(b.MaxConnections, &r.MaxConnections, 1, 1<<20)
}
