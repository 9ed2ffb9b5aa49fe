package apacheconf

import (
	"path"
	"slices"
	"strings"
)

// expansions are what a value of a group may be, besides a name and %{ENV:…}.
var expansions = []string{"%{GLOBAL}", "%{SERVER}", "%{HOST}", "%{RESOURCE}"}

// lint finds mistakes that only all directives together show.
func (m *Model) lint() {
	for _, h := range m.Hosts {
		for _, s := range append([]*Scope{&h.Scope}, h.Scopes...) {
			m.lintScope(h, s)
		}
		for _, mount := range h.Mounts {
			m.lintTwice(h, mount)
			for _, what := range []string{"process group", "application group"} {
				if v, given := mount.Option(strings.Replace(what, " ", "-", 1)); given && v != "" {
					m.lintGroup(mount.Item, h, what, v)
				}
			}
		}
	}
	for _, d := range m.Daemons {
		if !m.used(d.Name) {
			m.warn(d.Item.Problem("add WSGIProcessGroup "+d.Name+" where its applications are", "process group %s is declared and used nowhere: applications run embedded in Apache", d.Name))
		}
	}
}

// lintGroup finds mistakes in the name of a process group.
func (m *Model) lintGroup(i *Item, host *Host, what, value string) {
	switch {
	case slices.Contains(expansions, value), strings.HasPrefix(value, "%{ENV:") && strings.HasSuffix(value, "}"):
	case strings.ContainsAny(value, "%{}$"):
		m.warn(i.Problem("there are "+strings.Join(expansions, ", ")+" and %{ENV:name}", "%s %q is taken as a name", what, value))
	case what != "process group":
	case m.daemon(value) == nil:
		hint := "write WSGIDaemonProcess " + value
		var names []string
		for _, d := range m.Daemons {
			names = append(names, d.Name)
		}
		if word := similar(value, names); word != "" {
			hint = "did you mean " + word + "?"
		}
		m.warn(i.Problem(hint, "process group %s is declared nowhere: every request is a 500", value))
	default:
		if d := m.daemon(value); d.Host != m.Hosts[0] && d.Host != host && !sameName(d.Host, host) {
			m.warn(i.Problem("declare it outside of <VirtualHost>", "process group %s belongs to the virtual host of %s: every request is a 500", value, d.Item.Position()))
		}
	}
}

func (m *Model) lintScope(h *Host, s *Scope) {
	if v, given := s.Value("WSGIProcessGroup"); given {
		m.lintGroup(s.Settings["WSGIProcessGroup"], h, "process group", v)
	}
	if v, given := s.Value("WSGIApplicationGroup"); given {
		m.lintGroup(s.Settings["WSGIApplicationGroup"], h, "application group", v)
	}
	if item := s.Settings["WSGIRestrictProcess"]; item != nil {
		for _, word := range item.Words {
			if word != "%{GLOBAL}" {
				m.lintGroup(item, h, "process group", word)
			}
		}
	}
}

// lintMount finds mistakes in one mount.
func (m *Model) lintMount(h *Host, mount *Mount) {
	i := mount.Item
	m.declared(i, h, 2)
	switch {
	case strings.Contains(mount.Target, "{{") || strings.HasPrefix(mount.Target, "$") && !mount.Match:
		m.warn(i.Problem("write the path out", "%s is taken as it is", mount.Target))
	case !path.IsAbs(mount.Target) && !windowsPath(mount.Target) && !strings.HasPrefix(mount.Target, "${"):
		m.warn(i.Problem("write an absolute path", "%s is looked up where Apache happens to be", mount.Target))
	}
	if mount.Match {
		return
	}
	url, target := strings.HasSuffix(mount.URL, "/"), strings.HasSuffix(mount.Target, "/")
	ext := path.Ext(strings.TrimRight(mount.Target, "/"))
	switch {
	case target && (ext == ".py" || ext == ".wsgi"):
		m.warn(i.Problem("write it without the slash", "%s ends with a slash, and is a file", mount.Target))
	case url && mount.URL != "/" && !target && ext != "":
		m.warn(i.Problem("write "+strings.TrimRight(mount.URL, "/"), "%s ends with a slash, and its target does not: only the URL itself is found", mount.URL))
	}
	if !strings.HasPrefix(mount.URL, "/") && !strings.HasPrefix(mount.URL, "${") {
		m.warn(i.Problem("write /"+mount.URL, "%s begins with no slash: no URL is like that", mount.URL))
	}
}

func windowsPath(name string) bool {
	return len(name) > 2 && name[1] == ':' && (name[2] == '/' || name[2] == '\\')
}

// lintTwice: the same URL mounted twice; the first counts.
func (m *Model) lintTwice(h *Host, mount *Mount) {
	for _, other := range h.Mounts {
		if other == mount {
			return
		}
		if other.Match == mount.Match && other.URL == mount.URL {
			m.warn(mount.Item.Problem("take one of them out", "%s is mounted already, in %s, and the first one counts", mount.URL, other.Item.Position()))
			return
		}
	}
}

// lintGuard finds scripts that nothing is asked of.
func (m *Model) lintGuard(i *Item) {
	if i.context(false)&(inMain|inHost) != 0 {
		m.warn(i.Problem("move it into <Location />", "%s guards nothing here, and mod_wsgi 4 refuses it", i.Name))
	}
}

// lintSection finds sections that match nothing.
func (m *Model) lintSection(i *Item) {
	if len(i.Words) == 0 || !holdsWSGI(i) {
		return
	}
	name := i.Words[0]
	switch ext := path.Ext(name); {
	case i.Is("Files") && strings.Contains(name, "/") && name != "~":
		m.warn(i.Problem("write "+path.Base(name)+", inside <Directory "+path.Dir(name)+">", "Files takes the name of a file without its directory: this matches nothing"))
	case i.Is("Directory") && (ext == ".py" || ext == ".wsgi"):
		m.warn(i.Problem("write <Directory "+path.Dir(name)+"> <Files "+path.Base(name)+">", "Directory names a file: this matches nothing"))
	}
}

func holdsWSGI(i *Item) bool {
	return slices.ContainsFunc(i.Children, func(c *Item) bool {
		return OfWSGI(c.Name) || c.Is("Require") || c.Is("SetHandler") || holdsWSGI(c)
	})
}

// used says whether anything can reach a process group.
func (m *Model) used(name string) bool {
	names := func(v string) bool { return v == name || strings.HasPrefix(v, "%{") && v != "%{GLOBAL}" }
	for _, h := range m.Hosts {
		for _, s := range append([]*Scope{&h.Scope}, h.Scopes...) {
			if v, given := s.Value("WSGIProcessGroup"); given && names(v) || s.Settings["WSGIDispatchScript"] != nil {
				return true
			}
		}
		for _, mount := range h.Mounts {
			if v, given := mount.Option("process-group"); given && names(v) {
				return true
			}
		}
		for _, i := range h.Imports {
			if v, _ := i.Option("process-group", 1); v == name {
				return true
			}
		}
		for _, i := range h.Handlers {
			if v, given := i.Option("process-group", 2); given && names(v) {
				return true
			}
		}
	}
	return false
}
