package supervisor

import (
	"slices"
	"strings"

	"github.com/wsgid/wsgid/config"
	"github.com/wsgid/wsgid/internal/wire"
)

// global names the process group of embedded mode and the main interpreter.
const global = "%{GLOBAL}"

// scriptTable is what one process group may run, whatever the router says.
type scriptTable struct {
	files, directories []string
}

// expands says whether a process_group is only known with the request.
func expands(processGroup string) bool {
	return processGroup != global && strings.Contains(processGroup, "%{")
}

// mayServe says whether the mount's target belongs to a process group: it is
// its own, or the group is decided with the request, by an expansion or a dispatch
// script, and may be any that restrict_process permits. A script that is kept
// out of the router brings nothing into it unless restrict_process says so.
func mayServe(cfg *config.Config, mount *config.ScriptAlias, group string) bool {
	if group == global && cfg.Router.RestrictEmbedded {
		return false
	}
	if mount.RestrictProcess != nil && !slices.Contains(mount.RestrictProcess, group) {
		return false
	}
	if mount.ProcessGroup == group || expands(mount.ProcessGroup) || cfg.Overridable(mount, "process_group") {
		return true
	}
	return cfg.Scripted(mount) && (group != global || cfg.DispatchHelper() == nil || mount.RestrictProcess != nil)
}

// scriptTableOf collects the table of a daemon_process.
func scriptTableOf(cfg *config.Config, group string) scriptTable {
	var table scriptTable
	seen := map[wire.ScriptRule]bool{}
	for _, mount := range cfg.Mounts() {
		if !mayServe(cfg, mount, group) {
			continue
		}
		rule := wire.ScriptRule{Path: mount.Target, Directory: mount.Directory}
		if !seen[rule] {
			seen[rule] = true
			if mount.Directory {
				table.directories = append(table.directories, mount.Target)
			} else {
				table.files = append(table.files, mount.Target)
			}
		}
	}
	return table
}

// restricted are the names of a restrict_process as the router has them: ""
// is embedded mode.
func restricted(names []string) []string {
	var expanded []string
	for _, name := range names {
		if name == global {
			name = ""
		}
		expanded = append(expanded, name)
	}
	return expanded
}

// routerScripts says whether the router has scripts to evaluate.
func routerScripts(cfg *config.Config) bool {
	return len(cfg.DispatchScripts) > 0 || len(authScriptsOf(cfg)) > 0
}

// embeddedOf is what the router's own Python has to do.
func embeddedOf(cfg *config.Config) wire.Embedded {
	interpreters := interpretersOf(cfg, global, &cfg.Router.PythonOptions)
	embedded := wire.Embedded{
		Needed:          routerScripts(cfg) && cfg.DispatchHelper() == nil,
		Python:          cfg.Router.Python,
		PythonHome:      cfg.Router.PythonHome,
		PythonPath:      interpreters.pythonPath,
		Variables:       embeddedVariables(&cfg.Router.PythonOptions),
		Interpreters:    interpreters.settings,
		FreeThreading:   interpreters.freeThreading,
		MaxInterpreters: cfg.Router.MaxInterpreters,
		Threads:         cfg.Router.Threads,
		StackSize:       cfg.Router.StackSize,
		QueueLength:     cfg.Router.QueueLength,
		QueueTimeout:    cfg.Router.QueueTimeout,
		Restricted:      cfg.Router.RestrictEmbedded,
	}
	for _, p := range cfg.Preloads(global) {
		embedded.Needed = true
		embedded.Preload = append(embedded.Preload, wire.Import{Application: p.Application, Path: p.Path})
	}
	seen := map[wire.ScriptRule]bool{}
	for _, mount := range cfg.Mounts() {
		if !mayServe(cfg, mount, global) {
			continue
		}
		embedded.Needed = true
		rule := wire.ScriptRule{Path: mount.Target, Directory: mount.Directory}
		if !seen[rule] {
			seen[rule] = true
			embedded.Scripts = append(embedded.Scripts, rule)
		}
	}
	return embedded
}
