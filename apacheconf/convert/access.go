package convert

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
)

// accessFile is a .htaccess file.
type accessFile struct {
	dir   string
	file  *apacheconf.File
	items []*apacheconf.Item // nested ones behind their sections
}

// mostEntries bounds how many names are looked at for .htaccess files.
const mostEntries = 200000

// overridable says whether .htaccess files are read at all.
func (c *converter) overridable() bool {
	return slices.ContainsFunc(c.all, func(i placedItem) bool {
		return i.Is("AllowOverride") && len(i.Words) > 0 && !strings.EqualFold(i.Words[0], "None")
	})
}

// accessNames are what .htaccess files are called.
func (c *converter) accessNames() []string {
	names := []string{".htaccess"}
	for _, i := range c.all {
		if i.Is("AccessFileName") {
			names = i.Words
		}
	}
	return names
}

// accessFiles finds the .htaccess files in the directories that the configuration
// names, and keeps those that have to change.
func (c *converter) accessFiles() {
	var dirs []string
	add := func(dir string) {
		if path.IsAbs(dir) && path.Clean(dir) != "/" {
			dirs = append(dirs, path.Clean(dir))
		}
	}
	for _, s := range c.sites {
		add(s.documentRoot)
		for _, a := range s.aliases {
			target, _, _ := strings.Cut(a.Words[1], "$")
			add(path.Dir(target))
		}
		for _, m := range s.host.Mounts {
			target, _, _ := strings.Cut(m.Target, "$")
			add(path.Dir(target + "x"))
		}
	}
	for _, i := range c.all {
		if i.Is("Directory") || i.Is("DirectoryMatch") {
			add(literalDirectory(i.Item))
		}
	}
	slices.Sort(dirs)
	left, seen := mostEntries, map[string]bool{}
	names := c.accessNames()
	for _, dir := range slices.Compact(dirs) {
		c.lookInto(dir, names, seen, &left)
		for parent := path.Dir(dir); parent != "/"; parent = path.Dir(parent) {
			c.accessOf(parent, names, seen)
		}
	}
	if left < 0 {
		c.note("More than %d files lie in the directories of this configuration: .htaccess files have been looked for in the first of them only.", mostEntries)
	}
}

// lookInto looks for .htaccess files in a directory and all below.
func (c *converter) lookInto(dir string, names []string, seen map[string]bool, left *int) {
	if seen["below "+dir] || *left < 0 {
		return
	}
	seen["below "+dir] = true
	c.accessOf(dir, names, seen)
	entries, err := c.options.FS.ReadDir(dir)
	if err != nil {
		return // it may be missing here, or closed to all
	}
	for _, entry := range entries {
		if *left--; *left < 0 {
			return
		}
		if entry.IsDir() {
			c.lookInto(path.Join(dir, entry.Name()), names, seen, left)
		}
	}
}

// accessOf reads the .htaccess file of a directory, if it has one.
func (c *converter) accessOf(dir string, names []string, seen map[string]bool) {
	if seen[dir] {
		return
	}
	seen[dir] = true
	for _, name := range names {
		file := path.Join(dir, name)
		source, err := c.options.FS.ReadFile(file)
		if err != nil {
			continue
		}
		c.readAccess(dir, file, source)
		return // Apache reads the first one that is there
	}
}

func (c *converter) readAccess(dir, name string, source []byte) {
	if !strings.Contains(strings.ToLower(string(source)), "wsgi") && !strings.Contains(strings.ToLower(string(source)), "execcgi") {
		return
	}
	f, err := apacheconf.Parse(name, source)
	if err != nil {
		c.note("%v: Apache answers every request there with 500; the file is left as it is.", err)
		return
	}
	cfg, err := apacheconf.Evaluate(f, apacheconf.Options{
		ServerRoot: c.config.ServerRoot, Defines: c.config.Defines, FS: c.options.FS,
		Modules: slices.Sorted(maps.Keys(c.config.Modules)),
	})
	if err != nil {
		c.note("%v: Apache answers every request there with 500; the file is left as it is.", err)
		return
	}
	a := &accessFile{dir: dir, file: f}
	var walk func(items []*apacheconf.Item)
	walk = func(items []*apacheconf.Item) {
		for _, i := range items {
			a.items = append(a.items, i)
			walk(i.Children)
		}
	}
	walk(cfg.Items)
	c.access = append(c.access, a)
}

// runs says whether the file gives files to mod_wsgi.
func (a *accessFile) runs() bool { return slices.ContainsFunc(a.items, wsgiHandler) }

// convertAccess converts the directives in .htaccess files. They become variables
// always: what they say concerns a directory, and perhaps several sites.
func (c *converter) convertAccess() {
	scripts := slices.ContainsFunc(c.sites, func(s *site) bool { return len(s.handlers) > 0 })
	for _, a := range c.access {
		for _, i := range a.items {
			if len(i.Words) > 0 {
				c.accessItem(i, scripts)
			}
		}
		of := c.byFile[a.file]
		if of == nil || !of.settle() {
			continue
		}
		name := path.Join(a.dir, accessCopy)
		c.result.Access = append(c.result.Access, File{Name: a.file.Name, Path: name, Before: a.file.Source, After: of.apply(), edits: of.list})
	}
	if len(c.result.Access) > 0 {
		c.mainLines = append(c.mainLines, "# Converted copies lie beside .htaccess files that have something of mod_wsgi.",
			"AccessFileName "+accessCopy+" "+strings.Join(c.accessNames(), " "))
		for _, i := range c.all {
			if i.Is("AccessFileName") {
				c.rewrite(i.Item, "AccessFileName "+accessCopy+" "+strings.Join(quotedAll(i.Words), " "))
			}
		}
	}
}

// accessCopy is what the converted copy of a .htaccess file is called.
const accessCopy = ".htaccess-wsgid"

func (c *converter) accessItem(i *apacheconf.Item, scripts bool) {
	placed := placedItem{Item: i, site: c.main()}
	switch r := requestOf(i.Name); {
	case wsgiHandler(i):
		c.wsgiScript(placed, scripts)
	case i.Is("Options") && c.exec:
		switch execCGI(i.Words) {
		case enabled:
			c.behind(i, "SetEnv WSGID_EXEC_CGI 1")
		case disabled:
			c.behind(i, "UnsetEnv WSGID_EXEC_CGI")
		}
	case (i.Is("SetHandler") || i.Is("AddHandler")) && c.ours(i.Words[0]):
		c.handlerScript(placed)
	case !apacheconf.OfWSGI(i.Name), asks(i):
	case r != nil && r.byDefault && r.option != "restrict_process":
		c.commentOut(i, c.setEnv(r, i.Words))
		c.report(i, Converted, "SetEnv %s", r.parameter)
	case i.Is("WSGIPassAuthorization") && on(i): // CGIPassAuth would need AllowOverride AuthConfig
		c.commentOut(i, `SetEnvIf Authorization "(.+)" HTTP_AUTHORIZATION=$1`)
		c.report(i, Converted, "SetEnvIf Authorization")
	case i.Is("WSGIPassAuthorization"):
		c.commentOut(i, "SetEnv WSGID_PASS_AUTHORIZATION Off")
		c.report(i, Converted, "SetEnv WSGID_PASS_AUTHORIZATION")
	case i.Is("WSGIErrorOverride"):
		c.commentOut(i, "SetEnv WSGID_ERROR_OVERRIDE "+onOff(i))
		c.report(i, Differs, "SetEnv WSGID_ERROR_OVERRIDE: a plain page, and not the ErrorDocument; ProxyErrorOverride may stand in <Directory> alone")
	case onlyHere[strings.ToLower(i.Name)] != "":
		c.commentOut(i)
		c.report(i, NotNeeded, "%s", onlyHere[strings.ToLower(i.Name)])
	case c.told[i]:
	default:
		c.commentOut(i)
		c.report(i, Differs, "it may not stand in .htaccess files: Apache answers with 500")
	}
}
