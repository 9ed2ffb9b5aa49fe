package convert

import (
	"slices"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
)

// authDirectives name scripts that Apache asks, and how they go on.
var authDirectives = []struct{ directive, block, parameter string }{
	{"WSGIAuthUserScript", "auth_user_script", "WSGID_AUTH_USER_SCRIPT"},
	{"WSGIAuthGroupScript", "auth_group_script", "WSGID_AUTH_GROUP_SCRIPT"},
	{"WSGIAccessScript", "access_script", "WSGID_ACCESS_SCRIPT"},
}

// Providers of mod_authnz_fcgi that ask wsgid.
const (
	userProvider  = "wsgid-user"
	groupProvider = "wsgid-group"
)

// asks says whether a directive has to do with scripts that Apache asks.
func asks(i *apacheconf.Item) bool {
	switch {
	case len(i.Words) == 0:
		return false
	case i.Is("AuthBasicProvider"), i.Is("AuthDigestProvider"):
		return slices.ContainsFunc(i.Words, func(w string) bool { return strings.EqualFold(w, "wsgi") })
	case i.Is("Require"):
		return strings.EqualFold(strings.TrimPrefix(strings.ToLower(strings.Join(i.Words[:min(2, len(i.Words))], " ")), "not "), "wsgi-group") || strings.EqualFold(i.Words[0], "wsgi-group")
	}
	return slices.ContainsFunc(authDirectives, func(d struct{ directive, block, parameter string }) bool { return i.Is(d.directive) })
}

// asked says whether Apache asks any script.
func (c *converter) asked() bool {
	return slices.ContainsFunc(c.all, func(i placedItem) bool { return asks(i.Item) }) ||
		slices.ContainsFunc(c.access, func(a *accessFile) bool { return slices.ContainsFunc(a.items, asks) })
}

// authentication converts the scripts that Apache asks about users and hosts: wsgid
// answers by mod_authnz_fcgi, which speaks TCP only, and variables say which script
// the context has.
func (c *converter) authentication() {
	if !c.asked() {
		return
	}
	listen := &block{kind: "listen", label: "tcp", comment: "Apache asks here whether a request may go on (mod_authnz_fcgi)."}
	listen.text("address", c.options.AuthAddress)
	listen.truth("authorizer", true)
	listen.truth("responder", false)
	listen.truth("trust_front_server", true)
	c.blocks = append(c.blocks, listen)
	sections := map[*apacheconf.Item][]placedItem{}
	var order []*apacheconf.Item
	for _, i := range c.all {
		if !asks(i.Item) && !i.Is("Require") {
			continue
		}
		section := outside(i.Item).Parent
		if sections[section] == nil {
			order = append(order, section)
		}
		sections[section] = append(sections[section], i)
	}
	declared := map[string]bool{}
	for _, section := range order {
		var items []*apacheconf.Item
		for _, i := range sections[section] {
			items = append(items, i.Item)
		}
		c.authContext(items, declared)
	}
	for _, a := range c.access {
		c.authContext(a.items, declared)
	}
}

// outside is the outermost of the <RequireAny> and the like around a directive, in
// which no variable can be set, or the directive itself.
func outside(i *apacheconf.Item) *apacheconf.Item {
	for i.Parent != nil && (i.Parent.Is("RequireAny") || i.Parent.Is("RequireAll") || i.Parent.Is("RequireNone")) {
		i = i.Parent
	}
	return i
}

// authContext converts what stands in one section, or .htaccess file.
func (c *converter) authContext(items []*apacheconf.Item, declared map[string]bool) {
	var groups []string
	users := false
	for _, i := range items {
		users = users || i.Is("AuthBasicProvider") || i.Is("AuthDigestProvider") || i.Is("WSGIAuthUserScript")
		if i.Is("Require") && asks(i) {
			at := slices.IndexFunc(i.Words, func(w string) bool { return strings.EqualFold(w, "wsgi-group") })
			groups = append(groups, i.Words[at+1:]...)
		}
	}
	for _, i := range items {
		switch {
		case !asks(i):
		case i.Is("AuthDigestProvider"):
			c.commentOut(i)
			c.report(i, Differs, "mod_authnz_fcgi cannot ask for the hash of a password: use Basic over TLS, or auth_type = \"digest\" of wsgid in front of its applications")
		case i.Is("AuthBasicProvider"):
			words := slices.Clone(i.Words)
			for n, w := range words {
				if strings.EqualFold(w, "wsgi") {
					words[n] = userProvider
				}
			}
			c.commentOut(i, "AuthBasicProvider "+strings.Join(quotedAll(words), " "))
			c.report(i, Converted, "AuthBasicProvider %s", strings.Join(words, " "))
		case i.Is("Require"):
			c.requireGroup(i, groups)
		default:
			c.authScript(i, users, declared)
		}
	}
}

// requireGroup converts Require wsgi-group: Apache cannot hand the names on, so that a
// variable does, which is one for the whole section.
func (c *converter) requireGroup(i *apacheconf.Item, groups []string) {
	not := ""
	if strings.EqualFold(i.Words[0], "not") {
		not = "not "
	}
	variable := setEnvIf("WSGID_WSGI_GROUP", strings.Join(groups, " "))
	if container := outside(i); container != i {
		c.commentOut(i, "Require "+not+groupProvider)
		c.behind(container, variable)
	} else {
		c.commentOut(i, "Require "+not+groupProvider, variable)
	}
	switch {
	case slices.ContainsFunc(groups, func(name string) bool { return strings.ContainsAny(name, " \t") }):
		c.report(i, Differs, "a group whose name has a blank cannot be named")
	case not != "" && len(groups) > len(i.Words)-2:
		c.report(i, Differs, "all groups of one section are taken together")
	default:
		c.report(i, Converted, "Require %s%s", not, groupProvider)
	}
}

// authScript converts a directive that names a script. A script for hosts alone is
// asked in place of a user's name; where users are asked for as well, with them.
func (c *converter) authScript(i *apacheconf.Item, users bool, declared map[string]bool) {
	for _, d := range authDirectives {
		if !i.Is(d.directive) {
			continue
		}
		script := i.Words[0]
		application, _ := i.Option("application-group", 1)
		if key := d.block + " " + script; !declared[key] {
			declared[key] = true
			b := &block{kind: d.block, label: script, comment: "From " + i.Position().String() + "."}
			b.text("application_group", applicationGroup(application))
			b.text("on_load_error", "fail")
			c.blocks = append(c.blocks, b)
		}
		lines := []string{setEnvIf(d.parameter, script)}
		if i.Is("WSGIAccessScript") && !users {
			lines = append(lines,
				"AuthType wsgid",
				"AuthName hosts",
				"AuthnzFcgiCheckAuthnProvider "+userProvider+` RequireBasicAuth Off UserExpr "%{reqenv:REMOTE_USER}" DefaultUser -`,
				`ProxyFCGISetEnvIf "%{REMOTE_USER} == '-'" !REMOTE_USER`,
				`ProxyFCGISetEnvIf "%{REMOTE_USER} == '-'" !AUTH_TYPE`,
			)
			if i.Parent == nil || !slices.ContainsFunc(i.Parent.Children, func(o *apacheconf.Item) bool { return o.Is("Require") }) {
				lines = append(lines, "AuthMerging And", "Require valid-user")
			} else {
				c.wrapRequire(i)
			}
		}
		c.commentOut(i, lines...)
		if i.Is("WSGIAccessScript") && users {
			c.report(i, Differs, "SetEnvIf %s: a host that is refused gets 401 where it got 403, since a user is asked for as well", d.parameter)
			return
		}
		c.report(i, Converted, "SetEnvIf %s; %s %s", d.parameter, d.block, text(script))
		return
	}
}

// wrapRequire has what a section requires hold together with the script's answer.
func (c *converter) wrapRequire(script *apacheconf.Item) {
	var first, last *apacheconf.Item
	for _, o := range script.Parent.Children {
		if o.Is("Require") || o.Is("RequireAny") || o.Is("RequireAll") || o.Is("RequireNone") {
			if first == nil {
				first = o
			}
			last = o
		}
	}
	c.replace(first.File, first.Node.Start, first.Node.Start, layOut(first.File, first.Node.Start, []string{"<RequireAll>", "Require valid-user", "<RequireAny>"}))
	c.behind(last, "</RequireAny>", "</RequireAll>")
}

// setEnvIf sets a variable before Apache asks who somebody is; SetEnv comes too late.
func setEnvIf(name, value string) string {
	return "SetEnvIf Request_Method ^ " + quoted(name+"="+strings.NewReplacer(`\`, `\\`, "$", `\$`).Replace(value))
}

// providerLines define the providers; they have to stand before what uses them.
func (c *converter) providerLines() []string {
	return []string{
		"AuthnzFcgiDefineProvider authn " + userProvider + " fcgi://" + c.options.AuthAddress,
		"AuthnzFcgiDefineProvider authz " + groupProvider + " fcgi://" + c.options.AuthAddress,
	}
}
