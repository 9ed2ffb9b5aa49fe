package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// controlBlock is control { … }.
type controlBlock struct {
	Path    *hcl.Attribute `hcl:"path,optional"`
	Owner   *hcl.Attribute `hcl:"owner,optional"`
	Group   *hcl.Attribute `hcl:"group,optional"`
	Mode    *hcl.Attribute `hcl:"mode,optional"`
	PIDFile *hcl.Attribute `hcl:"pid_file,optional"`
	Remain  hcl.Body       `hcl:",remain"`
}

func (d *decoder) decodeControl(block *hclsyntax.Block) {
	if !d.once(block, 0) {
		return
	}
	c := &d.config.Control
	var b controlBlock
	c.Range = d.decodeBody("control", block, &b)
	d.str(b.Path, &c.Path)
	d.str(b.Owner, &c.Owner)
	d.str(b.Group, &c.Group)
	d.mode(b.Mode, &c.Mode)
	d.str(b.PIDFile, &c.PIDFile)
}
