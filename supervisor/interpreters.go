package supervisor

import (
	"slices"
	"strconv"

	"github.com/wsgid/wsgid/config"
)

// interpreters is how the interpreters of one process group are set up, what
// its own block and interpreter_options say taken together.
type interpreters struct {
	settings      []string // as the boot block has them (docs/internals.md section 1)
	pythonPath    []string // of all interpreters that settings say nothing else about
	freeThreading bool
}

// interpreterLayer is one source of options, for one application group or
// ("") for all of the process group.
type interpreterLayer struct {
	selectors   int
	application string
	path        []string
	options     *config.InterpreterOptions
}

// interpretersOf resolves the options of a process group: what selects by more
// counts more, of equals the later (mod_wsgi behaviour 1.3). What the group's
// own block says is like an interpreter_options with its process_group that
// stands before all others.
func interpretersOf(cfg *config.Config, group string, own *config.PythonOptions) interpreters {
	layers := []interpreterLayer{{selectors: 1, path: own.PythonPath, options: &own.InterpreterOptions}}
	for i := range cfg.InterpreterBlocks {
		b := &cfg.InterpreterBlocks[i]
		if b.ProcessGroup == "" || b.ProcessGroup == group {
			layers = append(layers, interpreterLayer{b.Selectors(), b.ApplicationGroup, b.PythonPath, &b.InterpreterOptions})
		}
	}
	slices.SortStableFunc(layers, func(a, b interpreterLayer) int { return a.selectors - b.selectors })

	general := layersOf(layers, "")
	result := interpreters{
		settings:   settingsOf(nil, "*", general),
		pythonPath: pathOf(general),
	}
	if cfg.Router.FoldCase {
		result.settings = append(result.settings, "*\tfold_case\t1")
	}
	for _, layer := range general {
		set(&result.freeThreading, layer.options.FreeThreading)
	}
	var done []string
	for _, layer := range layers {
		if layer.application == "" || slices.Contains(done, layer.application) {
			continue
		}
		done = append(done, layer.application)
		name, _ := config.FixedApplication(layer.application)
		mine := layersOf(layers, layer.application)
		result.settings = settingsOf(result.settings, "="+name, mine)
		if path := pathOf(mine); !slices.Equal(path, result.pythonPath) {
			for _, directory := range path {
				result.settings = append(result.settings, "="+name+"\tpython_path\t"+directory)
			}
		}
	}
	return result
}

// layersOf leaves those that concern an application group.
func layersOf(layers []interpreterLayer, application string) []interpreterLayer {
	var mine []interpreterLayer
	for _, layer := range layers {
		if layer.application == "" || layer.application == application {
			mine = append(mine, layer)
		}
	}
	return mine
}

// pathOf puts the paths together: what counts more comes first.
func pathOf(layers []interpreterLayer) []string {
	var path []string
	for _, layer := range slices.Backward(layers) {
		path = append(path, layer.path...)
	}
	return path
}

// settingsOf appends what the layers say to a list of settings.
func settingsOf(settings []string, name string, layers []interpreterLayer) []string {
	add := func(option, value string) { settings = append(settings, name+"\t"+option+"\t"+value) }
	for _, option := range []struct {
		name  string
		value func(*config.InterpreterOptions) *bool
	}{
		{"own_gil", func(o *config.InterpreterOptions) *bool { return o.PerInterpreterGIL }},
		{"restrict_stdin", func(o *config.InterpreterOptions) *bool { return o.RestrictStdin }},
		{"restrict_stdout", func(o *config.InterpreterOptions) *bool { return o.RestrictStdout }},
		{"restrict_signal", func(o *config.InterpreterOptions) *bool { return o.RestrictSignal }},
	} {
		var value *bool
		for _, layer := range layers {
			if said := option.value(layer.options); said != nil {
				value = said
			}
		}
		if value != nil {
			add(option.name, map[bool]string{true: "1", false: "0"}[*value])
		}
	}
	seconds := 0.0
	for _, layer := range layers {
		if said := layer.options.SwitchInterval; said > 0 {
			seconds = said.Seconds()
		}
	}
	if seconds > 0 {
		add("switch_interval", strconv.FormatFloat(seconds, 'f', -1, 64))
	}
	return settings
}

// set takes a value over where one was given.
func set(to, value *bool) {
	if value != nil {
		*to = *value
	}
}
