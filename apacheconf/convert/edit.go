package convert

import (
	"bytes"
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
)

// edit replaces bytes of a file.
type edit struct {
	start, end int
	text       string
}

// edits are those of one file as it was read. Of a file that is included twice
// there are two.
type edits struct {
	file *apacheconf.File
	list []edit
}

// editor collects edits.
type editor struct {
	byFile map[*apacheconf.File]*edits
	order  []*edits
}

func (e *editor) of(f *apacheconf.File) *edits {
	if e.byFile == nil {
		e.byFile = map[*apacheconf.File]*edits{}
	}
	if e.byFile[f] == nil {
		e.byFile[f] = &edits{file: f}
		e.order = append(e.order, e.byFile[f])
	}
	return e.byFile[f]
}

// replace puts text, whole lines, in the place of bytes.
func (e *editor) replace(f *apacheconf.File, start, end int, text string) {
	of := e.of(f)
	of.list = append(of.list, edit{start, end, text})
}

// commentOut makes a directive, or the tag of a section, a comment, and puts
// lines behind it.
func (e *editor) commentOut(i *apacheconf.Item, lines ...string) {
	start, end := i.Node.Start, i.Node.End
	if i.Node.Kind == apacheconf.Section {
		end = i.Node.OpenEnd
		e.replace(i.File, i.Node.CloseStart, i.Node.End, commented(i.File, i.Node.CloseStart, i.Node.End))
	}
	e.replace(i.File, start, end, commented(i.File, start, end)+layOut(i.File, start, lines))
}

// commented is a directive as a comment: a line that is continued goes on as one.
func commented(f *apacheconf.File, start, end int) string {
	text := string(f.Source[start:end])
	if !strings.HasSuffix(text, "\n") {
		text += lineEnd(f)
	}
	margin := indent(f, start)
	return margin + "# " + text[len(margin):]
}

// rewrite puts lines in the place of a directive.
func (e *editor) rewrite(i *apacheconf.Item, lines ...string) {
	e.replace(i.File, i.Node.Start, i.Node.End, layOut(i.File, i.Node.Start, lines))
}

// behind puts lines behind a directive.
func (e *editor) behind(i *apacheconf.Item, lines ...string) {
	end := i.Node.End
	text := layOut(i.File, i.Node.Start, lines)
	if end > 0 && i.File.Source[end-1] != '\n' {
		text = lineEnd(i.File) + text
	}
	e.replace(i.File, end, end, text)
}

// before puts lines before a directive or section.
func (e *editor) before(i *apacheconf.Item, lines ...string) {
	e.replace(i.File, i.Node.Start, i.Node.Start, layOut(i.File, i.Node.Start, lines))
}

// inside puts lines at the beginning of a section.
func (e *editor) inside(section *apacheconf.Item, lines ...string) {
	e.replace(section.File, section.Node.OpenEnd, section.Node.OpenEnd, layOut(section.File, section.Node.Start, indented(lines)))
}

// atEnd puts lines at the end of a section, or with nil of the file.
func (e *editor) atEnd(f *apacheconf.File, section *apacheconf.Item, lines ...string) {
	if section != nil {
		e.replace(section.File, section.Node.CloseStart, section.Node.CloseStart, layOut(section.File, section.Node.Start, indented(lines)))
		return
	}
	end := len(f.Source)
	text := strings.Join(lines, lineEnd(f)) + lineEnd(f)
	if end > 0 && f.Source[end-1] != '\n' {
		text = lineEnd(f) + text
	}
	e.replace(f, end, end, text)
}

// layOut writes lines as far to the right as what stands at an offset.
func layOut(f *apacheconf.File, at int, lines []string) string {
	var out strings.Builder
	for _, line := range lines {
		if line != "" {
			out.WriteString(indent(f, at))
		}
		out.WriteString(line + lineEnd(f))
	}
	return out.String()
}

func indented(lines []string) []string {
	moved := make([]string, len(lines))
	for i, line := range lines {
		if line != "" {
			line = "    " + line
		}
		moved[i] = line
	}
	return moved
}

// indent is the blanks at the beginning of the line at an offset.
func indent(f *apacheconf.File, at int) string {
	rest := f.Source[at:]
	return string(rest[:len(rest)-len(bytes.TrimLeft(rest, " \t"))])
}

// lineEnd is the one that the file uses.
func lineEnd(f *apacheconf.File) string {
	if end := bytes.IndexByte(f.Source, '\n'); end > 0 && f.Source[end-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// settle sorts the edits and joins insertions at one place; false: two change
// the same bytes in different ways.
func (e *edits) settle() bool {
	slices.SortStableFunc(e.list, func(a, b edit) int {
		if a.start != b.start {
			return cmp.Compare(a.start, b.start)
		}
		return cmp.Compare(a.end, b.end) // insertions come before what is replaced there
	})
	var out []edit
	for _, next := range e.list {
		if n := len(out); n > 0 {
			last := &out[n-1]
			switch {
			case last.start == last.end && next.start == next.end && last.start == next.start:
				last.text += next.text
				continue
			case next == *last:
				continue
			case next.start < last.end:
				return false
			}
		}
		out = append(out, next)
	}
	e.list = out
	return true
}

// apply gives the file with its edits, which are settled.
func (e *edits) apply() []byte {
	var out bytes.Buffer
	at := 0
	for _, one := range e.list {
		out.Write(e.file.Source[at:one.start])
		out.WriteString(one.text)
		at = one.end
	}
	out.Write(e.file.Source[at:])
	return out.Bytes()
}

// placed is where the converted copy of a file goes: below dir, in the same tree
// as the main file.
func placed(name, main, dir string) string {
	if name == main {
		return path.Join(dir, "httpd.conf")
	}
	if rest, ok := strings.CutPrefix(name, path.Dir(main)+"/"); ok && rest != "httpd.conf" {
		return path.Join(dir, rest)
	}
	return path.Join(dir, "root", name)
}
