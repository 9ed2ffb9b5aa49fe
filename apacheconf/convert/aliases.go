package convert

import (
	"path"
	"slices"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
	"github.com/wsgid/wsgid/internal/urlpattern"
)

// aliases writes Alias and SetHandler for the mounts of a site's own.
//
// mod_alias looks at its aliases before mod_wsgi looks at its own ones, so that all
// of them, those of the main server too, count more than any WSGIScriptAlias: what
// overlaps has to stand before the alias that takes its place. Among themselves
// mounts keep their order.
func (c *converter) aliases(s *site) {
	moving := false
	written := map[string]bool{} // sections for files
	var end []string
	for _, source := range s.host.Mounts {
		at := slices.IndexFunc(s.mounts, func(m *mount) bool { return m.source == source })
		m := s.mounts[at]
		if m.hidden {
			continue
		}
		copies := c.overlapping(s, m)
		moving = moving || len(copies) > 0 || c.overtaken(s, m)
		lines := c.aliasLines(m)
		for _, line := range c.fileSections(m) {
			if written[line[0]+line[1]] {
				continue
			}
			written[line[0]+line[1]] = true
			lines = append(lines, line...)
		}
		if !moving {
			c.commentOut(source.Item, lines...)
			continue
		}
		c.commentOut(source.Item)
		end = append(end, "# From "+source.Item.Position().String()+": behind all Alias lines.")
		for _, i := range copies {
			line := "# As at server level, " + i.Position().String() + "."
			if !slices.Contains(end, i.Name+" "+i.Args) {
				end = append(end, line, i.Name+" "+i.Args)
			}
		}
		end = append(end, lines...)
		if source.Item.Condition != nil {
			c.note("%s: the Alias that %s has become stands behind all others, outside of <%s %s>.", source.Item.Position(), source.Item.Name, source.Item.Condition.Name, source.Item.Condition.Args)
		}
	}
	if end == nil {
		return
	}
	if s.host.Section != nil {
		c.atEnd(nil, s.host.Section, end...)
	} else {
		c.mainLines = append(c.mainLines, append([]string{""}, end...)...)
	}
}

// overtaken says whether a mount has aliases of its own host behind it that have
// to come first.
func (c *converter) overtaken(s *site, m *mount) bool {
	at := slices.IndexFunc(c.all, func(i placedItem) bool { return i.Item == m.item })
	return slices.ContainsFunc(s.aliases, func(a placedItem) bool { return a.at > at && overlaps(a.Item, m) })
}

// overlapping are the aliases of the main server that concern URLs of a virtual
// host's mount.
func (c *converter) overlapping(s *site, m *mount) []placedItem {
	if s == c.main() {
		return nil
	}
	var found []placedItem
	for _, a := range c.main().aliases {
		if overlaps(a.Item, m) {
			found = append(found, a)
		}
	}
	return found
}

// overlaps says whether an alias and a mount may both have a URL.
func overlaps(alias *apacheconf.Item, m *mount) bool {
	if m.match || !alias.Is("Alias") && !alias.Is("ScriptAlias") {
		return true
	}
	a, b := strings.TrimRight(alias.Words[0], "/"), strings.TrimRight(m.url(), "/")
	return within(a, b) || within(b, a) || a == "" || b == ""
}

// aliasLines map the URLs of a mount to its file.
func (c *converter) aliasLines(m *mount) []string {
	target := m.source.Target
	if !m.match {
		if m.url() == "/" && !strings.HasSuffix(target, "/") {
			target += "/" // mod_wsgi appends the whole URL, mod_alias what follows the slash
		}
		return []string{"Alias " + quoted(m.url()) + " " + quoted(target)}
	}
	pattern, err := urlpattern.Compile(m.url())
	if err != nil {
		c.fail(m.item.Problem("write it without recursion, \\K, \\h, \\N, \\R and \\X", "wsgid cannot use the expression: %v", err))
		return nil
	}
	rest := "$" + itoa(pattern.Groups()+1)
	if pattern.Groups() >= 9 {
		c.fail(m.item.Problem("write (?:…) where nothing is captured", "the expression has %d groups, and Apache counts to nine", pattern.Groups()))
		return nil
	}
	var lines []string
	if at, err := pattern.Find([]byte("/")); err == nil && at != nil && at[1] == 1 {
		// mod_wsgi appends the whole URL where the expression matches its first slash alone.
		lines = append(lines, "AliasMatch "+quoted(`^(?=/)(?>`+strings.TrimPrefix(m.url(), "^")+`)(?<=^/)(.*)`)+" "+quoted(target+"/"+rest))
	}
	return append(lines, "AliasMatch "+quoted(`(?:`+m.url()+`)(.*)`)+" "+quoted(target+rest))
}

// fileSections have wsgid serve the files of a mount: pairs of lines that name the
// place, and what stands there.
func (c *converter) fileSections(m *mount) [][]string {
	if why := c.foreignHandler(m); why != nil {
		c.report(why, Differs, "this handler serves the script of %s, as before: wsgid gets no request for it", m.item.Position())
		return nil
	}
	dir, files := path.Dir(m.file), "<Files "+quoted(path.Base(m.file))+">"
	switch {
	case m.dir && !m.match:
		dir, files = m.file, ""
	case m.dir:
		dir, files = m.file, matchedFiles(m.source.Target)
	}
	inner := []string{"SetHandler " + quoted(c.handler())}
	if m.dir { // what is missing is Apache's own 404, with its ErrorDocument
		inner = []string{`<If "-e %{REQUEST_FILENAME}">`, "    " + inner[0], "</If>"}
	}
	inner = append(inner, "SetEnv ap_trust_cgilike_cl 1")
	if c.isOn(m, "WSGIPassAuthorization", false) {
		inner = append(inner, "CGIPassAuth On")
	}
	if c.overridesErrors(m.site) {
		inner = append(inner, "ProxyErrorOverride On")
	} else if c.has("ProxyErrorOverride") {
		inner = append(inner, "ProxyErrorOverride Off")
	}
	close := "</Files>"
	if strings.HasPrefix(files, "<FilesMatch") {
		close = "</FilesMatch>"
	}
	if files != "" {
		inner = append([]string{files}, append(indented(inner), close)...)
	}
	lines := append([]string{"<Directory " + quoted(dir) + ">"}, indented(inner)...)
	return [][]string{append(lines, "</Directory>")}
}

// matchedFiles names the files that a target with $n can be, as far as that can be
// said; empty: any.
func matchedFiles(target string) string {
	if at := strings.LastIndexByte(target, '/'); strings.Contains(target[at:], "$") {
		if ext := path.Ext(target); ext != "" && !strings.Contains(ext, "$") {
			return "<FilesMatch " + quoted(`\`+ext+"$") + ">"
		}
		return ""
	} else if scriptName.MatchString(target) {
		return "<Files " + quoted(target[at+1:]) + ">"
	}
	return ""
}

// has says whether a directive stands anywhere.
func (c *converter) has(name string) bool {
	return slices.ContainsFunc(c.all, func(i placedItem) bool { return i.Is(name) })
}

// foreignHandler is a directive that gives the script of a mount to another
// module, which mod_wsgi lets it do; nil: there is none.
func (c *converter) foreignHandler(m *mount) *apacheconf.Item {
	var found *apacheconf.Item
	for _, i := range c.all {
		if i.site != m.site && i.site != c.main() || len(i.Words) == 0 || c.reaches(i.Parent, m) != always {
			continue
		}
		switch class, _ := rank(i.Parent); {
		case class > 2:
		case i.Is("SetHandler") && class > 0:
			if found = i.Item; strings.EqualFold(i.Words[0], "none") || c.ours(i.Words[0]) {
				found = nil
			}
		case i.Is("AddHandler") && !c.ours(i.Words[0]) && found == nil:
			ext := strings.TrimPrefix(path.Ext(m.file), ".")
			for _, word := range i.Words[1:] {
				if strings.EqualFold(strings.TrimPrefix(word, "."), ext) && ext != "" && !m.dir {
					found = i.Item
				}
			}
		}
	}
	return found
}
