package convert

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
)

// site is the main server or a virtual host.
type site struct {
	host         *apacheconf.Host
	id           string // that wsgid knows it by
	serverName   string
	documentRoot string
	errorLog     string
	aliases      []placedItem
	// mounts of its own, then those of the main server, as they hold here.
	mounts []*mount
	// roots are directories of scripts that run where they lie.
	roots []*mount
	// handlers are WSGIHandlerScript that hold here.
	handlers []*mount
}

// name gives sites names and ids.
func (c *converter) name() {
	used := map[string]bool{}
	fallback := "localhost"
	for n, s := range c.sites {
		s.serverName = fallback
		if name := plainName(s.host.ServerName); name != "" {
			s.serverName = name
		}
		if n == 0 {
			fallback = s.serverName
			s.id = "main server"
		} else {
			s.id = s.serverName
			if words := s.host.Section.Words; len(words) > 0 {
				if at := strings.LastIndexByte(words[0], ':'); at >= 0 && !strings.HasSuffix(words[0], "]") {
					s.id += words[0][at:]
				}
			}
		}
		id := s.id
		for n := 2; used[s.id]; n++ {
			s.id = fmt.Sprintf("%s (%d)", id, n)
		}
		used[s.id] = true
		if s.documentRoot == "" && n > 0 {
			s.documentRoot = c.main().documentRoot
		}
		if s.errorLog == "" && n > 0 {
			s.errorLog = c.main().errorLog
		}
	}
}

// plainName is a ServerName without scheme and port.
func plainName(name string) string {
	if _, rest, ok := strings.Cut(name, "://"); ok {
		name = rest
	}
	if at := strings.LastIndexByte(name, ':'); at >= 0 && !strings.HasSuffix(name, "]") {
		name = name[:at]
	}
	return name
}

// concerned says whether wsgid serves anything of the site.
func (s *site) concerned() bool { return len(s.mounts)+len(s.roots)+len(s.handlers) > 0 }

// survey finds what there is to serve.
func (c *converter) survey() {
	c.exec = slices.ContainsFunc(c.all, func(i placedItem) bool { return wsgiHandler(i.Item) }) ||
		slices.ContainsFunc(c.access, func(a *accessFile) bool { return a.runs() })
	c.unsaidRoots()
	for _, s := range c.sites {
		for _, m := range s.host.Mounts {
			c.mountOn(s, m)
		}
		if s != c.main() {
			for _, m := range c.main().host.Mounts {
				c.mountOn(s, m)
			}
		}
		if c.exec {
			for _, dir := range c.scriptRoots(s) {
				s.roots = append(s.roots, &mount{kind: "script_root", label: dir, file: dir, dir: true, site: s})
			}
		}
		items := append(slices.Clone(c.main().host.Handlers), s.host.Handlers...)
		if s == c.main() {
			items = s.host.Handlers
		}
		for _, i := range items {
			m := &mount{kind: "handler_script", label: i.Words[0], file: i.Words[1], item: i, site: s, optionsAt: 2}
			s.handlers = slices.DeleteFunc(s.handlers, func(other *mount) bool { return other.label == m.label })
			s.handlers = append(s.handlers, m)
		}
	}
}

// unsaidRoots completes the DocumentRoots: a part of a configuration may have none.
func (c *converter) unsaidRoots() {
	for _, s := range c.sites {
		if s.documentRoot != "" {
			continue
		}
		if s.documentRoot = c.options.DocumentRoot; s.documentRoot == "" {
			s.documentRoot = "/var/www/html"
			if c.exec {
				c.note("No DocumentRoot is said: scripts that run where they lie are taken for those of %s (--document-root).", s.documentRoot)
			}
		}
	}
}

// scriptRoots are the directories in which a site may run files, which needs
// Options ExecCGI: where that stands, or all that is mapped where it is not said
// for a directory.
func (c *converter) scriptRoots(s *site) []string {
	var roots []string
	add := func(dir string) {
		if dir = path.Clean(dir); path.IsAbs(dir) && dir != "/" && !slices.Contains(roots, dir) {
			roots = append(roots, dir)
		}
	}
	mapped := func() {
		add(s.documentRoot)
		for _, of := range []*site{s, c.main()} {
			for _, a := range of.aliases {
				target := a.Words[1]
				if at := strings.IndexByte(target, '$'); at >= 0 {
					target = target[:at]
				}
				if info, err := c.options.FS.Stat(target); err == nil && !info.IsDir() || err != nil && path.Ext(target) != "" && !strings.HasSuffix(target, "/") {
					target = path.Dir(target)
				}
				add(target)
			}
		}
	}
	for _, i := range c.all {
		if i.site != s && i.site != c.main() || !i.Is("Options") || execCGI(i.Words) != enabled {
			continue
		}
		dir := ""
		for p := i.Parent; p != nil; p = p.Parent {
			if p.Is("Directory") || p.Is("DirectoryMatch") {
				dir = literalDirectory(p)
			}
		}
		if dir == "" || dir == "/" {
			mapped()
		} else {
			add(dir)
		}
	}
	for _, a := range c.access {
		if slices.ContainsFunc(a.items, func(i *apacheconf.Item) bool { return i.Is("Options") && execCGI(i.Words) == enabled }) {
			add(a.dir)
		}
	}
	if len(roots) == 0 { // nothing may run: 403 for all of it
		mapped()
	}
	slices.SortFunc(roots, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	var outer []string
	for _, dir := range roots {
		if !slices.ContainsFunc(outer, func(o string) bool { return within(o, dir) }) {
			outer = append(outer, dir)
		}
	}
	return outer
}

// within says whether a path is dir, or below it.
func within(dir, name string) bool {
	return dir == "/" || name == dir || strings.HasPrefix(name, dir+"/")
}

// literalDirectory is the directory that all directories are in which a section
// matches.
func literalDirectory(section *apacheconf.Item) string {
	words := section.Words
	regex := section.Is("DirectoryMatch")
	if len(words) > 1 && words[0] == "~" {
		regex, words = true, words[1:]
	}
	if len(words) == 0 {
		return ""
	}
	name, special := words[0], "*?["
	if regex {
		name, special = strings.TrimPrefix(name, "^"), `\.+*?()[]{}$^|`
		if name == words[0] { // not anchored: anywhere
			return ""
		}
	}
	if at := strings.IndexAny(name, special); at >= 0 {
		name = name[:at]
		return path.Dir(name + "x")
	}
	return path.Clean(name)
}

// change is what an Options directive does to ExecCGI.
type change uint8

const (
	unchanged change = iota
	enabled
	disabled
)

// execCGI says what Options does to ExecCGI: without + and - the whole list counts.
func execCGI(words []string) change {
	relative := len(words) > 0
	for _, w := range words {
		relative = relative && strings.Trim(w[:min(1, len(w))], "+-") == ""
	}
	state := disabled
	if relative {
		state = unchanged
	}
	for _, w := range words {
		name := strings.ToLower(strings.TrimLeft(w, "+-"))
		switch {
		case name == "execcgi" || name == "all":
			state = enabled
			if strings.HasPrefix(w, "-") {
				state = disabled
			}
		case name == "none" && !relative:
			state = disabled
		}
	}
	return state
}
