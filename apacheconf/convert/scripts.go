package convert

import (
	"strings"
)

// scripts declares the scripts that are imported when processes start, and those
// that are asked about requests.
func (c *converter) scripts() {
	for _, s := range c.sites {
		for _, i := range s.host.Imports {
			group, _ := i.Option("process-group", 1)
			application, _ := i.Option("application-group", 1)
			b := &block{kind: "import_script", label: i.Words[0], comment: "From " + i.Position().String() + "."}
			b.text("process_group", c.processGroup(group))
			b.text("application_group", applicationGroup(application))
			c.blocks = append(c.blocks, b)
			c.commentOut(i)
			c.report(i, Converted, "import_script %s", text(i.Words[0]))
		}
	}
	declared := map[string]*block{}
	for _, i := range c.all {
		if !i.Is("WSGIDispatchScript") || len(i.Words) == 0 {
			continue
		}
		application, _ := i.Option("application-group", 1)
		b := &block{kind: "dispatch_script", label: i.Words[0], comment: "From " + i.Position().String() + "."}
		b.truth("default", false)
		b.text("application_group", applicationGroup(application)) // the main one by default: behaviour spec 5.1
		b.text("on_load_error", "static")
		if item := c.hostValue(i.site, "WSGIScriptReloading"); item != nil && !on(item) {
			b.truth("script_reloading", false)
		}
		before := declared[b.label]
		if before == nil {
			declared[b.label] = b
			c.blocks = append(c.blocks, b)
			continue
		}
		if written(before) != written(b) {
			c.fail(i.Problem("give one of them another file, such as a symbolic link", "%s is a dispatch script with other options at %s", b.label, strings.TrimPrefix(before.comment, "From ")))
		}
	}
}

// written is the options of a block as text.
func written(b *block) string {
	plain := *b
	plain.comment = ""
	var out strings.Builder
	plain.write(&out, "")
	return out.String()
}
