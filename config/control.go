package config

import "github.com/hashicorp/hcl/v2/hclsyntax"

// controlOptions are those of control { … }.
func (d *decoder) controlOptions(c *Control) options {
	return options{
		"path":         d.str(&c.Path),
		"owner":        d.str(&c.Owner),
		"group":        d.str(&c.Group),
		"mode":         d.mode(&c.Mode),
		"admin_users":  d.list(&c.AdminUsers),
		"admin_groups": d.list(&c.AdminGroups),
		"pid_file":     d.str(&c.PIDFile),
	}
}

func (d *decoder) decodeControl(block *hclsyntax.Block) {
	if d.once(block, 0) {
		c := &d.config.Control
		c.Range = d.decodeBody("control", block, d.controlOptions(c))
	}
}
