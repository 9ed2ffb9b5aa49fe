package config

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// AuthScript is an auth_user_script, auth_group_script or access_script "path"
// block. It does nothing until a context names it.
type AuthScript struct {
	Path string
	// ApplicationGroup is the interpreter of the router that it runs in,
	// default "%{GLOBAL}"; also "%{SERVER}" and "%{HOST}".
	ApplicationGroup string
	Concurrency      int           // calls inside Python at once, default 16
	Timeout          time.Duration // default 10 s
	OnLoadError      OnLoadError   // last_good (default) or fail
	ScriptReloading  bool          // default true
	Range            hcl.Range     `json:"-"`
}

// authScriptBlocks are the names of the blocks, and of the options that choose
// among them.
var authScriptBlocks = []string{"auth_user_script", "auth_group_script", "access_script"}

// AuthScripts are the scripts that blocks of a name declare, in file order.
func (c *Config) AuthScripts(block string) []AuthScript { return *c.authScripts(block) }

func (c *Config) authScripts(block string) *[]AuthScript {
	switch block {
	case "auth_user_script":
		return &c.AuthUserScripts
	case "auth_group_script":
		return &c.AuthGroupScripts
	}
	return &c.AccessScripts
}

func defaultAuthScript() AuthScript {
	return AuthScript{
		ApplicationGroup: "%{GLOBAL}",
		Concurrency:      16,
		Timeout:          10 * time.Second,
		OnLoadError:      LoadErrorLastGood,
		ScriptReloading:  true,
	}
}

// authScriptOptions are those of the three blocks.
func (d *decoder) authScriptOptions(s *AuthScript) options {
	return options{
		"application_group": d.str(&s.ApplicationGroup),
		"concurrency":       d.integer(&s.Concurrency, 1, maxThreads),
		"timeout":           d.duration(&s.Timeout),
		"on_load_error":     d.str((*string)(&s.OnLoadError)),
		"script_reloading":  d.boolean(&s.ScriptReloading),
	}
}

func (d *decoder) decodeAuthScript(block *hclsyntax.Block) {
	path, ok := d.label(block, "the path of the script", block.Type+` "/etc/wsgid/auth.py"`)
	if !ok {
		return
	}
	s := defaultAuthScript()
	s.Path = path
	s.Range = d.decodeBody(block.Type, block, d.authScriptOptions(&s))
	to := d.config.authScripts(block.Type)
	*to = append(*to, s)
}

// authScripts validates the blocks of all three names.
func (v *validator) authScripts() {
	for _, name := range authScriptBlocks {
		scripts := v.config.AuthScripts(name)
		for i := range scripts {
			v.authScript(name, &scripts[i])
			at := slices.IndexFunc(scripts, func(s AuthScript) bool { return s.Path == scripts[i].Path })
			if first := scripts[at]; at < i {
				v.add(scripts[i].Range, "Duplicate block", "%s %q is there already, at %s:%d.", name, first.Path, first.Range.Filename, first.Range.Start.Line)
			}
		}
	}
}

func (v *validator) authScript(name string, s *AuthScript) {
	if !filepath.IsAbs(s.Path) || strings.HasSuffix(s.Path, "/") {
		v.add(s.Range, "Path is not absolute", "%s needs the absolute path of a file; %q is none.", name, s.Path)
	}
	v.applicationGroup(s.Range, s.ApplicationGroup)
	if s.ApplicationGroup == "%{RESOURCE}" || strings.HasPrefix(s.ApplicationGroup, "%{ENV:") {
		v.add(v.place(s.Range, "application_group"), "Not known here", "The interpreter of %s is a fixed name, %%{GLOBAL}, %%{SERVER} or %%{HOST}: %s is none of them.", name, s.ApplicationGroup)
	}
	if s.OnLoadError != LoadErrorLastGood && s.OnLoadError != LoadErrorFail {
		v.add(v.place(s.Range, "on_load_error"), "Wrong value", "on_load_error of %s is \"last_good\" or \"fail\"; %q is neither%s", name, s.OnLoadError,
			didYouMean(string(s.OnLoadError), []string{"last_good", "fail"}))
	}
	v.positive(s.Range, "timeout", s.Timeout, "a script that hangs would hold its requests for ever")
}
