package main

import (
	"fmt"
	"io"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/escape"
	"github.com/wsgid/wsgid/supervisor"
)

// checkChroots shows what the root directories of groups lack. An error says
// that a group could not run.
func checkChroots(c *config.Config, w io.Writer) error {
	needed, group := 0, ""
	for _, f := range supervisor.CheckChroots(c) {
		if f.Group != group {
			group = f.Group
			fmt.Fprintf(w, "daemon_process %q, chroot: missing there\n", group)
		}
		mark := "perhaps"
		if f.Needed {
			mark = "NEEDED"
			needed++
		}
		fmt.Fprintf(w, "  %-8s %s: %s: %s\n", mark, escape.Line(f.Path), escape.Line(f.Why), escape.Line(f.Remedy))
	}
	if needed > 0 {
		return failf("%s missing in root directories (chroot): the groups cannot run", count(needed, "file"))
	}
	return nil
}
