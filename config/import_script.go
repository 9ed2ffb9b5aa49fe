package config

import (
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// importScriptOptions are those of import_script "path" { … }.
func (d *decoder) importScriptOptions(s *ImportScript) options {
	return options{
		"process_group":     d.str(&s.ProcessGroup),
		"application_group": d.str(&s.ApplicationGroup),
	}
}

func (d *decoder) decodeImportScript(block *hclsyntax.Block) {
	path, ok := d.label(block, "the path of the script", `import_script "/srv/site/warm_up.py"`)
	if !ok {
		return
	}
	s := defaultImportScript()
	s.Path, s.Order = path, d.nextOrder()
	s.Range = d.decodeBody("import_script", block, d.importScriptOptions(&s))
	d.config.ImportScripts = append(d.config.ImportScripts, s)
}

// nextOrder numbers the blocks that have scripts imported, in file order.
func (d *decoder) nextOrder() int {
	d.orders++
	return d.orders
}

// Preload is a script that a process of a group imports when it starts.
type Preload struct {
	// Application is the application group, expanded: empty is the main interpreter.
	Application string
	Path        string
	// Served: it is the script of a mount; else only an import script.
	Served bool
}

// Preloads lists what the processes of a group ("%{GLOBAL}": the router)
// import when they start: mounts that are preloaded and import scripts, in the
// order of the configuration, each once.
func (c *Config) Preloads(group string) []Preload {
	var all []Preload
	order := map[Preload]int{}
	add := func(applicationGroup, path string, served bool, at int) {
		application, _ := FixedApplication(applicationGroup)
		p := Preload{application, path, served}
		if _, again := order[p]; !again {
			order[p] = at
			all = append(all, p)
		}
	}
	for _, s := range c.Mounts() {
		if s.Preload && s.ProcessGroup == group {
			add(s.ApplicationGroup, s.Target, true, s.Order)
		}
	}
	for _, s := range c.ImportScripts {
		if s.ProcessGroup == group {
			add(s.ApplicationGroup, s.Path, false, s.Order)
		}
	}
	slices.SortStableFunc(all, func(a, b Preload) int { return order[a] - order[b] })
	return all
}

// FixedApplication expands an application group that needs no request; empty
// is the main interpreter.
func FixedApplication(name string) (expanded string, ok bool) {
	if name == "%{GLOBAL}" {
		return "", true
	}
	return name, fixed(name)
}
