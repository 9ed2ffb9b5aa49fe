package wire

// Auth says who may use a context (mod_wsgi behaviour 5.2). Scripts are named by
// the path under which RouterConfig.AuthScripts declares them; empty: none.
type Auth struct {
	UserScript   string `json:"user_script,omitempty"`
	GroupScript  string `json:"group_script,omitempty"`
	AccessScript string `json:"access_script,omitempty"`
	// Type is "basic" or "digest": the router itself asks for credentials, in
	// front of the application. Empty: only an Authorizer request has them
	// checked.
	Type string `json:"type,omitempty"`
	// Name is the realm.
	Name string `json:"name,omitempty"`
	// Require lists who is let in: whoever meets one of them. Empty: everybody
	// who has authenticated.
	Require []Requirement `json:"require,omitempty"`
	// AllowOverride are those of these options (of Overrides) that the web
	// server's configuration may set when it asks.
	AllowOverride []string `json:"allow_override,omitempty"`
}

// AuthScript is a script that answers for an Auth.
type AuthScript struct {
	// Kind is "user", "group" or "access".
	Kind string `json:"kind"`
	Script
}
