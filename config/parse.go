package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// parser reads the main file and what it includes into one list of blocks.
type parser struct {
	hcl     *hclparse.Parser
	sources map[string][]byte // as read, for snippets
	order   []string          // of the files, as they were first met
	open    []string          // the chain of files being read, to refuse cycles
	diags   hcl.Diagnostics
}

func newParser() *parser {
	return &parser{hcl: hclparse.NewParser(), sources: map[string][]byte{}}
}

// Expansions such as %{GLOBAL} are plain text for wsgid, but HCL takes "%{" for
// the start of a template directive. markers replace the two bytes while HCL
// parses (same length, so every position stays right) and are turned back when
// a value is read.
const markers = "\x01\x02"

var expansionSource = regexp.MustCompile(`%+\{(?:[A-Z_]+(?::[^}"\n]*)?\}|[^}"\n]*\}[A-Za-z])`)

// templateSource is what HCL's own directives begin with.
var templateSource = regexp.MustCompile(`^%\{~? *(?:if|else|endif|for|endfor)\b[^-]`)

// protectExpansions hides %{NAME} and %{NAME:x}, and with a letter behind it, as in
// formats of access logs, %{anything}, from HCL. "%%{", HCL's own way to write it, is
// left alone.
func protectExpansions(source []byte) []byte {
	return expansionSource.ReplaceAllFunc(source, func(found []byte) []byte {
		if found[1] == '%' || templateSource.Match(found) {
			return found
		}
		return append([]byte(markers), found[2:]...)
	})
}

// restoreExpansions undoes protectExpansions in a value.
func restoreExpansions(value string) string { return strings.ReplaceAll(value, markers, "%{") }

// files gives the sources as they were read, for diagnostics.
func (p *parser) files() map[string]*hcl.File {
	files := map[string]*hcl.File{}
	for name, file := range p.hcl.Files() {
		shown := *file
		shown.Bytes = p.sources[name]
		shown.Nav = navigator{file.Nav}
		files[name] = &shown
	}
	return files
}

// navigator names blocks in diagnostics as they were written.
type navigator struct{ of any }

// ContextString is what hcl's diagnostic writer calls.
func (n navigator) ContextString(offset int) string {
	inner, ok := n.of.(interface{ ContextString(offset int) string })
	if !ok {
		return ""
	}
	// hcl quotes the label, so that the markers come out escaped.
	return strings.ReplaceAll(inner.ContextString(offset), `\x01\x02`, "%{")
}

// parse parses one file and puts the blocks of included files where the
// include stands: the order of script_alias blocks is their precedence.
func (p *parser) parse(name string, source []byte) []*hclsyntax.Block {
	p.sources[name] = source
	p.order = append(p.order, name)
	if i := strings.IndexAny(string(source), "\x00\x01\x02"); i >= 0 {
		p.diags = append(p.diags, &hcl.Diagnostic{
			Severity: hcl.DiagError, Summary: "Control character in configuration",
			Detail: fmt.Sprintf("%s has a control character at byte %d; a configuration is plain text.", name, i),
		})
		return nil
	}
	file, diags := p.hcl.ParseHCL(protectExpansions(source), name)
	p.diags = append(p.diags, diags...)
	if file == nil {
		return nil
	}
	body, ok := file.Body.(*hclsyntax.Body)
	if !ok {
		return nil
	}
	p.open = append(p.open, name)
	defer func() { p.open = p.open[:len(p.open)-1] }()

	blocks := body.Blocks
	include := body.Attributes["include"]
	for _, attribute := range sortedAttributes(body) {
		if attribute != include {
			p.diags = append(p.diags, problem(attribute.NameRange, "Unknown option", unknownAtTop(attribute.Name)))
		}
	}
	if include == nil {
		return blocks
	}
	at := sort.Search(len(blocks), func(i int) bool {
		return blocks[i].TypeRange.Start.Byte > include.NameRange.Start.Byte
	})
	included := p.include(filepath.Dir(name), include)
	return slices.Concat(blocks[:at], included, blocks[at:])
}

// include parses the files that the patterns of an include name: each
// pattern's in lexical order, each file once.
func (p *parser) include(dir string, attribute *hclsyntax.Attribute) []*hclsyntax.Block {
	d := &decoder{}
	var patterns []string
	d.list(&patterns).read(attribute.AsHCLAttribute())
	p.diags = append(p.diags, d.diags...)

	at := attribute.Expr.Range()
	var blocks []*hclsyntax.Block
	for _, pattern := range patterns {
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(dir, pattern)
		}
		names, err := filepath.Glob(pattern)
		if err != nil {
			p.diags = append(p.diags, problem(at, "Bad include pattern", fmt.Sprintf("The pattern %q is malformed: close every [ with ].", pattern)))
			continue
		}
		if len(names) == 0 && !strings.ContainsAny(pattern, "*?[") {
			p.diags = append(p.diags, problem(at, "Included file not found", fmt.Sprintf("There is no file %s.", pattern)))
		}
		for _, name := range names {
			blocks = append(blocks, p.includeFile(name, at)...)
		}
	}
	return blocks
}

// includeFile parses one included file, unless that was done before.
func (p *parser) includeFile(name string, at hcl.Range) []*hclsyntax.Block {
	if i := slices.Index(p.open, name); i >= 0 {
		chain := append(slices.Clone(p.open[i:]), name)
		p.diags = append(p.diags, problem(at, "Files include each other", fmt.Sprintf("The includes form a circle: %s. Take one of them out.", strings.Join(chain, " → "))))
		return nil
	}
	if _, done := p.sources[name]; done {
		return nil
	}
	source, err := os.ReadFile(name)
	if err != nil {
		p.diags = append(p.diags, unreadable(name, err, &at))
		return nil
	}
	return p.parse(name, source)
}

// cause is the reason of a file error without the path, which the message has.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// sortedAttributes gives a body's attributes in source order.
func sortedAttributes(body *hclsyntax.Body) []*hclsyntax.Attribute {
	var all []*hclsyntax.Attribute
	for _, attribute := range body.Attributes {
		all = append(all, attribute)
	}
	slices.SortFunc(all, func(a, b *hclsyntax.Attribute) int {
		return a.NameRange.Start.Byte - b.NameRange.Start.Byte
	})
	return all
}
