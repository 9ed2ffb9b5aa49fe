package inspect

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
	"github.com/wsgid/wsgid/config"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Exposure is a file, or a directory, that Apache hands out as it is.
type Exposure struct {
	apacheconf.Position          // of the DocumentRoot or Alias
	Path, URL           string   // what lies there, and how it is reached
	Write               []string // the section that closes it
}

// Scripts are the files and directories of a configuration that no browser should
// read: scripts of all kinds and Python environments.
func Scripts(c *config.Config) []string {
	var all []string
	add := func(names ...string) {
		for _, name := range names {
			if path.IsAbs(name) && !slices.Contains(all, path.Clean(name)) {
				all = append(all, path.Clean(name))
			}
		}
	}
	for _, m := range c.Mounts() {
		if !m.Root && (!m.Match || m.Append == "") {
			add(m.Target)
		}
	}
	for i := range c.ImportScripts {
		add(c.ImportScripts[i].Path)
	}
	for i := range c.DispatchScripts {
		add(c.DispatchScripts[i].Path)
	}
	for _, kind := range []string{"auth_user_script", "auth_group_script", "access_script"} {
		for _, s := range c.AuthScripts(kind) {
			add(s.Path)
		}
	}
	add(c.Router.PythonHome)
	for i := range c.DaemonProcesses {
		add(c.DaemonProcesses[i].PythonHome)
	}
	return all
}

// tree is a directory, or file, that has a URL.
type tree struct {
	item        *apacheconf.Item
	host        *apacheconf.Item // its <VirtualHost>; nil: the main server
	url, target string
	prefix      string // of what lies below it
}

// Exposed finds those of the paths that lie where Apache hands files out: below a
// DocumentRoot or the target of an Alias, in sections that do not refuse, and that
// no handler serves. What only a request decides counts as open.
func Exposed(c *apacheconf.Config, paths []string) []Exposure {
	var trees []tree
	var sections []*apacheconf.Item
	var walk func(items []*apacheconf.Item, host *apacheconf.Item)
	walk = func(items []*apacheconf.Item, host *apacheconf.Item) {
		for _, i := range items {
			switch {
			case i.Is("VirtualHost"):
				walk(i.Children, i)
				continue
			case i.Is("DocumentRoot") && len(i.Words) == 1:
				trees = append(trees, tree{item: i, host: host, url: "/", target: path.Clean(i.Words[0])})
			case i.Is("Alias") && len(i.Words) == 2:
				trees = append(trees, tree{item: i, host: host, url: i.Words[0], target: path.Clean(i.Words[1])})
			case i.Is("Directory"), i.Is("Files"), i.Is("FilesMatch"), i.Is("Location"):
				sections = append(sections, i)
			}
			if !i.Is("Macro") {
				walk(i.Children, host)
			}
		}
	}
	walk(c.Items, nil)
	var found []Exposure
	for n := range trees {
		trees[n].prefix = strings.TrimRight(trees[n].target, "/") + "/"
	}
	for _, name := range paths {
		dir := name + "/"
		for _, t := range trees {
			rest, below := strings.CutPrefix(dir, t.prefix)
			if !below || rest == "" && t.url != "/" && served(sections, t, name) {
				continue
			}
			url := strings.TrimRight(t.url, "/") + "/" + strings.TrimRight(rest, "/")
			if rest == "" {
				url = t.url
			}
			if overlaid(trees, t, url) || served(sections, t, name) || refused(sections, t, name) {
				continue
			}
			found = append(found, Exposure{t.item.Position(), name, url, closing(name)})
			break
		}
	}
	return found
}

// overlaid says whether another tree of the host has the URL: a longer alias.
func overlaid(trees []tree, t tree, url string) bool {
	return slices.ContainsFunc(trees, func(o tree) bool {
		own := strings.TrimRight(o.url, "/")
		return o.item != t.item && (o.host == t.host || o.host == nil) && len(o.url) >= len(t.url) && o.item.Is("Alias") && o.target != t.target &&
			(url == own || strings.HasPrefix(url, own+"/"))
	})
}

// concerns says whether a section is about a file, with all sections around it.
func concerns(section *apacheconf.Item, t tree, name string) bool {
	for p := section; p != nil; p = p.Parent {
		if len(p.Words) == 0 {
			continue
		}
		word := p.Words[0]
		switch {
		case p.Is("VirtualHost"):
			if p != t.host {
				return false
			}
		case p.Is("Directory"):
			dir := path.Clean(word)
			if name != dir && !strings.HasPrefix(name, strings.TrimRight(dir, "/")+"/") {
				return false
			}
		case p.Is("Files"):
			if ok, err := path.Match(word, path.Base(name)); err != nil || !ok {
				return false
			}
		default:
			return false // of a URL, an expression: only a request tells
		}
	}
	return true
}

// served says whether a handler has the file run instead of read.
func served(sections []*apacheconf.Item, t tree, name string) bool {
	handled := false
	for _, s := range sections {
		if !concerns(s, t, name) {
			continue
		}
		for _, i := range s.Children {
			if i.Is("SetHandler") && len(i.Words) == 1 {
				handled = !strings.EqualFold(i.Words[0], "none") && !strings.EqualFold(i.Words[0], "default-handler")
			}
		}
	}
	return handled
}

// refused says whether access to the file is denied to all.
func refused(sections []*apacheconf.Item, t tree, name string) bool {
	ordered := slices.Clone(sections)
	slices.SortStableFunc(ordered, func(a, b *apacheconf.Item) int { return rank(a) - rank(b) })
	denied := false
	for _, s := range ordered {
		if !concerns(s, t, name) {
			continue
		}
		for _, i := range s.Children {
			switch args := strings.ToLower(strings.Join(i.Words, " ")); {
			case i.Is("Require"):
				denied = args == "all denied"
			case i.Is("Deny"):
				denied = args == "from all"
			case i.Is("Allow"):
				denied = false
			}
		}
	}
	return denied
}

// rank orders sections as Apache merges them.
func rank(section *apacheconf.Item) int {
	n := 0
	for p := section; p != nil; p = p.Parent {
		if len(p.Words) > 0 && p.Is("Directory") {
			n += strings.Count(strings.TrimRight(path.Clean(p.Words[0]), "/"), "/")
		}
		if p.Is("Files") {
			n += 1000
		}
	}
	return n
}

// closing is the section that closes a file, or a directory.
func closing(name string) []string {
	if path.Ext(name) == "" {
		return []string{"<Directory " + quoted(name) + ">", "    Require all denied", "</Directory>"}
	}
	return []string{"<Directory " + quoted(path.Dir(name)) + ">", "    <Files " + quoted(path.Base(name)) + ">", "        Require all denied", "    </Files>", "</Directory>"}
}
