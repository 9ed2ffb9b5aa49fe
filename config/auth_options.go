package config

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/wsgid/wsgid/internal/wire"
)

// AuthOptions say who may use a context, and which of the declared scripts
// decide about it.
type AuthOptions struct {
	// AuthUserScript, AuthGroupScript and AccessScript are paths; empty: none.
	AuthUserScript, AuthGroupScript, AccessScript string
	// AuthType says how wsgid itself asks for credentials, in front of the
	// application. Empty and AuthNone: it does not.
	AuthType AuthType
	// AuthName is the realm.
	AuthName string
	// Require lists who is let in, each by one of its entries (wire.ParseRequirement).
	Require []string
}

// AuthType is the value of auth_type.
type AuthType string

// Values of auth_type.
const (
	AuthNone   AuthType = "none"
	AuthBasic  AuthType = "basic"
	AuthDigest AuthType = "digest"
)

// Enforced says whether wsgid asks for credentials in front of the application.
func (o *AuthOptions) Enforced() bool { return o.AuthType == AuthBasic || o.AuthType == AuthDigest }

// Requirements are the entries of require.
func (o *AuthOptions) Requirements() []wire.Requirement {
	var all []wire.Requirement
	for _, text := range o.Require {
		if r, ok := wire.ParseRequirement(text); ok {
			all = append(all, r)
		}
	}
	return all
}

func (d *decoder) authOptions(o *AuthOptions) options {
	return options{
		"auth_user_script":  d.str(&o.AuthUserScript),
		"auth_group_script": d.str(&o.AuthGroupScript),
		"access_script":     d.str(&o.AccessScript),
		"auth_type":         d.str((*string)(&o.AuthType)),
		"auth_name":         d.str(&o.AuthName),
		"require":           d.list(&o.Require),
	}
}

// inheritAuth are the steps of inheritRequestOptions for these options.
func (o *AuthOptions) inheritAuth(from *AuthOptions) map[string]func() {
	return map[string]func(){
		"auth_user_script":  func() { o.AuthUserScript = from.AuthUserScript },
		"auth_group_script": func() { o.AuthGroupScript = from.AuthGroupScript },
		"access_script":     func() { o.AccessScript = from.AccessScript },
		"auth_type":         func() { o.AuthType = from.AuthType },
		"auth_name":         func() { o.AuthName = from.AuthName },
		"require":           func() { o.Require = from.Require },
	}
}

// keepCredentials has a context that begins to ask for credentials itself keep
// them to itself, unless it says that the application shall have them.
func (v *validator) keepCredentials(block hcl.Range, o *RequestOptions) {
	if v.given(block, "auth_type") && o.Enforced() && !v.given(block, "pass_authorization") {
		o.PassAuthorization = false
	}
}

// authValues validates those options that stand in block.
func (v *validator) authValues(block hcl.Range, o *AuthOptions) {
	for i, chosen := range []string{o.AuthUserScript, o.AuthGroupScript, o.AccessScript} {
		v.chosenAuthScript(block, authScriptBlocks[i], chosen)
	}
	kinds := []string{string(AuthBasic), string(AuthDigest), string(AuthNone)}
	if v.given(block, "auth_type") && !slices.Contains(kinds, string(o.AuthType)) {
		v.add(v.place(block, "auth_type"), "Wrong value", "auth_type is \"basic\", \"digest\" or \"none\"; %q is none of them%s",
			o.AuthType, didYouMean(strings.ToLower(string(o.AuthType)), kinds))
	}
	if v.given(block, "auth_name") && strings.TrimSpace(o.AuthName) == "" {
		v.add(v.place(block, "auth_name"), "No realm", "auth_name is empty: it is what a browser shows when it asks for a password.")
	}
	if !v.given(block, "require") {
		return
	}
	for _, text := range o.Require {
		if _, ok := wire.ParseRequirement(text); !ok {
			kinds, ending := []string{"valid-user", "user", "wsgi-group"}, "."
			if word, _, _ := strings.Cut(text, " "); !slices.Contains(kinds, word) {
				ending = didYouMean(word, kinds)
			}
			v.add(v.place(block, "require"), "Unknown requirement",
				"An entry of require is \"valid-user\", \"user NAME …\" or \"wsgi-group NAME …\", a name with blanks in \\\"quotes\\\"; %q is none of them%s",
				text, ending)
		}
	}
}

// chosenAuthScript validates which script a context chooses.
func (v *validator) chosenAuthScript(block hcl.Range, name, path string) {
	if !v.given(block, name) || path == "" {
		return
	}
	var declared []string
	for _, s := range v.config.AuthScripts(name) {
		declared = append(declared, s.Path)
	}
	if !slices.Contains(declared, path) {
		slices.Sort(declared)
		v.add(v.place(block, name), "Unknown script", "There is no block %s %q that declares it%s", name, path, didYouMeanOf(path, slices.Compact(declared)))
	}
}

// guarded validates the options together that hold for a mount.
func (v *validator) guarded(block hcl.Range, o *AuthOptions) {
	_, groups := splitRequirements(o)
	asked := v.authorizer() || o.Enforced()
	switch {
	case o.Enforced() && o.AuthUserScript == "":
		v.add(v.place(block, "auth_type"), "Nothing to authenticate with", "auth_type is %q, and there is no auth_user_script to ask about users and passwords: name one here, in the virtual_host or in router.", o.AuthType)
	case o.Enforced() && o.AuthName == "":
		v.add(v.place(block, "auth_type"), "No realm", "auth_type is %q, which needs a realm for the browser to show: add auth_name = \"…\".", o.AuthType)
	}
	switch {
	case len(o.Require) > 0 && o.AuthType == "" && !v.authorizer():
		v.add(v.place(block, "require"), "Nobody would enforce it", "There is require but no auth_type, so that requests for this mount are let through unasked: add auth_type and auth_name, or authorizer = true to the listener where the web server asks, or auth_type = \"none\" if all may come.")
	case groups && asked && o.AuthGroupScript == "":
		v.add(v.place(block, "require"), "No groups to look into", "require has wsgi-group, and there is no auth_group_script to ask which groups a user is in: name one here, in the virtual_host or in router.")
	}
}

// splitRequirements says whether require has users and whether it has groups.
func splitRequirements(o *AuthOptions) (users, groups bool) {
	for _, r := range o.Requirements() {
		users, groups = users || len(r.Groups) == 0, groups || len(r.Groups) > 0
	}
	return users, groups
}

// authorizer says whether a web server may ask who is let in.
func (v *validator) authorizer() bool {
	return slices.ContainsFunc(v.config.Listeners, func(l Listener) bool { return l.Authorizer })
}

// unusedAuthScripts warns of scripts that nobody asks, and of files that are
// served in front of what asks.
func (v *validator) unusedAuthScripts() {
	if v.diags.HasErrors() {
		return // what is missing may be what is wrong
	}
	used := map[string]bool{}
	note := func(o *AuthOptions) {
		if o.Enforced() || v.authorizer() {
			used["auth_user_script "+o.AuthUserScript] = true
			if _, groups := splitRequirements(o); groups {
				used["auth_group_script "+o.AuthGroupScript] = true
			}
		}
		used["access_script "+o.AccessScript] = true
	}
	for _, s := range v.config.Mounts() {
		note(&s.AuthOptions)
	}
	if v.authorizer() { // also about URLs that are nobody's
		note(&v.config.Router.AuthOptions)
		for i := range v.config.VirtualHosts {
			note(&v.config.VirtualHosts[i].AuthOptions)
		}
	}
	for _, name := range authScriptBlocks {
		if v.config.chosenByAsking(name) {
			continue
		}
		for _, s := range v.config.AuthScripts(name) {
			if !used[name+" "+s.Path] {
				v.warn(s.Range, "Script is not used", "Nobody asks %s %q: a mount needs %s = %q%s, or take it out.", name, s.Path, name, s.Path, alsoNeeded[name])
			}
		}
	}
	for i := range v.config.Listeners {
		for _, s := range v.config.Listeners[i].Static {
			if v.config.Router.Enforced() || v.config.Router.AccessScript != "" {
				v.warn(s.Range, "Files are not protected", "The files of static %q are served to everybody: auth_type and access_script stand in front of applications.", s.Prefix)
			}
		}
	}
}

// alsoNeeded is what has to stand beside the option for the script to be asked.
var alsoNeeded = map[string]string{
	"auth_user_script":  " and auth_type, or a listener authorizer = true",
	"auth_group_script": " and wsgi-group in require",
}
