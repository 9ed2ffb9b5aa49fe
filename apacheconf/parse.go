package apacheconf

import (
	"bytes"
	"strings"
)

// maxDepth bounds how deep sections may be nested; Apache's own limit is its stack.
const maxDepth = 200

// maxLine is the longest logical line (VARBUF_MAX_LEN of Apache).
const maxLine = 16 << 20

// Parse reads a whole file. The error is a *SyntaxError.
func Parse(name string, source []byte) (*File, error) {
	f := &File{Name: name, Source: source, lines: []int{0}}
	for i, c := range source {
		if c == '\n' {
			f.lines = append(f.lines, i+1)
		}
	}
	p := parser{file: f}
	nodes, closed, err := p.nodes(0)
	if err == nil && closed != nil {
		err = p.fail(closed.start, closed.text, "end of a section that was not begun", "take it out, or write the line <"+closed.text[2:]+" before")
	}
	if err != nil {
		return nil, err
	}
	f.Nodes = nodes
	return f, nil
}

type parser struct {
	file *File
	at   int
}

// logicalLine is a line with its continuations.
type logicalLine struct {
	start, end int
	text       string // put together, without blanks at both ends
}

// next reads a line; continuations are those that end with a backslash, which
// is taken out with the line end (ap_cfg_getline).
func (p *parser) next() (line logicalLine, ok bool) {
	source := p.file.Source
	if p.at >= len(source) {
		return line, false
	}
	line.start = p.at
	var joined []byte
	for {
		rest := source[p.at:]
		end := bytes.IndexByte(rest, '\n')
		content, next := rest, p.at+len(rest)
		if end >= 0 {
			content, next = rest[:end], p.at+end+1
			content = bytes.TrimSuffix(content, []byte("\r"))
		}
		p.at = next
		before, continued := bytes.CutSuffix(content, []byte("\\"))
		if !continued || end < 0 {
			if joined == nil {
				joined = content
			} else {
				joined = append(joined, content...)
			}
			break
		}
		joined = append(joined, before...) // the first time a copy
		if p.at >= len(source) {
			break
		}
	}
	line.end = p.at
	line.text = strings.Trim(string(joined), " \t\v\f\r")
	return line, true
}

// closing is an end tag that belongs to no section inside.
type closing struct {
	start, end int
	name, text string
}

// nodes reads until the end of the file or an end tag.
func (p *parser) nodes(depth int) (nodes []Node, end *closing, err error) {
	for {
		line, ok := p.next()
		if !ok {
			return nodes, nil, nil
		}
		switch {
		case len(line.text) > maxLine:
			return nil, nil, p.fail(line.start, "", "line is too long", "Apache takes 16 MiB")
		case line.text == "" || line.text[0] == '#':
			nodes = p.addText(nodes, line)
		case strings.HasPrefix(line.text, "</"):
			name := strings.TrimSpace(strings.TrimSuffix(line.text[2:], ">"))
			if !strings.HasSuffix(line.text, ">") {
				return nil, nil, p.fail(line.start, line.text, "end tag without \">\"", "write </"+name+">")
			}
			return nodes, &closing{line.start, line.end, name, line.text}, nil
		case line.text[0] == '<':
			node, err := p.section(line, depth)
			if err != nil {
				return nil, nil, err
			}
			nodes = append(nodes, node)
		default:
			name, args := cutWord(line.text)
			nodes = append(nodes, Node{Kind: Directive, Start: line.start, End: line.end, Name: name, Args: args})
		}
	}
}

// addText puts text behind text.
func (p *parser) addText(nodes []Node, line logicalLine) []Node {
	if n := len(nodes); n > 0 && nodes[n-1].Kind == Text {
		nodes[n-1].End = line.end
		return nodes
	}
	return append(nodes, Node{Kind: Text, Start: line.start, End: line.end})
}

func (p *parser) section(line logicalLine, depth int) (Node, error) {
	name, args := cutWord(line.text[1:])
	if depth >= maxDepth {
		return Node{}, p.fail(line.start, line.text, "sections are nested too deep", "")
	}
	switch {
	case !strings.HasSuffix(line.text, ">"):
		return Node{}, p.fail(line.start, line.text, "<"+name+"> directive missing closing \">\"", "write it at the end of the line")
	case args == "": // <Name> or <Name/x>: the bracket belongs to the name
		name = strings.TrimSuffix(name, ">")
	default:
		args = strings.TrimRight(strings.TrimSuffix(args, ">"), " \t")
	}
	n := Node{Kind: Section, Start: line.start, OpenEnd: line.end, Name: name, Args: args}
	children, end, err := p.nodes(depth + 1)
	switch {
	case err != nil:
		return Node{}, err
	case end == nil:
		return Node{}, p.fail(line.start, line.text, "section is not ended", "write </"+name+"> behind its last line")
	case !equalFold(end.name, name):
		return Node{}, p.fail(end.start, end.text, "expected </"+name+"> of line "+itoa(p.file.Line(line.start)), "end sections in the reverse order of their beginnings")
	}
	n.Children, n.CloseStart, n.End = children, end.start, end.end
	return n, nil
}

func (p *parser) fail(offset int, text, problem, hint string) error {
	return &SyntaxError{Position: p.file.At(offset), Text: shorten(text), Problem: problem, Hint: hint}
}

// shorten keeps messages readable.
func shorten(text string) string {
	if len(text) > 200 {
		return text[:200] + "…"
	}
	return text
}
