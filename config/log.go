package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// logBlock is log { … }.
type logBlock struct {
	Format      *hcl.Attribute `hcl:"format,optional"`
	Level       *hcl.Attribute `hcl:"level,optional"`
	Destination *hcl.Attribute `hcl:"destination,optional"`
	Remain      hcl.Body       `hcl:",remain"`
}

func (d *decoder) decodeLog(block *hclsyntax.Block) {
	if !d.once(block, 0) {
		return
	}
	l := &d.config.Log
	var b logBlock
	l.Range = d.decodeBody("log", block, &b)
	d.str(b.Format, &l.Format)
	d.str(b.Level, &l.Level)
	d.str(b.Destination, &l.Destination)
}
