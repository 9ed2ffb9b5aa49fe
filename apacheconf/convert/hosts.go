package convert

import (
	"slices"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
	"github.com/wsgid/wsgid/internal/wire"
)

// hosts writes a virtual_host for each site that wsgid serves something of, and
// puts the twins of its mounts into Apache's configuration.
func (c *converter) hosts() {
	for _, s := range c.sites {
		if !s.concerned() {
			continue
		}
		h := &block{kind: "virtual_host", label: s.serverName}
		if s.host.Section != nil {
			h.comment = "From " + s.host.Section.Position().String() + "."
		}
		h.text("id", s.id)
		c.hostLog(h, s)
		c.hostPages(h, s)
		for _, m := range s.everything() {
			if m.hidden {
				continue
			}
			h.blocks = append(h.blocks, c.mountBlock(m))
		}
		c.hostBlocks = append(c.hostBlocks, h)
		line := "SetEnv WSGID_VIRTUAL_HOST " + quoted(s.id)
		if s.host.Section != nil {
			c.inside(s.host.Section, line)
		} else {
			c.mainLines = append(c.mainLines, line)
		}
		c.aliases(s)
	}
	for _, s := range c.sites {
		for _, m := range s.host.Mounts {
			c.mountReport(s, m)
		}
		for _, i := range s.host.Handlers {
			c.commentOut(i)
			c.report(i, Converted, "handler_script %s", text(i.Words[0]))
		}
	}
}

func (c *converter) mountReport(s *site, source *apacheconf.Mount) {
	for _, m := range s.mounts {
		if m.source != source {
			continue
		}
		switch {
		case m.hidden && strings.HasPrefix(source.URL, "/"):
			c.commentOut(source.Item)
			c.report(source.Item, NotNeeded, "another one for this URL comes first and counts")
		case m.hidden:
			c.commentOut(source.Item)
			c.report(source.Item, NotNeeded, "no URL begins like that")
		default:
			c.report(source.Item, Converted, "Alias and SetHandler; %s %s", m.kind, text(m.label))
		}
		return
	}
}

// mountBlock is a mount as wsgid is told of it.
func (c *converter) mountBlock(m *mount) *block {
	b := &block{kind: m.kind, label: m.label}
	if m.item != nil {
		b.comment = "From " + m.item.Position().String() + "."
		if m.inherited {
			b.comment = "Of the main server, " + m.item.Position().String() + "."
		}
	}
	switch {
	case m.kind == "script_alias_match":
		target := m.source.Target
		if m.extra != "" {
			target = m.file // as below
		}
		b.text("target", target)
	case m.kind == "handler_script":
		b.text("target", m.file)
	case m.kind == "script_alias" && m.dir:
		b.text("target", strings.TrimSuffix(m.file, "/")+"/")
	case m.kind == "script_alias":
		b.text("target", m.file) // what follows it is in the PATH_INFO that Apache sends
	}
	group := c.processGroup(c.word(m, "WSGIProcessGroup", "%{GLOBAL}"))
	b.text("process_group", group)
	application := applicationGroup(c.word(m, "WSGIApplicationGroup", "%{RESOURCE}"))
	b.text("application_group", application)
	if name := c.word(m, "WSGICallableObject", ""); name != "" && m.kind != "handler_script" {
		b.text("callable_object", name)
	}
	if m.kind != "script_root" {
		_, both := m.option("application-group")
		_, first := m.option("process-group")
		if !both || !first || !fixed(group) || !fixed(application) || m.dir {
			if m.kind != "script_alias_match" || !m.dir {
				b.truth("preload", false)
			}
		}
	}
	if !c.isOn(m, "WSGIScriptReloading", true) {
		b.truth("script_reloading", false)
	}
	if !c.isOn(m, "WSGIChunkedRequest", false) {
		b.truth("chunked_request", false)
	}
	if word := c.word(m, "WSGIMapHEADToGET", ""); word != "" && !strings.EqualFold(word, "auto") {
		b.text("map_head_to_get", strings.ToLower(word))
	}
	if c.isOn(m, "WSGIIgnoreActivity", false) {
		b.truth("ignore_activity", true)
	}
	if words := c.words(m, "WSGITrustedProxyHeaders"); words != nil {
		b.list("trusted_proxy_headers", knownHeaders(words))
	}
	if words := c.words(m, "WSGITrustedProxies"); words != nil {
		b.list("trusted_proxies", words)
	}
	if script := c.word(m, "WSGIDispatchScript", ""); script != "" {
		b.text("dispatch_script", script)
	}
	c.mountPages(b, m)
	c.permissions(b, m, group)
	return b
}

// fixed says whether a group is the same for all requests.
func fixed(value string) bool { return value == "%{GLOBAL}" || !strings.HasPrefix(value, "%{") }

// permissions sets what the contexts of Apache may change of a mount, and bounds
// the process groups that they may choose to those which they name.
func (c *converter) permissions(b *block, m *mount, group string) {
	allowed := wire.OverrideNames(false)
	changed := false
	for _, r := range requests {
		_, fixes := m.fixes(r.directive)
		_, varies := c.value(m, r.directive)
		switch at := slices.Index(allowed, r.option); {
		case m.kind == "handler_script" && r.option == "callable_object":
		case fixes && at >= 0:
			allowed, changed = slices.Delete(allowed, at, at+1), true
		case varies && !fixes && at < 0:
			allowed, changed = append(allowed, r.option), true
		}
	}
	if changed {
		slices.Sort(allowed)
		b.list("allow_override", allowed)
	}
	restricted := c.restricted(m)
	if len(restricted) == 0 && slices.Contains(allowed, "process_group") {
		restricted = c.choosable(m, group)
	}
	if len(restricted) > 0 {
		b.list("restrict_process", restricted)
	}
}

// restricted are the process groups of WSGIRestrictProcess, those of all contexts
// together: each context takes away what it does not name.
func (c *converter) restricted(m *mount) []string {
	var all []string
	add := func(i *apacheconf.Item) {
		for _, word := range i.Words {
			if name := c.processGroup(word); !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	item, varies := c.value(m, "WSGIRestrictProcess")
	if item == nil {
		return nil // nothing is restricted where no context says so
	}
	add(item)
	if varies {
		for _, scope := range c.scopes(m.site, "WSGIRestrictProcess") {
			if c.reaches(scope.Section, m) != never {
				add(scope.Settings["WSGIRestrictProcess"])
			}
		}
	}
	return all
}

// choosable are the groups that contexts name for a mount; nil where only a
// request says which.
func (c *converter) choosable(m *mount, group string) []string {
	names := []string{group}
	if c.word(m, "WSGIDispatchScript", "") != "" || !fixed(group) {
		return nil
	}
	for _, scope := range c.scopes(m.site, "WSGIProcessGroup") {
		if c.reaches(scope.Section, m) == never {
			continue
		}
		name := c.processGroup(scope.Settings["WSGIProcessGroup"].Words[0])
		if !fixed(name) {
			return nil
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
