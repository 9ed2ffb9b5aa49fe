package convert

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
)

// Options of a conversion.
type Options struct {
	// OutDir is the absolute directory that the result is for.
	OutDir string
	// Socket that Apache reaches wsgid by; empty: /run/wsgid/wsgid.sock.
	Socket string
	// AuthAddress is where Apache asks wsgid about users; empty: 127.0.0.1:9321.
	AuthAddress string
	// DocumentRoot of sites for which the configuration says none; empty:
	// /var/www/html.
	DocumentRoot string
	// EmbeddedGroup is a process group for what ran in Apache itself; empty: it
	// runs in wsgid's router.
	EmbeddedGroup string
	// FS is what targets are looked up in, as in apacheconf.Options.
	FS apacheconf.FS
}

// Result is a converted configuration.
type Result struct {
	// Files of Apache, the main one first. Those that need no change and are
	// reached by no changed Include are not among them.
	Files []File
	// Access are .htaccess files that change.
	Access []File
	// HCL is wsgid's configuration.
	HCL []byte
	// Report has an entry for each directive that is mod_wsgi's, or stands for it.
	Report []Entry
	// Notes are what else an administrator has to know.
	Notes []string
	// Warnings about the configuration as it was.
	Warnings []*apacheconf.SyntaxError
}

// File is a file of Apache's configuration.
type File struct {
	Name   string // as it was read
	Path   string // where the converted one belongs
	Before []byte
	After  []byte
	edits  []edit
}

// Entry says what has become of a directive.
type Entry struct {
	apacheconf.Position
	Text    string // the directive
	Outcome Outcome
	Where   string // where it went, or why it did not
}

// Outcome of a directive.
type Outcome uint8

// Outcomes: it is done elsewhere; nothing has to do it; the site is served in
// another way without it.
const (
	Converted Outcome = iota
	NotNeeded
	Differs
)

// String is a word for people.
func (o Outcome) String() string { return [...]string{"converted", "not needed", "DIFFERS"}[o] }

// Differs says whether the site would not be served as before.
func (r *Result) Differs() bool {
	return slices.ContainsFunc(r.Report, func(e Entry) bool { return e.Outcome == Differs })
}

// RefusedError is a configuration that Apache or mod_wsgi would not start with.
type RefusedError struct{ Problems []*apacheconf.SyntaxError }

// Error is all problems, a line each.
func (e *RefusedError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// ErrNothing is the error about a configuration that has nothing of mod_wsgi.
var ErrNothing = errors.New("nothing of mod_wsgi is in force in this configuration")

// Convert converts a configuration. The error is a *RefusedError where it is wrong,
// or ErrNothing.
func Convert(cfg *apacheconf.Config, o Options) (*Result, error) {
	if o.Socket == "" {
		o.Socket = "/run/wsgid/wsgid.sock"
	}
	if o.AuthAddress == "" {
		o.AuthAddress = "127.0.0.1:9321"
	}
	if o.FS == nil {
		o.FS = apacheconf.Machine()
	}
	model := apacheconf.NewModel(cfg)
	c := &converter{options: o, config: cfg, model: model, told: map[*apacheconf.Item]bool{}, wrapped: map[*apacheconf.Item]bool{}, refused: slices.Clone(model.Errors)}
	c.prepare()
	if c.overridable() {
		c.accessFiles()
	}
	c.survey()
	if len(c.refused) > 0 {
		return nil, &RefusedError{c.refused}
	}
	c.result.Warnings = append(slices.Clone(cfg.Warnings), model.Warnings...)
	if !c.concerned() {
		return nil, ErrNothing
	}
	c.modules()
	c.server()
	c.daemons()
	c.scripts()
	c.handlers()
	c.hosts()
	c.contexts()
	c.authentication()
	c.convertAccess()
	c.leftovers()
	c.errorDocuments()
	c.proxyBlock()
	c.undeclaredGroups()
	if len(c.refused) > 0 {
		return nil, &RefusedError{c.refused}
	}
	if err := c.files(); err != nil {
		return nil, err
	}
	c.result.HCL = c.writeHCL()
	slices.SortStableFunc(c.result.Report, func(a, b Entry) int {
		if n := cmp.Compare(c.fileOrder(a.File), c.fileOrder(b.File)); n != 0 {
			return n
		}
		return cmp.Compare(a.Line, b.Line)
	})
	return &c.result, nil
}

// converter is a conversion under way.
type converter struct {
	options Options
	config  *apacheconf.Config
	model   *apacheconf.Model
	editor
	result  Result
	refused []*apacheconf.SyntaxError
	told    map[*apacheconf.Item]bool // directives that are in the report

	sites     []*site
	all       []placedItem // every item of the configuration, in order
	documents []placedItem // of them, ErrorDocument
	// access are the .htaccess files that have something of mod_wsgi.
	access []*accessFile
	// user and group that Apache runs as; empty: unknown.
	user, group string

	blocks     []*block // of wsgid.hcl that come before the hosts
	router     *block
	hostBlocks []*block
	mainLines  []string // for the end of the main file
	// asksHosts: access scripts are asked. wrapped are the first Require lines of
	// sections that hold together with them; opening has them, and closing the last ones.
	asksHosts        bool
	wrapped          map[*apacheconf.Item]bool
	opening, closing []*apacheconf.Item

	undeclared []string // process groups that nobody has declared
	// exec: files are run where they lie, by SetHandler wsgi-script.
	exec bool
}

// placedItem is an item with the host that it belongs to.
type placedItem struct {
	*apacheconf.Item
	site *site
	at   int // its place in the order in which Apache reads
}

// main is the main server.
func (c *converter) main() *site { return c.sites[0] }

// mainFile is the file that was read first.
func (c *converter) mainFile() *apacheconf.File { return c.config.Files[0] }

// report says what became of a directive.
func (c *converter) report(i *apacheconf.Item, o Outcome, format string, arguments ...any) {
	c.told[i] = true
	text := strings.TrimSpace(i.Name + " " + i.Args)
	if i.Node.Kind == apacheconf.Section {
		text = "<" + text + ">"
	}
	e := Entry{Position: i.Position(), Text: text, Outcome: o, Where: fmt.Sprintf(format, arguments...)}
	if !slices.Contains(c.result.Report, e) { // of a file that is included twice
		c.result.Report = append(c.result.Report, e)
	}
}

func (c *converter) note(format string, arguments ...any) {
	if text := fmt.Sprintf(format, arguments...); !slices.Contains(c.result.Notes, text) {
		c.result.Notes = append(c.result.Notes, text)
	}
}

// fail refuses the configuration.
func (c *converter) fail(p *apacheconf.SyntaxError) { c.refused = append(c.refused, p) }

func (c *converter) fileOrder(name string) int {
	return slices.IndexFunc(c.config.Files, func(f *apacheconf.File) bool { return f.Name == name })
}

// backend is wsgid as mod_proxy knows it.
func (c *converter) backend() string { return "unix:" + c.options.Socket + "|fcgi://wsgid/" }

// handler is the argument of SetHandler.
func (c *converter) handler() string { return "proxy:" + c.backend() }

// concerned says whether there is anything of mod_wsgi.
func (c *converter) concerned() bool {
	return slices.ContainsFunc(c.all, func(i placedItem) bool {
		return apacheconf.OfWSGI(i.Name) || wsgiHandler(i.Item) || asks(i.Item) || i.Is("LoadModule") && len(i.Words) > 0 && i.Words[0] == "wsgi_module"
	}) || len(c.access) > 0
}

// prepare lists hosts and items.
func (c *converter) prepare() {
	bySection := map[*apacheconf.Item]*site{}
	for _, h := range c.model.Hosts {
		s := &site{host: h}
		c.sites = append(c.sites, s)
		if h.Section != nil {
			bySection[h.Section] = s
		}
	}
	var walk func(items []*apacheconf.Item, s *site)
	walk = func(items []*apacheconf.Item, s *site) {
		for _, i := range items {
			here := s
			if own := bySection[i]; own != nil {
				here = own
			}
			c.all = append(c.all, placedItem{i, here, len(c.all)})
			if !i.Is("Macro") {
				walk(i.Children, here)
			}
		}
	}
	walk(c.config.Items, c.sites[0])
	for _, i := range c.all {
		value := ""
		if len(i.Words) > 0 {
			value = i.Words[0]
		}
		if i.site != c.main() || i.Parent != nil || strings.Contains(value, "${") {
			continue
		}
		switch {
		case i.Is("User"):
			c.user = value
		case i.Is("Group"):
			c.group = value
		}
	}
	for _, i := range c.all {
		if i.Is("ErrorDocument") && len(i.Words) > 1 {
			c.documents = append(c.documents, i)
		}
		s := i.site
		if i.Parent != s.host.Section || len(i.Words) == 0 {
			continue
		}
		switch {
		case i.Is("DocumentRoot"):
			s.documentRoot = path.Join(c.config.ServerRoot, i.Words[0])
			if path.IsAbs(i.Words[0]) {
				s.documentRoot = path.Clean(i.Words[0])
			}
		case i.Is("ErrorLog"):
			s.errorLog = i.Words[0]
		case isAlias(i.Item) && len(i.Words) > 1:
			s.aliases = append(s.aliases, i)
		}
	}
	c.name()
}

func isAlias(i *apacheconf.Item) bool {
	return i.Is("Alias") || i.Is("AliasMatch") || i.Is("ScriptAlias") || i.Is("ScriptAliasMatch")
}
