package config

import (
	"os"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"
)

// FindControl says where the control socket of the wsgid that runs with this
// configuration file lies. It reads no more than the control block, so that a
// running wsgid can be asked and stopped while somebody edits the rest.
func FindControl(file string, identity Identity) (string, Result) {
	absolute, err := filepath.Abs(file)
	if err != nil {
		absolute = file
	}
	source, err := os.ReadFile(absolute)
	if err != nil {
		return "", Result{Diagnostics: hcl.Diagnostics{unreadable(file, err, nil)}}
	}
	p := newParser()
	d := &decoder{places: map[hcl.Range]map[string]hcl.Range{}, single: map[string]hcl.Range{}}
	d.config.Control = defaultControl(identity)
	for _, block := range p.parse(absolute, source) {
		if block.Type == "control" {
			d.decodeControl(block)
		}
	}
	if p.diags.HasErrors() && !d.given(d.config.Control.Range, "path") {
		// It may stand where HCL could not go on reading.
		d.diags = append(d.diags, p.diags...)
	}
	v := validator{decoder: d, identity: identity}
	v.socketPath(d.config.Control.Range, "path", d.config.Control.Path)
	result := Result{Diagnostics: d.diags, Files: p.files()}
	if d.diags.HasErrors() {
		return "", result
	}
	return d.config.Control.Path, result
}
