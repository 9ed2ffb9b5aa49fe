package config

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// WriteHCL writes the configuration as one file that means the same. What is
// set is a line of it. What holds without being set is a comment: to set it
// would mean something else, since hosts and mounts inherit what they do not set.
func (e *Effective) WriteHCL(w io.Writer) error {
	var out strings.Builder
	fmt.Fprintf(&out, "# %s and what it includes. A line with # in front is not set and holds all the same.\n", printable(e.File))
	for _, b := range e.Blocks {
		out.WriteByte('\n')
		b.write(&out, "")
	}
	if _, err := io.WriteString(w, out.String()); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return nil
}

func (b *EffectiveBlock) write(out *strings.Builder, indent string) {
	header, origin := b.Block, "default"
	if b.Label != "" || !unlabelled[b.Block] {
		header += " " + quote(b.Label)
	}
	if b.At != nil {
		origin = b.At.String()
	}
	fmt.Fprintf(out, "%s%s { # %s\n", indent, header, origin)
	for _, o := range b.Options {
		sign := ""
		if o.Origin != OriginSet {
			sign = "# "
		}
		fmt.Fprintf(out, "%s  %s%s = %s # %s\n", indent, sign, o.Name, literal(o.Value), o.origin())
	}
	for _, nested := range b.Blocks {
		out.WriteByte('\n')
		nested.write(out, indent+"  ")
	}
	fmt.Fprintf(out, "%s}\n", indent)
}

// unlabelled are the blocks that have no label.
var unlabelled = map[string]bool{"router": true, "control": true, "monitor": true, "tracing": true, "log": true, "dispatch": true, "interpreter_options": true, "landlock": true, accessLog: true}

// origin is what stands behind the value.
func (o *EffectiveOption) origin() string {
	switch o.Origin {
	case OriginSet:
		return o.At.String()
	case OriginInherited:
		return fmt.Sprintf("inherited from %s, %s", printable(o.From), o.At)
	}
	return string(OriginDefault)
}

// String is "file:line".
func (p *Place) String() string { return printable(p.File) + ":" + strconv.Itoa(p.Line) }

// printable keeps a name that a comment cannot hold from ending it.
func printable(name string) string {
	if strings.ContainsFunc(name, unicode.IsControl) {
		return strconv.Quote(name)
	}
	return name
}

// literal writes a value on one line.
func literal(value any) string {
	switch v := value.(type) {
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return v.String()
	case string:
		return quote(v)
	case []any:
		var elements []string
		for _, element := range v {
			elements = append(elements, literal(element))
		}
		return "[" + strings.Join(elements, ", ") + "]"
	case map[string]any:
		var elements []string
		for _, name := range sortedKeys(v) {
			elements = append(elements, quote(name)+" = "+literal(v[name]))
		}
		if len(elements) == 0 {
			return "{}"
		}
		return "{ " + strings.Join(elements, ", ") + " }"
	}
	return "null"
}

func quote(text string) string {
	quoted := hclwrite.TokensForValue(cty.StringVal(text)).Bytes()
	return string(expansionSource.ReplaceAllFunc(quoted, func(found []byte) []byte {
		if found[1] != '%' || found[2] != '{' || templateSource.Match(found[1:]) {
			return found
		}
		return found[1:] // wsgid does not need HCL's own spelling (protectExpansions)
	}))
}
