// Package urlpattern is the regular expressions of script_alias_match: those
// of Apache, which are Perl's, on bytes, unanchored. Go's own engine, which
// takes linear time, runs whatever it can express; the rest (lookaround, back
// references, possessive and atomic groups) a backtracking one with a deadline.
// It must not know what a match is good for.
package urlpattern

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

// deadline of a match of the backtracking engine: far more than an honest
// match takes, little enough that a client who can make one slow gains nothing
// that a handful of ordinary requests would not give him. clockPeriod is how
// often the engine looks at the time.
const (
	deadline    = 50 * time.Millisecond
	clockPeriod = 10 * time.Millisecond
)

var setClock = sync.OnceFunc(func() { regexp2.SetTimeoutCheckPeriod(clockPeriod) })

// ErrTooLong is the error of a match that was given up: its deadline passed, or
// it needed too much memory.
var ErrTooLong = errors.New("the match was given up")

// Pattern is a compiled expression; it may be used by several goroutines.
type Pattern struct {
	linear       *regexp.Regexp
	backtracking *regexp2.Regexp // where linear is nil
}

// Compile compiles an expression. As in Apache "." matches a line end and "$"
// only the very end; a character is a byte.
func Compile(text string) (*Pattern, error) {
	bytewise := string(latin1(make([]byte, 0, len(text)), []byte(text)))
	linear, err := regexp.Compile("(?s)" + bytewise)
	if err == nil {
		return &Pattern{linear: linear}, nil
	}
	if err := foreign(bytewise); err != nil {
		return nil, err
	}
	setClock()
	backtracking, err := regexp2.Compile(bytewise, regexp2.RE2, regexp2.Singleline, regexp2.OptionMaintainCaptureOrder())
	if err != nil {
		return nil, err
	}
	backtracking.MatchTimeout = deadline
	return &Pattern{backtracking: backtracking}, nil
}

// MustCompile is Compile for an expression that is known to compile.
func MustCompile(text string) *Pattern {
	p, err := Compile(text)
	if err != nil {
		panic(err)
	}
	return p
}

// Groups is the number of groups, without the whole match.
func (p *Pattern) Groups() int {
	if p.linear != nil {
		return p.linear.NumSubexp()
	}
	return len(p.backtracking.GetGroupNumbers()) - 1
}

// Covers says whether it is certain that the expression matches every path that
// begins with prefix, because it matches prefix and nothing in it depends on
// what follows.
func (p *Pattern) Covers(prefix string) bool {
	if p.linear == nil {
		return false
	}
	tree, err := syntax.Parse(p.linear.String(), syntax.Perl)
	if err != nil || looksAhead(tree) {
		return false
	}
	at, err := p.Find([]byte(prefix))
	return err == nil && at != nil && at[1] > 0
}

// looksAhead says whether an expression asks what comes after a match.
func looksAhead(tree *syntax.Regexp) bool {
	switch tree.Op {
	case syntax.OpEndLine, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	}
	return slices.ContainsFunc(tree.Sub, looksAhead)
}

// Find gives the bounds of the leftmost match and of its groups in b, those of
// group n at [2n] and [2n+1], -1 for a group that took no part. It returns nil
// without a match, and ErrTooLong.
func (p *Pattern) Find(b []byte) ([]int, error) {
	if p.linear == nil {
		return p.findBacktracking(b)
	}
	if ascii(b) {
		return p.linear.FindSubmatchIndex(b), nil
	}
	wide := latin1(make([]byte, 0, 2*len(b)), b)
	at := p.linear.FindSubmatchIndex(wide)
	for i, end := range at {
		if end > 0 {
			at[i] = utf8.RuneCount(wide[:end])
		}
	}
	return at, nil
}

func (p *Pattern) findBacktracking(b []byte) ([]int, error) {
	characters := make([]rune, len(b))
	for i, c := range b {
		characters[i] = rune(c)
	}
	m, err := p.backtracking.FindRunesMatch(characters)
	if errors.Is(err, regexp2.ErrBacktrackingStackLimit) {
		return nil, fmt.Errorf("%w: it needs too much memory", ErrTooLong)
	}
	if err != nil { // the deadline; its text repeats the path
		return nil, fmt.Errorf("%w: it took longer than %v", ErrTooLong, deadline)
	}
	if m == nil {
		return nil, nil
	}
	var at []int
	for _, g := range m.Groups() {
		if len(g.Captures) == 0 {
			at = append(at, -1, -1)
			continue
		}
		last := g.Captures[len(g.Captures)-1]
		at = append(at, last.RuneIndex, last.RuneIndex+last.RuneLength)
	}
	return at, nil
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// latin1 appends the bytes of b as one character each to to.
func latin1(to, b []byte) []byte {
	for _, c := range b {
		to = utf8.AppendRune(to, rune(c))
	}
	return to
}

// known are the escapes that mean the same to Apache and to the backtracking
// engine, and knownFlags the letters of (?…). Of others it would make something
// else without a word.
const (
	known      = "AbBdDsSwWzZtnrfvaexckpPG0123456789"
	knownFlags = "imsx-"
)

// foreign reports what Apache understands and the backtracking engine does not.
func foreign(text string) error {
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], `\Q`):
			end := strings.Index(text[i:], `\E`)
			if end < 0 {
				return nil
			}
			i += end + 1
		case text[i] == '\\' && i+1 < len(text):
			i++
			if c := text[i]; (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') && !strings.ContainsRune(known, rune(c)) {
				return fmt.Errorf(`\%c is not available`, c)
			}
		case strings.HasPrefix(text[i:], "(?"):
			flags, _, _ := strings.Cut(text[i+2:], ")")
			flags, _, _ = strings.Cut(flags, ":")
			if other := strings.Trim(flags, knownFlags); other != "" && letters(flags) {
				return fmt.Errorf("the option %s of (?%s) is not available", other, flags)
			}
		}
	}
	return nil
}

// letters says whether s can only be the options of (?…).
func letters(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' {
			return false
		}
	}
	return s != ""
}
