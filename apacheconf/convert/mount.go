package convert

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
)

// mount is what wsgid serves, in one site: a WSGIScriptAlias, a directory of
// scripts or a WSGIHandlerScript.
type mount struct {
	kind, label string // of the block
	site        *site
	item        *apacheconf.Item // its directive; nil: a directory of scripts
	source      *apacheconf.Mount
	optionsAt   int // word of the directive at which options begin
	match       bool
	inherited   bool // from the main server
	// file is the script, or with dir the directory of scripts; of a match the
	// directory that its target never leaves.
	file   string
	dir    bool
	extra  string // of the target behind the script
	hidden bool   // by one before it of the same URL
}

// url of a mount that has one.
func (m *mount) url() string { return m.label }

// mountOn adds a mount to a site.
func (c *converter) mountOn(s *site, source *apacheconf.Mount) {
	m := &mount{kind: "script_alias", label: source.URL, site: s, item: source.Item, source: source, optionsAt: 2, match: source.Match,
		inherited: s != c.main() && slices.Contains(c.main().host.Mounts, source)}
	target := source.Target
	switch {
	case strings.Contains(target, "${") || strings.Contains(source.URL, "${"):
		c.fail(source.Item.Problem("Define it, or give it with --env NAME=value", "a variable is not known"))
		return
	case !path.IsAbs(target):
		hint := "write an absolute path"
		if strings.HasPrefix(target, "$") {
			hint = "Apache replaces ${NAME}, and not $NAME: write the path out"
		}
		c.fail(source.Item.Problem(hint, "%s is no path that wsgid can serve", target))
		return
	case !m.match && !strings.HasPrefix(source.URL, "/"):
		m.hidden = true // no URL is like that
	}
	for _, other := range s.mounts {
		m.hidden = m.hidden || other.match == m.match && other.url() == m.url()
	}
	if m.match {
		m.kind = "script_alias_match"
		literal := target
		if at := strings.IndexByte(target, '$'); at >= 0 {
			literal = target[:at]
			m.dir = true
			m.file = path.Clean(literal[:strings.LastIndexByte(literal, '/')+1])
			if file, extra, dir := c.split(literal); !dir && extra != "" { // the $ stands behind the script
				m.dir, m.file = false, file
			}
		} else {
			m.file, m.extra, m.dir = c.split(target)
		}
		if m.file == "/" {
			c.fail(source.Item.Problem("begin the target with a directory that all scripts are in", "any file of the machine could be run"))
			return
		}
		s.mounts = append(s.mounts, m)
		return
	}
	m.file, m.extra, m.dir = c.split(target)
	s.mounts = append(s.mounts, m)
}

// split finds the script on a path that may go on behind it, by looking at the
// files, or where there are none by their names.
func (c *converter) split(target string) (file, extra string, dir bool) {
	parts := strings.Split(target, "/")
	for n := 2; n <= len(parts); n++ {
		name := strings.Join(parts[:n], "/")
		if info, err := c.options.FS.Stat(name); err == nil && !info.IsDir() && name != "" {
			return path.Clean(name), target[len(name):], false
		}
	}
	if info, err := c.options.FS.Stat(target); err == nil && info.IsDir() {
		return path.Clean(target), "", true
	}
	for n := 2; n <= len(parts); n++ {
		if name := strings.Join(parts[:n], "/"); scriptName.MatchString(parts[n-1]) {
			return path.Clean(name), target[len(name):], false
		}
	}
	return path.Clean(target), "", strings.HasSuffix(target, "/")
}

// scriptName is what scripts are called that one cannot look at.
var scriptName = regexp.MustCompile(`\.(wsgi|py|pyw|fcgi|cgi)$`)

// option of the mount's own directive.
func (m *mount) option(name string) (string, bool) {
	if m.item == nil {
		return "", false
	}
	return m.item.Option(name, m.optionsAt)
}

// reach says which requests of a mount a section concerns.
type reach uint8

const (
	never reach = iota
	sometimes
	always
)

// reaches works out what the sections around a directive, or a section itself,
// mean for a mount; of those that cannot be foreseen it says sometimes.
func (c *converter) reaches(section *apacheconf.Item, m *mount) reach {
	result := always
	for p := section; p != nil; p = p.Parent {
		result = min(result, c.reachOf(p, m))
	}
	return result
}

func (c *converter) reachOf(p *apacheconf.Item, m *mount) reach {
	if p.Is("VirtualHost") {
		if p == m.site.host.Section {
			return always
		}
		return never
	}
	if p.Is("Proxy") || p.Is("ProxyMatch") {
		return never
	}
	if len(p.Words) == 0 || p.Words[0] == "~" {
		return sometimes
	}
	word := p.Words[0]
	switch {
	case p.Is("Directory"):
		return directoryReach(path.Clean(word), m)
	case p.Is("Files"):
		if m.dir || m.kind != "script_alias" && m.kind != "script_alias_match" {
			return sometimes
		}
		if ok, err := path.Match(word, path.Base(m.file)); err == nil && ok {
			return always
		}
		return never
	case p.Is("FilesMatch"):
		re, err := regexp.Compile(word)
		if m.dir || err != nil || m.kind != "script_alias" && m.kind != "script_alias_match" {
			return sometimes
		}
		if re.MatchString(path.Base(m.file)) {
			return always
		}
		return never
	case p.Is("Location"):
		return locationReach(word, m)
	}
	return sometimes
}

func directoryReach(dir string, m *mount) reach {
	if m.kind == "handler_script" {
		return sometimes
	}
	own := m.file
	if !m.dir {
		own = path.Dir(m.file)
	}
	if strings.ContainsAny(dir, "*?[") {
		depth := strings.Count(dir, "/")
		if parts := strings.Split(own, "/"); len(parts) > depth {
			if ok, err := path.Match(dir, strings.Join(parts[:depth+1], "/")); err == nil && ok {
				return always
			} else if err == nil && !m.dir {
				return never
			}
		}
		return sometimes
	}
	switch {
	case within(dir, own):
		return always
	case m.dir && within(own, dir):
		return sometimes
	}
	return never
}

func locationReach(url string, m *mount) reach {
	if url == "/" {
		return always
	}
	if m.source == nil || m.match || strings.ContainsAny(url, "*?[") {
		return sometimes
	}
	plain := strings.TrimRight(url, "/")
	own := strings.TrimRight(m.url(), "/")
	switch {
	case within(plain, own) && (plain == url || own != plain):
		return always
	case within(plain, own) || own == "" || within(own, plain):
		return sometimes
	}
	return never
}

// rank orders sections as Apache merges them: Directory by depth, then Files,
// then Location, then If.
func rank(section *apacheconf.Item) (class, depth int) {
	for p := section; p != nil; p = p.Parent {
		switch {
		case p.Is("If"), p.Is("ElseIf"), p.Is("Else"):
			class = max(class, 4)
		case p.Is("Location"), p.Is("LocationMatch"):
			class = max(class, 3)
		case p.Is("Files"), p.Is("FilesMatch"):
			class = max(class, 2)
		case p.Is("Directory"), p.Is("DirectoryMatch"):
			class = max(class, 1)
			if len(p.Words) > 0 {
				depth = strings.Count(strings.TrimRight(p.Words[0], "/"), "/")
			}
		}
	}
	return class, depth
}
