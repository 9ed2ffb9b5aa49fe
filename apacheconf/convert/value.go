package convert

import (
	"cmp"
	"slices"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
)

// request is a directive that may stand in any context, and what it is in wsgid.
type request struct {
	directive string
	option    string // of the block, and of allow_override
	parameter string // WSGID_…
	alias     string // option of WSGIScriptAlias that it loses against
	byDefault bool   // allow_override has it without saying so
}

// requests are the directives that become options of a mount.
var requests = []request{
	{"WSGIProcessGroup", "process_group", "WSGID_PROCESS_GROUP", "process-group", false},
	{"WSGIApplicationGroup", "application_group", "WSGID_APPLICATION_GROUP", "application-group", false},
	{"WSGICallableObject", "callable_object", "WSGID_CALLABLE_OBJECT", "callable-object", true},
	{"WSGIRestrictProcess", "restrict_process", "WSGID_RESTRICT_PROCESS", "", true},
	{"WSGIDispatchScript", "dispatch_script", "WSGID_DISPATCH_SCRIPT", "", false},
	{"WSGIScriptReloading", "script_reloading", "WSGID_SCRIPT_RELOADING", "", true},
	{"WSGIChunkedRequest", "chunked_request", "WSGID_CHUNKED_REQUEST", "", true},
	{"WSGIMapHEADToGET", "map_head_to_get", "WSGID_MAP_HEAD_TO_GET", "", true},
	{"WSGIIgnoreActivity", "ignore_activity", "WSGID_IGNORE_ACTIVITY", "", true},
	{"WSGITrustedProxyHeaders", "trusted_proxy_headers", "WSGID_TRUSTED_PROXY_HEADERS", "", true},
	{"WSGITrustedProxies", "trusted_proxies", "WSGID_TRUSTED_PROXIES", "", true},
}

// requestOf finds one by its directive.
func requestOf(name string) *request {
	for n := range requests {
		if strings.EqualFold(requests[n].directive, name) {
			return &requests[n]
		}
	}
	return nil
}

// fixes says whether the mount's own directive decides, which wins over contexts.
func (m *mount) fixes(directive string) (value string, given bool) {
	switch r := requestOf(directive); {
	case r != nil && r.alias != "":
		return m.option(r.alias)
	case directive == "WSGIPassAuthorization":
		return m.option("pass-authorization")
	}
	return "", false
}

// hostValue is what a directive says for a whole site.
func (c *converter) hostValue(s *site, directive string) *apacheconf.Item {
	if i := s.host.Settings[directive]; i != nil {
		return i
	}
	return c.main().host.Settings[directive]
}

// overridesErrors says whether Apache makes all pages of errors of a site.
func (c *converter) overridesErrors(s *site) bool {
	item := c.hostValue(s, "WSGIErrorOverride")
	return item != nil && on(item)
}

// scopes are the sections that say something about a directive for a site, as
// Apache merges them.
func (c *converter) scopes(s *site, directive string) []*apacheconf.Scope {
	var found []*apacheconf.Scope
	add := func(of *site) {
		for _, scope := range of.host.Scopes {
			if scope.Settings[directive] != nil {
				found = append(found, scope)
			}
		}
	}
	add(c.main())
	if s != c.main() {
		add(s)
	}
	slices.SortStableFunc(found, func(a, b *apacheconf.Scope) int {
		classA, depthA := rank(a.Section)
		classB, depthB := rank(b.Section)
		return cmp.Or(cmp.Compare(classA, classB), cmp.Compare(depthA, depthB))
	})
	return found
}

// value is what a directive says for all requests of a mount, the contexts that
// concern them all included; nil: nothing. varies: other contexts say something
// for some of its requests.
func (c *converter) value(m *mount, directive string) (item *apacheconf.Item, varies bool) {
	item = c.hostValue(m.site, directive)
	for _, scope := range c.scopes(m.site, directive) {
		switch c.reaches(scope.Section, m) {
		case always:
			item = scope.Settings[directive]
		case sometimes:
			varies = true
		}
	}
	return item, varies
}

// words of what a directive says for a mount, its own option first; nil: nothing.
func (c *converter) words(m *mount, directive string) []string {
	if value, given := m.fixes(directive); given {
		return []string{value}
	}
	if item, _ := c.value(m, directive); item != nil {
		return item.Words
	}
	return nil
}

// word is the first of them, or the default.
func (c *converter) word(m *mount, directive, fallback string) string {
	if words := c.words(m, directive); len(words) > 0 {
		return words[0]
	}
	return fallback
}

// isOn says whether a mount has a directive On.
func (c *converter) isOn(m *mount, directive string, fallback bool) bool {
	word := c.word(m, directive, "")
	if word == "" {
		return fallback
	}
	return strings.EqualFold(word, "On")
}

// needed says whether the setting of a scope has to travel with requests: what a
// context says for all requests of a mount stands in wsgid's configuration, unless
// another context can say otherwise for some of them.
func (c *converter) needed(i placedItem, directive string) bool {
	scope := i.Parent
	for _, s := range c.concernedBy(i.site) {
		for _, m := range s.everything() {
			if _, fixed := m.fixes(directive); fixed {
				continue
			}
			switch c.reaches(scope, m) {
			case sometimes:
				return true
			case always:
				if _, varies := c.value(m, directive); varies {
					return true
				}
			}
		}
	}
	return false
}

// concernedBy are the sites for which what stands in one counts: the main server's is
// every site's.
func (c *converter) concernedBy(s *site) []*site {
	if s == c.main() {
		return c.sites
	}
	return []*site{s}
}

// everything that a site serves.
func (s *site) everything() []*mount {
	return slices.Concat(s.mounts, s.roots, s.handlers)
}
