package apacheconf

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// Options say how a configuration is evaluated.
type Options struct {
	// ServerRoot that relative names of files belong to until the configuration
	// says another one.
	ServerRoot string
	// Defines are those of the command line (-D); their values are mostly empty.
	Defines map[string]string
	// Environment looks variables up that Apache would be started with; nil: none.
	Environment func(name string) (string, bool)
	// Version of Apache, for IfVersion; zero: 2.4.62.
	Version [3]int
	// Modules are compiled in or loaded elsewhere, as "wsgi_module". Of a
	// configuration without a single LoadModule, which is a part of a larger one,
	// those that come with Apache, and mod_wsgi, count as loaded.
	Modules []string
	// FS reads files by their absolute names; nil: the machine's.
	FS FS
}

// FS is what is needed of a file system. Names are absolute.
type FS interface {
	ReadFile(name string) ([]byte, error)
	ReadDir(name string) ([]fs.DirEntry, error)
	Stat(name string) (fs.FileInfo, error)
}

// Machine is the machine's own file system.
func Machine() FS { return machine{} }

type machine struct{}

func (machine) ReadFile(name string) ([]byte, error)       { return os.ReadFile(name) }
func (machine) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }
func (machine) Stat(name string) (fs.FileInfo, error)      { return os.Stat(name) }

// Config is an evaluated configuration.
type Config struct {
	// Files that were read, the main one first; one that is included twice is
	// there twice, its nodes being evaluated anew.
	Files []*File
	// Via is the Include or Use that each of them but the main one came by.
	Via map[*File]*Item
	// Items at server level, in the order in which Apache reads them. Conditional
	// sections that hold, included files and macros are resolved: what they hold
	// stands in their place.
	Items []*Item
	// Skipped are directives and sections in conditions that do not hold.
	Skipped []*Item
	// Conditions are the conditional sections, held or not, nested ones included
	// where the outer one holds.
	Conditions []*Item
	// Warnings, such as variables that nobody defines.
	Warnings []*SyntaxError
	// Fragment: there is no LoadModule, so that this is a part of a larger one.
	Fragment bool
	// ServerRoot, Defines and Modules at the end.
	ServerRoot string
	Defines    map[string]string
	Modules    map[string]bool
	loads      int // LoadModule directives
}

// Item is a directive or a section as Apache sees it.
type Item struct {
	File *File
	Node *Node
	// Name as it is written; Args with variables replaced, and split into Words.
	Name, Args string
	Words      []string
	Parent     *Item // section that it is in; nil: server level
	Children   []*Item
	// Via is the Include or Use that it came by; nil: it stands in the main file.
	Via *Item
	// Condition is the innermost conditional section around it, held or not.
	Condition *Item
	// Held says of a conditional section that what it holds counts.
	Held bool
}

// Is compares its name.
func (i *Item) Is(name string) bool { return equalFold(i.Name, name) }

// Position in its file.
func (i *Item) Position() Position { return i.File.At(i.Node.Start) }

// Problem is an error about the item.
func (i *Item) Problem(hint, format string, arguments ...any) *SyntaxError {
	text := strings.TrimSpace(i.Name + " " + i.Args)
	if i.Node.Kind == Section {
		text = "<" + text + ">"
	}
	return &SyntaxError{Position: i.Position(), Text: shorten(text), Problem: fmt.Sprintf(format, arguments...), Hint: hint}
}

// Load reads the configuration file of that absolute name, and all that it
// includes. The error is a *SyntaxError, or says which file cannot be read.
func Load(name string, o Options) (*Config, error) {
	if o.FS == nil {
		o.FS = machine{}
	}
	source, err := o.FS.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration of Apache: %w", err)
	}
	f, err := Parse(name, source)
	if err != nil {
		return nil, err
	}
	return Evaluate(f, o)
}

// Evaluate is Load for a file that was parsed.
func Evaluate(f *File, o Options) (*Config, error) {
	if o.FS == nil {
		o.FS = machine{}
	}
	if o.Version == [3]int{} {
		o.Version = [3]int{2, 4, 62}
	}
	c, err := evaluate(f, o, false)
	if err == nil && len(o.Modules) > 0 {
		return c, nil
	}
	if err == nil && c.loads == 0 {
		return evaluate(f, o, true)
	}
	return c, err
}

func evaluate(f *File, o Options, fragment bool) (*Config, error) {
	e := &evaluator{options: o, macros: map[string]*macro{}, config: &Config{
		Files: []*File{f}, Via: map[*File]*Item{}, Defines: maps.Clone(o.Defines), Modules: map[string]bool{}, ServerRoot: o.ServerRoot, Fragment: fragment,
	}}
	if e.config.Defines == nil {
		e.config.Defines = map[string]string{}
	}
	for _, module := range slices.Concat(compiledIn, o.Modules) {
		e.config.Modules[module] = true
	}
	if fragment {
		for _, module := range bundled {
			e.config.Modules[module+"_module"] = true
		}
	}
	if err := e.nodes(f, f.Nodes, place{}); err != nil {
		return nil, err
	}
	return e.config, nil
}

type evaluator struct {
	options Options
	config  *Config
	macros  map[string]*macro
	depth   int // of Include and Use
	text    int // bytes that macros have become
}

// place is where evaluated items go.
type place struct {
	parent, via, condition *Item
	skipped                bool
}

func (e *evaluator) nodes(f *File, nodes []Node, at place) error {
	for i := range nodes {
		n := &nodes[i]
		if n.Kind == Text {
			continue
		}
		if err := e.node(f, n, at); err != nil {
			return err
		}
	}
	return nil
}

func (e *evaluator) node(f *File, n *Node, at place) error {
	item := &Item{File: f, Node: n, Name: n.Name, Args: n.Args, Parent: at.parent, Via: at.via, Condition: at.condition}
	if at.skipped {
		item.Words = Words(item.Args)
		e.config.Skipped = append(e.config.Skipped, item)
		return e.nodes(f, n.Children, place{item, at.via, at.condition, true})
	}
	if n.Kind == Section && n.Is("Macro") {
		return e.define(item)
	}
	item.Args = e.expand(item)
	item.Words = Words(item.Args)
	if n.Kind == Section {
		return e.section(item, at)
	}
	switch {
	case n.Is("Define"), n.Is("UnDefine"):
		e.defineVariable(item)
	case n.Is("ServerRoot") && len(item.Words) == 1:
		e.config.ServerRoot = item.Words[0]
	case n.Is("LoadModule") && len(item.Words) > 0:
		e.config.Modules[item.Words[0]] = true
		e.config.loads++
	case n.Is("Include"), n.Is("IncludeOptional"):
		e.add(item)
		return e.include(item, at)
	case n.Is("Use"):
		e.add(item)
		return e.use(item, at)
	case n.Is("UndefMacro") && len(item.Words) == 1:
		delete(e.macros, strings.ToLower(item.Words[0]))
	}
	e.add(item)
	return nil
}

// section evaluates a section: one that is a condition is taken away, or what it
// holds.
func (e *evaluator) section(item *Item, at place) error {
	held, conditional, err := e.condition(item)
	if err != nil {
		return err
	}
	inside := place{item, at.via, at.condition, false}
	if conditional {
		item.Held = held
		e.config.Conditions = append(e.config.Conditions, item)
		inside = place{at.parent, at.via, item, !held}
	} else {
		e.add(item)
	}
	return e.nodes(item.File, item.Node.Children, inside)
}

func (e *evaluator) add(item *Item) {
	if item.Parent != nil {
		item.Parent.Children = append(item.Parent.Children, item)
		return
	}
	e.config.Items = append(e.config.Items, item)
}

// read keeps a file that an Include or Use has brought.
func (e *evaluator) read(f *File, via *Item) {
	e.config.Files = append(e.config.Files, f)
	e.config.Via[f] = via
}

func (e *evaluator) warn(problem *SyntaxError) {
	e.config.Warnings = append(e.config.Warnings, problem)
}

// defineVariable is Define and UnDefine.
func (e *evaluator) defineVariable(item *Item) {
	if len(item.Words) == 0 {
		return
	}
	name := item.Words[0]
	if item.Is("UnDefine") {
		delete(e.config.Defines, name)
		return
	}
	value := ""
	if len(item.Words) > 1 {
		value = item.Words[1]
	}
	e.config.Defines[name] = value
}

// expand replaces ${NAME} by what Define or the environment says, and leaves
// what nobody knows (ap_resolve_env).
func (e *evaluator) expand(item *Item) string {
	text := item.Args
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		out.WriteString(before)
		name, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			if found {
				out.WriteString("${" + rest)
			}
			return out.String()
		}
		value, known := "", false
		if !strings.Contains(name, ":") {
			if value, known = e.config.Defines[name]; !known && e.options.Environment != nil {
				value, known = e.options.Environment(name)
			}
			if !known {
				e.warn(item.Problem("Define it, or set it in the environment of Apache (--env NAME=value)", "${%s} is not defined and stays as it is", name))
			}
		}
		if !known {
			value = "${" + name + "}"
		}
		out.WriteString(value)
		text = after
	}
}
