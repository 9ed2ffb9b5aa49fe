package convert

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// diffContext is how many lines stand around a change.
const diffContext = 3

// WriteDiff shows what a conversion changes, and the configuration of wsgid that
// is to be written to hcl, as diff -u does.
func WriteDiff(w io.Writer, r *Result, hcl string) error {
	var out strings.Builder
	for _, f := range slices.Concat(r.Files, r.Access) {
		if !bytes.Equal(f.Before, f.After) {
			fmt.Fprintf(&out, "--- %s\n+++ %s\n", f.Name, f.Path)
			writeHunks(&out, f.Before, f.edits)
		}
	}
	fmt.Fprintf(&out, "--- /dev/null\n+++ %s\n", hcl)
	writeHunks(&out, nil, []edit{{text: string(r.HCL)}})
	if _, err := io.WriteString(w, out.String()); err != nil {
		return fmt.Errorf("showing what changes: %w", err)
	}
	return nil
}

// lineChange replaces lines [from, to) of a file.
type lineChange struct {
	from, to int
	text     []string
}

// writeHunks shows settled edits of whole lines.
func writeHunks(out *strings.Builder, before []byte, edits []edit) {
	lines := splitLines(string(before))
	line := 0 // and the offset at which it begins
	at := 0
	find := func(offset int) int {
		for line < len(lines) && at+len(lines[line]) <= offset {
			at += len(lines[line])
			line++
		}
		return line
	}
	var changes []lineChange
	for _, e := range edits {
		from := find(e.start)
		to := from
		if e.end > e.start {
			to = find(e.end-1) + 1
		}
		changes = append(changes, lineChange{from, to, splitLines(e.text)})
	}
	shift := 0 // of line numbers behind the change
	for len(changes) > 0 {
		n := 1
		for n < len(changes) && changes[n].from-changes[n-1].to <= 2*diffContext {
			n++
		}
		shift += writeHunk(out, lines, changes[:n], shift)
		changes = changes[n:]
	}
}

// writeHunk shows changes that lie near each other; it gives by how many lines
// the file grows.
func writeHunk(out *strings.Builder, lines []string, changes []lineChange, shift int) (grown int) {
	from := max(0, changes[0].from-diffContext)
	to := min(len(lines), changes[len(changes)-1].to+diffContext)
	var body strings.Builder
	show := func(sign string, text []string) {
		for _, line := range text {
			body.WriteString(sign + line)
			if !strings.HasSuffix(line, "\n") {
				body.WriteString("\n\\ No newline at end of file\n")
			}
		}
	}
	at := from
	for _, c := range changes {
		show(" ", lines[at:c.from])
		show("-", lines[c.from:c.to])
		show("+", c.text)
		grown += len(c.text) - (c.to - c.from)
		at = c.to
	}
	show(" ", lines[at:to])
	first := func(n, count int) int { // of an empty range the line before it
		if count == 0 {
			return n
		}
		return n + 1
	}
	fmt.Fprintf(out, "@@ -%d,%d +%d,%d @@\n%s", first(from, to-from), to-from, first(from+shift, to-from+grown), to-from+grown, body.String())
	return grown
}

// splitLines keeps the line ends.
func splitLines(text string) []string {
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}
