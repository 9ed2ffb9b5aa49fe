package convert

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/wsgid/wsgid/apacheconf"
)

// files settles the edits, inside out: a macro that is changed stands written out
// in the place of its Use, and what includes a changed file includes its copy.
func (c *converter) files() error {
	main := c.mainFile()
	changed := map[string][]byte{} // by the name as it was read
	before := map[string][]byte{}
	includes := map[*apacheconf.Item][]string{} // files of each Include
	for n := len(c.config.Files) - 1; n >= 0; n-- {
		f := c.config.Files[n]
		via := c.config.Via[f]
		if via != nil && via.Is("Include") || via != nil && via.Is("IncludeOptional") {
			includes[via] = append(includes[via], f.Name)
		}
		of := c.byFile[f]
		if of == nil {
			continue
		}
		if !of.settle() {
			return &RefusedError{[]*apacheconf.SyntaxError{f.Problem(0, "write what differs out, or convert the places one by one", "this file is used several times, and would have to become several")}}
		}
		after := of.apply()
		if via != nil && via.Is("Use") {
			c.replace(via.File, via.Node.Start, via.Node.End, commented(via.File, via.Node.Start, via.Node.End)+strings.TrimSuffix(string(after), "\n")+lineEnd(via.File))
			continue
		}
		if other, twice := changed[f.Name]; twice && !bytes.Equal(other, after) {
			return &RefusedError{[]*apacheconf.SyntaxError{f.Problem(0, "write it out where it is included, in two copies", "this file is included several times, and would have to become different files")}}
		}
		changed[f.Name], before[f.Name] = after, f.Source
		if via != nil {
			c.includeCopy(via)
		}
	}
	for _, f := range c.config.Files {
		if c.byFile[f] == nil && changed[f.Name] != nil {
			return &RefusedError{[]*apacheconf.SyntaxError{f.Problem(0, "write it out where it is included, in two copies", "this file is included several times, and would have to become different files")}}
		}
	}
	// A pattern that is written anew has to find all its files in the new place.
	for _, names := range includes {
		if !slices.ContainsFunc(names, func(name string) bool { return changed[name] != nil }) {
			continue
		}
		for _, name := range names {
			if changed[name] == nil {
				source := c.sourceOf(name)
				changed[name], before[name] = source, source
			}
		}
	}
	for _, f := range c.config.Files {
		if after := changed[f.Name]; after != nil && !slices.ContainsFunc(c.result.Files, func(other File) bool { return other.Name == f.Name }) {
			one := File{Name: f.Name, Path: placed(f.Name, main.Name, c.options.OutDir), Before: before[f.Name], After: after}
			if of := c.byFile[f]; of != nil {
				one.edits = of.list
			}
			c.result.Files = append(c.result.Files, one)
		}
	}
	return nil
}

func (c *converter) sourceOf(name string) []byte {
	for _, f := range c.config.Files {
		if f.Name == name {
			return f.Source
		}
	}
	return nil
}

// includeCopy has an Include name the copies.
func (c *converter) includeCopy(i *apacheconf.Item) {
	pattern := i.Words[0]
	if !path.IsAbs(pattern) {
		pattern = path.Join(c.config.ServerRoot, pattern)
	}
	line := i.Name + " " + quoted(placed(path.Clean(pattern), c.mainFile().Name, c.options.OutDir))
	e := edit{i.Node.Start, i.Node.End, layOut(i.File, i.Node.Start, []string{line})}
	if of := c.of(i.File); !slices.Contains(of.list, e) {
		of.list = append(of.list, e)
	}
}

// writeHCL is wsgid.hcl.
func (c *converter) writeHCL() []byte {
	var out strings.Builder
	fmt.Fprintf(&out, "# wsgid, for the applications of %s. Made by wsgid apache convert.\n", c.mainFile().Name)
	for _, b := range slices.Concat(c.blocks, c.hostBlocks) {
		out.WriteByte('\n')
		b.write(&out, "")
	}
	return []byte(out.String())
}
