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
	listen.truth("separate_questions", true)
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
	c.accessSections()
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
	for _, i := range items {
		if i.Is("Require") && asks(i) {
			groups = append(groups, groupsOf(i)...)
		}
	}
	for _, i := range items {
		switch {
		case !asks(i):
		case i.Is("AuthDigestProvider"):
			c.commentOut(i)
			c.report(i, Differs, "mod_authnz_fcgi cannot ask for the hash of a password: use Basic over TLS, or auth_type = \"digest\" of wsgid in front of its applications")
		case i.Is("AuthBasicProvider"):
			// The last one: what mod_authnz_fcgi refuses leaves its mark on a static file
			// that another provider lets through.
			words := append(slices.DeleteFunc(slices.Clone(i.Words), func(w string) bool { return strings.EqualFold(w, "wsgi") }), userProvider)
			c.commentOut(i, "AuthBasicProvider "+strings.Join(quotedAll(words), " "))
			c.report(i, Converted, "AuthBasicProvider %s", strings.Join(words, " "))
		case i.Is("Require"):
			c.requireGroup(i, groups)
		default:
			c.authScript(i, declared)
		}
	}
}

// groupsOf are the names of a Require wsgi-group.
func groupsOf(i *apacheconf.Item) []string {
	at := slices.IndexFunc(i.Words, func(w string) bool { return strings.EqualFold(w, "wsgi-group") })
	return i.Words[at+1:]
}

// siblings are the items beside one: of its section, or of the .htaccess file.
func (c *converter) siblings(i *apacheconf.Item) []*apacheconf.Item {
	if i.Parent != nil {
		return i.Parent.Children
	}
	for _, a := range c.access {
		if a.file == i.File {
			return slices.DeleteFunc(slices.Clone(a.items), func(o *apacheconf.Item) bool { return o.Parent != nil })
		}
	}
	return c.config.Items
}

// requires says whether an item is a Require line, or a container of such.
func requires(i *apacheconf.Item) bool {
	return i.Is("Require") || i.Is("RequireAny") || i.Is("RequireAll") || i.Is("RequireNone")
}

// requireGroup converts Require wsgi-group: Apache cannot hand the names on, so that a
// variable does, which is one for the whole section. The new line is the last one:
// what mod_authnz_fcgi refuses leaves its mark on a static file that another line
// lets through.
func (c *converter) requireGroup(i *apacheconf.Item, groups []string) {
	words := make([]string, len(groups))
	for n, name := range groups {
		if words[n] = name; strings.ContainsAny(name, " \t;") {
			words[n] = `"` + name + `"`
		}
	}
	variable := setEnvIf("WSGID_REQUIRE", "wsgi-group "+strings.Join(words, " "))
	if strings.EqualFold(i.Words[0], "not") {
		c.commentOut(i, "Require not "+groupProvider)
		c.beforeRequire(i, variable)
		c.report(i, Differs, "Require not %s: static files come with the status 401 that mod_authnz_fcgi leaves behind", groupProvider)
		return
	}
	c.commentOut(i)
	last := i
	for _, o := range c.siblings(i) {
		if requires(o) {
			last = o
		}
	}
	if first := slices.IndexFunc(c.siblings(i), func(o *apacheconf.Item) bool { return o.Is("Require") && asks(o) }); c.siblings(i)[first] == i {
		c.behind(last, "Require "+groupProvider) // once for all of them
	}
	c.beforeRequire(i, variable)
	switch {
	case slices.ContainsFunc(groups, func(name string) bool { return strings.Contains(name, `"`) }):
		c.report(i, Differs, "a group whose name has a quote cannot be named")
	case outside(i) != i && i.Parent.Is("RequireAll") && len(groups) > len(groupsOf(i)):
		c.report(i, Differs, "the groups of all lines of a section are taken together")
	default:
		c.report(i, Converted, "Require %s and SetEnvIf WSGID_REQUIRE", groupProvider)
	}
}

// beforeRequire puts a line before all Require lines of the section that one is in:
// among them nothing else may stand.
func (c *converter) beforeRequire(i *apacheconf.Item, line string) {
	beside := c.siblings(outside(i))
	c.before(beside[slices.IndexFunc(beside, requires)], line)
}

// authScript converts a directive that names a script. That for hosts is asked in a
// subrequest, whatever else the context requires.
func (c *converter) authScript(i *apacheconf.Item, declared map[string]bool) {
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
		if i.Is("WSGIAccessScript") {
			c.asksHosts = true
			if !slices.ContainsFunc(c.siblings(i), requires) {
				lines = append(lines, "AuthMerging And", accessRequire)
			} else {
				c.wrapRequire(c.siblings(i))
			}
		}
		c.commentOut(i, lines...)
		c.report(i, Converted, "SetEnvIf %s; %s %s", d.parameter, d.block, text(script))
		return
	}
}

// accessURL is where Apache asks about a host, in a subrequest. The second test sees
// to it that somebody has decided: below it nobody is let in, unless something else
// answers for the whole site.
const (
	accessURL     = "/.wsgid-access"
	accessRequire = `Require expr "-z reqenv('WSGID_ACCESS_SCRIPT') || (-U '` + accessURL + `' && ! -U '` + accessURL + `/never')"`
)

// wrapRequire has what a section requires hold together with the script's answer.
func (c *converter) wrapRequire(siblings []*apacheconf.Item) {
	var first, last *apacheconf.Item
	for _, o := range siblings {
		if requires(o) {
			if first == nil {
				first = o
			}
			last = o
		}
	}
	if c.wrapped[first] {
		return
	}
	c.wrapped[first] = true
	c.opening, c.closing = append(c.opening, first), append(c.closing, last)
}

// accessSections write what the subrequests meet, at the end of each host; and have
// sections whose Require lines take the place of those around an access script hold
// together with it.
func (c *converter) accessSections() {
	if !c.asksHosts {
		return
	}
	for _, i := range c.all {
		if i.Is("Require") && outside(i.Item).Parent != nil && c.insideAccess(outside(i.Item).Parent, i.site) {
			c.wrapRequire(outside(i.Item).Parent.Children)
		}
	}
	for n, first := range c.opening { // around what else has been put there
		c.before(first, "<RequireAll>", accessRequire, "<RequireAny>")
		c.behind(c.closing[n], "</RequireAny>", "</RequireAll>")
	}
	lines := []string{
		"<Location " + quoted(accessURL) + ">",
		"    AuthType None",
		"    AuthnzFcgiCheckAuthnProvider " + userProvider + ` RequireBasicAuth Off UserExpr "%{reqenv:REMOTE_USER}" DefaultUser -`,
		"    AuthMerging Off",
		"    Require valid-user",
		"</Location>",
		"<Location " + quoted(accessURL+"/never") + ">",
		"    Require all denied",
		"</Location>",
	}
	for _, s := range c.sites {
		if s.host.Section != nil {
			c.atEnd(nil, s.host.Section, lines...)
		} else {
			c.mainLines = append(c.mainLines, lines...)
		}
	}
}

// insideAccess says whether the Require lines of a section may count for requests
// that an access script of another section is asked about.
func (c *converter) insideAccess(section *apacheconf.Item, s *site) bool {
	class, depth := rank(section)
	return slices.ContainsFunc(c.all, func(o placedItem) bool {
		if !o.Is("WSGIAccessScript") || o.Parent == section || o.Parent == nil || o.site != s && o.site != c.main() && s != c.main() {
			return false
		}
		outer, outerDepth := rank(o.Parent)
		if class == 1 && outer == 1 {
			a, b := literalDirectory(o.Parent), literalDirectory(section)
			return a == "" || b == "" || depth >= outerDepth && within(a, b)
		}
		if class == 3 && outer == 3 && section.Is("Location") && o.Parent.Is("Location") && len(section.Words)*len(o.Parent.Words) > 0 {
			return within(strings.TrimRight(o.Parent.Words[0], "/"), strings.TrimRight(section.Words[0], "/")) || o.Parent.Words[0] == "/"
		}
		return class >= outer
	})
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
