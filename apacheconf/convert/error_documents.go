package convert

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
	"github.com/wsgid/wsgid/internal/urlpattern"
)

// errorPage is what an ErrorDocument is for errors that wsgid finds.
type errorPage struct {
	status int
	value  string // of error_document; empty: wsgid's own page
	why    string // it has no twin
}

// hostPages writes what the whole of a site says about errors.
func (c *converter) hostPages(b *block, s *site) {
	if pages := c.pages(s, nil); len(pages) > 0 {
		b.set("error_document", pagesText(pages))
	}
}

// mountPages writes what sections say for all requests of a mount.
func (c *converter) mountPages(b *block, m *mount) {
	if own := c.pages(m.site, m); !maps.Equal(own, c.pages(m.site, nil)) {
		b.set("error_document", pagesText(own))
	}
}

// pages are the values of error_document for a whole site, or with what sections say
// for all requests of a mount.
func (c *converter) pages(s *site, m *mount) map[int]string {
	pages := map[int]string{}
	if c.overridesErrors(s) {
		return pages
	}
	take := func(i placedItem) {
		switch p := c.errorPage(s, i.Item); {
		case p.status == 0:
		case p.value == "":
			delete(pages, p.status)
		default:
			pages[p.status] = p.value
		}
	}
	for _, of := range []*site{c.main(), s} {
		for _, i := range c.documents {
			if i.site == of && i.Parent == of.host.Section {
				take(i)
			}
		}
	}
	if m == nil {
		return pages
	}
	var inside []placedItem
	for _, i := range c.documents {
		if (i.site == s || i.site == c.main()) && i.Parent != i.site.host.Section && c.reaches(i.Parent, m) == always {
			inside = append(inside, i)
		}
	}
	slices.SortStableFunc(inside, func(a, b placedItem) int {
		classA, depthA := rank(a.Parent)
		classB, depthB := rank(b.Parent)
		return cmp.Or(cmp.Compare(classA, classB), cmp.Compare(depthA, depthB))
	})
	for _, i := range inside {
		take(i)
	}
	return pages
}

func pagesText(pages map[int]string) string {
	if len(pages) == 0 {
		return "{}"
	}
	var entries []string
	for _, status := range slices.Sorted(maps.Keys(pages)) {
		entries = append(entries, fmt.Sprintf("%d = %s", status, text(pages[status])))
	}
	return "{ " + strings.Join(entries, ", ") + " }"
}

// errorPage says what an ErrorDocument is for a site.
func (c *converter) errorPage(s *site, i *apacheconf.Item) errorPage {
	status, err := strconv.Atoi(i.Words[0])
	if err != nil || status < 400 || status > 599 {
		return errorPage{}
	}
	p := errorPage{status: status}
	value := strings.Join(i.Words[1:], " ")
	switch {
	case strings.EqualFold(value, "default"):
	case strings.Contains(value, "%{"):
		p.why = "it is put together for each request"
	case strings.HasPrefix(value, "/"):
		p.value, p.why = c.fileAt(s, value)
	case strings.Contains(value, "://") && !strings.Contains(value, " "):
		if status != 401 { // Apache ignores it
			p.value = value
		}
	default:
		p.value = value
	}
	return p
}

// staticTypes are the ends of names of files that Apache sends as they are.
var staticTypes = []string{".html", ".htm", ".xhtml", ".txt", ".json", ".xml"}

// fileAt is the file that a URL of a site is mapped to, if Apache sends it as it is;
// else why it does not.
func (c *converter) fileAt(s *site, url string) (name, why string) {
	under := func(prefix string) (string, bool) {
		prefix = strings.TrimRight(prefix, "/")
		rest, ok := strings.CutPrefix(url, prefix)
		return rest, ok && (rest == "" || rest[0] == '/')
	}
	for _, a := range slices.Concat(s.aliases, c.main().aliases) {
		rest, ok := under(a.Words[0])
		if a.Is("AliasMatch") || a.Is("ScriptAliasMatch") {
			ok = matches(a.Words[0], url)
		}
		if !ok {
			continue
		}
		if !a.Is("Alias") {
			return "", a.Name + " " + a.Words[0] + " has " + url
		}
		name = path.Join(a.Words[1], rest)
		break
	}
	if name == "" {
		for _, m := range s.mounts {
			if _, ok := under(m.url()); ok && !m.match || m.match && matches(m.url(), url) {
				return "", "an application serves " + url
			}
		}
		name = path.Join(s.documentRoot, url)
	}
	switch info, err := c.options.FS.Stat(name); {
	case err != nil || info.IsDir() || !path.IsAbs(name):
		return "", "there is no file " + name
	case !slices.Contains(staticTypes, strings.ToLower(path.Ext(name))) || c.filtered():
		return "", "Apache may not send " + name + " as it is"
	}
	return name, ""
}

// matches says whether a regular expression concerns a URL; of one that cannot be
// understood it says that it may.
func matches(expression, url string) bool {
	pattern, err := urlpattern.Compile(expression)
	if err != nil {
		return true
	}
	at, err := pattern.Find([]byte(url))
	return err != nil || at != nil
}

// filtered says whether something in the configuration makes pages of files.
func (c *converter) filtered() bool {
	return slices.ContainsFunc(c.all, func(i placedItem) bool {
		return (i.Is("AddOutputFilter") || i.Is("SetOutputFilter")) && strings.Contains(strings.ToUpper(i.Args), "INCLUDES") ||
			i.Is("XBitHack") || i.Is("AddHandler") && strings.Contains(strings.ToLower(i.Args), "server-parsed")
	})
}

// errorDocuments reports what becomes of each ErrorDocument for errors that wsgid
// finds. One for what is 500 and above is wanted for them; what is below is
// mostly found by Apache, or said by an application.
func (c *converter) errorDocuments() {
	for _, i := range c.documents {
		var page errorPage
		concerned := false
		for _, s := range c.concernedBy(i.site) {
			if c.overridesErrors(s) || !s.concerned() {
				continue
			}
			reached := i.Parent == i.site.host.Section
			for _, m := range s.everything() {
				switch c.reaches(i.Parent, m) {
				case always:
					reached = true
				case sometimes:
					reached, page.why = true, "it holds for some requests of the "+m.kind+" "+m.label+" alone"
				}
			}
			if !reached {
				continue
			}
			concerned = true
			p := c.errorPage(s, i.Item)
			page.status = p.status
			if p.why != "" {
				page.why = p.why
			}
		}
		switch {
		case !concerned || page.status == 0:
		case page.why == "":
			c.report(i.Item, Converted, "stays, and is error_document for errors that wsgid finds")
		case page.status >= 500:
			c.report(i.Item, Differs, "for errors that wsgid finds, such as an application that raises, wsgid's page is sent: %s. ProxyErrorOverride On in the section of the script has Apache's stand for all errors, the application's own included", page.why)
		}
	}
}
