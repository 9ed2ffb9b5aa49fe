package config

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

const (
	scriptAlias      = "script_alias"
	scriptAliasMatch = "script_alias_match"
	scriptRoot       = "script_root"
	handlerScript    = "handler_script"
)

// mountBlocks are the blocks that make mounts, outside and in a virtual host.
var mountBlocks = []string{scriptAlias, scriptAliasMatch, scriptRoot, handlerScript}

// Block is the kind of block.
func (s *ScriptAlias) Block() string {
	switch {
	case s.Root:
		return scriptRoot
	case s.Handler != "":
		return handlerScript
	case s.Match:
		return scriptAliasMatch
	}
	return scriptAlias
}

// Title is how the block is written.
func (s *ScriptAlias) Title() string { return fmt.Sprintf("%s %q", s.Block(), s.label()) }

func (s *ScriptAlias) label() string {
	switch {
	case s.Root:
		return s.Target
	case s.Handler != "":
		return s.Handler
	}
	return s.Prefix
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

// mountOptions are those that the block of a mount has.
func (d *decoder) mountOptions(s *ScriptAlias) options {
	known := d.scriptAliasOptions(s)
	switch s.Block() {
	case scriptRoot:
		return known.without("target", "preload")
	case handlerScript:
		return known.without("callable_object")
	}
	return known
}

// decodeScriptAlias adds one of the mountBlocks to the mounts of its host, or
// to the global ones.
func (d *decoder) decodeScriptAlias(block *hclsyntax.Block, to *[]ScriptAlias) {
	expected := map[string][2]string{
		scriptAlias:      {"the URL prefix", `script_alias "/"`},
		scriptAliasMatch: {"a regular expression", `script_alias_match "^/app/([a-z]+)"`},
		scriptRoot:       {"the directory of the scripts", `script_root "/srv/scripts"`},
		handlerScript:    {"the name of the handler", `handler_script "markdown"`},
	}[block.Type]
	label, ok := d.label(block, expected[0], expected[1])
	if !ok {
		return
	}
	s := defaultScriptAlias()
	s.Order = d.nextOrder()
	switch block.Type {
	case scriptRoot:
		s.Root, s.Target, s.Directory = true, label, true
	case handlerScript:
		s.Handler, s.CallableObject = label, handlerCallable
	default:
		s.Prefix, s.Match = label, block.Type == scriptAliasMatch
	}
	s.Range = d.decodeBody(block.Type, block, d.mountOptions(&s))
	if !s.Root {
		d.need(s.Range, block.Type, "target", "/srv/site/site.wsgi")
	}
	*to = append(*to, s)
}

// resolveScriptAlias fills in the defaults that depend on other blocks and on
// what the target is.
func resolveScriptAlias(s *ScriptAlias, c *Config, groupGiven, preloadGiven bool) {
	if !s.Root {
		s.splitTarget()
	}
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
	names := make([]string, 0, len(c.DaemonProcesses))
	seen := make(map[string]bool, len(c.DaemonProcesses))
	for i := range c.DaemonProcesses {
		if p := &c.DaemonProcesses[i]; !p.Service() && !seen[p.Name] {
			seen[p.Name] = true
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
