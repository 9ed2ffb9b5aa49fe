package apacheconf

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// maxIncludes bounds files that include each other (AP_MAX_INCLUDE_DEPTH), and macros.
const maxIncludes = 128

// absolute is a name as Apache looks it up: below ServerRoot.
func (e *evaluator) absolute(name string) string {
	if path.IsAbs(name) || filepath.IsAbs(name) {
		return name
	}
	return path.Join(e.config.ServerRoot, name)
}

// include reads what Include and IncludeOptional name.
func (e *evaluator) include(item *Item, at place) error {
	if len(item.Words) != 1 {
		return item.Problem("name one file, directory or pattern", "%s takes one argument", item.Name)
	}
	pattern := e.absolute(item.Words[0])
	names, err := e.match(pattern)
	if err != nil {
		return item.Problem("", "%v", err)
	}
	if len(names) == 0 && item.Is("Include") {
		return item.Problem("make it, or write IncludeOptional", "%s: there is no such file", pattern)
	}
	if e.depth++; e.depth > maxIncludes {
		return item.Problem("a file includes itself", "files are included more than %d deep", maxIncludes)
	}
	defer func() { e.depth-- }()
	for _, name := range names {
		source, err := e.options.FS.ReadFile(name)
		if err != nil {
			return item.Problem("", "cannot read %s: %v", name, err)
		}
		f, err := Parse(name, source)
		if err != nil {
			return err
		}
		e.read(f, item)
		if err := e.nodes(f, f.Nodes, place{at.parent, item, at.condition, false}); err != nil {
			return err
		}
	}
	return nil
}

// match lists the files of a pattern in the order in which Apache reads them:
// by name, of a directory all with all below. Wildcards stand in any component.
func (e *evaluator) match(pattern string) ([]string, error) {
	found := []string{"/"}
	rest := strings.Split(strings.TrimPrefix(path.Clean(pattern), "/"), "/")
	for _, component := range rest {
		var next []string
		for _, dir := range found {
			if !strings.ContainsAny(component, "*?[") {
				name := path.Join(dir, component)
				if _, err := e.options.FS.Stat(name); err == nil {
					next = append(next, name)
				} else if !errors.Is(err, fs.ErrNotExist) {
					return nil, fmt.Errorf("looking for %s: %w", name, err)
				}
				continue
			}
			entries, err := e.options.FS.ReadDir(dir)
			if err != nil {
				continue // no directory: it has no such file
			}
			for _, entry := range entries {
				ok, err := path.Match(component, entry.Name())
				if err != nil {
					return nil, fmt.Errorf("pattern %q: %w", component, err)
				}
				if ok && (entry.Name()[0] != '.' || component[0] == '.') {
					next = append(next, path.Join(dir, entry.Name()))
				}
			}
		}
		slices.Sort(next)
		found = next
	}
	var files []string
	for _, name := range found {
		below, err := e.below(name, 0)
		if err != nil {
			return nil, err
		}
		files = append(files, below...)
	}
	return files, nil
}

// below is a file, or all files of a directory.
func (e *evaluator) below(name string, depth int) ([]string, error) {
	info, err := e.options.FS.Stat(name)
	if err != nil || !info.IsDir() {
		return []string{name}, nil // that it cannot be read is said when it is
	}
	if depth > maxIncludes {
		return nil, fmt.Errorf("%s: directories are more than %d deep", name, maxIncludes)
	}
	entries, err := e.options.FS.ReadDir(name)
	if err != nil {
		return nil, fmt.Errorf("reading the directory %s: %w", name, err)
	}
	var files []string
	for _, entry := range entries {
		if entry.Name()[0] == '.' {
			continue
		}
		more, err := e.below(path.Join(name, entry.Name()), depth+1)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	return files, nil
}
