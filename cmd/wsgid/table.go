package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/wsgid/wsgid/internal/escape"
)

// table collects rows of cells and aligns them; the first row are the titles.
type table struct {
	rows [][]string
	// steps are taken one after another until the rows fit into the width that there
	// is: what is given up first is what matters least.
	steps []step
	// right are the titles of columns that are aligned on the right.
	right []string
	// dense leaves one space between columns, not two.
	dense bool
}

// step gives up room of one column: it is cut to least, or moved below its row with
// the words below before it, or left out.
type step struct {
	title string
	least int
	move  bool
	below string
}

// row adds a line. Cells come from other processes: they are escaped.
func (t *table) row(cells ...any) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = escape.Line(fmt.Sprint(cell))
	}
	t.rows = append(t.rows, row)
}

// layout is what becomes of the columns.
type layout struct {
	widths []int          // -1: not in the row
	below  map[int]string // by column, what stands before it
	gap    int            // between two columns
}

func (l *layout) total() int {
	total := -l.gap
	for _, width := range l.widths {
		if width >= 0 {
			total += width + l.gap
		}
	}
	return total
}

// ends says whether a cell is the last one of a row that is shorter than others: it may
// reach over the columns behind it.
func (l *layout) ends(row []string, i int) bool { return i == len(row)-1 && len(row) < len(l.widths) }

// layout says how the rows fit into a width, 0: any; ok: that they do.
func (t *table) layout(width int) (l layout, ok bool) {
	l.below, l.gap = map[int]string{}, 2
	if t.dense {
		l.gap = 1
	}
	longest := 0
	for _, row := range t.rows {
		longest = max(longest, len(row))
	}
	l.widths = make([]int, longest)
	for _, row := range t.rows {
		for i, cell := range row {
			if !l.ends(row, i) {
				l.widths[i] = max(l.widths[i], len([]rune(cell)))
			}
		}
	}
	for _, s := range t.steps {
		excess := l.total() - width
		if width == 0 || excess <= 0 {
			break
		}
		i := slices.IndexFunc(t.rows[0], func(title string) bool { return title == s.title })
		switch {
		case s.least > 0:
			l.widths[i] = min(l.widths[i], max(s.least, l.widths[i]-excess))
		case s.move:
			l.below[i] = s.below
			fallthrough
		default:
			l.widths[i] = -1
		}
	}
	return l, width == 0 || l.total() <= width
}

// lines are the rows, none longer than width, 0: as long as they are. Where nothing
// helps the cells of a row run on in the next line.
func (t *table) lines(width int) []string {
	if len(t.rows) == 0 {
		return nil
	}
	l, ok := t.layout(width)
	var out []string
	for n, row := range t.rows {
		var line strings.Builder
		for i, cell := range row {
			room := l.widths[i]
			if room < 0 {
				continue
			}
			if line.Len() > 0 {
				line.WriteString(strings.Repeat(" ", l.gap))
			}
			switch {
			case l.ends(row, i):
				room = 0
			case i == len(row)-1:
				cell = shortened(cell, room)
			default:
				cell = abridged(cell, room)
			}
			padding := ""
			if ok {
				padding = strings.Repeat(" ", max(0, room-len([]rune(cell))))
			}
			if i < len(t.rows[0]) && slices.Contains(t.right, t.rows[0][i]) {
				line.WriteString(padding + cell)
			} else {
				line.WriteString(cell + padding)
			}
		}
		out = append(out, wrap(line.String(), width, 8)...)
		for i, cell := range row {
			if words, ok := l.below[i]; ok && n > 0 && cell != "-" {
				out = append(out, wrap("    "+words+cell, width, 6)...)
			}
		}
	}
	return out
}

// abridged leaves out the middle of a name, whose ends tell it from others.
func abridged(name string, most int) string {
	runes := []rune(name)
	if len(runes) <= most {
		return name
	}
	head := most / 2
	return string(runes[:head]) + "…" + string(runes[len(runes)-(most-head-1):])
}

// wrap breaks a line into such that fit into width, 0: any; those after the first are
// indented by hang. It breaks at a space, unless that would leave half a line empty.
func wrap(text string, width, hang int) (lines []string) {
	rest := []rune(strings.TrimRight(text, " "))
	margin := ""
	for width > 0 && len(margin)+len(rest) > width {
		room := width - len(margin)
		at := room
		for i := room; i > room/2; i-- {
			if rest[i] == ' ' {
				at = i
				break
			}
		}
		lines = append(lines, margin+strings.TrimRight(string(rest[:at]), " "))
		for rest = rest[at:]; len(rest) > 0 && rest[0] == ' '; {
			rest = rest[1:]
		}
		margin = strings.Repeat(" ", min(hang, width/2)) // a narrow terminal has something in each line
	}
	return append(lines, margin+string(rest))
}

// page is text for people, on lines that fit into a width; 0: any.
type page struct {
	strings.Builder
	width int
}

// line adds a line; what runs on is indented by hang.
func (p *page) line(hang int, text string) {
	for _, line := range wrap(text, p.width, hang) {
		p.WriteString(line + "\n")
	}
}

// print writes the page.
func (p *page) print(w io.Writer) error {
	if _, err := io.WriteString(w, p.String()); err != nil {
		return failf("writing: %w", err)
	}
	return nil
}

func (p *page) table(t *table) {
	for _, line := range t.lines(p.width) {
		p.WriteString(line + "\n")
	}
}
