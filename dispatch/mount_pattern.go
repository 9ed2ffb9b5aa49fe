package dispatch

import (
	"bytes"

	"github.com/wsgid/wsgid/internal/errcode"
)

// search looks for the expression of the mount in a normalised URL path and
// gives the bounds of the match and its groups. An empty match at the
// beginning does not count (mod_wsgi behaviour 3.1).
func (m *mount) search(path []byte) ([]int, *refusal) {
	at, err := m.pattern.Find(path)
	if err != nil {
		return nil, refuse(errcode.PatternTimeout, "expression", m.Prefix, "path", string(path), "error", err)
	}
	if at == nil || at[1] == 0 {
		return nil, nil
	}
	return at, nil
}

// substitute maps a path that the expression matches at the given places: the
// groups go into the target, and what follows the match after it.
func (m *mount) substitute(path []byte, at []int) (target, *refusal) {
	return m.join(path, appendGroups(nil, m.Append, path, at), at[1])
}

// appendGroups appends template to b: $n is group n of the match at the given
// places of path, a backslash makes the next character ordinary (mod_wsgi
// behaviour 3.1, Apache's ap_pregsub).
func appendGroups(b []byte, template string, path []byte, at []int) []byte {
	for i := 0; i < len(template); i++ {
		c := template[i]
		if c == '$' && i+1 < len(template) && template[i+1] >= '0' && template[i+1] <= '9' {
			i++
			if n := 2 * int(template[i]-'0'); n < len(at) && at[n] >= 0 {
				b = append(b, path[at[n]:at[n+1]]...)
			}
			continue
		}
		if c == '\\' && i+1 < len(template) {
			i++
			c = template[i]
		}
		b = append(b, c)
	}
	return b
}

// join makes the file name of a request from the target, what is appended to
// it, and the path after its first location bytes, and splits it into script
// and PATH_INFO (mod_wsgi behaviour 3.1 and 3.2). No request leaves the target.
func (m *mount) join(path, rest []byte, location int) (target, *refusal) {
	if location == 1 && path[0] == '/' {
		location = 0 // of "/" nothing is taken away
	}
	rest = collapseBytes(append(rest, path[location:]...))
	missing := func() (target, *refusal) {
		return target{}, refuse(errcode.ScriptNotFound, "path", string(path), "target", m.Target, "rest", string(rest))
	}
	if len(rest) > 0 && rest[0] != '/' && m.Target[len(m.Target)-1] != '/' {
		return missing() // another name than the target's
	}
	if !m.Directory {
		return target{m, m.Target, path[:scriptNameEnd(path, rest)], rest}, nil
	}
	for _, segment := range bytes.Split(rest, []byte("/")) {
		if string(segment) == "." || string(segment) == ".." {
			return target{}, refuse(errcode.OutsideRoots, "path", string(path), "target", m.Target, "rest", string(rest))
		}
	}
	script, end, r := walk(m.Target, rest, 0)
	if r != nil {
		return target{}, r
	}
	info := rest[end:]
	return target{m, script, path[:scriptNameEnd(path, info)], info}, nil
}

// scriptNameEnd is where SCRIPT_NAME ends in a path whose PATH_INFO is info:
// where the two begin to be the same, at the end of a segment (mod_wsgi
// behaviour 3.2, Apache's ap_find_path_info).
func scriptNameEnd(path, info []byte) int {
	at, i := len(path), len(info)
	for at > 0 && i > 0 && path[at-1] == info[i-1] {
		at--
		i--
	}
	if i > 0 && at > 0 {
		at-- // they differ here
	}
	for at < len(path) && path[at] != '/' {
		at++
	}
	return at
}
