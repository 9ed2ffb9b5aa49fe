package config

import (
	"os"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"
)

// Result is what reading a configuration gave: the configuration, if there
// were no errors, the diagnostics, and the sources that they point into.
type Result struct {
	// Config is nil when Diagnostics has errors.
	Config      *Config
	Diagnostics hcl.Diagnostics
	// Files are the sources by file name, for WriteDiagnostics.
	Files map[string]*hcl.File
	// places of options, as in decoder.
	places map[hcl.Range]map[string]hcl.Range
}

// Place says where an option was written that holds in the first of the blocks:
// there, or in one of those around it, which follow from the inside out. False:
// nowhere, it has its default.
func (r Result) Place(option string, blocks ...hcl.Range) (hcl.Range, bool) {
	for _, block := range blocks {
		if at, ok := r.places[block][option]; ok {
			return at, true
		}
	}
	return hcl.Range{}, false
}

// Load reads the configuration file and everything it includes, as the user
// who runs this process. The *Config is nil if the diagnostics have errors;
// warnings come beside a *Config.
func Load(file string) (*Config, hcl.Diagnostics) {
	result := Read(file, CurrentIdentity())
	return result.Config, result.Diagnostics
}

// LoadBytes reads a configuration that does not come from a file; name stands
// in diagnostics, and includes are relative to its directory.
func LoadBytes(name string, source []byte) (*Config, hcl.Diagnostics) {
	result := ReadBytes(name, source, CurrentIdentity())
	return result.Config, result.Diagnostics
}

// Read reads the configuration file as if identity started wsgid.
func Read(file string, identity Identity) Result {
	absolute, err := filepath.Abs(file)
	if err != nil {
		absolute = file
	}
	source, err := os.ReadFile(absolute)
	if err != nil {
		return Result{Diagnostics: hcl.Diagnostics{unreadable(file, err, nil)}}
	}
	return ReadBytes(absolute, source, identity)
}

// ReadBytes is Read with the main file's content in memory.
func ReadBytes(name string, source []byte, identity Identity) Result {
	p := newParser()
	blocks := p.parse(name, source)
	d := &decoder{diags: p.diags, places: map[hcl.Range]map[string]hcl.Range{}}
	broken := d.diags.HasErrors()
	d.config = Config{File: name, Router: defaultRouter(), Control: defaultControl(identity), Log: defaultLog()}
	d.decodeBlocks(blocks)
	v := validator{decoder: d, identity: identity, partial: broken || d.diags.HasErrors()}
	v.validate()
	sortDiagnostics(d.diags, p.order)
	result := Result{Diagnostics: d.diags, Files: p.files(), places: d.places}
	if !d.diags.HasErrors() {
		d.source.places, d.source.landlocks = d.places, d.landlocks
		d.config.Source = &d.source
		result.Config = &d.config
	}
	return result
}
