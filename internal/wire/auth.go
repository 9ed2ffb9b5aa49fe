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
}

// Requirement is one way to be let in; exactly one field is set.
type Requirement struct {
	ValidUser bool     `json:"valid_user,omitempty"`
	Users     []string `json:"users,omitempty"`
	Groups    []string `json:"groups,omitempty"` // any of them, of the group script
}

// AuthScript is a script that answers for an Auth.
type AuthScript struct {
	// Kind is "user", "group" or "access".
	Kind string `json:"kind"`
	Script
}
