package convert

import (
	"slices"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
)

// contexts converts the directives that may stand in any context, where they
// stand.
func (c *converter) contexts() {
	for _, i := range c.all {
		if c.told[i.Item] || !apacheconf.OfWSGI(i.Name) || len(i.Words) == 0 {
			continue
		}
		scope := i.Parent
		host := scope == i.site.host.Section
		switch r := requestOf(i.Name); {
		case r != nil:
			c.request(r, i, host)
		case i.Is("WSGIPassAuthorization"):
			c.becomes("CGIPassAuth", i, host)
		case i.Is("WSGIErrorOverride"):
			c.becomes("ProxyErrorOverride", i, host)
		case onlyHere[strings.ToLower(i.Name)] != "":
			c.commentOut(i.Item)
			outcome := NotNeeded
			if i.Is("WSGIPassApacheRequest") && on(i.Item) {
				outcome = Differs
			}
			c.report(i.Item, outcome, "%s", onlyHere[strings.ToLower(i.Name)])
		}
	}
}

// onlyHere are directives of contexts that nothing has to do.
var onlyHere = map[string]string{
	"wsgipassapacherequest":  "an application outside of Apache has no request_rec",
	"wsgienablesendfile":     "wsgid always sends files of wsgi.file_wrapper by sendfile",
	"wsgigroupauthoritative": "it has no effect in mod_wsgi either",
}

// request converts a directive that is an option of mounts: the twin of what it says
// for a whole mount stands there already.
func (c *converter) request(r *request, i placedItem, host bool) {
	settings := c.settingsOf(i)
	counts := settings == nil || settings[r.directive] == nil || strings.Join(settings[r.directive].Words, " ") == strings.Join(i.Words, " ") || r.directive == "WSGITrustedProxies" || r.directive == "WSGITrustedProxyHeaders"
	switch {
	case !counts:
		c.commentOut(i.Item)
		c.report(i.Item, NotNeeded, "another one of this name comes later in this place and counts")
	case host && r.directive == "WSGIRestrictProcess" && c.variesSomewhere(i.site, r.directive):
		c.commentOut(i.Item, c.setEnv(r, i.Words))
		c.report(i.Item, Converted, "SetEnv %s, and %s of the mounts", r.parameter, r.option)
	case host:
		c.commentOut(i.Item)
		c.report(i.Item, Converted, "%s of the mounts", r.option)
	case c.needed(i, r.directive):
		c.collide(r, i)
		c.commentOut(i.Item, c.setEnv(r, settings[r.directive].Words))
		c.report(i.Item, Converted, "SetEnv %s", r.parameter)
	case c.reachesAny(i):
		c.commentOut(i.Item)
		c.report(i.Item, Converted, "%s of the mounts", r.option)
	default:
		c.commentOut(i.Item)
		c.report(i.Item, NotNeeded, "no application is served from here")
	}
}

// settingsOf is the scope that a directive stands in.
func (c *converter) settingsOf(i placedItem) map[string]*apacheconf.Item {
	if i.Parent == i.site.host.Section {
		return i.site.host.Settings
	}
	for _, scope := range i.site.host.Scopes {
		if scope.Section == i.Parent {
			return scope.Settings
		}
	}
	return nil
}

// setEnv is the variable by which a context sets an option.
func (c *converter) setEnv(r *request, words []string) string {
	value := strings.Join(words, " ")
	switch r.option {
	case "process_group", "restrict_process":
		names := make([]string, len(words))
		for n, w := range words {
			names[n] = c.processGroup(w)
		}
		value = strings.Join(names, " ")
	case "application_group":
		value = applicationGroup(words[0])
	case "dispatch_script":
		value = words[0]
	case "trusted_proxy_headers":
		value = strings.Join(knownHeaders(words), " ")
	}
	return "SetEnv " + r.parameter + " " + quoted(value)
}

func (c *converter) variesSomewhere(s *site, directive string) bool {
	return slices.ContainsFunc(c.sites, func(other *site) bool {
		return (other == s || s == c.main()) && slices.ContainsFunc(other.everything(), func(m *mount) bool {
			_, varies := c.value(m, directive)
			return varies
		})
	})
}

func (c *converter) reachesAny(i placedItem) bool {
	return slices.ContainsFunc(c.concernedBy(i.site), func(s *site) bool {
		return slices.ContainsFunc(s.everything(), func(m *mount) bool { return c.reaches(i.Parent, m) != never })
	})
}

// collide reports a context that has to set an option for one mount and reaches
// another whose own directive decides.
func (c *converter) collide(r *request, i placedItem) {
	for _, s := range c.concernedBy(i.site) {
		for _, m := range s.mounts {
			if _, fixes := m.fixes(r.directive); fixes && !m.hidden && c.reaches(i.Parent, m) != never {
				c.fail(i.Problem("write the option at every WSGIScriptAlias that the section concerns, or at none", "%s decides at %s already, and for other requests here", r.alias, m.item.Position()))
				return
			}
		}
	}
}

// becomes converts a directive into one of Apache's own, which stands in directory
// contexts alone: for a whole host the sections of the mounts have it.
func (c *converter) becomes(name string, i placedItem, host bool) {
	if host {
		c.commentOut(i.Item)
		c.report(i.Item, Converted, "%s %s where the scripts are", name, onOff(i.Item))
		return
	}
	c.commentOut(i.Item, name+" "+onOff(i.Item))
	c.report(i.Item, Converted, "%s %s", name, onOff(i.Item))
}

func onOff(i *apacheconf.Item) string {
	if on(i) {
		return "On"
	}
	return "Off"
}

// proxyHeaders are those that mod_wsgi knows (behaviour spec 6.10).
var proxyHeaders = []string{
	"x-forwarded-for", "x-client-ip", "x-real-ip", "x-forwarded-host", "x-host", "x-forwarded-server", "x-forwarded-port",
	"x-script-name", "x-forwarded-script-name", "x-forwarded-proto", "x-forwarded-scheme", "x-scheme",
	"x-forwarded-https", "x-forwarded-ssl", "x-https",
}

// knownHeaders leaves out what mod_wsgi takes and does not know.
func knownHeaders(words []string) []string {
	known := []string{}
	for _, w := range words {
		if slices.Contains(proxyHeaders, strings.ToLower(strings.ReplaceAll(w, "_", "-"))) {
			known = append(known, w)
		}
	}
	return known
}

// replaced says whether another directive of the name comes later at server level.
func (c *converter) replaced(i placedItem) bool {
	for _, items := range c.model.Others {
		if items[0] != i.Item && items[0].Is(i.Name) {
			return true
		}
	}
	return false
}

// leftovers reports what no step has taken up: nothing is dropped silently.
func (c *converter) leftovers() {
	for _, i := range c.all {
		if why := apacheconf.Removed(i.Name); why != "" {
			c.commentOut(i.Item)
			outcome := NotNeeded
			if i.Is("WSGINewRelicConfigFile") || i.Is("WSGINewRelicEnvironment") || i.Is("WSGIApplicationWrapper") {
				outcome = Differs // until mod_wsgi 4
			}
			c.report(i.Item, outcome, "mod_wsgi 6 has none: %s", why)
		}
		switch {
		case !apacheconf.OfWSGI(i.Name) || c.told[i.Item]:
		case c.replaced(i):
			c.commentOut(i.Item)
			c.report(i.Item, NotNeeded, "another one of this name comes later and counts")
		default:
			c.commentOut(i.Item)
			c.report(i.Item, Differs, "wsgid has nothing like it")
		}
	}
}
