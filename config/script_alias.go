package config

import (
	"os"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// unset marks a size that the router block decides.
const unset = -1

// scriptAliasOptions are those of script_alias "/prefix" { … }.
func (d *decoder) scriptAliasOptions(s *ScriptAlias) options {
	return d.withRequestOptions(options{
		"target":            d.str(&s.Target),
		"process_group":     d.str(&s.ProcessGroup),
		"application_group": d.str(&s.ApplicationGroup),
		"callable_object":   d.str(&s.CallableObject),
		"script_reloading":  d.boolean(&s.ScriptReloading),
		"preload":           d.boolean(&s.Preload),
		"request_buffer":    d.size(&s.RequestBuffer, 0, maxRequestBuffer),
		"max_body_bytes":    d.size(&s.MaxBodyBytes, 0, maxBodyBytes),
	}, &s.RequestOptions)
}

func (d *decoder) decodeScriptAlias(block *hclsyntax.Block) {
	prefix, ok := d.label(block, "the URL prefix", `script_alias "/"`)
	if !ok {
		return
	}
	s := defaultScriptAlias()
	s.Prefix = prefix
	s.RequestBuffer, s.MaxBodyBytes = unset, unset
	s.Range = d.decodeBody("script_alias", block, d.scriptAliasOptions(&s))
	d.need(s.Range, "script_alias", "target", "/srv/site/site.wsgi")
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
