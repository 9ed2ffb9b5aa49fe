package config

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/wsgid/wsgid/internal/urlpattern"
)

// splitTarget completes a mount's target: what of it is known without a
// request, a file or a directory, stays in Target, and what follows goes to
// Append (mod_wsgi behaviour 3.2). A path through a file is not looked for
// when requests come.
func (s *ScriptAlias) splitTarget() {
	literal, rest := s.Target, ""
	if s.Match {
		literal, rest = cutReference(s.Target)
	}
	if file := fileIn(literal); file != "" {
		s.Target, s.Append = file, quoteReferences(s.Match, literal[len(file):])+rest
		return
	}
	if rest != "" {
		at := strings.LastIndexByte(literal, '/')
		s.Target, s.Append, s.Directory = literal[:max(at, 0)], quoteReferences(true, literal[max(at, 0):])+rest, true
		if at == 0 {
			s.Target = "/" // refused
		}
		return
	}
	s.Target = literal
	s.Directory = strings.HasSuffix(literal, "/")
	if info, err := os.Stat(literal); err == nil && info.IsDir() {
		s.Directory = true
	}
}

// cutReference cuts a target before its first $n: the text before it, of which
// a backslash is taken away, and the rest as it is written.
func cutReference(target string) (literal, rest string) {
	var text strings.Builder
	for i := 0; i < len(target); i++ {
		switch {
		case target[i] == '\\' && i+1 < len(target):
			i++
		case target[i] == '$' && i+1 < len(target) && target[i+1] >= '0' && target[i+1] <= '9':
			return text.String(), target[i:]
		}
		text.WriteByte(target[i])
	}
	return text.String(), ""
}

// quoteReferences makes text stand for itself where $n is replaced.
func quoteReferences(match bool, text string) string {
	if !match {
		return text
	}
	return strings.NewReplacer(`\`, `\\`, `$`, `\$`).Replace(text)
}

// fileIn is the regular file that the path goes through, with or without
// something behind it; empty if there is none but the whole path itself.
func fileIn(path string) string {
	if !filepath.IsAbs(path) {
		return ""
	}
	for at := 1; at < len(path); at++ {
		if path[at] != '/' {
			continue
		}
		info, err := os.Stat(path[:at])
		if err != nil {
			return ""
		}
		if info.Mode().IsRegular() {
			return path[:at]
		}
	}
	return ""
}

// references are the numbers of the groups that a target names.
func references(target string) []int {
	var numbers []int
	for {
		_, rest := cutReference(target)
		if rest == "" {
			return numbers
		}
		numbers = append(numbers, int(rest[1]-'0'))
		target = rest[2:]
	}
}

// compile compiles an expression once.
func (v *validator) compile(text string) (*urlpattern.Pattern, error) {
	if p := v.patterns[text]; p != nil {
		return p, nil
	}
	p, err := urlpattern.Compile(text)
	if err != nil {
		return nil, err
	}
	if v.patterns == nil {
		v.patterns = map[string]*urlpattern.Pattern{}
	}
	v.patterns[text] = p
	return p, nil
}

// pattern validates the expression and the target of script_alias_match.
func (v *validator) pattern(s *ScriptAlias) {
	p, err := v.compile(s.Prefix)
	if err != nil {
		v.add(s.Range, "Wrong regular expression", "The label of script_alias_match is a regular expression as of Apache, and %q is none: %v. A backslash is written twice.", s.Prefix, err)
		return
	}
	if filepath.Clean(s.Target) == "/" {
		v.add(v.place(s.Range, "target"), "Target is everywhere", "What stands before the first $n names the directory that no request leaves, and here that is \"/\": begin with the directory of the scripts.")
	}
	for _, number := range references(s.Append) {
		if number > p.Groups() {
			v.warn(v.place(s.Range, "target"), "No such group", "The target names $%d, which is always empty: the expression %q has %d groups.", number, s.Prefix, p.Groups())
			return
		}
	}
}
