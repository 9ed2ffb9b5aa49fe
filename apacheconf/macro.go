package apacheconf

import (
	"strings"
)

// maxMacroText bounds what macros become.
const maxMacroText = 64 << 20

// macro is a section <Macro name parameters…> of mod_macro.
type macro struct {
	item       *Item
	parameters []string
	body       string
}

// define keeps a macro.
func (e *evaluator) define(item *Item) error {
	item.Words = Words(item.Args)
	if len(item.Words) == 0 {
		return item.Problem("write <Macro name $parameter …>", "macro without a name")
	}
	name := strings.ToLower(item.Words[0])
	if _, known := e.macros[name]; known {
		return item.Problem("UndefMacro "+item.Words[0]+" before, or take one of them out", "macro %s is defined twice", item.Words[0])
	}
	body := item.File.Source[item.Node.OpenEnd:item.Node.CloseStart]
	e.macros[name] = &macro{item, item.Words[1:], string(body)}
	e.add(item)
	return nil
}

// use evaluates the body of a macro with values for its parameters.
func (e *evaluator) use(item *Item, at place) error {
	if len(item.Words) == 0 {
		return item.Problem("write Use name value …", "Use without a name")
	}
	m := e.macros[strings.ToLower(item.Words[0])]
	switch {
	case m == nil:
		return item.Problem("define it before, in <Macro "+item.Words[0]+" …>", "macro %s is not defined", item.Words[0])
	case len(item.Words)-1 != len(m.parameters):
		return item.Problem("it is defined in "+m.item.Position().String(), "macro %s takes %d values, and there are %d", item.Words[0], len(m.parameters), len(item.Words)-1)
	}
	if e.depth++; e.depth > maxIncludes {
		return item.Problem("a macro uses itself", "macros are used more than %d deep", maxIncludes)
	}
	defer func() { e.depth-- }()
	text := substitute(m.body, m.parameters, item.Words[1:])
	if e.text += len(text); e.text > maxMacroText {
		return item.Problem("macros use each other too often", "macros become more than %d bytes", maxMacroText)
	}
	f, err := Parse("macro "+item.Words[0]+" used in "+item.Position().String(), []byte(text))
	if err != nil {
		return err
	}
	e.read(f, item)
	return e.nodes(f, f.Nodes, place{at.parent, item, at.condition, false})
}

// substitute replaces parameters by values: the leftmost, of several that begin
// there the longest; what was put in is not looked at again.
func substitute(text string, parameters, values []string) string {
	var out strings.Builder
	next := make([]int, len(parameters)) // where each occurs next; -1: nowhere
	for at := 0; ; {
		which := -1
		for i, p := range parameters {
			if p == "" || next[i] < 0 {
				continue
			}
			if next[i] < at || at == 0 {
				found := strings.Index(text[at:], p)
				if next[i] = at + found; found < 0 {
					next[i] = -1
					continue
				}
			}
			if which < 0 || next[i] < next[which] || next[i] == next[which] && len(p) > len(parameters[which]) {
				which = i
			}
		}
		if which < 0 {
			out.WriteString(text[at:])
			return out.String()
		}
		out.WriteString(text[at:next[which]])
		out.WriteString(values[which])
		at = next[which] + len(parameters[which])
	}
}
