package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// dispatchScriptBlock is dispatch_script "path" { … }.
type dispatchScriptBlock struct {
	ApplicationGroup *hcl.Attribute `hcl:"application_group,optional"`
	Concurrency      *hcl.Attribute `hcl:"concurrency,optional"`
	DispatchTimeout  *hcl.Attribute `hcl:"dispatch_timeout,optional"`
	DeadlockTimeout  *hcl.Attribute `hcl:"deadlock_timeout,optional"`
	OnLoadError      *hcl.Attribute `hcl:"on_load_error,optional"`
	ScriptReloading  *hcl.Attribute `hcl:"script_reloading,optional"`
	Remain           hcl.Body       `hcl:",remain"`
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
	var b dispatchScriptBlock
	s.Range = d.decodeBody("dispatch_script", block, &b)
	d.str(b.ApplicationGroup, &s.ApplicationGroup)
	d.integer(b.Concurrency, &s.Concurrency, 1, maxThreads)
	d.duration(b.DispatchTimeout, &s.Timeout)
	d.duration(b.DeadlockTimeout, &s.DeadlockTimeout)
	onLoadError := string(s.OnLoadError)
	d.str(b.OnLoadError, &onLoadError)
	s.OnLoadError = OnLoadError(onLoadError)
	d.boolean(b.ScriptReloading, &s.ScriptReloading)
	d.config.DispatchScript = &s
}
