package config

import (
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/wsgid/wsgid/internal/wire"
)

// Trusts says whether any listener takes settings from its web server.
func (c *Config) Trusts() bool {
	return slices.ContainsFunc(c.Listeners, func(l Listener) bool { return l.TrustFrontServer })
}

// Overrides are the options that the web server's configuration may set.
func (o *RequestOptions) Overrides() []string {
	if o.AllowOverride == nil {
		return wire.OverrideNames(false)
	}
	return o.AllowOverride
}

// Overridable says whether the web server's configuration can set an option of
// the mount for a request.
func (c *Config) Overridable(mount *ScriptAlias, option string) bool {
	return slices.Contains(mount.Overrides(), option) && c.Trusts()
}

// allowOverride validates the names of an allow_override.
func (v *validator) allowOverride(block hcl.Range, o *RequestOptions) {
	if !v.given(block, "allow_override") {
		return
	}
	at, names := v.place(block, "allow_override"), wire.OverrideNames(true)
	for _, name := range o.AllowOverride {
		if !slices.Contains(names, name) {
			v.add(at, "Unknown option", "allow_override names %q, which is no option that the web server's configuration can set%s", name, didYouMeanOf(name, names))
		}
	}
	if len(o.AllowOverride) > 0 && !v.config.Trusts() {
		v.warn(at, "Nothing can be overridden", "No listen block has trust_front_server = true, so that no WSGID_ parameter counts: add it to the listener of the web server, or take allow_override out.")
	}
}
