package config

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// dispatchScriptOptions are those of dispatch_script "path" { … }.
func (d *decoder) dispatchScriptOptions(s *DispatchScript) options {
	return options{
		"default":           d.boolean(&s.Default),
		"application_group": d.str(&s.ApplicationGroup),
		"concurrency":       d.integer(&s.Concurrency, 1, maxThreads),
		"dispatch_timeout":  d.duration(&s.Timeout),
		"deadlock_timeout":  d.duration(&s.DeadlockTimeout),
		"on_load_error":     d.str((*string)(&s.OnLoadError)),
		"script_reloading":  d.boolean(&s.ScriptReloading),
	}
}

func (d *decoder) decodeDispatchScript(block *hclsyntax.Block) {
	path, ok := d.label(block, "the path of the script", `dispatch_script "/etc/wsgid/dispatch.py"`)
	if !ok {
		return
	}
	s := defaultDispatchScript()
	s.Path = path
	s.Range = d.decodeBody("dispatch_script", block, d.dispatchScriptOptions(&s))
	d.config.DispatchScripts = append(d.config.DispatchScripts, s)
}

// dispatchScripts validates the dispatch_script blocks and makes the default
// one that of the router, from where contexts inherit it.
func (v *validator) dispatchScripts() {
	scripts := v.config.DispatchScripts
	var fallback *DispatchScript
	for i := range scripts {
		s := &scripts[i]
		v.dispatchScript(s)
		if first := v.config.dispatchScript(s.Path); first != s {
			v.add(s.Range, "Duplicate block", "dispatch_script %q is there already, at %s:%d.", s.Path, first.Range.Filename, first.Range.Start.Line)
			continue
		}
		switch {
		case !s.Default:
		case fallback == nil:
			fallback = s
		default:
			v.add(v.place(s.Range, "default"), "Which dispatch script?",
				"Of several dispatch scripts one at most is asked about every request, and %q at %s:%d is that one: write default = false here, and dispatch_script = %q in the mounts that this one is for.",
				fallback.Path, fallback.Range.Filename, fallback.Range.Start.Line, s.Path)
		}
	}
	router := &v.config.Router
	if fallback != nil && !v.written(router.Range, "dispatch_script") {
		router.DispatchScript = fallback.Path
	}
}

// dispatchScript validates a dispatch_script block.
func (v *validator) dispatchScript(s *DispatchScript) {
	if !filepath.IsAbs(s.Path) || strings.HasSuffix(s.Path, "/") {
		v.add(s.Range, "Path is not absolute", "dispatch_script needs the absolute path of a file; %q is none.", s.Path)
	}
	v.applicationGroup(s.Range, s.ApplicationGroup)
	switch s.OnLoadError {
	case LoadErrorLastGood, LoadErrorFail, LoadErrorStatic:
	default:
		v.add(v.place(s.Range, "on_load_error"), "Wrong value", "on_load_error is \"last_good\", \"fail\" or \"static\"; %q is none of them%s", s.OnLoadError,
			didYouMean(string(s.OnLoadError), []string{"last_good", "fail", "static"}))
	}
	v.positive(s.Range, "dispatch_timeout", s.Timeout, "a script that hangs would hold its requests for ever")
	v.positive(s.Range, "deadlock_timeout", s.DeadlockTimeout, "a router that hangs would never be replaced")
}

// unusedDispatchScripts warns of scripts that no context asks.
func (v *validator) unusedDispatchScripts() {
	if v.diags.HasErrors() {
		return // what is missing may be what is wrong
	}
	used := map[string]bool{}
	for _, mount := range v.config.Mounts() {
		if v.config.Overridable(mount, "dispatch_script") {
			return // any may be chosen
		}
		used[mount.DispatchScript] = true
	}
	for i := range v.config.DispatchScripts {
		if s := &v.config.DispatchScripts[i]; !used[s.Path] {
			v.warn(s.Range, "Dispatch script is not used", "No mount asks %q: name it in one (dispatch_script = %q), or take it out.", s.Path, s.Path)
		}
	}
}

// Scripted says whether a dispatch script may decide about a request of the
// mount: its own one, or one that the web server's configuration chooses.
func (c *Config) Scripted(mount *ScriptAlias) bool {
	return mount.DispatchScript != "" || len(c.DispatchScripts) > 0 && c.Overridable(mount, "dispatch_script")
}

// dispatchScript gives the block of that path, nil if there is none.
func (c *Config) dispatchScript(path string) *DispatchScript {
	for i := range c.DispatchScripts {
		if c.DispatchScripts[i].Path == path {
			return &c.DispatchScripts[i]
		}
	}
	return nil
}

// chosenDispatchScript validates which script a context chooses.
func (v *validator) chosenDispatchScript(block hcl.Range, o *RequestOptions) {
	if !v.given(block, "dispatch_script") || o.DispatchScript == "" || v.config.dispatchScript(o.DispatchScript) != nil {
		return
	}
	var paths []string
	for i := range v.config.DispatchScripts {
		paths = append(paths, v.config.DispatchScripts[i].Path)
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	v.add(v.place(block, "dispatch_script"), "Unknown dispatch script",
		"There is no block dispatch_script %q that declares it%s", o.DispatchScript, didYouMeanOf(o.DispatchScript, paths))
}
