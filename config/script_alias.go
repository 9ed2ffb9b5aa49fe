package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

const (
	scriptAlias      = "script_alias"
	scriptAliasMatch = "script_alias_match"
)

// mountBlocks are the blocks that make mounts, outside and in a virtual host.
var mountBlocks = []string{scriptAlias, scriptAliasMatch}

// Title is how the block is written.
func (s *ScriptAlias) Title() string {
	if s.Match {
		return fmt.Sprintf("%s %q", scriptAliasMatch, s.Prefix)
	}
	return fmt.Sprintf("%s %q", scriptAlias, s.Prefix)
}

// Variable says whether the request chooses the script, by groups of the
// regular expression.
func (s *ScriptAlias) Variable() bool { return s.Match && len(references(s.Append)) > 0 }

// scriptAliasOptions are those of script_alias "/prefix" { … }.
func (d *decoder) scriptAliasOptions(s *ScriptAlias) options {
	return options{
		"target":            d.str(&s.Target),
		"process_group":     d.str(&s.ProcessGroup),
		"application_group": d.str(&s.ApplicationGroup),
		"callable_object":   d.str(&s.CallableObject),
		"script_reloading":  d.boolean(&s.ScriptReloading),
		"preload":           d.boolean(&s.Preload),
	}.with(d.requestOptions(&s.RequestOptions))
}

// decodeScriptAlias adds a script_alias or script_alias_match block to the mounts of its host, or to
// the global ones.
func (d *decoder) decodeScriptAlias(block *hclsyntax.Block, to *[]ScriptAlias) {
	what, example := "the URL prefix", `script_alias "/"`
	if block.Type == scriptAliasMatch {
		what, example = "a regular expression", `script_alias_match "^/app/([a-z]+)"`
	}
	prefix, ok := d.label(block, what, example)
	if !ok {
		return
	}
	s := defaultScriptAlias()
	s.Prefix, s.Match, s.Order = prefix, block.Type == scriptAliasMatch, d.nextOrder()
	s.Range = d.decodeBody(block.Type, block, d.scriptAliasOptions(&s))
	d.need(s.Range, block.Type, "target", "/srv/site/site.wsgi")
	*to = append(*to, s)
}

// resolveScriptAlias fills in the defaults that depend on other blocks and on
// what the target is.
func resolveScriptAlias(s *ScriptAlias, c *Config, groupGiven, preloadGiven bool) {
	s.splitTarget()
	if s.ProcessGroup == "" && !groupGiven {
		s.ProcessGroup = onlyGroup(c.servingGroups())
	}
	if !preloadGiven {
		embedded := s.ProcessGroup == "%{GLOBAL}"
		s.Preload = s.canPreload() && (!embedded || !c.Router.RestrictEmbedded)
	}
}

// onlyGroup is the process group of a block that names none; empty if there
// are several.
func onlyGroup(names []string) string {
	switch len(names) {
	case 0:
		return "%{GLOBAL}"
	case 1:
		return names[0]
	}
	return ""
}

// servingGroups are the names of the groups that take requests.
func (c *Config) servingGroups() []string {
	var names []string
	for i := range c.DaemonProcesses {
		if p := &c.DaemonProcesses[i]; !p.Service() && !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	return names
}

// canPreload says whether it is known before any request which process and
// which interpreter will run the script.
func (s *ScriptAlias) canPreload() bool {
	return !s.Directory && !s.Variable() && fixed(s.ProcessGroup) && fixed(s.ApplicationGroup)
}

// fixed says whether a process or application group is known without a request.
func fixed(name string) bool {
	return name == "%{GLOBAL}" || name != "" && !strings.HasPrefix(name, "%{")
}
