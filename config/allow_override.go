package config

import (
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/wsgid/wsgid/internal/wire"
)

// Trusts says whether any listener takes settings for requests from its web
// server.
func (c *Config) Trusts() bool {
	return slices.ContainsFunc(c.Listeners, func(l Listener) bool { return l.TrustFrontServer && !l.NoResponder })
}

// TrustsAsking says whether any takes settings for questions who is let in.
func (c *Config) TrustsAsking() bool {
	return slices.ContainsFunc(c.Listeners, func(l Listener) bool { return l.TrustFrontServer && l.Authorizer })
}

// chosenByAsking says whether a web server that asks may choose an option
// anywhere.
func (c *Config) chosenByAsking(option string) bool {
	may := slices.Contains(c.Router.Overrides(), option)
	for i := range c.VirtualHosts {
		may = may || slices.Contains(c.VirtualHosts[i].Overrides(), option)
	}
	for _, s := range c.Mounts() {
		may = may || slices.Contains(s.Overrides(), option)
	}
	return may && c.TrustsAsking()
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
	switch asking := len(wire.AskingOverrides(o.AllowOverride)); {
	case asking > 0 && !v.config.TrustsAsking():
		v.warn(at, "Nothing can be overridden", "Who is let in counts when the web server asks, and no listen block has both authorizer = true and trust_front_server = true.")
	case len(o.AllowOverride) > asking && !v.config.Trusts():
		v.warn(at, "Nothing can be overridden", "No listen block has trust_front_server = true, so that no WSGID_ parameter counts: add it to the listener of the web server, or take allow_override out.")
	}
}
