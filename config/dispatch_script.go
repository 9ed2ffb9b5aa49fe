package config

import "github.com/hashicorp/hcl/v2/hclsyntax"

// dispatchScriptOptions are those of dispatch_script "path" { … }.
func (d *decoder) dispatchScriptOptions(s *DispatchScript) options {
	return options{
		"application_group": d.str(&s.ApplicationGroup),
		"concurrency":       d.integer(&s.Concurrency, 1, maxThreads),
		"dispatch_timeout":  d.duration(&s.Timeout),
		"deadlock_timeout":  d.duration(&s.DeadlockTimeout),
		"on_load_error":     d.str((*string)(&s.OnLoadError)),
		"script_reloading":  d.boolean(&s.ScriptReloading),
	}
}

func (d *decoder) decodeDispatchScript(block *hclsyntax.Block) {
	if !d.once(block, 1) {
		return
	}
	path, ok := d.label(block, "the path of the script", `dispatch_script "/etc/wsgid/dispatch.py"`)
	if !ok {
		return
	}
	s := defaultDispatchScript()
	s.Path = path
	s.Range = d.decodeBody("dispatch_script", block, d.dispatchScriptOptions(&s))
	d.config.DispatchScript = &s
}
