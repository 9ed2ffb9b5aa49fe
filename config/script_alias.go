package config

import (
	"os"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// scriptAliasBlock is script_alias "/prefix" { … }.
type scriptAliasBlock struct {
	Target           *hcl.Attribute `hcl:"target,optional"`
	ProcessGroup     *hcl.Attribute `hcl:"process_group,optional"`
	ApplicationGroup *hcl.Attribute `hcl:"application_group,optional"`
	CallableObject   *hcl.Attribute `hcl:"callable_object,optional"`
	ScriptReloading  *hcl.Attribute `hcl:"script_reloading,optional"`
	Preload          *hcl.Attribute `hcl:"preload,optional"`
	RequestBuffer    *hcl.Attribute `hcl:"request_buffer,optional"`
	MaxBodyBytes     *hcl.Attribute `hcl:"max_body_bytes,optional"`
	Remain           hcl.Body       `hcl:",remain"`
}

// unset marks a size that the router block decides.
const unset = -1

func (d *decoder) decodeScriptAlias(block *hclsyntax.Block) {
	prefix, ok := d.label(block, "the URL prefix", `script_alias "/"`)
	if !ok {
		return
	}
	s := defaultScriptAlias()
	s.Prefix = prefix
	s.RequestBuffer, s.MaxBodyBytes = unset, unset
	var b scriptAliasBlock
	s.Range = d.decodeBody("script_alias", block, &b)
	d.str(b.Target, &s.Target)
	d.need(s.Range, "script_alias", "target", "/srv/site/site.wsgi")
	d.str(b.ProcessGroup, &s.ProcessGroup)
	d.str(b.ApplicationGroup, &s.ApplicationGroup)
	d.str(b.CallableObject, &s.CallableObject)
	d.boolean(b.ScriptReloading, &s.ScriptReloading)
	d.boolean(b.Preload, &s.Preload)
	d.size(b.RequestBuffer, &s.RequestBuffer, 0, maxRequestBuffer)
	d.size(b.MaxBodyBytes, &s.MaxBodyBytes, 0, maxBodyBytes)
	d.config.ScriptAliases = append(d.config.ScriptAliases, s)
}

// resolveScriptAlias fills in the defaults that depend on other blocks and on
// what the target is.
func resolveScriptAlias(s *ScriptAlias, c *Config, groupGiven, preloadGiven bool) {
	if s.RequestBuffer == unset {
		s.RequestBuffer = c.Router.RequestBuffer
	}
	if s.MaxBodyBytes == unset {
		s.MaxBodyBytes = c.Router.MaxBodyBytes
	}
	s.Directory = strings.HasSuffix(s.Target, "/")
	if info, err := os.Stat(s.Target); err == nil && info.IsDir() {
		s.Directory = true
	}
	if s.ProcessGroup == "" && !groupGiven {
		switch len(c.DaemonProcesses) {
		case 0:
			s.ProcessGroup = "%{GLOBAL}"
		case 1:
			s.ProcessGroup = c.DaemonProcesses[0].Name
		}
	}
	if !preloadGiven {
		s.Preload = s.canPreload()
	}
}

// canPreload says whether it is known before any request which process and
// which interpreter will run the script.
func (s *ScriptAlias) canPreload() bool {
	return !s.Directory && s.ProcessGroup != "" && !strings.HasPrefix(s.ProcessGroup, "%{") &&
		(s.ApplicationGroup == "%{GLOBAL}" || !strings.HasPrefix(s.ApplicationGroup, "%{"))
}
