package supervisor

import (
	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/wire"
)

// authBlocks are the blocks that declare scripts for authentication and access,
// and what the router calls their kinds.
var authBlocks = []struct{ block, kind string }{
	{"auth_user_script", "user"}, {"auth_group_script", "group"}, {"access_script", "access"},
}

// authScriptsOf are the declared scripts as the router is told of them.
func authScriptsOf(cfg *config.Config) []wire.AuthScript {
	var all []wire.AuthScript
	for _, a := range authBlocks {
		for _, s := range cfg.AuthScripts(a.block) {
			all = append(all, wire.AuthScript{Kind: a.kind, Script: wire.Script{
				Path: s.Path, ApplicationGroup: s.ApplicationGroup, Concurrency: s.Concurrency, Timeout: s.Timeout,
				OnLoadError: wire.OnLoadError(s.OnLoadError), ScriptReloading: s.ScriptReloading,
			}})
		}
	}
	return all
}

// authOf is who may use a context; nil where nobody is asked, and the web server
// may not say otherwise.
func authOf(cfg *config.Config, o *config.RequestOptions) *wire.Auth {
	a := wire.Auth{UserScript: o.AuthUserScript, GroupScript: o.AuthGroupScript, AccessScript: o.AccessScript, Name: o.AuthName}
	if o.Enforced() {
		a.Type = string(o.AuthType)
	}
	a.Require = o.Requirements()
	if cfg.TrustsAsking() {
		a.AllowOverride = wire.AskingOverrides(o.Overrides())
	}
	if a.UserScript == "" && a.GroupScript == "" && a.AccessScript == "" && len(a.Require) == 0 && len(a.AllowOverride) == 0 {
		return nil
	}
	return &a
}
