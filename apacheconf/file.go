package apacheconf

import (
	"bytes"
	"fmt"
	"sort"
)

// File is one parsed file. Its nodes cover its bytes without a gap.
type File struct {
	Name   string // as it was opened
	Source []byte
	Nodes  []Node
	lines  []int // offsets at which lines begin
}

// Node is a piece of a file: a Directive, a Section, or text that means nothing
// (comments and empty lines).
type Node struct {
	Kind  Kind
	Start int // offset of its first byte
	End   int // behind its last, the line end included; of a section: of its end tag
	// Name as it is written, without "<". Empty in text.
	Name string
	// Args is what follows the name, continuation lines put together and blanks at
	// both ends taken off; of a section without ">". Not expanded.
	Args string
	// Of a Section: where its tags are, and what is between them.
	OpenEnd, CloseStart int
	Children            []Node
}

// Kind of a node.
type Kind uint8

// Kinds of nodes.
const (
	Text Kind = iota
	Directive
	Section
)

// Position is a place in a file for people, from 1.
type Position struct {
	File string
	Line int
}

// String is file:line.
func (p Position) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// At is the position of an offset.
func (f *File) At(offset int) Position {
	return Position{f.Name, sort.SearchInts(f.lines, offset+1)}
}

// Line is the number of the line that an offset is in.
func (f *File) Line(offset int) int { return f.At(offset).Line }

// Text is the bytes of a node.
func (f *File) Text(n *Node) string { return string(f.Source[n.Start:n.End]) }

// Is compares names of directives and sections, which Apache does without
// regard to case.
func (n *Node) Is(name string) bool { return equalFold(n.Name, name) }

func equalFold(a, b string) bool { return len(a) == len(b) && bytes.EqualFold([]byte(a), []byte(b)) }

// Problem is an error about the place at an offset.
func (f *File) Problem(offset int, hint, problem string) *SyntaxError {
	return &SyntaxError{Position: f.At(offset), Problem: problem, Hint: hint}
}

// SyntaxError is what Apache would not start with.
type SyntaxError struct {
	Position
	// Text is the offending line or word, Problem what is wrong, Hint what to do.
	Text, Problem, Hint string
}

// Error says all of it.
func (e *SyntaxError) Error() string {
	text := e.String() + ": " + e.Problem
	if e.Text != "" {
		text += ": " + e.Text
	}
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}
