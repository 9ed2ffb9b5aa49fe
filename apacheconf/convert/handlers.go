package convert

import (
	"regexp"
	"slices"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
)

// wsgiName says whether the name of a handler, or the old type, is mod_wsgi's own.
func wsgiName(name string) bool {
	return strings.EqualFold(name, "wsgi-script") || strings.EqualFold(name, "application/x-httpd-wsgi")
}

// wsgiHandler says whether a directive gives files to mod_wsgi.
func wsgiHandler(i *apacheconf.Item) bool {
	switch {
	case len(i.Words) == 0:
		return false
	case i.Is("SetHandler"), i.Is("AddHandler"), i.Is("ForceType"), i.Is("AddType"):
		return wsgiName(i.Words[0])
	case i.Is("RewriteRule"):
		return rewriteHandler.MatchString(i.Args)
	}
	return false
}

// rewriteHandler is the flag of RewriteRule that sets a handler.
var rewriteHandler = regexp.MustCompile(`(?i)([\[,]\s*(?:H|Handler)=)(?:wsgi-script|application/x-httpd-wsgi)(\s*[,\]])`)

// ours says whether a handler is mod_wsgi's, or one of its scripts.
func (c *converter) ours(name string) bool {
	return wsgiName(name) || slices.ContainsFunc(c.sites, func(s *site) bool {
		return slices.ContainsFunc(s.host.Handlers, func(i *apacheconf.Item) bool { return i.Words[0] == name })
	})
}

// handlers replaces the handlers of mod_wsgi by wsgid, and has the web server say
// where files may run, and what else it knows of them.
func (c *converter) handlers() {
	scripts := slices.ContainsFunc(c.sites, func(s *site) bool { return len(s.handlers) > 0 })
	for _, i := range c.all {
		if len(i.Words) == 0 || c.told[i.Item] {
			continue
		}
		switch {
		case wsgiHandler(i.Item):
			c.wsgiScript(i, scripts)
		case (i.Is("SetHandler") || i.Is("AddHandler")) && c.ours(i.Words[0]):
			c.handlerScript(i)
		case i.Is("SetHandler") && strings.EqualFold(i.Words[0], "none"):
			c.keepHandler(i)
		case i.Is("Options") && c.exec:
			switch execCGI(i.Words) {
			case enabled:
				c.behind(i.Item, "SetEnv WSGID_EXEC_CGI 1")
			case disabled:
				c.behind(i.Item, "UnsetEnv WSGID_EXEC_CGI")
			}
		case i.Is("AcceptPathInfo") && !strings.EqualFold(i.Words[0], "Default"):
			if strings.EqualFold(i.Words[0], "Off") || c.acceptOff() {
				c.behind(i.Item, "SetEnv WSGID_ACCEPT_PATH_INFO "+onOff(i.Item))
			}
		}
	}
}

// acceptOff says whether AcceptPathInfo is Off anywhere.
func (c *converter) acceptOff() bool {
	return slices.ContainsFunc(c.all, func(i placedItem) bool {
		return i.Is("AcceptPathInfo") && len(i.Words) == 1 && strings.EqualFold(i.Words[0], "Off")
	})
}

// wsgiScript replaces the handler wsgi-script.
func (c *converter) wsgiScript(i placedItem, scripts bool) {
	var lines []string
	switch {
	case i.Is("RewriteRule"):
		text := string(i.File.Source[i.Node.Start:i.Node.End])
		c.replace(i.File, i.Node.Start, i.Node.End, rewriteHandler.ReplaceAllString(text, "${1}"+strings.ReplaceAll(c.handler(), "$", "$$")+"${2}"))
		c.report(i.Item, Converted, "the handler is wsgid; script_root")
		return
	case i.Is("AddHandler"), i.Is("AddType"):
		lines = []string{"AddHandler " + quoted(c.handler()) + " " + strings.Join(quotedAll(i.Words[1:]), " ")}
	default:
		lines = []string{"SetHandler " + quoted(c.handler())}
	}
	if strings.ToLower(c.options.Socket) != c.options.Socket && !i.Is("SetHandler") {
		c.fail(i.Problem("take a path of small letters for --socket", "AddHandler makes %s lower case", c.options.Socket))
	}
	if scripts {
		lines = append(lines, "UnsetEnv WSGID_HANDLER")
	}
	c.commentOut(i.Item, append(lines, c.besides(i, c.isOnHere(i, "WSGIPassAuthorization"))...)...)
	c.report(i.Item, Converted, "%s; script_root", lines[0])
}

func quotedAll(words []string) []string {
	var all []string
	for _, w := range words {
		all = append(all, apacheconf.Quote(w))
	}
	return all
}

// isOnHere says whether the host of an item has a directive On.
func (c *converter) isOnHere(i placedItem, directive string) bool {
	item := c.hostValue(i.site, directive)
	return item != nil && on(item)
}

// besides are what goes with the handler: what mounts have in their own sections.
func (c *converter) besides(i placedItem, pass bool) []string {
	lines := []string{"SetEnv ap_trust_cgilike_cl 1"}
	var inDirectory []string
	if pass {
		inDirectory = append(inDirectory, "CGIPassAuth On")
	}
	switch {
	case c.overridesErrors(i.site):
		inDirectory = append(inDirectory, "ProxyErrorOverride On")
	case c.has("ProxyErrorOverride"):
		inDirectory = append(inDirectory, "ProxyErrorOverride Off")
	}
	if inDirectory == nil {
		return lines
	}
	if i.Parent == i.site.host.Section { // these may not stand outside of a directory context
		inDirectory = append(append([]string{`<Directory "/">`}, indented(inDirectory)...), "</Directory>")
	}
	return append(lines, inDirectory...)
}

// handlerScript replaces a handler that WSGIHandlerScript has named.
func (c *converter) handlerScript(i placedItem) {
	name := i.Words[0]
	pass := c.isOnHere(i, "WSGIPassAuthorization")
	for _, m := range i.site.handlers {
		if m.label == name {
			pass = c.isOn(m, "WSGIPassAuthorization", false)
		}
	}
	variable := "SetEnv WSGID_HANDLER " + quoted(name)
	if i.Is("SetHandler") {
		c.commentOut(i.Item, append([]string{"SetHandler " + quoted(c.handler()), variable}, c.besides(i, pass)...)...)
		c.report(i.Item, Converted, "SetHandler %s and SetEnv WSGID_HANDLER", quoted(c.handler()))
		return
	}
	var extensions []string
	for _, word := range i.Words[1:] {
		extensions = append(extensions, regexp.QuoteMeta(strings.TrimPrefix(word, ".")))
	}
	lines := []string{"AddHandler " + quoted(c.handler()) + " " + strings.Join(quotedAll(i.Words[1:]), " ")}
	lines = append(lines, `<FilesMatch "(?i)\.(`+strings.Join(extensions, "|")+`)(\.|$)">`, "    "+variable, "</FilesMatch>")
	c.commentOut(i.Item, append(lines, c.besides(i, pass)...)...)
	c.report(i.Item, Converted, "AddHandler %s, with SetEnv WSGID_HANDLER for its files", quoted(c.handler()))
}

// keepHandler: SetHandler None takes nothing from an alias of mod_wsgi, but it
// takes the handler from ours, and the source of the script would be sent.
func (c *converter) keepHandler(i placedItem) {
	if class, _ := rank(i.Parent); class < 3 {
		return // sections for files come later
	}
	var lines []string
	for _, s := range c.sites {
		if i.site != s && i.site != c.main() {
			continue
		}
		for _, m := range s.mounts {
			if m.hidden || c.reaches(i.Parent, m) == never || c.shadowed(i, m) {
				continue
			}
			test := "%{REQUEST_FILENAME} == " + expressionText(m.file)
			if m.dir {
				test = "%{REQUEST_FILENAME} =~ m#^" + regexp.QuoteMeta(m.file) + "/#"
			}
			if block := []string{`<If "` + test + `">`, "    SetHandler " + quoted(c.handler()), "</If>"}; !slices.Contains(lines, block[0]) {
				lines = append(lines, block...)
			}
		}
	}
	if lines != nil {
		c.behind(i.Item, lines...)
	}
}

// expressionText is a text in an expression of Apache that stands in quotes.
func expressionText(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, `"`, `\"`).Replace(text) + "'"
}

// shadowed says whether all URLs of the section around an item belong to an Alias.
func (c *converter) shadowed(i placedItem, m *mount) bool {
	location := i.Parent
	if location == nil || !location.Is("Location") || len(location.Words) == 0 {
		return false
	}
	url := strings.TrimRight(location.Words[0], "/")
	for _, s := range []*site{m.site, c.main()} {
		for _, a := range s.aliases {
			if (a.Is("Alias") || a.Is("ScriptAlias")) && within(strings.TrimRight(a.Words[0], "/"), url) && (strings.HasSuffix(location.Words[0], "/") || !strings.HasSuffix(a.Words[0], "/")) {
				return true
			}
		}
	}
	return false
}
